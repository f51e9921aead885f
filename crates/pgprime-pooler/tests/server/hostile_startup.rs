//! The first bytes of a connection, when they are not what they should be.

use pgprime_wire::tag::backend as tag;

use crate::support::{Message, Raw, Setup, TestPooler, ssl_request, start_packet};

/// A packet with this length field, whatever its real length.
fn packet(length: u32, rest: &[u8]) -> Vec<u8> {
    [&length.to_be_bytes(), rest].concat()
}

/// A packet of protocol `major.minor`.
fn versioned(major: u16, minor: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(8 + body.len()).unwrap();
    packet(length, &[&major.to_be_bytes(), &minor.to_be_bytes(), body].concat())
}

fn answer_to(pooler: &TestPooler, bytes: &[u8]) -> Vec<Message> {
    let mut client = pooler.connect();
    client.send(bytes);
    client.until_closed()
}

/// The connection was closed, with nothing before it but an error that names the protocol.
#[track_caller]
fn check_refused(pooler: &TestPooler, what: &str, bytes: &[u8]) {
    let messages = answer_to(pooler, bytes);
    let errors: Vec<_> = messages.iter().map(|message| message.error().expect("only an error")).collect();
    match errors.as_slice() {
        [(sqlstate, text)] => assert!(sqlstate == "08P01" && !text.is_empty(), "{what}: {errors:?}"),
        // A connection closed with bytes unread is reset, and the error may be lost on its way.
        [] => {}
        _ => panic!("{what}: {errors:?}"),
    }
    pooler.check_others();
}

#[test]
fn impossible_lengths_are_refused() {
    let pooler = Setup::new().start();
    for length in [0, 1, 3, 4, 7, 10_001, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
        check_refused(&pooler, &format!("length {length}"), &packet(length, &[0, 3, 0, 0, 0]));
    }
    check_refused(&pooler, "another protocol", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    check_refused(&pooler, "a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
}

#[test]
fn malformed_startup_packets_are_refused() {
    let pooler = Setup::new().workers(3).start();
    let long_name = [b"user\0".as_slice(), &vec![b'a'; 9_980], b"\0"].concat();
    for (what, body) in [
        ("nothing after the version", b"".as_slice()),
        ("a name without an end", b"user"),
        ("a name without a value", b"user\0"),
        ("a value without an end", b"user\0app"),
        ("no end of the list", b"user\0app\0"),
        ("bytes after the end", b"user\0app\0\0database\0db\0\0"),
        ("a list of nothing but ends", b"\0\0\0\0\0\0"),
        ("invalid UTF-8 in a value", b"user\0\xff\xfe\0\0"),
        ("invalid UTF-8 in a name", b"\xc3\x28\0x\0\0"),
        ("a long name and no end of the list", &long_name),
    ] {
        check_refused(&pooler, what, &versioned(3, 0, body));
    }
}

#[test]
fn unknown_versions_are_refused_by_name() {
    let pooler = Setup::new().start();
    for (major, minor) in [(2, 0), (4, 0), (0, 0), (1234, 0), (1234, 5681), (65_535, 65_535)] {
        let messages = answer_to(&pooler, &versioned(major, minor, b"user\0app\0database\0db\0\0"));
        let (sqlstate, text) = messages.last().and_then(Message::error).expect("an error");
        assert_eq!(sqlstate, "08P01");
        assert!(text.contains(&format!("{major}.{minor}")), "{text}");
    }
    pooler.check_others();
}

/// Logs in with this minor version and these extra parameters; the body of NegotiateProtocolVersion, if it came.
fn negotiated(pooler: &TestPooler, minor: u16, extra: &[u8]) -> Option<Vec<u8>> {
    let body = [b"user\0app\0database\0db\0".as_slice(), extra, b"\0"].concat();
    let mut client = pooler.connect();
    client.send(&versioned(3, minor, &body));
    let mut negotiation = None;
    loop {
        let message = client.message().expect("no refusal");
        match message.tag {
            tag::NEGOTIATE_PROTOCOL_VERSION => negotiation = Some(message.body),
            tag::BACKEND_KEY_DATA => assert_eq!(message.body.len(), 8, "a key of protocol 3.0"),
            tag::READY_FOR_QUERY => break,
            tag::ERROR_RESPONSE => panic!("{:?}", message.error()),
            _ => {}
        }
    }
    assert_eq!(client.value("SELECT 'right'"), "right");
    negotiation
}

#[test]
fn newer_minor_versions_and_options_are_negotiated_down() {
    let pooler = Setup::new().start();
    let version = 0x0003_0000_u32.to_be_bytes();
    let without_options = [version, [0; 4]].concat();
    assert_eq!(negotiated(&pooler, 0, b""), None);
    for minor in [1, 2, 9_999] {
        assert_eq!(negotiated(&pooler, minor, b""), Some(without_options.clone()), "3.{minor}");
    }
    let two_options = [&version[..], &[0, 0, 0, 2], b"_pq_.one\0_pq_.two\0"].concat();
    assert_eq!(negotiated(&pooler, 2, b"_pq_.one\0x\0_pq_.two\0\0"), Some(two_options.clone()));
    assert_eq!(negotiated(&pooler, 0, b"_pq_.one\0x\0_pq_.two\0\0"), Some(two_options));
}

#[test]
fn of_duplicate_parameters_the_last_counts() {
    let pooler = Setup::new().start();
    let mut client = pooler.connect();
    client.log_in(&[("user", "nobody"), ("database", "nothing"), ("user", "app"), ("database", "db")]);
    assert_eq!(client.value("SELECT current_user"), "app");
}

#[test]
fn strange_names_are_refused_as_they_are_and_harm_nobody() {
    let pooler = Setup::new().workers(3).start();
    let long = "x".repeat(9_000);
    for name in [
        "a'b",
        "a\"b",
        "a\nb",
        "%s%n%d%x",
        "$(reboot)",
        "../../etc/passwd",
        "a;DROP TABLE t",
        "\\",
        "ä€😀",
        " ",
        &long,
    ] {
        let (sqlstate, text) = pooler.refusal(&[("user", name), ("database", "db")]);
        assert!(sqlstate.starts_with("28"), "user {name:?}: {sqlstate} {text}");
        let (sqlstate, text) = pooler.refusal(&[("user", "app"), ("database", name)]);
        assert_eq!(sqlstate, "3D000", "database {name:?}: {text}");
        assert!(text.contains(name), "database {name:?}: {text}");
        let (_, text) = pooler.refusal(&[("user", "app"), ("database", "db"), (name, "1")]);
        assert!(text.contains(name), "parameter {name:?}: {text}");
    }
    let (sqlstate, _) = pooler.refusal(&[("database", "db")]);
    assert_eq!(sqlstate, "28000", "no user");
    pooler.check_others();
}

#[test]
fn strange_values_of_parameters_reach_the_server_as_values() {
    let pooler = Setup::new().workers(3).start();
    for name in ["a'b", "a\"b\\", "'; DROP TABLE t; --", "%s%n", "$1", "\\'", "E'x"] {
        let mut client = pooler.connect();
        client.log_in(&[("user", "app"), ("database", "db"), ("application_name", name)]);
        assert_eq!(client.value("SHOW application_name"), name);
    }
    // Line breaks and what is not ASCII: the server cuts and replaces, and the session works.
    for name in ["a\nb", "ä€😀", &"x".repeat(5_000)] {
        let mut client = pooler.connect();
        client.log_in(&[("user", "app"), ("database", "db"), ("application_name", name)]);
        assert_eq!(client.value("SELECT 1"), "1");
        assert_eq!(client.value("SELECT 2"), "2");
    }
    pooler.check_others();
}

#[test]
fn values_the_server_refuses_end_that_client_only() {
    let pooler = Setup::new().set("default_pool_size", 1).start();
    for (name, value) in [("client_encoding", "klingon"), ("TimeZone", "Mars/Olympus"), ("DateStyle", "'x")] {
        let mut client = pooler.connect();
        client.send(&start_packet(&[("user", "app"), ("database", "db"), (name, value)]));
        client.start_query("SELECT 1");
        let (sqlstate, text) = client.last_error().expect("an error before the end");
        assert_eq!(sqlstate, "22023", "{name}: {text}");
        assert!(text.contains(value.trim_start_matches('\'')), "{text}");
        pooler.check_others();
    }
}

#[test]
fn requests_for_encryption_are_declined_and_not_endlessly() {
    let pooler = Setup::new().start();
    let gss_request = packet(8, &80_877_104_u32.to_be_bytes());
    let mut client = pooler.connect();
    for request in [ssl_request(), gss_request.clone()] {
        client.send(&request);
        assert_eq!(client.byte(), Some(b'N'));
    }
    client.log_in(&[("user", "app"), ("database", "db")]);
    assert_eq!(client.value("SELECT 1"), "1");

    let mut greedy = pooler.connect();
    let mut declined = 0;
    for _ in 0..100 {
        greedy.send(&ssl_request());
        match greedy.byte() {
            Some(b'N') => declined += 1,
            _ => break,
        }
    }
    assert!(declined <= 4, "{declined} requests in one connection");
    check_refused(&pooler, "a request with a body", &packet(12, &[4, 210, 22, 47, 0, 0, 0, 0]));
}

#[test]
fn what_is_pipelined_behind_a_request_for_encryption_is_not_taken() {
    let pooler = Setup::new().start();
    let mut client = pooler.connect();
    let injected = [ssl_request(), start_packet(&[("user", "app"), ("database", "db")])].concat();
    client.send(&injected);
    // Either nothing or the refusal to encrypt may come first; a login may not.
    let mut first = client.byte();
    if first == Some(b'N') {
        first = client.byte();
    }
    assert!(matches!(first, None | Some(b'E')), "{first:?}");
    pooler.check_others();
}

#[test]
fn half_a_startup_packet_and_a_hang_up_are_nothing_special() {
    let pooler = Setup::new().start();
    let whole = start_packet(&[("user", "app"), ("database", "db")]);
    for cut in 0..whole.len() {
        let mut client: Raw = pooler.connect();
        client.send(&whole[..cut]);
    }
    let mut slow = pooler.connect();
    for byte in &whole {
        slow.send(&[*byte]);
    }
    slow.finish_login();
    assert_eq!(slow.value("SELECT 1"), "1");
    pooler.check_others();
}
