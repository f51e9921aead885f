//! Databases that are down, slow to answer or wrong, and what happens when they come back.

use std::time::{Duration, Instant};

use pgprime_cluster::free_port;

use crate::support::{FakeServer, Setup, Step, TestPooler, cluster, eventually, start_packet};

const FAKE: [(&str, &str); 2] = [("user", "app"), ("database", "fake")];

fn pooler_at(port: u16, workers: usize) -> TestPooler {
    Setup::new()
        .database("db", "")
        .database_at("fake", &format!("host=127.0.0.1 port={port} dbname=fake"))
        .set("server_login_retry", 1)
        .set("server_connect_timeout", 1)
        .workers(workers)
        .start()
}

/// Keeps asking until the database is served again.
fn until_served(pooler: &TestPooler) {
    eventually("it is served again", || {
        let mut client = pooler.connect();
        client.send(&start_packet(&FAKE));
        client.start_query("SELECT 1");
        client.until_ready() && client.reply().rows == [[Some("served".into())]]
    });
}

#[test]
fn a_database_that_is_down_is_waited_for_a_while_and_then_reported() {
    for workers in [1, 3] {
        let port = free_port();
        let pooler = pooler_at(port, workers);
        let since = Instant::now();
        let (sqlstate, text) = pooler.refusal(&FAKE);
        assert!(sqlstate == "08001" && text.contains("refused"), "{text}");
        assert!(since.elapsed() >= Duration::from_millis(900), "clients wait for server_login_retry");
        pooler.check_others();
        // While it is known to be down nobody waits as long; the first after a pause tries.
        let _fake = FakeServer::start_at(port, |_| vec![Step::LogIn, Step::Serve]);
        until_served(&pooler);
    }
}

#[test]
fn clients_that_wait_while_a_database_comes_back_are_served() {
    let port = free_port();
    let pooler = Setup::new()
        .database_at("fake", &format!("host=127.0.0.1 port={port} dbname=fake"))
        .set("server_login_retry", 10)
        .workers(3)
        .start();
    let mut clients: Vec<_> = (0..6)
        .map(|_| {
            let mut client = pooler.connect();
            client.send(&start_packet(&FAKE));
            client
        })
        .collect();
    let mut console = pooler.console();
    eventually("they wait", || console.pool("fake", "app", "cl_waiting") == 6);
    let _fake = FakeServer::start_at(port, |_| vec![Step::LogIn, Step::Serve]);
    for client in &mut clients {
        client.finish_login();
        assert_eq!(client.value("SELECT 1"), "served");
    }
}

#[test]
fn a_server_that_never_answers_is_given_up_after_server_connect_timeout() {
    let fake = FakeServer::start(|_| vec![Step::Linger]);
    let pooler = Setup::new()
        .database("db", "")
        .database_at("fake", &fake.entry())
        .set("server_login_retry", "0.1")
        .set("server_connect_timeout", "0.7")
        .start();
    let since = Instant::now();
    let (sqlstate, text) = pooler.refusal(&FAKE);
    assert!(sqlstate == "08001" && text.contains("server_connect_timeout"), "{text}");
    assert!(since.elapsed() >= Duration::from_millis(700));
    pooler.check_others();
}

#[test]
fn a_database_that_refuses_the_login_is_reported_at_once_in_its_own_words() {
    let pooler = Setup::new()
        .database("db", "")
        .database_at(
            "gone",
            &format!("host=127.0.0.1 port={} dbname=no_such_thing", cluster().primary().port()),
        )
        .start();
    let since = Instant::now();
    for user in ["app", "app", "other"] {
        let (sqlstate, text) = pooler.refusal(&[("user", user), ("database", "gone")]);
        assert!(sqlstate == "08001" && text.contains("no_such_thing") && text.contains("3D000"), "{text}");
    }
    assert!(since.elapsed() < Duration::from_secs(10), "no waiting for what will not change by itself");
    pooler.check_others();
}

#[test]
fn a_host_name_without_an_address_and_a_socket_without_a_server_are_reported() {
    let pooler = Setup::new()
        .database("db", "")
        .database_at("nowhere", "host=no-such-host.invalid port=5432")
        .database_at("nobody", "host=/nonexistent port=5432")
        .set("server_login_retry", "0.2")
        .set("server_connect_timeout", 5)
        .start();
    for (database, word) in [("nowhere", "no-such-host.invalid"), ("nobody", "/nonexistent")] {
        let (sqlstate, text) = pooler.refusal(&[("user", "app"), ("database", database)]);
        assert!(sqlstate == "08001" && text.contains(word), "{text}");
    }
    pooler.check_others();
}

#[test]
fn of_several_hosts_the_one_that_lives_is_found() {
    let dead = free_port();
    let fake = FakeServer::start(|_| vec![Step::LogIn, Step::Serve]);
    let port =
        fake.entry().split("port=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().to_string();
    // The port is one for all hosts: the dead one is a socket folder without a socket.
    let pooler = Setup::new()
        .database_at("fake", &format!("host=/nonexistent{dead},127.0.0.1 port={port} dbname=fake"))
        .start();
    for _ in 0..4 {
        assert_eq!(pooler.client_of("fake", "app").value("SELECT 1"), "served");
        pooler.console().run("RECONNECT fake");
    }
}

#[test]
fn a_server_that_dies_idle_is_replaced_unnoticed() {
    for workers in [1, 3] {
        let pooler = Setup::new().set("default_pool_size", 1).workers(workers).start();
        let mut client = pooler.client();
        let process = client.value("SELECT pg_backend_pid()");
        cluster().primary().psql("postgres", &format!("SELECT pg_terminate_backend({process})")).unwrap();
        let mut console = pooler.console();
        eventually("the pooler has noticed", || console.pool("db", "app", "sv_idle") == 0);
        assert_ne!(client.value("SELECT pg_backend_pid()"), process);
    }
}

#[test]
fn a_server_that_dies_amid_a_query_takes_its_client_with_it_and_says_why() {
    let pooler = Setup::new().set("default_pool_size", 1).start();
    let mut client = pooler.client();
    client.query("BEGIN");
    let process = client.value("SELECT pg_backend_pid()");
    client.start_query("SELECT pg_sleep(60)");
    cluster().primary().psql("postgres", &format!("SELECT pg_terminate_backend({process})")).unwrap();
    let (sqlstate, text) = client.last_error().expect("an error");
    assert!(sqlstate == "57P01", "{sqlstate} {text}");
    pooler.check_others();
}

/// The second query of a client whose server answered the first one and has rested since, and does this when checked.
fn second_after_check(at_check: Vec<Step>, settings: &[(&str, &str)]) -> (String, usize) {
    let row = crate::support::row_reply("first");
    let fake = FakeServer::start(move |number| {
        let begin = vec![Step::LogIn, Step::Receive, Step::Send(row.clone())];
        if number == 0 { [begin, at_check.clone()].concat() } else { vec![Step::LogIn, Step::Serve] }
    });
    let setup = Setup::new()
        .database_at("fake", &fake.entry())
        .set("default_pool_size", 1)
        .set("server_check_delay", 0);
    let pooler = settings.iter().fold(setup, |setup, (name, value)| setup.set(name, value)).start();
    let mut client = pooler.client_of("fake", "app");
    assert_eq!(client.value("SELECT 1"), "first");
    (client.value("SELECT 2"), fake.connections())
}

#[test]
fn a_rested_server_that_fails_its_check_is_replaced_unnoticed() {
    use pgprime_wire::backend::encode::{self, ErrorNotice};
    let mut failure = Vec::new();
    let error = ErrorNotice {
        severity: "ERROR",
        sqlstate: "25006",
        message: "read-only",
        detail: None,
        hint: None,
        routine: None,
    };
    encode::error_response(&mut failure, &error);
    encode::ready_for_query(&mut failure, pgprime_wire::backend::TransactionStatus::Idle);
    for (what, script, connections) in [
        ("passes", vec![Step::Receive, Step::Send(crate::support::row_reply("check")), Step::Serve], 1),
        ("fails", vec![Step::Receive, Step::Send(failure), Step::Linger], 2),
        ("closes", vec![Step::Receive], 2),
        ("garbage", vec![Step::Receive, Step::Send(vec![0xff; 20])], 2),
    ] {
        let (value, used) = second_after_check(script, &[("server_check_query", "SELECT 'check'")]);
        assert_eq!((value.as_str(), used), ("served", connections), "{what}");
    }
    // Without a check the query goes to the rested server at once.
    let (value, used) = second_after_check(vec![Step::Serve], &[("server_check_query", "")]);
    assert_eq!((value.as_str(), used), ("served", 1));
}
