//! RELOAD with a file that has changed.

use crate::support::{FakeServer, Setup, Step, TestPooler, cluster, eventually, start_packet};

fn real(name: &str) -> String {
    format!("host=127.0.0.1 port={} dbname={name}", cluster().primary().port())
}

fn pooler(workers: usize) -> TestPooler {
    Setup::new().database("db", "").database("moving", "").workers(workers).start()
}

#[test]
fn a_database_that_has_moved_is_served_from_its_new_place() {
    let other = cluster().test_database("moved").unwrap();
    for workers in [1, 3] {
        let mut pooler = pooler(workers);
        let mut clients = [pooler.client_of("moving", "app"), pooler.client_of("moving", "app")];
        assert_eq!(clients[0].value("SELECT current_database()"), "postgres");
        assert_eq!(clients[1].query("BEGIN").status, Some('T'));
        pooler.rewrite(|setup| setup.database_at("moving", &real(&other)));
        let mut console = pooler.console();
        console.run("RELOAD");
        let reply = clients[0].query("SELECT current_database()");
        assert_eq!((reply.tags.as_str(), reply.value()), ("TDCZ", other.as_str()));
        assert_eq!(clients[1].value("SELECT current_database()"), "postgres", "not amid a transaction");
        assert_eq!(clients[1].query("COMMIT").status, Some('I'));
        assert_eq!(clients[1].value("SELECT current_database()"), other);
        assert_eq!(console.run("WAIT_CLOSE").commands, ["WAIT_CLOSE"]);
        assert_eq!(console.run("SHOW DATABASES").cell("name", "moving", "database"), other);
    }
}

#[test]
fn a_reload_without_change_closes_nothing() {
    let pooler = pooler(3);
    let mut client = pooler.client();
    let before = client.value("SELECT pg_backend_pid()");
    pooler.console().run("RELOAD");
    assert_eq!(client.value("SELECT pg_backend_pid()"), before);
}

#[test]
fn a_database_that_is_removed_loses_its_clients_and_may_come_back() {
    for workers in [1, 3] {
        let mut pooler = pooler(workers);
        let mut idle = pooler.client_of("moving", "app");
        let mut busy = pooler.client_of("moving", "other");
        busy.query("BEGIN");
        let mut console = pooler.console();
        pooler.rewrite(|setup| setup.without_database("moving"));
        console.run("RELOAD");
        for client in [&mut idle, &mut busy] {
            assert_eq!(client.last_error().expect("an error").0, "57P01");
        }
        assert_eq!(pooler.refusal(&[("user", "app"), ("database", "moving")]).0, "3D000");
        assert!(!console.run("SHOW DATABASES").column("name").contains(&"moving"));
        assert_eq!(console.error("PAUSE moving").0, "3D000");
        pooler.check_others();
        pooler.rewrite(|setup| setup.database("moving", ""));
        console.run("RELOAD");
        pooler.check_others_of("moving");
    }
}

#[test]
fn a_new_database_and_a_new_user_are_there_after_reload() {
    let mut pooler = pooler(1);
    let mut console = pooler.console();
    assert_eq!(pooler.refusal(&[("user", "app"), ("database", "new")]).0, "3D000");
    pooler.rewrite(|setup| setup.database("new", "user=app").secret("newcomer", ""));
    assert_eq!(pooler.refusal(&[("user", "newcomer"), ("database", "db")]).0, "28000");
    console.run("RELOAD");
    assert_eq!(pooler.client_of("new", "newcomer").value("SELECT current_user"), "app");
}

#[test]
fn changed_settings_hold_and_those_that_need_a_restart_wait() {
    let mut pooler = pooler(3);
    let port = pooler.port();
    let mut console = pooler.console();
    pooler.rewrite(|setup| {
        setup.set("default_pool_size", 3).set("listen_port", 1).set("pool_mode", "statement")
    });
    console.run("RELOAD");
    let config = console.run("SHOW CONFIG");
    assert_eq!(config.cell("key", "default_pool_size", "value"), "3");
    assert_ne!(config.cell("key", "listen_port", "value"), "1");
    assert_eq!(pooler.client().query("BEGIN").sqlstate(), "0A000");
    assert_eq!(pooler.port(), port);
}

#[test]
fn a_broken_file_changes_nothing_and_is_named() {
    let pooler = pooler(1);
    let mut console = pooler.console();
    let before = console.run("SHOW CONFIG").rows;
    let text = std::fs::read_to_string(pooler.config_path()).unwrap();
    for (broken, words) in [
        ("pool_mode = sometimes".to_string(), "pool_mode"),
        ("no_such_setting = 1".to_string(), "no_such_setting"),
        ("[nonsense]".to_string(), "nonsense"),
        ("auth_file = /no/such/file".to_string(), "/no/such/file"),
    ] {
        std::fs::write(pooler.config_path(), format!("{text}\n{broken}\n")).unwrap();
        let (_, message) = console.error("RELOAD");
        assert!(message.contains("RELOAD failed") && message.contains(words), "{message}");
        pooler.check_others();
    }
    std::fs::remove_file(pooler.config_path()).unwrap();
    console.error("RELOAD");
    assert_eq!(console.run("SHOW CONFIG").rows, before);
    pooler.check_others();
}

#[test]
fn a_password_that_was_changed_holds_at_once() {
    let mut pooler = Setup::new().set("auth_type", "plain").secret("app", "old").secret("admin", "a").start();
    let log_in = |pooler: &TestPooler, user: &str, password: &str, database: &str| {
        let mut client = pooler.connect();
        client.send(&start_packet(&[("user", user), ("database", database)]));
        client.tell(|out| pgprime_wire::frontend::encode::password(out, password.as_bytes()));
        client.until_ready().then_some(client)
    };
    let mut admin = log_in(&pooler, "admin", "a", "pgbouncer").expect("let in");
    assert!(log_in(&pooler, "app", "old", "db").is_some());
    pooler.rewrite(|setup| {
        let mut changed = setup;
        changed.replace_secret("app", "new");
        changed
    });
    assert!(admin.query("RELOAD").errors.is_empty());
    assert!(log_in(&pooler, "app", "old", "db").is_none());
    assert!(log_in(&pooler, "app", "new", "db").is_some());
}

#[test]
fn a_paused_database_may_move_unnoticed() {
    let fake = FakeServer::start(|_| vec![Step::LogIn, Step::Serve]);
    let mut pooler = pooler(3);
    let mut client = pooler.client_of("moving", "app");
    assert_eq!(client.value("SELECT 'real'"), "real");
    let mut console = pooler.console();
    console.run("PAUSE moving");
    client.start_query("SELECT 'where?'");
    eventually("it waits", || console.pool("moving", "app", "cl_waiting") == 1);
    let entry = fake.entry();
    pooler.rewrite(|setup| setup.database_at("moving", &entry));
    console.run("RELOAD");
    assert!(client.is_silent(), "the pause outlasts the reload");
    console.run("RESUME moving");
    assert_eq!(client.reply().value(), "served");
}
