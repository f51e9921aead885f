//! Messages of logged-in clients that are malformed, out of order or not for a server's ears.

use pgprime_wire::frontend::encode;

use crate::support::{Raw, Setup, TestPooler, cluster, eventually, start_packet};

/// A message with this length field, whatever its real length.
fn message(tag: u8, length: u32, body: &[u8]) -> Vec<u8> {
    [&[tag], &length.to_be_bytes()[..], body].concat()
}

/// A message that is as long as it says.
fn whole(tag: u8, body: &[u8]) -> Vec<u8> {
    message(tag, u32::try_from(4 + body.len()).unwrap(), body)
}

/// Closed, and the only complaint is about the protocol.
#[track_caller]
fn check_violation(client: &mut Raw, what: &str) {
    if let Some((sqlstate, text)) = client.last_error() {
        assert!(sqlstate == "08P01" && !text.is_empty(), "{what}: {sqlstate} {text}");
    }
}

/// What writes a message.
type Encode<'a> = &'a dyn Fn(&mut Vec<u8>);

/// The same client against the pooler and against the server itself.
fn both_ways(pooler: &TestPooler) -> [Raw; 2] {
    let mut direct = Raw::tcp(cluster().primary().port());
    direct.log_in(&[("user", "app"), ("database", "postgres")]);
    [pooler.client(), direct]
}

#[test]
fn impossible_lengths_end_the_connection() {
    let pooler = Setup::new().set("default_pool_size", 1).workers(3).start();
    for tag in *b"QPBDECSHFdcfXp\0" {
        for length in [0, 1, 3, 0x8000_0000, 0xffff_ffff] {
            let mut client = pooler.client();
            client.send(&message(tag, length, b""));
            check_violation(&mut client, &format!("{:?} of {length}", char::from(tag)));
        }
    }
    pooler.check_others();
    let mut client = pooler.client();
    assert_eq!(client.query("BEGIN").status, Some('T'));
    client.send(&message(b'Q', 0, b""));
    check_violation(&mut client, "in a transaction");
    pooler.check_others();
}

#[test]
fn unknown_types_of_message_end_the_connection_and_the_transaction() {
    let pooler = Setup::new().set("default_pool_size", 2).workers(3).start();
    let known = *b"QPBDECSHFdcfX";
    for tag in (0..=255_u8).filter(|tag| !known.contains(tag)) {
        let mut idle = pooler.client();
        idle.send(&whole(tag, b"abc"));
        let (sqlstate, _) = idle.last_error().expect("an error");
        assert_eq!(sqlstate, "08P01", "{tag} when idle");
        let mut busy = pooler.client();
        busy.query("BEGIN");
        busy.send(&whole(tag, b"abc"));
        assert_eq!(busy.last_error().expect("an error").0, "08P01", "{tag} in a transaction");
    }
    pooler.check_others();
    let open = "SELECT count(*) FROM pg_stat_activity WHERE query = 'BEGIN' AND state <> 'idle' AND application_name = 'x'";
    assert_eq!(pooler.client().value(open), "0");
}

#[test]
fn bodies_that_do_not_fit_their_message_are_answered_as_by_the_server() {
    let pooler = Setup::new().start();
    for (tag, body) in [
        (b'Q', b"SELECT 1".as_slice()),
        (b'Q', b""),
        (b'Q', b"SELECT 1\0\0"),
        (b'P', b""),
        (b'P', b"name"),
        (b'P', b"\0SELECT 1"),
        (b'P', b"\0SELECT 1\0"),
        (b'P', b"\0SELECT 1\0\0\x05"),
        (b'P', b"\0SELECT 1\0\xff\xff"),
        (b'B', b""),
        (b'B', b"\0"),
        (b'B', b"\0\0"),
        (b'B', b"\0\0\0\x01"),
        (b'D', b""),
        (b'D', b"X\0"),
        (b'D', b"S"),
        (b'E', b""),
        (b'E', b"\0"),
        (b'C', b""),
        (b'C', b"Q\0"),
        (b'C', b"Sname\0\0"),
        (b'F', b""),
    ] {
        let [through, direct] = both_ways(&pooler).map(|mut client| {
            client.send(&whole(tag, body));
            if !matches!(tag, b'Q' | b'F') {
                client.tell(encode::sync);
            }
            client.reply()
        });
        let what = format!("{:?} {body:?}", char::from(tag));
        assert_eq!(through.errors.len(), direct.errors.len(), "{what}: {through:?} {direct:?}");
        assert_eq!((through.sqlstate(), through.status), (direct.sqlstate(), direct.status), "{what}");
    }
    pooler.check_others();
}

#[test]
fn a_sync_that_is_too_long_harms_nobody() {
    for workers in [1, 3] {
        let pooler = Setup::new().workers(workers).start();
        let mut client = pooler.client();
        // In two pieces, so that the second finds the first.
        client.send(b"S\0\0");
        pooler.check_others();
        client.send(b"\x03\xe8");
        pooler.check_others();
        client.send(&[0; 996]);
        client.start_query("SELECT 'after'");
        let replies = [client.reply(), client.reply()];
        assert!(replies.iter().any(|reply| reply.rows == [[Some("after".into())]]), "{replies:?}");
        let mut whole_at_once = pooler.client();
        whole_at_once.send(&whole(b'S', b"body"));
        whole_at_once.reply();
        pooler.check_others();
    }
}

#[test]
fn extended_messages_out_of_order_are_answered_as_by_the_server() {
    let pooler = Setup::new().set("default_pool_size", 2).start();
    let bind = |out: &mut Vec<u8>| encode::bind_text(out, b"", b"nothing", &[]);
    let cases: [(&str, Encode); 14] = [
        ("Sync", &encode::sync),
        ("Bind", &bind),
        ("Bind of the unnamed", &|out| encode::bind_text(out, b"", b"", &[])),
        ("Execute", &|out| encode::execute(out, b"", 0)),
        ("Execute of a name", &|out| encode::execute(out, b"portal", 0)),
        ("Describe portal", &|out| encode::describe_portal(out, b"")),
        ("Describe statement", &|out| encode::describe_statement(out, b"")),
        ("Describe statement by name", &|out| encode::describe_statement(out, b"nothing")),
        ("Close portal", &|out| encode::close_portal(out, b"nothing")),
        ("Close statement", &|out| encode::close_statement(out, b"nothing")),
        ("CopyData", &|out| encode::copy_data(out, b"1\n")),
        ("CopyDone", &encode::copy_done),
        ("CopyFail", &|out| encode::copy_fail(out, "why")),
        ("Flush", &encode::flush),
    ];
    for (what, write) in cases {
        for prefix in ["", "BEGIN"] {
            let [through, direct] = both_ways(&pooler).map(|mut client| {
                if !prefix.is_empty() {
                    client.query(prefix);
                }
                client.tell(write);
                client.tell(encode::sync);
                let replies =
                    if what == "Sync" { vec![client.reply(), client.reply()] } else { vec![client.reply()] };
                let shown = replies
                    .iter()
                    .map(|reply| (reply.tags.clone(), reply.sqlstate().to_string()))
                    .collect::<Vec<_>>();
                (shown, client.query("SELECT 'still here'"))
            });
            assert_eq!(through, direct, "{what} after {prefix:?}");
        }
    }
    pooler.check_others();
}

#[test]
fn statement_names_of_other_clients_are_not_to_be_had() {
    let pooler = Setup::new().set("default_pool_size", 1).start();
    let mut owner = pooler.client();
    owner.tell(|out| {
        encode::parse(out, b"mine", b"SELECT 'secret'", &[]);
        encode::sync(out);
    });
    assert_eq!(owner.reply().tags, "1Z");
    let on_server = pooler.client().query("SELECT name FROM pg_prepared_statements");
    let mut thief = pooler.client();
    let mut names: Vec<String> = on_server.column("name").into_iter().map(String::from).collect();
    names.push("mine".into());
    assert_eq!(names.len(), 2);
    for name in names {
        for portal in ["".to_string(), "p".repeat(20_000)] {
            thief.tell(|out| {
                encode::bind_text(out, portal.as_bytes(), name.as_bytes(), &[]);
                encode::execute(out, portal.as_bytes(), 0);
                encode::sync(out);
            });
            let reply = thief.reply();
            assert!(reply.rows.is_empty(), "{name}: {reply:?}");
            if reply.status.is_none() {
                thief = pooler.client();
            }
        }
    }
    pooler.check_others();
}

#[test]
fn copy_data_that_nobody_reads_any_more_is_ignored() {
    let database = cluster().test_database("copy").unwrap();
    cluster().primary().psql(&database, "CREATE TABLE t (n int); GRANT ALL ON t TO app").unwrap();
    let port = cluster().primary().port();
    let pooler = Setup::new()
        .database("db", "")
        .database_at("copy", &format!("host=127.0.0.1 port={port} dbname={database}"))
        .set("default_pool_size", 1)
        .start();
    for begin in ["", "BEGIN", "SAVEPOINT"] {
        let mut client = pooler.client_of("copy", "app");
        if !begin.is_empty() {
            client.query("BEGIN");
        }
        if begin == "SAVEPOINT" {
            client.query("SAVEPOINT s");
        }
        client.tell(|out| {
            encode::query(out, b"COPY t FROM STDIN");
            encode::copy_data(out, b"not a number\n");
            encode::copy_data(out, b"2\n");
        });
        let reply = client.reply();
        assert_eq!(reply.sqlstate(), "22P02", "{reply:?}");
        client.tell(|out| {
            for _ in 0..1000 {
                encode::copy_data(out, &[b'3'; 100]);
            }
            encode::copy_done(out);
        });
        if begin == "SAVEPOINT" {
            assert_eq!(client.query("ROLLBACK TO s").tags, "CZ");
        } else if begin == "BEGIN" {
            assert_eq!(client.query("ROLLBACK").tags, "CZ");
        }
        let reply = client.query("SELECT count(*) FROM t");
        assert_eq!((reply.tags.as_str(), reply.value()), ("TDCZ", "0"), "{begin}");
        drop(client);
        pooler.check_others_of("copy");
    }
}

#[test]
fn half_a_message_and_silence_hold_no_server() {
    for workers in [1, 3] {
        let pooler = Setup::new().set("default_pool_size", 1).workers(workers).start();
        let halves: [Vec<u8>; 7] = [
            b"Q".to_vec(),
            b"Q\0\0".to_vec(),
            message(b'Q', 100, b"SELECT 1"),
            message(b'Q', 10_000, &[b' '; 9_000]),
            message(b'P', 1_000_000, &[b' '; 100_000]),
            message(b'B', 5_000, &[0; 100]),
            message(b'F', 12, &[0; 3]),
        ];
        let mut silent: Vec<Raw> = Vec::new();
        for half in &halves {
            let mut client = pooler.client();
            client.send(half);
            silent.push(client);
        }
        pooler.check_others();
        assert_eq!(pooler.console().pool("db", "app", "cl_waiting"), 0);
        drop(silent);
        pooler.check_others();
    }
}

#[test]
fn a_client_that_leaves_amid_a_message_takes_no_server_with_it() {
    let pooler = Setup::new().set("default_pool_size", 1).workers(3).start();
    for kind in [b'Q', b'B', b'F'] {
        let mut client = pooler.client();
        client.send(&message(kind, 10_000_000, &[b' '; 200_000]));
        drop(client);
        pooler.check_others();
    }
    let mut busy = pooler.client();
    busy.query("BEGIN");
    busy.send(&message(b'P', 10_000, b"name"));
    drop(busy);
    pooler.check_others();
}

#[test]
fn a_client_that_leaves_amid_a_query_stops_it() {
    let pooler = Setup::new().set("default_pool_size", 1).start();
    let mut client = pooler.client();
    let process: u32 = client.value("SELECT pg_backend_pid()").parse().unwrap();
    client.start_query("SELECT pg_sleep(120), 'abandoned'");
    let running =
        format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {process} AND query LIKE '%abandoned%'");
    let count = || cluster().primary().psql("postgres", &running).unwrap();
    eventually("the query runs", || count() == "1");
    drop(client);
    eventually("the query is over", || count() == "0");
    pooler.check_others();
}

#[test]
fn messages_over_max_packet_size_are_refused() {
    let pooler = Setup::new().set("max_packet_size", 2_000).start();
    let mut client = pooler.client();
    let fits = format!("SELECT {}1", " ".repeat(1_900));
    assert_eq!(client.value(&fits), "1");
    client.start_query(&format!("SELECT {}1", " ".repeat(2_000)));
    let (sqlstate, text) = client.last_error().expect("an error");
    assert!(sqlstate == "08P01" && text.contains("max_packet_size"), "{sqlstate} {text}");
    let mut busy = pooler.client();
    busy.query("BEGIN");
    busy.send(&message(b'Q', 5_000, b"S"));
    assert_eq!(busy.last_error().expect("an error").0, "08P01");
    pooler.check_others();
}

#[test]
fn the_largest_length_is_no_reason_to_wait_or_to_reserve_memory() {
    let pooler = Setup::new().set("default_pool_size", 1).start();
    for kind in *b"SHDEC" {
        let mut client = pooler.client();
        client.send(&message(kind, 0x7fff_ffff, b"x"));
        drop(client);
    }
    for kind in *b"DEC" {
        let mut client = pooler.client();
        client.send(&message(kind, 1_000_000, b"x"));
        check_violation(&mut client, "a control message of a megabyte");
    }
    pooler.check_others();
}

#[test]
fn a_pipeline_is_answered_in_order_after_errors_too() {
    let pooler = Setup::new().set("default_pool_size", 1).workers(3).start();
    let mut client = pooler.client();
    client.tell(|out| {
        for number in 0..50 {
            let sql = if number % 7 == 3 { "SELECT 1/0".to_string() } else { format!("SELECT {number}") };
            encode::query(out, sql.as_bytes());
            encode::parse(out, b"", sql.as_bytes(), &[]);
            encode::bind_text(out, b"", b"", &[]);
            encode::execute(out, b"", 0);
            encode::sync(out);
        }
    });
    for number in 0..50 {
        for _ in 0..2 {
            let reply = client.reply();
            if number % 7 == 3 {
                assert_eq!(reply.sqlstate(), "22012");
            } else {
                assert_eq!(reply.value(), number.to_string());
            }
        }
    }
    pooler.check_others();
}

#[test]
fn bytes_behind_the_startup_packet_are_taken_once_the_login_is_done() {
    let pooler = Setup::new().workers(3).start();
    let mut client = pooler.connect();
    let mut bytes = start_packet(&[("user", "app"), ("database", "db")]);
    for number in 0..20 {
        encode::query(&mut bytes, format!("SELECT {number}").as_bytes());
    }
    client.send(&bytes);
    client.finish_login();
    for number in 0..20 {
        assert_eq!(client.reply().value(), number.to_string());
    }
}
