//! Much data and many connections: slow readers, long queries, floods.

use std::time::Duration;

use pgprime_wire::frontend::encode;
use pgprime_wire::tag::backend as tag;

use crate::support::{Raw, Setup, cluster, eventually, start_packet};

#[test]
fn a_client_that_never_reads_stops_its_server_and_nobody_else() {
    for workers in [1, 3] {
        let pooler = Setup::new().set("default_pool_size", 3).workers(workers).start();
        let mut lazy = pooler.client();
        let process = lazy.value("SELECT pg_backend_pid()");
        let row = "x".repeat(1_000);
        lazy.start_query(&format!("SELECT '{row}' FROM generate_series(1, 200000)"));
        // The server cannot get rid of its rows: what is on its way is bounded, although nobody reads.
        let wait = format!("SELECT coalesce(wait_event, '') FROM pg_stat_activity WHERE pid = {process}");
        eventually("the server waits for its client", || {
            cluster().primary().psql("postgres", &wait).unwrap() == "ClientWrite"
        });
        pooler.check_others();
        let sent =
            pooler.console().run("SHOW STATS").cell("database", "db", "total_sent").parse::<u64>().unwrap();
        assert!(sent < 50_000_000, "{sent} bytes are in the buffers of sockets");
        // Once it reads, it gets everything, and right.
        let mut rows = 0;
        while let Some(message) = lazy.message() {
            match message.tag {
                tag::DATA_ROW => {
                    assert_eq!(message.body.len(), 6 + row.len());
                    rows += 1;
                }
                tag::READY_FOR_QUERY => break,
                tag::ERROR_RESPONSE => panic!("{:?}", message.error()),
                _ => {}
            }
        }
        assert_eq!(rows, 200_000);
        assert_eq!(lazy.value("SELECT 'well'"), "well");
    }
}

#[test]
fn a_client_that_asks_without_reading_is_not_read_for_ever() {
    let pooler = Setup::new().start();
    let mut greedy = pooler.client();
    let mut asked = Vec::new();
    for _ in 0..2_000 {
        encode::query(&mut asked, b"SELECT repeat('x', 10000)");
    }
    greedy.send(&asked);
    for _ in 0..100_000 {
        encode::sync(&mut asked);
    }
    pooler.check_others();
    for number in 0..2_000 {
        assert_eq!(greedy.reply().value().len(), 10_000, "{number}");
    }
    pooler.check_others();
}

#[test]
fn a_hundred_megabytes_of_query_stream_through() {
    const LEN: usize = 100 * 1024 * 1024;
    let pooler = Setup::new().set("default_pool_size", 2).start();
    let mut client = pooler.client();
    client.value("SELECT 1");
    let memory_before = resident_bytes();
    let sql = format!("/*{}*/ SELECT 'long'", " ".repeat(LEN));
    let mut message = Vec::new();
    encode::query(&mut message, sql.as_bytes());
    drop(sql);
    let (first, rest) = message.split_at(LEN / 2);
    client.send(first);
    pooler.check_others();
    client.send(rest);
    assert_eq!(client.reply().value(), "long");
    let own = message.len() * 2;
    let grown = resident_bytes().saturating_sub(memory_before);
    // Other tests of this process have their share; a pooler that held the query would add as much again.
    assert!(grown < own + LEN / 2, "{grown} bytes more");
    assert_eq!(client.value("SELECT 'well'"), "well");
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

#[test]
fn large_bind_parameters_and_rows_stream_both_ways() {
    let pooler = Setup::new().set("default_pool_size", 1).workers(3).start();
    let mut client = pooler.client();
    for len in [0, 1, 16_000, 16_384, 65_536, 1_000_000, 20_000_000] {
        let value = vec![b'v'; len];
        client.tell(|out| {
            encode::parse(out, b"big", b"SELECT $1::text", &[]);
            encode::bind_text(out, b"", b"big", &[Some(&value)]);
            encode::execute(out, b"", 0);
            encode::close_statement(out, b"big");
            encode::sync(out);
        });
        let reply = client.reply();
        assert_eq!((reply.tags.as_str(), reply.value().len()), ("12DC3Z", len));
        pooler.check_others();
    }
}

#[test]
fn slow_logins_are_given_up() {
    let pooler =
        Setup::new().set("client_login_timeout", "0.4").secret("app", "pw").set("auth_type", "plain").start();
    let silent = pooler.connect();
    let mut half = pooler.connect();
    half.send(&start_packet(&[("user", "app"), ("database", "db")])[..9]);
    let mut without_password = pooler.connect();
    without_password.send(&start_packet(&[("user", "app"), ("database", "db")]));
    assert_eq!(without_password.message().expect("a request").tag, tag::AUTHENTICATION);
    for mut client in [silent, half, without_password] {
        let (_, text) = client.last_error().expect("an error");
        assert!(text.contains("client_login_timeout"), "{text}");
    }
    // A byte now and then does not help.
    let mut loris = pooler.connect();
    let whole =
        start_packet(&[("user", "app"), ("database", "db"), ("application_name", &"x".repeat(2_000))]);
    let mut sent = 0;
    while loris.is_silent() && sent < whole.len() {
        let _ = loris.try_send(&whole[sent..=sent]);
        sent += 1;
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(sent < whole.len(), "the whole packet was taken");
}

/// Connections to a pooler with `max_client_conn = 50` of which none logs in.
fn flood(first_words: &[u8]) {
    let pooler = Setup::new()
        .set("max_client_conn", 50)
        .set("client_login_timeout", 2)
        .set("auth_type", "plain")
        .secret("app", "pw")
        .start();
    let mut flood: Vec<Raw> = (0..500).map(|_| pooler.connect()).collect();
    for client in &mut flood {
        client.send(first_words);
    }
    let logged_in = || {
        let mut client = pooler.connect();
        client.send(&start_packet(&[("user", "app"), ("database", "db")]));
        let request = client.message();
        if request.is_none_or(|message| message.tag != tag::AUTHENTICATION) {
            return None;
        }
        client.tell(|out| encode::password(out, b"pw"));
        client.finish_login();
        Some(client)
    };
    // At the latest when client_login_timeout has thinned out the flood.
    let mut client = None;
    eventually("a client that behaves gets in", || {
        client = logged_in();
        client.is_some()
    });
    assert_eq!(client.unwrap().value("SELECT 'in'"), "in");
    for client in &mut flood {
        for message in client.until_closed() {
            assert!(matches!(message.tag, tag::AUTHENTICATION | tag::ERROR_RESPONSE), "{message:?}");
        }
    }
    assert_eq!(logged_in().expect("the places are free again").value("SELECT 1"), "1");
}

#[test]
fn a_flood_of_silent_connections_passes() {
    flood(b"");
}

#[test]
fn a_flood_of_logins_without_password_passes() {
    flood(&start_packet(&[("user", "app"), ("database", "db")]));
}

#[test]
fn clients_that_come_and_go_leave_nothing_behind() {
    let pooler = Setup::new().set("default_pool_size", 2).set("max_client_conn", 30).workers(3).start();
    for turn in 0..20 {
        let mut clients: Vec<Raw> = (0..10).map(|_| pooler.client()).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            match (turn + number) % 4 {
                0 => client.start_query("SELECT 1"),
                1 => client.start_query("BEGIN"),
                2 => client.tell(|out| encode::parse(out, b"s", b"SELECT 1", &[])),
                _ => {}
            }
        }
    }
    let mut console = pooler.console();
    eventually("all clients are gone", || console.pool("db", "app", "cl_active") == 0);
    assert_eq!(console.pool("db", "app", "cl_waiting"), 0);
    assert!(console.pool("db", "app", "sv_active") == 0);
    pooler.check_others();
}
