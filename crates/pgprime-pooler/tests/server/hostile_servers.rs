//! Servers that lie, stammer and hang up: no client gets what another one asked for, and the pooler lives on.

use pgprime_wire::backend::TransactionStatus;
use pgprime_wire::backend::encode;
use pgprime_wire::tag::backend as tag;

use crate::support::{FakeServer, Gate, Raw, Setup, Step, TestPooler, login_reply, row_reply, start_packet};

/// A pooler with the real database `db` and the fake one `fake`, of one connection.
fn pooler_before(fake: &FakeServer, workers: usize) -> TestPooler {
    Setup::new()
        .database("db", "")
        .database_at("fake", &fake.entry())
        .set("default_pool_size", 1)
        .set("server_login_retry", "0.2")
        .set("server_connect_timeout", 1)
        .set("query_wait_timeout", 5)
        .workers(workers)
        .start()
}

fn ready() -> Vec<u8> {
    let mut out = Vec::new();
    encode::ready_for_query(&mut out, TransactionStatus::Idle);
    out
}

/// What a login at the fake database comes to: an error's SQLSTATE and text.
#[track_caller]
fn login_error(pooler: &TestPooler) -> (String, String) {
    pooler.refusal(&[("user", "app"), ("database", "fake")])
}

#[test]
fn a_fake_server_that_behaves_is_served_from() {
    let fake = FakeServer::start(|_| vec![Step::LogIn, Step::Serve]);
    let pooler = pooler_before(&fake, 1);
    let mut client = pooler.client_of("fake", "app");
    assert_eq!(client.parameter("TimeZone"), Some("UTC"));
    assert_eq!(client.value("SELECT 1"), "served");
}

#[test]
fn logins_that_go_wrong_end_in_an_error_with_a_reason() {
    let authentication = |method: i32, rest: &[u8]| {
        let mut out = vec![b'R'];
        out.extend_from_slice(&u32::try_from(8 + rest.len()).unwrap().to_be_bytes());
        out.extend_from_slice(&method.to_be_bytes());
        out.extend_from_slice(rest);
        out
    };
    let mut without_fields = vec![b'E', 0, 0, 0, 5, 0];
    without_fields.extend(ready());
    let negotiation = [&b"v"[..], &[0xff; 4]].concat();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("garbage", vec![0xff; 100]),
        ("a length of nothing", b"R\0\0\0\0".to_vec()),
        ("a length of three", b"R\0\0\0\x03".to_vec()),
        ("a length of two gigabytes", b"R\x7f\xff\xff\xff".to_vec()),
        ("a negative length", b"R\xff\xff\xff\xff".to_vec()),
        ("a negative length of a negotiation", negotiation),
        ("text of another protocol", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("ready before authentication", ready()),
        ("a method that does not exist", authentication(99, b"")),
        ("a negative method", authentication(-1, b"")),
        ("Kerberos", authentication(2, b"")),
        ("an MD5 salt cut short", authentication(5, b"ab")),
        ("SASL without mechanisms", authentication(10, b"\0")),
        ("SASL with unknown mechanisms", authentication(10, b"SCRAM-SHA-512\0\0")),
        ("SASL without an end", authentication(10, b"SCRAM-SHA-256")),
        ("a continuation that was not begun", authentication(11, b"r=x")),
        ("an error without fields", without_fields),
        ("an error with a field cut short", b"E\0\0\0\x08SERR".to_vec()),
        ("nothing", Vec::new()),
    ];
    for (what, bytes) in cases {
        let sent = bytes.clone();
        let fake = FakeServer::start(move |_| vec![Step::Startup, Step::Send(sent.clone())]);
        let pooler = pooler_before(&fake, 1);
        let (sqlstate, text) = login_error(&pooler);
        assert!(sqlstate == "08001" && text.len() > 20, "{what}: {sqlstate} {text}");
        pooler.check_others();
    }
}

#[test]
fn a_server_that_closes_at_any_byte_of_its_login_is_tried_again() {
    let reply = login_reply();
    // Every tenth byte; the last connection is whole.
    let cuts: Vec<usize> = (0..reply.len()).step_by(10).collect();
    let whole = reply.clone();
    let count = cuts.len();
    let fake = FakeServer::start(move |number| match cuts.get(number) {
        Some(cut) => vec![Step::Startup, Step::Send(whole[..*cut].to_vec())],
        None => vec![Step::LogIn, Step::Serve],
    });
    let pooler = Setup::new()
        .database("db", "")
        .database_at("fake", &fake.entry())
        .set("server_login_retry", 30)
        .start();
    // Far below the time after which clients are refused: this one waits through all failures.
    let mut console = pooler.console();
    console.run("SET server_login_retry = 30");
    let mut client = pooler.connect();
    client.send(&start_packet(&[("user", "app"), ("database", "fake")]));
    crate::support::eventually("several attempts", || fake.connections() >= 4);
    assert!(count > 4);
    pooler.check_others();
}

#[test]
fn a_server_that_never_ends_its_login_is_given_up() {
    let mut status = Vec::new();
    encode::authentication_ok(&mut status);
    let mut endless = Vec::new();
    for number in 0..100 {
        encode::parameter_status(&mut endless, &format!("name{number}"), &"v".repeat(100));
    }
    let (ok, repeated) = (status.clone(), endless.clone());
    let scripts: [Vec<Step>; 3] = [
        vec![Step::Linger],
        vec![Step::Startup, Step::Linger],
        vec![Step::Startup, Step::Send(ok), Step::SendForEver(repeated)],
    ];
    for script in scripts {
        let what = format!("{:?}", script.last());
        let fake = FakeServer::start(move |_| script.clone());
        let pooler = pooler_before(&fake, 1);
        let mut waiting = pooler.connect();
        waiting.send(&start_packet(&[("user", "app"), ("database", "fake")]));
        pooler.check_others();
        let (sqlstate, text) = waiting.last_error().expect("an error");
        assert_eq!(sqlstate, "08001", "{:.60}: {text}", what);
        pooler.check_others();
    }
}

#[test]
fn a_server_without_end_to_its_parameters_is_not_remembered_without_end() {
    let mut status = Vec::new();
    encode::authentication_ok(&mut status);
    // Each name is new: whatever keeps them all grows with every one.
    for number in 0..200_000 {
        encode::parameter_status(&mut status, &format!("name{number}"), "v");
    }
    status.extend(ready());
    let fake = FakeServer::start(move |_| vec![Step::Startup, Step::Send(status.clone()), Step::Serve]);
    let pooler = Setup::new()
        .database("db", "")
        .database_at("fake", &fake.entry())
        .set("server_login_retry", "0.2")
        .set("server_connect_timeout", 10)
        .start();
    let (sqlstate, text) = login_error(&pooler);
    assert_eq!(sqlstate, "08001");
    assert!(text.contains("parameters"), "{text}");
    pooler.check_others();
}

#[test]
fn scram_servers_that_cheat_are_found_out() {
    let sasl = |data: &str, is_final: bool| {
        let mut out = Vec::new();
        if is_final {
            encode::authentication_sasl_final(&mut out, data.as_bytes());
        } else {
            encode::authentication_sasl_continue(&mut out, data.as_bytes());
        }
        out
    };
    let mut offer = Vec::new();
    encode::authentication_sasl(&mut offer, &["SCRAM-SHA-256"]);
    let firsts = [
        "",
        "r=other,s=c2FsdA==,i=4096",
        "s=c2FsdA==,i=4096",
        "r=",
        "r=x,s=,i=1",
        "r=x,s=!!!,i=1",
        "r=x,s=c2FsdA==",
        "r=x,s=c2FsdA==,i=0",
        "r=x,s=c2FsdA==,i=-1",
        "r=x,s=c2FsdA==,i=99999999999999999999",
        "m=x,r=x,s=c2FsdA==,i=1",
        "e=other-error",
    ];
    for first in firsts {
        let (offer, answer) = (offer.clone(), sasl(first, false));
        let fake = FakeServer::start(move |_| {
            vec![
                Step::Startup,
                Step::Send(offer.clone()),
                Step::Receive,
                Step::Send(answer.clone()),
                Step::Linger,
            ]
        });
        check_scram_refused(&fake, first);
    }
    // Skips the exchange and claims success.
    let ok = [offer.clone(), login_reply()].concat();
    let fake = FakeServer::start(move |_| vec![Step::Startup, Step::Send(ok.clone()), Step::Serve]);
    check_scram_refused(&fake, "no exchange at all");
    let last = [sasl("v=AAAA", true), login_reply()].concat();
    let fake = FakeServer::start(move |_| {
        vec![Step::Startup, Step::Send(offer.clone()), Step::Receive, Step::Send(last.clone()), Step::Serve]
    });
    check_scram_refused(&fake, "the end before the challenge");
}

#[track_caller]
fn check_scram_refused(fake: &FakeServer, what: &str) {
    let pooler = Setup::new()
        .database("db", "")
        .database_at("fake", &format!("{} user=app password=pw", fake.entry()))
        .set("server_login_retry", "0.2")
        .set("server_connect_timeout", 2)
        .start();
    let (sqlstate, text) = login_error(&pooler);
    assert!(sqlstate == "08001" && text.len() > 20, "{what}: {sqlstate} {text}");
    pooler.check_others();
}

#[test]
fn a_wrong_server_signature_is_found_out() {
    // The nonce is the client's, so this server has to hear it first.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let pooler = Setup::new()
        .database("db", "")
        .database_at("fake", &format!("host=127.0.0.1 port={port} dbname=x user=app password=pw"))
        .set("server_login_retry", "0.2")
        .start();
    for (iterations, signature) in
        [(1, "AAAA"), (4096, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), (4096, "")]
    {
        let mut client = pooler.connect();
        client.send(&start_packet(&[("user", "app"), ("database", "fake")]));
        let (stream, _) = listener.accept().unwrap();
        cheat_at_signature(stream, iterations, signature);
        let (sqlstate, text) = client.last_error().expect("an error");
        assert_eq!(sqlstate, "08001", "{text}");
        pooler.check_others();
        // After the pause in which clients are refused without an attempt.
        std::thread::sleep(std::time::Duration::from_millis(450));
    }
}

fn cheat_at_signature(mut stream: std::net::TcpStream, iterations: u32, signature: &str) {
    use std::io::{Read as _, Write as _};
    let mut read = || {
        let mut bytes = vec![0; 2_000];
        let count = stream.read(&mut bytes).unwrap();
        bytes.truncate(count);
        bytes
    };
    let mut out = Vec::new();
    read();
    encode::authentication_sasl(&mut out, &["SCRAM-SHA-256"]);
    stream.write_all(&out).unwrap();
    let mut bytes = vec![0; 2_000];
    let count = stream.read(&mut bytes).unwrap();
    let first = String::from_utf8_lossy(&bytes[..count]).into_owned();
    let nonce = first.split_once("r=").expect("a nonce").1;
    out.clear();
    encode::authentication_sasl_continue(
        &mut out,
        format!("r={nonce}more,s=c2FsdHNhbHQ=,i={iterations}").as_bytes(),
    );
    stream.write_all(&out).unwrap();
    let count = stream.read(&mut bytes).unwrap();
    assert!(count > 0, "a proof");
    out.clear();
    encode::authentication_sasl_final(&mut out, format!("v={signature}").as_bytes());
    out.extend(login_reply());
    stream.write_all(&out).unwrap();
    // It does not log in: the next thing is that it closes.
    assert!(!matches!(stream.read(&mut bytes), Ok(count) if count > 0 && bytes[0] != b'X'));
}

#[test]
fn more_than_a_login_after_the_login_is_no_login() {
    let more = [login_reply(), row_reply("injected")].concat();
    let fake = FakeServer::start(move |_| vec![Step::Startup, Step::Send(more.clone()), Step::Serve]);
    let pooler = pooler_before(&fake, 1);
    let (sqlstate, _) = login_error(&pooler);
    assert_eq!(sqlstate, "08001");
    pooler.check_others();
}

/// Two clients share the one connection; the first gets `answer`, and behind it comes `stray`. The second is waiting
/// by then and must get the answer to its own query, from a connection that is in order, or an error.
fn check_no_stray(what: &str, stray: &[u8]) {
    for workers in [1, 3] {
        let answer = [row_reply("first"), stray.to_vec()].concat();
        let gate = Gate::default();
        let own_gate = gate.clone();
        let fake = FakeServer::start(move |number| match number {
            0 => vec![
                Step::LogIn,
                Step::Receive,
                Step::Pass(own_gate.clone()),
                Step::Send(answer.clone()),
                Step::Serve,
            ],
            _ => vec![Step::LogIn, Step::Serve],
        });
        let pooler = Setup::new()
            .database("db", "")
            .database_at("fake", &format!("{} pool_mode=transaction", fake.entry()))
            .set("default_pool_size", 1)
            .set("query_wait_timeout", 5)
            .workers(workers)
            .start();
        let mut first = pooler.client_of("fake", "app");
        let mut second = pooler.client_of("fake", "app");
        first.start_query("SELECT 'first'");
        crate::support::eventually("the first has the server", || {
            pooler.console().pool("fake", "app", "sv_active") == 1
        });
        second.start_query("SELECT 'second'");
        crate::support::eventually("the second waits", || {
            pooler.console().pool("fake", "app", "cl_waiting") == 1
        });
        gate.open();
        let reply = first.reply();
        assert_eq!(reply.rows, [[Some("first".to_string())]], "{what}");
        let reply = second.reply();
        for row in &reply.rows {
            assert_eq!(row, &[Some("served".to_string())], "{what}: {reply:?}");
        }
        assert!(!reply.rows.is_empty() || !reply.errors.is_empty(), "{what}: {reply:?}");
        pooler.check_others();
        let mut third = pooler.client_of("fake", "app");
        assert_eq!(third.value("SELECT 'third'"), "served", "{what}");
    }
}

#[test]
fn what_nobody_asked_for_reaches_nobody() {
    let mut row = Vec::new();
    encode::data_row(&mut row, &[Some(b"stray")]);
    let mut complete = Vec::new();
    encode::command_complete(&mut complete, "SELECT 1");
    let mut fatal = Vec::new();
    let notice = encode::ErrorNotice {
        severity: "FATAL",
        sqlstate: "57P01",
        message: "going down",
        detail: None,
        hint: None,
        routine: None,
    };
    encode::error_response(&mut fatal, &notice);
    check_no_stray("a second ReadyForQuery", &ready());
    check_no_stray("rows after the end", &row);
    check_no_stray("a whole result", &row_reply("stray"));
    check_no_stray("a CommandComplete", &complete);
    check_no_stray("an error that ends the session", &fatal);
    check_no_stray("garbage", &[0xff; 40]);
    check_no_stray("half a row", &row[..row.len() - 2]);
    check_no_stray("a length of nothing", b"D\0\0\0\0");
}

/// The reply of a client whose server answers its first query with these bytes and closes.
fn reply_to(bytes: Vec<u8>) -> (Raw, TestPooler, FakeServer) {
    let fake = FakeServer::start(move |number| match number {
        0 => vec![Step::LogIn, Step::Receive, Step::Send(bytes.clone())],
        _ => vec![Step::LogIn, Step::Serve],
    });
    let pooler = pooler_before(&fake, 1);
    let mut client = pooler.client_of("fake", "app");
    client.start_query("SELECT 'x'");
    (client, pooler, fake)
}

#[test]
fn a_server_that_answers_nonsense_costs_its_client_the_connection() {
    let error_without_fields = b"E\0\0\0\x05\0".to_vec();
    for (what, bytes) in [
        ("nothing", Vec::new()),
        ("garbage", vec![0xff; 64]),
        ("lengths that lie", b"T\0\0\0\x02".to_vec()),
        ("a description without its end", row_reply("x")[..20].to_vec()),
        ("ready with an unknown status", b"Z\0\0\0\x05X".to_vec()),
        ("ready without a status", b"Z\0\0\0\x04".to_vec()),
        ("a control message of two gigabytes", b"C\x7f\xff\xff\xff".to_vec()),
        ("an answer to what was not sent", b"2\0\0\0\x04".to_vec()),
        ("an error without fields", error_without_fields),
        ("a message type that does not exist", b"!\0\0\0\x04".to_vec()),
        ("authentication anew", b"R\0\0\0\x08\0\0\0\x03".to_vec()),
    ] {
        let (mut client, pooler, _fake) = reply_to(bytes);
        let messages = client.until_closed();
        assert!(messages.iter().all(|message| b"TDCENS".contains(&message.tag)), "{what}: {messages:?}");
        let error = messages.last().and_then(crate::support::Message::error);
        assert!(
            error.is_some_and(|(sqlstate, text)| sqlstate == "08006" && !text.is_empty()),
            "{what}: {messages:?}"
        );
        pooler.check_others();
        assert_eq!(pooler.client_of("fake", "app").value("SELECT 1"), "served", "{what}");
    }
}

#[test]
fn a_row_cut_off_is_not_completed_by_something_else() {
    let mut row = Vec::new();
    encode::data_row(&mut row, &[Some(&[b'r'; 200_000])]);
    let mut begun = Vec::new();
    encode::row_description(&mut begun, &[encode::Column { name: "v", type_oid: 25, type_len: -1 }]);
    for missing in [1, 10, 50, 100, 150_000] {
        let bytes = [&begun[..], &row[..row.len() - missing]].concat();
        let (mut client, pooler, _fake) = reply_to(bytes);
        let messages = client.until_closed();
        for message in &messages {
            assert!(
                message.tag != tag::DATA_ROW,
                "a row with {missing} bytes of something else was completed"
            );
        }
        assert!(client.unfinished().len() <= row.len(), "nothing was appended");
        pooler.check_others();
    }
}

#[test]
fn notices_and_parameters_without_end_reach_only_their_client() {
    let mut chatter = Vec::new();
    for number in 0..1_000 {
        encode::parameter_status(&mut chatter, "application_name", &format!("name {number}"));
        let notice = encode::ErrorNotice {
            severity: "NOTICE",
            sqlstate: "00000",
            message: "chatter",
            detail: None,
            hint: None,
            routine: None,
        };
        encode::notice_response(&mut chatter, &notice);
    }
    chatter.extend(row_reply("after"));
    let (mut client, pooler, _fake) = reply_to(chatter);
    let reply = client.reply();
    assert_eq!(
        (reply.value(), reply.notices.len(), reply.tags.matches('S').count()),
        ("after", 1_000, 1_000)
    );
    pooler.check_others();
    assert_eq!(pooler.client_of("fake", "app").value("SELECT 1"), "served");
}

#[test]
fn a_server_that_talks_while_idle_is_not_used_again() {
    let later = |stray: Vec<u8>| {
        FakeServer::start(move |number| match number {
            0 => vec![
                Step::LogIn,
                Step::Receive,
                Step::Send(row_reply("one")),
                Step::Send(stray.clone()),
                Step::Serve,
            ],
            _ => vec![Step::LogIn, Step::Serve],
        })
    };
    let mut row = Vec::new();
    encode::data_row(&mut row, &[Some(b"stray")]);
    for stray in [ready(), row, b"!\0\0\0\x04".to_vec(), vec![0xff; 10]] {
        let fake = later(stray);
        let pooler = pooler_before(&fake, 3);
        let mut client = pooler.client_of("fake", "app");
        assert_eq!(client.value("SELECT 1"), "one");
        let mut console = pooler.console();
        crate::support::eventually("the connection is closed", || {
            console.pool("fake", "app", "sv_idle") + console.pool("fake", "app", "sv_active") == 0
        });
        assert_eq!(pooler.client_of("fake", "app").value("SELECT 2"), "served");
    }
}

#[test]
fn a_fatal_error_ends_the_connection_even_if_the_server_does_not_close() {
    let mut fatal = Vec::new();
    let error = encode::ErrorNotice {
        severity: "FATAL",
        sqlstate: "57P01",
        message: "going down",
        detail: None,
        hint: None,
        routine: None,
    };
    encode::error_response(&mut fatal, &error);
    for begun in [Vec::new(), row_reply("x")[..27].to_vec()] {
        let bytes = [begun, fatal.clone()].concat();
        let fake = FakeServer::start(move |number| match number {
            0 => vec![Step::LogIn, Step::Receive, Step::Send(bytes.clone()), Step::Linger],
            _ => vec![Step::LogIn, Step::Serve],
        });
        let pooler = pooler_before(&fake, 1);
        let mut client = pooler.client_of("fake", "app");
        client.start_query("SELECT 'x'");
        let (sqlstate, text) = client.last_error().expect("an error");
        assert_eq!((sqlstate.as_str(), text.as_str()), ("57P01", "going down"));
        assert_eq!(pooler.client_of("fake", "app").value("SELECT 1"), "served");
    }
}

#[test]
fn a_server_that_fails_every_login_is_not_stormed() {
    for workers in [1, 3] {
        let fake = FakeServer::start(|_| vec![Step::Startup]);
        let pooler = Setup::new()
            .database("db", "")
            .database_at("fake", &fake.entry())
            .set("server_login_retry", 1)
            .workers(workers)
            .start();
        let mut clients: Vec<Raw> = (0..50).map(|_| pooler.connect()).collect();
        for client in &mut clients {
            client.send(&start_packet(&[("user", "app"), ("database", "fake")]));
        }
        pooler.check_others();
        for client in &mut clients {
            assert_eq!(client.last_error().expect("an error").0, "08001");
        }
        // Some at once, then one at a time with growing pauses, on each worker.
        let attempts = fake.connections();
        assert!(attempts <= 20 * workers, "{attempts} attempts for 50 clients");
    }
}
