//! TLS with servers: a real one in all modes, and fakes that mean no good.

use pgprime_wire::startup;

use crate::support::tls::{Tap, tls_cluster};
use crate::support::{
    FakeServer, Raw, Setup, Step, TestPooler, cluster, eventually, login_reply, start_packet,
};

const SHOWN: &str = "TLSv1.3/TLS_AES_256_GCM_SHA384";

/// A pooler that reaches the cluster with TLS by this host name, in this mode.
fn setup(mode: &str, host: &str) -> Setup {
    let (cluster, _) = tls_cluster();
    let entry = format!("host={host} port={} dbname=postgres", cluster.primary().port());
    let users = ["only_tls", "only_plain", "certified"];
    let setup = Setup::new().database_at("db", &entry).set("server_tls_sslmode", mode);
    users.into_iter().fold(setup, |setup, user| setup.secret(user, ""))
}

/// Whether a user's server is encrypted, or why there is none.
fn outcome(pooler: &TestPooler, user: &str) -> Result<bool, String> {
    let mut raw = pooler.connect();
    raw.send(&start_packet(&[("user", user), ("database", "db")]));
    if !raw.until_ready() {
        let mut raw = pooler.connect();
        raw.send(&start_packet(&[("user", user), ("database", "db")]));
        return Err(raw.last_error().unwrap().1);
    }
    let said = raw.value("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == "t";
    let servers = pooler.console().run("SHOW SERVERS");
    let shown = servers.cell("user", user, "tls");
    assert_eq!(shown, if said { SHOWN } else { "" });
    Ok(said)
}

#[track_caller]
fn check(setup: Setup, user: &str, expected: Result<bool, &str>) {
    let found = outcome(&setup.start(), user);
    match (&found, expected) {
        (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
        _ => assert_eq!(found, expected.map_err(str::to_owned)),
    }
}

#[test]
fn the_modes_are_libpqs() {
    let no_entry = "no pg_hba.conf entry";
    for (mode, user, expected) in [
        ("disable", "app", Ok(false)),
        ("disable", "only_tls", Err(no_entry)),
        ("allow", "app", Ok(false)),
        ("allow", "only_tls", Ok(true)),
        ("prefer", "app", Ok(true)),
        ("prefer", "only_tls", Ok(true)),
        ("prefer", "only_plain", Ok(false)),
        ("require", "app", Ok(true)),
        ("require", "only_plain", Err(no_entry)),
    ] {
        check(setup(mode, "127.0.0.1"), user, expected);
    }
}

#[test]
fn certificates_of_servers_are_verified() {
    let (_, files) = tls_cluster();
    let with = |mode, host, ca: &str| setup(mode, host).set("server_tls_ca_file", files.name(ca));
    check(with("verify-ca", "127.0.0.1", "ca.crt"), "app", Ok(true));
    check(with("verify-full", "localhost", "ca.crt"), "app", Ok(true));
    check(with("verify-full", "127.0.0.1", "ca.crt"), "app", Err("not valid for name"));
    check(with("verify-ca", "localhost", "other-ca.crt"), "app", Err("UnknownIssuer"));
    check(with("verify-full", "localhost", "other-ca.crt"), "app", Err("UnknownIssuer"));
    // The server's own certificate in the place of its issuer's: the very one is trusted, for its name.
    check(with("verify-full", "localhost", "server.crt"), "app", Ok(true));
    check(with("verify-full", "127.0.0.1", "server.crt"), "app", Err("not valid for name"));
    // Nothing is verified in the modes below.
    check(with("require", "127.0.0.1", "other-ca.crt"), "app", Ok(true));
}

#[test]
fn a_certificate_of_our_own_is_shown() {
    let (_, files) = tls_cluster();
    let with = |name: &str| {
        setup("require", "localhost")
            .set("server_tls_cert_file", files.name(&format!("{name}.crt")))
            .set("server_tls_key_file", files.name(&format!("{name}.key")))
    };
    check(with("certified"), "certified", Ok(true));
    check(with("stranger"), "certified", Err("UnknownCA"));
    check(setup("require", "localhost"), "certified", Err("connection requires a valid client certificate"));
}

#[test]
fn a_server_without_tls_is_taken_or_not() {
    let entry = format!("host=127.0.0.1 port={} dbname=postgres", cluster().primary().port());
    let with = |mode| Setup::new().database_at("db", &entry).set("server_tls_sslmode", mode);
    for mode in ["allow", "prefer"] {
        check(with(mode), "app", Ok(false));
    }
    check(with("require"), "app", Err("the server does not offer it"));
    // A Unix socket is plain whatever the mode.
    let folder = tls_cluster().0.primary().socket_dir().display().to_string();
    check(setup("require", &folder), "app", Ok(false));
}

#[test]
fn passwords_are_proved_inside() {
    check(setup("require", "localhost").secret("scrammed", "right"), "scrammed", Ok(true));
    let (cluster, _) = tls_cluster();
    let entry = format!(
        "host=localhost port={} dbname=postgres user=scrammed password=right",
        cluster.primary().port()
    );
    let pooler = setup("require", "localhost").database_at("db", &entry).start();
    assert_eq!(pooler.client().value("SELECT current_user"), "scrammed");
    assert_eq!(pooler.console().run("SHOW SERVERS").column("tls"), [SHOWN]);
}

#[test]
fn cancel_requests_go_the_way_of_their_connection() {
    let (cluster, _) = tls_cluster();
    for (mode, expected) in [("require", (2, 0)), ("prefer", (2, 0)), ("disable", (0, 2))] {
        let tap = Tap::start(cluster.primary().port());
        let entry = format!("host=localhost port={} dbname=postgres", tap.port);
        let pooler = Setup::new().database_at("db", &entry).set("server_tls_sslmode", mode).start();
        let mut client = pooler.client();
        client.start_query(&format!("SELECT pg_sleep(60) /* {mode} */"));
        let running = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%/* {mode} */' AND state = 'active' \
             AND pid <> pg_backend_pid()"
        );
        eventually("the query runs", || cluster.primary().psql("postgres", &running).unwrap() != "0");
        let mut request = Vec::new();
        startup::encode_cancel(&mut request, client.key.as_ref().unwrap());
        pooler.connect().send(&request);
        assert_eq!(client.reply().sqlstate(), "57014");
        eventually("both have begun", || tap.counts() == expected);
    }
}

#[test]
fn answers_that_hide_something_are_refused() {
    for answer in [&b"SN"[..], b"NR\0\0\0\x08\0\0\0\0", b"S\x16\x03\x03", b"E\0\0\0\x05\0", b"X"] {
        for mode in ["require", "verify-full"] {
            let fake =
                FakeServer::start(move |_| vec![Step::Startup, Step::Send(answer.to_vec()), Step::Linger]);
            let entry = fake.entry();
            let (_, files) = tls_cluster();
            let pooler = Setup::new()
                .database_at("db", &entry)
                .set("server_tls_sslmode", mode)
                .set("server_tls_ca_file", files.name("ca.crt"))
                .start();
            let (_, text) = pooler.refusal(&[("user", "app"), ("database", "db")]);
            assert!(text.contains("the request for TLS"), "{text}");
        }
    }
}

#[test]
fn answers_that_hide_something_lead_to_no_login_in_the_clear() {
    for answer in [&b"SN"[..], b"NR\0\0\0\x08\0\0\0\0", b"E\0\0\0\x05\0", b"X"] {
        let fake = FakeServer::start(move |number| match number {
            0 => vec![Step::Startup, Step::Send(answer.to_vec()), Step::Linger],
            // Who comes again in the clear would be let in.
            _ => vec![Step::Startup, Step::Send(login_reply()), Step::Serve],
        });
        let entry = fake.entry();
        let pooler = Setup::new().database_at("db", &entry).set("server_tls_sslmode", "prefer").start();
        let (_, text) = pooler.refusal(&[("user", "app"), ("database", "db")]);
        assert!(text.contains("the request for TLS"), "{text}");
    }
}

#[test]
fn handshakes_of_servers_that_stall_or_make_no_sense_harm_nobody() {
    let fake = FakeServer::start(|number| match number % 2 {
        0 => vec![Step::Startup, Step::Send(b"S".to_vec()), Step::Linger],
        _ => vec![
            Step::Startup,
            Step::Send(b"S".to_vec()),
            Step::Receive,
            Step::Send(vec![7; 100]),
            Step::Linger,
        ],
    });
    let entry = fake.entry();
    let pooler = setup("require", "localhost")
        .database_at("bad", &entry)
        .set("server_connect_timeout", 1)
        .set("server_login_retry", 1)
        .start();
    let (_, text) = pooler.refusal(&[("user", "app"), ("database", "bad")]);
    assert!(text.contains("within server_connect_timeout"), "{text}");
    assert_eq!(outcome(&pooler, "app"), Ok(true));
}

#[test]
fn a_fake_without_tls_is_told_apart_by_its_answer() {
    let fake = FakeServer::start(|_| {
        vec![Step::Startup, Step::Send(b"N".to_vec()), Step::Startup, Step::Send(login_reply()), Step::Serve]
    });
    let entry = fake.entry();
    let pooler = Setup::new().database_at("db", &entry).set("server_tls_sslmode", "prefer").start();
    assert_eq!(pooler.client().query("SELECT 1").status, Some('I'));
}

#[test]
fn servers_move_between_workers_with_their_sessions() {
    let pooler = setup("require", "localhost").set("default_pool_size", 1).workers(3).start();
    let mut clients: Vec<Raw> = (0..6).map(|_| pooler.client()).collect();
    for round in 0..20 {
        for client in &mut clients {
            assert_eq!(client.value(&format!("SELECT {round}")), round.to_string());
        }
    }
    for client in &mut clients {
        client.start_query("SELECT repeat('x', 100000) FROM generate_series(1, 20)");
    }
    for client in &mut clients {
        assert_eq!(client.reply().rows.len(), 20);
    }
    assert_eq!(pooler.console().run("SHOW SERVERS").rows.len(), 1);
}

#[test]
fn changed_settings_are_for_all_servers_soon() {
    let mut pooler = setup("disable", "localhost").start();
    let mut client = pooler.client();
    let mut is_encrypted =
        move || client.value("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == "t";
    assert!(!is_encrypted());
    let mut console = pooler.console();
    console.run("SET server_tls_sslmode = 'require'");
    eventually("the next server is encrypted", &mut is_encrypted);
    pooler.rewrite(|setup| setup.set("server_tls_sslmode", "verify-full"));
    let (_, text) = console.error("RELOAD");
    assert!(text.contains("verify-full needs server_tls_ca_file"), "{text}");
    assert!(is_encrypted());
    pooler.rewrite(|setup| setup.set("server_tls_sslmode", "disable"));
    console.run("RELOAD");
    eventually("the next server is not", || !is_encrypted());
}
