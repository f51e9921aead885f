//! TLS with clients: libpq in all its modes, clients of our own, and peers that mean no good.

use std::io::{Read, Write};

use pgprime_wire::frontend::encode;
use pgprime_wire::startup;
use tempfile::TempDir;

use crate::support::tls::{Psql, install, psql, shake_hands, socket, tls_cluster, tls_socket};
use crate::support::{Raw, Setup, TestPooler, eventually, start_packet};

const REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const HANDSHAKE: u8 = 0x16;
const ALERT: u8 = 0x15;

/// A pooler in this mode, with the certificate for `localhost`.
fn pooler(mode: &str) -> TestPooler {
    setup(mode).start()
}

fn setup(mode: &str) -> Setup {
    let (cluster, files) = tls_cluster();
    Setup::new()
        .database_at("db", &format!("host=127.0.0.1 port={} dbname=postgres", cluster.primary().port()))
        .set("client_tls_sslmode", mode)
        .set("client_tls_cert_file", files.name("server.crt"))
        .set("client_tls_key_file", files.name("server.key"))
        .set("client_tls_ca_file", files.name("ca.crt"))
}

fn parameters(pooler: &TestPooler, more: &str) -> String {
    format!("host=localhost hostaddr=127.0.0.1 port={} user=app dbname=db {more}", pooler.port())
}

/// Whether libpq's connection is encrypted; `None` when there is none.
fn is_encrypted(pooler: &TestPooler, more: &str) -> Option<bool> {
    let found = psql(&parameters(pooler, more), "\\conninfo\n");
    found.is_ok.then(|| found.output.contains("SSL connection (protocol: TLSv1."))
}

#[test]
fn the_modes_are_libpqs_and_pgbouncers() {
    let (_, files) = tls_cluster();
    let certificate =
        format!("sslcert={} sslkey={}", files.name("certified.crt"), files.name("certified.key"));
    let with = |mode: &str| format!("sslmode={mode} {certificate}");
    let without = |mode: &str| format!("sslmode={mode}");
    for (mode, expected) in [
        ("disable", [Some(false), Some(false), None, None]),
        ("allow", [Some(false), Some(true), Some(true), Some(true)]),
        ("prefer", [Some(false), Some(true), Some(true), Some(true)]),
        ("require", [None, Some(true), Some(true), Some(true)]),
        ("verify-ca", [None, None, None, Some(true)]),
        ("verify-full", [None, None, None, Some(true)]),
    ] {
        let pooler = pooler(mode);
        let clients = [without("disable"), without("prefer"), without("require"), with("require")];
        let found = clients.map(|client| is_encrypted(&pooler, &client));
        assert_eq!(found, expected, "client_tls_sslmode={mode}");
        // Unix sockets are plain, and open in every mode.
        let mut raw = Raw::unix(&pooler.socket_path());
        raw.send(&REQUEST);
        assert_eq!(raw.byte(), Some(b'N'));
        raw.log_in(&[("user", "app"), ("database", "db")]);
        assert_eq!(raw.value("SELECT 1"), "1");
    }
}

#[test]
fn libpq_trusts_the_certificate_for_its_name_only() {
    let (_, files) = tls_cluster();
    let pooler = pooler("allow");
    let (ca, other) = (files.name("ca.crt"), files.name("other-ca.crt"));
    assert_eq!(is_encrypted(&pooler, &format!("sslmode=verify-full sslrootcert={ca}")), Some(true));
    assert_eq!(is_encrypted(&pooler, &format!("sslmode=verify-ca sslrootcert={other}")), None);
    let elsewhere =
        format!("host=127.0.0.1 port={} user=app dbname=db sslrootcert={ca} sslmode=", pooler.port());
    assert!(psql(&format!("{elsewhere}verify-ca"), "\\conninfo\n").is_ok);
    assert!(!psql(&format!("{elsewhere}verify-full"), "\\conninfo\n").is_ok);
}

#[test]
fn who_comes_without_tls_where_it_is_required_is_told_so() {
    let pooler = pooler("require");
    let (sqlstate, text) = pooler.refusal(&[("user", "app"), ("database", "db")]);
    assert_eq!(sqlstate, "28000");
    assert!(text.contains("sslmode=require"), "{text}");
    let refused = psql(&parameters(&pooler, "sslmode=disable"), "SELECT 1;");
    assert!(refused.errors.contains("TLS is required"), "{refused:?}");
}

#[test]
fn a_handshake_that_is_too_long_ends() {
    let pooler = pooler("require");
    let mut stream = socket(pooler.port());
    stream.write_all(&REQUEST).unwrap();
    let mut answer = [0];
    stream.read_exact(&mut answer).unwrap();
    // The longest message there is, a byte in each record, and less than a third of it.
    let mut records = Vec::new();
    for byte in [1, 0, 0xff, 0xff].into_iter().chain([0; 20_000]) {
        records.extend([HANDSHAKE, 3, 1, 0, 1, byte]);
    }
    let _ = stream.write_all(&records);
    match stream.read(&mut answer) {
        Ok(count) => assert_eq!(count, 0),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    let (_, files) = tls_cluster();
    let mut raw = Raw::tls(tls_socket(pooler.port(), files.client(None)).unwrap());
    raw.log_in(&[("user", "app"), ("database", "db")]);
}

#[test]
fn certificates_of_clients_are_verified() {
    let (_, files) = tls_cluster();
    let pooler = pooler("verify-full");
    let log_in = |config| {
        let Ok(stream) = tls_socket(pooler.port(), config) else { return false };
        let mut raw = Raw::tls(stream);
        raw.send(&start_packet(&[("user", "app"), ("database", "db")]));
        raw.until_ready()
    };
    assert!(log_in(files.client_with("certified")));
    assert!(!log_in(files.client(None)));
    assert!(!log_in(files.client_with("stranger")));
    assert!(!log_in(files.client_with("expired")));
    assert!(log_in(files.client_with("certified")));
}

#[test]
fn what_is_sent_before_the_handshake_is_never_taken_for_encrypted() {
    let pooler = pooler("require");
    let mut early = REQUEST.to_vec();
    early.extend(start_packet(&[("user", "app"), ("database", "db")]));
    let mut raw = pooler.connect();
    raw.send(&early);
    let (sqlstate, text) = raw.last_error().expect("an error instead of an answer");
    assert_eq!((sqlstate.as_str(), text.as_str()), ("08P01", "received unencrypted data after SSL request"));
    // Neither behind a request for GSSAPI, nor a second request inside.
    let (_, files) = tls_cluster();
    let mut inside = Raw::tls(tls_socket(pooler.port(), files.client(None)).unwrap());
    inside.send(&REQUEST);
    assert_eq!(inside.last_error().unwrap().0, "08P01");
}

#[test]
fn a_request_for_gssapi_may_come_first() {
    let (_, files) = tls_cluster();
    let pooler = pooler("require");
    let mut stream = socket(pooler.port());
    let mut answer = [0];
    for (request, expected) in [([0, 0, 0, 8, 4, 210, 22, 48], b'N'), (REQUEST, b'S')] {
        stream.write_all(&request).unwrap();
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [expected]);
    }
    let mut raw = Raw::tls(shake_hands(files.client(None), stream).unwrap());
    raw.log_in(&[("user", "app"), ("database", "db")]);
}

#[test]
fn direct_connections_name_the_protocol() {
    let (_, files) = tls_cluster();
    let pooler = pooler("prefer");
    let direct = |alpn| shake_hands(files.client(alpn), socket(pooler.port())).map(Raw::tls);
    let mut client = direct(Some("postgresql")).unwrap();
    client.log_in(&[("user", "app"), ("database", "db")]);
    assert_eq!(client.value("SELECT 1"), "1");
    assert_eq!(direct(None).unwrap().last_error().unwrap().0, "08P01");
    assert!(direct(Some("h2")).is_err());
    let off = self::pooler("disable");
    let mut raw = off.connect();
    raw.send(&[HANDSHAKE, 3, 1, 0, 5]);
    assert_eq!(raw.last_error().unwrap().0, "08P01");
}

#[test]
fn handshakes_that_stall_or_make_no_sense_harm_nobody() {
    let pooler = setup("require").set("client_login_timeout", 1).start();
    let begin = || {
        let mut stream = socket(pooler.port());
        stream.write_all(&REQUEST).unwrap();
        stream.read_exact(&mut [0]).unwrap();
        stream
    };
    let mut silent = begin();
    let mut half = begin();
    half.write_all(&[HANDSHAKE, 3, 1, 2, 0, 1, 0, 1]).unwrap();
    for garbage in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 70_000], &[HANDSHAKE, 3, 1, 0, 4, 9, 9, 9, 9], &REQUEST]
    {
        let mut stream = begin();
        let _ = stream.write_all(garbage);
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        // An alert or nothing: no message in clear text.
        assert!(said.first().is_none_or(|first| *first == ALERT), "{said:?}");
    }
    for stream in [&mut silent, &mut half] {
        let mut said = Vec::new();
        stream.read_to_end(&mut said).unwrap();
        assert_eq!(said, b"");
    }
    let (_, files) = tls_cluster();
    assert_eq!(pooler.tls_client(files).value("SELECT 1"), "1");
}

#[test]
fn a_client_that_speaks_no_tls_any_more_is_gone() {
    let (_, files) = tls_cluster();
    let pooler = pooler("require");
    let mut stream = tls_socket(pooler.port(), files.client(None)).unwrap();
    stream.write_all(&start_packet(&[("user", "app"), ("database", "db")])).unwrap();
    stream.read_exact(&mut [0; 9]).unwrap();
    let mut socket = stream.sock.try_clone().unwrap();
    socket.write_all(&[23, 3, 3, 0, 20]).unwrap();
    socket.write_all(&[7; 20]).unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
    let mut console = pooler.tls_console(files);
    eventually("the client is gone", || console.run("SHOW CLIENTS").rows.is_empty());
    // One that is cut off amid a record, too.
    let mut cut = pooler.tls_client(files);
    cut.start_query("SELECT 1");
    drop(cut);
    eventually("the client is gone", || console.run("SHOW CLIENTS").rows.is_empty());
}

#[test]
fn show_tells_version_and_cipher() {
    let (_, files) = tls_cluster();
    let pooler = setup("prefer").set("server_tls_sslmode", "require").start();
    let (mut encrypted, mut plain) = (pooler.tls_client(files), pooler.client());
    encrypted.value("SELECT 1");
    plain.value("SELECT 1");
    let mut console = pooler.console();
    let clients = console.run("SHOW CLIENTS");
    let mut shown = clients.column("tls");
    shown.sort_unstable();
    assert_eq!(shown, ["", "TLSv1.3/TLS_AES_256_GCM_SHA384"]);
    assert_eq!(console.run("SHOW SERVERS").column("tls"), ["TLSv1.3/TLS_AES_256_GCM_SHA384"]);
    let old = setup("prefer").set("client_tls_protocols", "tlsv1.2").start();
    let mut client = old.tls_client(files);
    client.value("SELECT 1");
    let shown = old.console().run("SHOW CLIENTS");
    assert_eq!(shown.column("tls"), ["TLSv1.2/ECDHE-ECDSA-AES256-GCM-SHA384"]);
}

#[test]
fn large_results_and_copies_pass_both_ways() {
    let pooler = setup("require").set("server_tls_sslmode", "require").set("pool_mode", "session").start();
    let run = |input: &str| {
        let done = psql(&parameters(&pooler, "sslmode=require"), input);
        assert!(done.is_ok, "{}", done.errors);
        done.output
    };
    // 100 MB in rows of all sizes.
    let sum = run("SELECT repeat('x', 1 + n * 7919 % 40000) FROM generate_series(1, 5000) n;").len();
    assert!(sum > 95_000_000, "{sum}");
    let rows: String = (0..200_000).map(|row| format!("{row}\t{}\n", "y".repeat(row % 200))).collect();
    let copied = run(&format!(
        "CREATE TEMP TABLE t (n int, t text);\nCOPY t FROM STDIN;\n{rows}\\.\nCOPY (TABLE t ORDER BY n) TO STDOUT;\n"
    ));
    assert!(copied == rows, "{} bytes instead of {}", copied.len(), rows.len());
}

#[test]
fn a_client_that_reads_slowly_gets_all_of_it() {
    let (_, files) = tls_cluster();
    let pooler = setup("require").start();
    let mut slow = pooler.tls_client(files);
    // More than the kernel and the pooler keep for it.
    slow.start_query("SELECT repeat(n::text, 1000) FROM generate_series(1, 6000) n");
    // The others are served meanwhile.
    for _ in 0..20 {
        assert_eq!(pooler.tls_client(files).value("SELECT 1"), "1");
    }
    let reply = slow.reply();
    let expected: Vec<_> = (1..=6000).map(|n: i32| vec![Some(n.to_string().repeat(1000))]).collect();
    assert!(reply.rows == expected && reply.status == Some('I'));
}

#[test]
fn pipelined_requests_come_back_in_order() {
    let (_, files) = tls_cluster();
    let pooler = setup("require").set("server_tls_sslmode", "require").workers(2).start();
    let mut clients: Vec<Raw> = (0..3).map(|_| pooler.tls_client(files)).collect();
    for client in &mut clients {
        client.tell(|out| {
            for number in 0..200 {
                let sql = format!("SELECT {number}, repeat('z', {number} * 50)");
                encode::parse(out, b"", sql.as_bytes(), &[]);
                encode::bind_text(out, b"", b"", &[]);
                encode::execute(out, b"", 0);
                encode::sync(out);
            }
        });
    }
    for client in &mut clients {
        for number in 0..200_usize {
            let reply = client.reply();
            let expected = vec![Some(number.to_string()), Some("z".repeat(number * 50))];
            assert_eq!((reply.tags.as_str(), reply.rows), ("12DCZ", vec![expected]));
        }
    }
}

#[test]
fn two_hundred_clients_at_once() {
    let (_, files) = tls_cluster();
    let pooler = setup("require")
        .set("max_client_conn", 500)
        .set("default_pool_size", 10)
        .set("server_tls_sslmode", "require")
        .workers(3)
        .start();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let pooler = &pooler;
            scope.spawn(move || {
                let mut clients: Vec<Raw> = (0..25).map(|_| pooler.tls_client(files)).collect();
                for round in 0..5 {
                    for (number, client) in clients.iter_mut().enumerate() {
                        client.start_query(&format!("SELECT {thread}, {number}, {round}"));
                    }
                    for (number, client) in clients.iter_mut().enumerate() {
                        let expected = [thread, number, round].map(|value| Some(value.to_string()));
                        assert_eq!(client.reply().rows, [expected]);
                    }
                }
            });
        }
    });
}

#[test]
fn cancel_requests_come_over_tls_too() {
    let (_, files) = tls_cluster();
    let pooler = setup("require").start();
    let mut client = pooler.tls_client(files);
    let key = client.key.clone().unwrap();
    client.start_query("SELECT pg_sleep(60) /* cancelled over TLS */");
    let mut watcher = pooler.tls_client(files);
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%/* cancelled over TLS */' \
                   AND state = 'active' AND pid <> pg_backend_pid()";
    eventually("the query runs", || watcher.value(running) != "0");
    let mut request = Vec::new();
    startup::encode_cancel(&mut request, &key);
    let mut connection = Raw::tls(tls_socket(pooler.port(), files.client(None)).unwrap());
    connection.send(&request);
    // It ends with a goodbye, as the reader of the test insists on.
    assert_eq!(connection.until_closed(), []);
    assert_eq!(client.reply().sqlstate(), "57014");
}

#[test]
fn passwords_are_proved_inside() {
    let pooler = setup("require").set("auth_type", "scram-sha-256").secret("app", "right").start();
    for (password, is_right) in [("right", true), ("wrong", false)] {
        let Psql { is_ok, errors, .. } =
            psql(&parameters(&pooler, &format!("sslmode=require password={password}")), "SELECT 1;");
        assert_eq!(is_ok, is_right, "{errors}");
        assert!(is_ok || errors.contains("authentication failed"), "{errors}");
    }
}

#[test]
fn reload_takes_a_renewed_certificate_and_keeps_the_old_one_in_the_place_of_a_bad_one() {
    let (_, files) = tls_cluster();
    let dir = TempDir::new().unwrap();
    install(files, "server", dir.path());
    let file = |kind: &str| dir.path().join(format!("pooler.{kind}"));
    let pooler = setup("require")
        .set("client_tls_cert_file", file("crt").display())
        .set("client_tls_key_file", file("key").display())
        .start();
    let shown = || {
        let stream = tls_socket(pooler.port(), files.client(None)).unwrap();
        stream.conn.peer_certificates().unwrap()[0].to_vec()
    };
    let (first, mut old) = (shown(), pooler.tls_client(files));
    install(files, "next", dir.path());
    assert_eq!(shown(), first);
    let mut console = pooler.tls_console(files);
    console.run("RELOAD");
    let second = shown();
    assert_ne!(second, first);
    assert_eq!(old.value("SELECT 1"), "1");
    for bad in ["empty.crt", "damaged.crt", "server.crt", "nowhere.crt"] {
        std::fs::remove_file(file("crt")).unwrap();
        let _ = std::fs::copy(files.path(bad), file("crt"));
        let (_, text) = console.error("RELOAD");
        assert!(text.contains("client_tls_cert_file: "), "{bad}: {text}");
        assert_eq!(shown(), second);
        std::fs::copy(files.path("next.crt"), file("crt")).unwrap();
    }
    console.run("RELOAD");
    console.run("SET client_tls_sslmode = 'allow'");
    assert_eq!(pooler.client().value("SELECT 1"), "1");
    let (_, text) = console.error("SET client_tls_key_file = '/nowhere/key'");
    assert!(text.contains("client_tls_key_file: cannot read /nowhere/key"), "{text}");
}

#[test]
fn files_that_cannot_be_used_are_named_at_the_start() {
    let (_, files) = tls_cluster();
    let refused = |setup: Setup| setup.refusal().to_string();
    let with = |name: &str, value: &str| setup("verify-ca").set(name, value);
    for (setup, expected) in [
        (with("client_tls_cert_file", ""), "client_tls_cert_file: not set, and client_tls_key_file"),
        (with("client_tls_key_file", ""), "client_tls_key_file: not set, and client_tls_cert_file"),
        (
            with("client_tls_key_file", "").set("client_tls_cert_file", ""),
            "client_tls_sslmode: verify-ca needs client_tls_cert_file and client_tls_key_file",
        ),
        (with("client_tls_ca_file", ""), "client_tls_sslmode: verify-ca needs client_tls_ca_file"),
        (
            with("client_tls_cert_file", "/nowhere"),
            "client_tls_cert_file: cannot read /nowhere: No such file",
        ),
        (with("client_tls_cert_file", &files.name("empty.crt")), "client_tls_cert_file: "),
        (with("client_tls_ca_file", &files.name("damaged.crt")), "client_tls_ca_file: "),
        (with("client_tls_ca_file", "system"), "client_tls_ca_file: `system` lets everybody in"),
        (
            with("server_tls_sslmode", "verify-ca").set("server_tls_ca_file", "system"),
            "server_tls_ca_file: `system` needs server_tls_sslmode = verify-full",
        ),
        (with("client_tls_key_file", &files.name("ca.crt")), "client_tls_key_file: "),
        (
            with("client_tls_key_file", &files.name("next.key")),
            "client_tls_cert_file: the certificate does not belong to client_tls_key_file",
        ),
        (with("client_tls_protocols", "tlsv1.1"), "client_tls_protocols: names no version that is spoken"),
        (
            with("server_tls_sslmode", "verify-full"),
            "server_tls_sslmode: verify-full needs server_tls_ca_file",
        ),
    ] {
        let text = refused(setup);
        assert!(text.starts_with(expected), "{text}");
    }
}
