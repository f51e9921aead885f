//! Pool modes, what clients leave behind, and the parameters that follow them.

use pgprime_wire::frontend::encode;

use crate::support::{Raw, Setup, cluster, eventually};

fn process(client: &mut Raw) -> String {
    client.value("SELECT pg_backend_pid()")
}

#[test]
fn a_session_keeps_its_server_and_leaves_nothing_on_it() {
    for workers in [1, 3] {
        let pooler =
            Setup::new().set("pool_mode", "session").set("default_pool_size", 1).workers(workers).start();
        let mut first = pooler.client();
        let own = process(&mut first);
        for sql in [
            "SET search_path = pg_catalog",
            "SET work_mem = '7MB'",
            "CREATE TEMP TABLE left_behind (n int)",
            "PREPARE left_behind AS SELECT 1",
            "DECLARE left_behind CURSOR WITH HOLD FOR SELECT 1",
            "SELECT pg_advisory_lock(4711)",
            "LISTEN left_behind",
        ] {
            assert!(first.query(sql).errors.is_empty(), "{sql}");
        }
        assert_eq!(process(&mut first), own);
        let mut second = pooler.connect();
        second.send(&crate::support::start_packet(&[("user", "app"), ("database", "db")]));
        second.start_query("SHOW work_mem");
        drop(first);
        second.finish_login();
        assert_ne!(second.reply().value(), "7MB");
        assert_eq!(process(&mut second), own, "the server is the same");
        for (sql, expected) in [
            ("SHOW search_path", "\"$user\", public"),
            ("SELECT count(*) FROM pg_class WHERE relname = 'left_behind'", "0"),
            ("SELECT count(*) FROM pg_prepared_statements", "0"),
            ("SELECT count(*) FROM pg_cursors", "0"),
            ("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()", "0"),
            ("SELECT count(*) FROM pg_listening_channels()", "0"),
        ] {
            assert_eq!(second.value(sql), expected, "{sql}");
        }
    }
}

#[test]
fn a_session_that_ends_amid_a_transaction_is_rolled_back() {
    let database = cluster().test_database("modes").unwrap();
    cluster().primary().psql(&database, "CREATE TABLE t (n int); GRANT ALL ON t TO app").unwrap();
    for mode in ["session", "transaction", "statement"] {
        let entry = format!("host=127.0.0.1 port={} dbname={database}", cluster().primary().port());
        let pooler =
            Setup::new().database_at("db", &entry).set("pool_mode", mode).set("default_pool_size", 1).start();
        let mut leaver = pooler.client();
        leaver.tell(|out| {
            encode::query(out, b"BEGIN");
            encode::query(out, b"INSERT INTO t VALUES (1)");
        });
        if mode != "statement" {
            leaver.reply();
            leaver.reply();
        }
        drop(leaver);
        assert_eq!(pooler.client().value("SELECT count(*) FROM t"), "0", "{mode}");
    }
}

#[test]
fn the_mode_of_the_user_goes_before_that_of_the_database() {
    let pooler = Setup::new()
        .set("pool_mode", "transaction")
        .set("default_pool_size", 1)
        .database("db", "")
        .database("by_database", "pool_mode=session")
        .user("other", "pool_mode=statement")
        .start();
    let mode = |database: &str, user: &str| {
        drop(pooler.client_of(database, user));
        let pools = pooler.console().run("SHOW POOLS");
        let (databases, users) = (pools.column("database"), pools.column("user"));
        let place =
            (0..users.len()).find(|place| databases[*place] == database && users[*place] == user).unwrap();
        pools.column("pool_mode")[place].to_string()
    };
    assert_eq!(mode("db", "app"), "transaction");
    assert_eq!(mode("by_database", "app"), "session");
    assert_eq!(mode("db", "other"), "statement");
    assert_eq!(mode("by_database", "other"), "statement");
    assert_eq!(pooler.client_of("db", "other").query("BEGIN").sqlstate(), "0A000");
    assert_eq!(pooler.client_of("db", "app").query("BEGIN").status, Some('T'));
}

#[test]
fn statement_mode_refuses_transactions_and_nothing_else() {
    for workers in [1, 3] {
        let pooler =
            Setup::new().set("pool_mode", "statement").set("default_pool_size", 1).workers(workers).start();
        for sql in ["BEGIN", "START TRANSACTION", "SELECT 1; BEGIN", "BEGIN; SELECT 1"] {
            let mut client = pooler.client();
            let reply = client.query(sql);
            let last = reply.errors.last().cloned().unwrap_or_default();
            assert_eq!((last.0.as_str(), reply.status), ("0A000", None), "{sql}: {reply:?}");
            pooler.check_others();
        }
        let mut client = pooler.client();
        assert_eq!(client.value("SELECT 1"), "1");
        assert_eq!(client.query("SELECT 1; SELECT 2").rows.len(), 2);
        assert_eq!(client.query("SELECT 1/0").sqlstate(), "22012");
        client.tell(|out| {
            encode::parse(out, b"s", b"SELECT 7", &[]);
            encode::bind_text(out, b"", b"s", &[]);
            encode::execute(out, b"", 0);
            encode::sync(out);
        });
        assert_eq!(client.reply().value(), "7");
    }
}

#[test]
fn in_transaction_mode_the_reset_query_runs_only_when_it_always_does() {
    for (always, expected) in [(0, "kept"), (1, "")] {
        let pooler =
            Setup::new().set("default_pool_size", 1).set("server_reset_query_always", always).start();
        let mut client = pooler.client();
        // set_config leaves no trace in the protocol that the pooler could see.
        client.value("SELECT set_config('my.setting', 'kept', false)");
        assert_eq!(
            pooler.client().value("SELECT coalesce(current_setting('my.setting', true), '')"),
            expected
        );
    }
}

#[test]
fn an_own_reset_query_replaces_the_usual_one_and_must_succeed() {
    let pooler = Setup::new()
        .set("pool_mode", "session")
        .set("default_pool_size", 1)
        .set("server_reset_query", "SET my.reset = 'done'")
        .start();
    let mut first = pooler.client();
    let own = process(&mut first);
    drop(first);
    let mut second = pooler.client();
    assert_eq!((process(&mut second), second.value("SHOW my.reset")), (own.clone(), "done".into()));
    pooler.console().run("SET server_reset_query = 'SELECT 1/0'");
    drop(second);
    let mut third = pooler.client();
    assert_ne!(process(&mut third), own, "a server that cannot be reset is closed");
}

#[test]
fn settings_that_do_not_follow_the_client_do_not_leak_to_others() {
    for workers in [1, 3] {
        let pooler = Setup::new().set("default_pool_size", 1).workers(workers).start();
        let (mut one, mut two) = (pooler.client(), pooler.client());
        assert!(one.query("SET statement_timeout = '7s'").errors.is_empty());
        assert_ne!(two.value("SHOW statement_timeout"), "7s");
        assert!(one.query("SET search_path = ''").errors.is_empty());
        assert_eq!(two.value("SHOW search_path"), "\"$user\", public");
    }
}

#[test]
fn tracked_parameters_follow_each_client() {
    for workers in [1, 3] {
        let pooler = Setup::new()
            .set("default_pool_size", 1)
            .set("track_extra_parameters", "IntervalStyle, default_transaction_read_only")
            .workers(workers)
            .start();
        let mut clients: Vec<Raw> = ["Asia/Tokyo", "America/Lima", "UTC"]
            .iter()
            .map(|zone| {
                let mut client = pooler.connect();
                client.log_in(&[
                    ("user", "app"),
                    ("database", "db"),
                    ("TimeZone", zone),
                    ("application_name", zone),
                ]);
                assert_eq!(client.parameter("TimeZone"), Some(*zone));
                client
            })
            .collect();
        clients[1].query("SET IntervalStyle = 'iso_8601'");
        clients[2].query("SET default_transaction_read_only = on");
        for _ in 0..3 {
            let mut seen = Vec::new();
            for client in &mut clients {
                seen.push([
                    client.value("SHOW TimeZone"),
                    client.value("SHOW application_name"),
                    client.value("SELECT interval '1 day'"),
                    client.value("SHOW default_transaction_read_only"),
                ]);
            }
            assert_eq!(seen[0], ["Asia/Tokyo", "Asia/Tokyo", "1 day", "off"]);
            assert_eq!(seen[1], ["America/Lima", "America/Lima", "P1D", "off"]);
            assert_eq!(seen[2], ["UTC", "UTC", "1 day", "on"]);
        }
    }
}

#[test]
fn the_host_is_added_to_the_application_name() {
    let pooler = Setup::new().set("application_name_add_host", 1).start();
    let mut client = pooler.connect();
    client.log_in(&[("user", "app"), ("database", "db"), ("application_name", "psql")]);
    let name = client.value("SHOW application_name");
    assert!(name.starts_with("psql - 127.0.0.1:"), "{name}");
    let shown = pooler.console().run("SHOW CLIENTS");
    assert!(shown.column("application_name").contains(&name.as_str()));
    let mut local = Raw::unix(&pooler.socket_path());
    local.log_in(&[("user", "app"), ("database", "db")]);
    assert_eq!(local.value("SHOW application_name"), "app - unix");
}

#[test]
fn startup_parameters_are_refused_unless_they_are_ignored() {
    let pooler = Setup::new().set("ignore_startup_parameters", "extra_float_digits, geqo").start();
    let mut client = pooler.connect();
    client.log_in(&[("user", "app"), ("database", "db"), ("extra_float_digits", "0"), ("GEQO", "off")]);
    assert_eq!(client.value("SHOW geqo"), "on");
    let (sqlstate, text) = pooler.refusal(&[("user", "app"), ("database", "db"), ("work_mem", "1MB")]);
    assert!(
        sqlstate == "08P01" && text.contains("work_mem") && text.contains("ignore_startup_parameters"),
        "{text}"
    );
    let (_, text) = pooler.refusal(&[("user", "app"), ("database", "db"), ("options", "-c work_mem=1MB")]);
    assert!(text.contains("work_mem"), "{text}");
    let mut with_options = pooler.connect();
    with_options.log_in(&[
        ("user", "app"),
        ("database", "db"),
        ("options", "-c TimeZone=Asia/Tokyo -c geqo=off"),
    ]);
    assert_eq!(with_options.value("SHOW TimeZone"), "Asia/Tokyo");
    let (sqlstate, _) = pooler.refusal(&[("user", "app"), ("database", "db"), ("replication", "true")]);
    assert_eq!(sqlstate, "0A000");
    // Changed while running.
    pooler.console().run("SET ignore_startup_parameters = 'work_mem'");
    pooler.connect().log_in(&[("user", "app"), ("database", "db"), ("work_mem", "1MB")]);
    assert_eq!(pooler.refusal(&[("user", "app"), ("database", "db"), ("geqo", "off")]).0, "08P01");
}

#[test]
fn a_connect_query_runs_on_each_new_server() {
    for mode in ["session", "transaction"] {
        let pooler = Setup::new()
            .set("pool_mode", mode)
            .set("default_pool_size", 1)
            .database("db", "connect_query='SET my.setting = ''from the start'''")
            .start();
        for _ in 0..3 {
            assert_eq!(pooler.client().value("SHOW my.setting"), "from the start", "{mode}");
        }
    }
}

#[test]
fn a_connect_query_that_fails_is_no_reason_to_do_without_the_server() {
    let pooler =
        Setup::new().database("db", "connect_query='SELECT 1/0'").set("server_login_retry", 1).start();
    assert_eq!(pooler.client().value("SELECT 1"), "1");
}

/// Prepares a named statement and runs it.
fn run_prepared(client: &mut Raw, name: &str, sql: &str) -> crate::support::Reply {
    client.tell(|out| {
        encode::parse(out, name.as_bytes(), sql.as_bytes(), &[]);
        encode::sync(out);
    });
    let prepared = client.reply();
    if !prepared.errors.is_empty() {
        return prepared;
    }
    run_again(client, name)
}

fn run_again(client: &mut Raw, name: &str) -> crate::support::Reply {
    client.tell(|out| {
        encode::bind_text(out, b"", name.as_bytes(), &[]);
        encode::execute(out, b"", 0);
        encode::sync(out);
    });
    client.reply()
}

#[test]
fn prepared_statements_survive_however_few_a_server_keeps() {
    for workers in [1, 3] {
        for kept in [1, 2, 3] {
            let pooler = Setup::new()
                .set("default_pool_size", 2)
                .set("max_prepared_statements", kept)
                .workers(workers)
                .start();
            let mut clients: Vec<Raw> = (0..3).map(|_| pooler.client()).collect();
            for (number, client) in clients.iter_mut().enumerate() {
                for statement in 0..5 {
                    let reply = run_prepared(
                        client,
                        &format!("s{statement}"),
                        &format!("SELECT '{number}{statement}'"),
                    );
                    assert_eq!(reply.value(), format!("{number}{statement}"));
                }
            }
            for turn in 0..20 {
                for (number, client) in clients.iter_mut().enumerate() {
                    let statement = (turn * 3 + number) % 5;
                    assert_eq!(
                        run_again(client, &format!("s{statement}")).value(),
                        format!("{number}{statement}")
                    );
                }
            }
            let most = clients[0].value("SELECT count(*) FROM pg_prepared_statements");
            assert!(most.parse::<usize>().unwrap() <= kept, "{most} of at most {kept}");
            let shown = pooler.console().run("SHOW CLIENTS");
            assert!(shown.column("prepared_statements").iter().filter(|count| **count == "5").count() == 3);
        }
    }
}

#[test]
fn without_tracking_prepared_statements_are_the_servers_own() {
    let pooler = Setup::new().set("max_prepared_statements", 0).set("default_pool_size", 1).start();
    let (mut one, mut two) = (pooler.client(), pooler.client());
    assert_eq!(run_prepared(&mut one, "s", "SELECT 'one'").value(), "one");
    assert_eq!(run_prepared(&mut two, "s", "SELECT 'two'").sqlstate(), "42P05");
    assert_eq!(run_again(&mut two, "s").value(), "one", "passed on as it is");
    assert_eq!(two.value("SELECT name FROM pg_prepared_statements"), "s");
}

#[test]
fn idle_clients_of_every_mode_have_the_servers_they_should() {
    for (mode, active) in [("session", 2), ("transaction", 0), ("statement", 0)] {
        let pooler = Setup::new().set("pool_mode", mode).start();
        let mut clients = [pooler.client(), pooler.client()];
        for client in &mut clients {
            client.value("SELECT 1");
        }
        let mut console = pooler.console();
        eventually(mode, || console.pool("db", "app", "sv_active") == active);
    }
}
