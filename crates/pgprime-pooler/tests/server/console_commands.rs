//! The console's commands, who may use them, and what happens to clients meanwhile.

use pgprime_wire::frontend::encode;

use crate::support::{Raw, Setup, TestPooler, eventually, start_packet};

fn in_transaction(pooler: &TestPooler) -> Raw {
    let mut client = pooler.client();
    assert_eq!(client.query("BEGIN").status, Some('T'));
    client
}

#[test]
fn pause_waits_for_transactions_and_resume_lets_go() {
    for workers in [1, 3] {
        let pooler = Setup::new().workers(workers).start();
        let mut holder = in_transaction(&pooler);
        let mut idle = pooler.client();
        let mut pausing = pooler.console();
        pausing.raw.start_query("PAUSE");
        let mut console = pooler.console();
        eventually("the pause is in force", || {
            console.run("SHOW DATABASES").cell("name", "db", "paused") == "1"
        });
        idle.start_query("SELECT 'after the pause'");
        eventually("the client waits", || console.pool("db", "app", "cl_waiting") == 1);
        assert_eq!(holder.value("SELECT 'still mine'"), "still mine");
        assert!(pausing.raw.is_silent(), "PAUSE waits for the transaction");
        assert_eq!(holder.query("COMMIT").status, Some('I'));
        assert_eq!(pausing.raw.reply().commands, ["PAUSE"]);
        assert_eq!(console.pool("db", "app", "sv_active") + console.pool("db", "app", "sv_idle"), 0);
        assert!(idle.is_silent(), "nobody is served");
        // Who comes now waits as well.
        let mut late = pooler.connect();
        late.send(&start_packet(&[("user", "other"), ("database", "db")]));
        late.start_query("SELECT 'late'");
        assert_eq!(console.error("PAUSE").0, "55000", "paused already");
        assert!(idle.is_silent() && console.pool("db", "app", "cl_waiting") == 1);
        console.run("RESUME");
        assert_eq!(idle.reply().value(), "after the pause");
        late.finish_login();
        assert_eq!(late.reply().value(), "late");
        assert_eq!(console.error("RESUME").0, "55000", "not paused");
        pooler.check_others();
    }
}

#[test]
fn pause_of_one_database_leaves_the_others() {
    let pooler = Setup::new().database("db", "").database("second", "").workers(3).start();
    let mut console = pooler.console();
    let mut held = pooler.client_of("second", "app");
    held.value("SELECT 1");
    console.run("PAUSE second");
    held.start_query("SELECT 'later'");
    pooler.check_others();
    assert!(held.is_silent());
    let shown = console.run("SHOW DATABASES");
    assert_eq!((shown.cell("name", "second", "paused"), shown.cell("name", "db", "paused")), ("1", "0"));
    assert_eq!(console.error("RESUME db").0, "55000");
    console.run("RESUME second");
    assert_eq!(held.reply().value(), "later");
}

#[test]
fn in_session_mode_pause_waits_for_the_clients_to_leave() {
    let pooler = Setup::new().set("pool_mode", "session").start();
    let mut session = pooler.client();
    session.value("SELECT 1");
    let mut pausing = pooler.console();
    pausing.raw.start_query("PAUSE db");
    let mut console = pooler.console();
    eventually("the pause is in force", || console.run("SHOW DATABASES").cell("name", "db", "paused") == "1");
    assert_eq!(session.value("SELECT 'goes on'"), "goes on");
    assert!(pausing.raw.is_silent());
    drop(session);
    assert_eq!(pausing.raw.reply().commands, ["PAUSE"]);
}

#[test]
fn resume_ends_a_pause_that_still_waits() {
    let pooler = Setup::new().start();
    let mut holder = in_transaction(&pooler);
    let mut pausing = pooler.console();
    pausing.raw.start_query("PAUSE");
    let mut console = pooler.console();
    eventually("the pause is in force", || console.run("SHOW STATE").cell("key", "paused", "value") == "yes");
    console.run("RESUME");
    assert_eq!(pausing.raw.reply().status, Some('I'));
    assert_eq!(holder.query("COMMIT").status, Some('I'));
    pooler.check_others();
}

#[test]
fn kill_drops_everybody_and_waits_for_resume() {
    for workers in [1, 3] {
        let pooler = Setup::new().database("db", "").database("second", "").workers(workers).start();
        let mut victims = [pooler.client(), in_transaction(&pooler), pooler.client()];
        victims[2].start_query("SELECT pg_sleep(60)");
        let mut spared = pooler.client_of("second", "app");
        let mut console = pooler.console();
        eventually("both work", || console.pool("db", "app", "sv_active") == 2);
        console.run("KILL db");
        for victim in &mut victims {
            assert_eq!(victim.last_error().expect("an error").0, "57P01");
        }
        assert_eq!(spared.value("SELECT 1"), "1");
        eventually("no server is left", || {
            console.run("SHOW SERVERS").column("database").iter().all(|database| *database != "db")
        });
        let mut waiting = pooler.connect();
        waiting.send(&start_packet(&[("user", "app"), ("database", "db")]));
        waiting.start_query("SELECT 'resumed'");
        eventually("it waits", || {
            console.pool("db", "app", "cl_waiting") + console.pool("db", "app", "cl_active") == 1
        });
        console.run("RESUME db");
        waiting.finish_login();
        assert_eq!(waiting.reply().value(), "resumed");
    }
}

#[test]
fn kill_client_hits_the_one_that_is_named() {
    for workers in [1, 3] {
        let pooler = Setup::new().workers(workers).start();
        let mut clients: Vec<Raw> = (0..6)
            .map(|number| {
                let mut client = pooler.connect();
                client.log_in(&[
                    ("user", "app"),
                    ("database", "db"),
                    ("application_name", &format!("c{number}")),
                ]);
                client
            })
            .collect();
        clients[3].query("BEGIN");
        let mut console = pooler.console();
        for (number, column) in [(1, "id"), (3, "id"), (4, "ptr")] {
            let shown = console.run("SHOW CLIENTS");
            let name = shown.cell("application_name", &format!("c{number}"), column);
            console.run(&format!("KILL_CLIENT {name}"));
            assert_eq!(clients[number].last_error().expect("an error").0, "57P01", "{column}");
            assert_eq!(console.error(&format!("KILL_CLIENT {name}")).0, "22023", "it is gone");
        }
        for number in [0, 2, 5] {
            assert_eq!(clients[number].value("SELECT 1"), "1", "{number} was not named");
        }
        for nonsense in [
            "KILL_CLIENT 0",
            "KILL_CLIENT nobody",
            "KILL_CLIENT C9-1",
            "KILL_CLIENT -1",
            "KILL_CLIENT 18446744073709551615",
        ] {
            assert_eq!(console.error(nonsense).0, "22023", "{nonsense}");
        }
    }
}

#[test]
fn reconnect_replaces_servers_between_transactions() {
    for workers in [1, 3] {
        let pooler = Setup::new().workers(workers).start();
        let mut idle = pooler.client();
        let before = idle.value("SELECT pg_backend_pid()");
        let mut holder = in_transaction(&pooler);
        let held = holder.value("SELECT pg_backend_pid()");
        let mut console = pooler.console();
        console.run("RECONNECT");
        let reply = idle.query("SELECT pg_backend_pid()");
        assert_eq!(reply.tags, "TDCZ", "nothing but the answer");
        assert!(reply.value() != before && reply.value() != held);
        assert_eq!(holder.value("SELECT pg_backend_pid()"), held, "not amid a transaction");
        assert_eq!(console.run("SHOW SERVERS").cell("remote_pid", &held, "close_needed"), "1");
        let mut waiting = pooler.console();
        waiting.raw.start_query("WAIT_CLOSE");
        console.run("SHOW STATE");
        assert!(waiting.raw.is_silent(), "WAIT_CLOSE waits for the transaction");
        assert_eq!(holder.query("COMMIT").tags, "CZ");
        assert_eq!(waiting.raw.reply().commands, ["WAIT_CLOSE"]);
        assert_ne!(holder.value("SELECT pg_backend_pid()"), held);
    }
}

#[test]
fn wait_close_does_not_wait_for_servers_that_stay() {
    let pooler = Setup::new().start();
    let _holder = in_transaction(&pooler);
    let mut console = pooler.console();
    assert_eq!(console.run("WAIT_CLOSE").commands, ["WAIT_CLOSE"]);
    assert_eq!(console.run("WAIT_CLOSE db").commands, ["WAIT_CLOSE"]);
}

#[test]
fn reconnect_of_one_database_leaves_the_others() {
    let pooler = Setup::new().database("db", "").database("second", "").start();
    let mut clients = [pooler.client_of("db", "app"), pooler.client_of("second", "app")];
    let before: Vec<String> =
        clients.iter_mut().map(|client| client.value("SELECT pg_backend_pid()")).collect();
    pooler.console().run("RECONNECT second");
    let after: Vec<String> =
        clients.iter_mut().map(|client| client.value("SELECT pg_backend_pid()")).collect();
    assert!(before[0] == after[0] && before[1] != after[1]);
}

#[test]
fn a_disabled_database_takes_no_new_clients() {
    let pooler = Setup::new().database("db", "").database("second", "").start();
    let mut console = pooler.console();
    let mut old = pooler.client();
    console.run("DISABLE db");
    let (_, text) = pooler.refusal(&[("user", "app"), ("database", "db")]);
    assert!(text.contains("disabled"), "{text}");
    assert_eq!(old.value("SELECT 'old clients go on'"), "old clients go on");
    assert_eq!(console.run("SHOW DATABASES").cell("name", "db", "disabled"), "1");
    pooler.check_others_of("second");
    console.run("ENABLE db");
    pooler.check_others();
}

#[test]
fn commands_that_make_no_sense_are_answered_and_the_session_goes_on() {
    let pooler = Setup::new().start();
    let mut console = pooler.console();
    for (command, sqlstate) in [
        ("FOO", "42601"),
        ("SELECT 1", "42601"),
        ("SHOW", "42601"),
        ("SHOW NOTHING", "42601"),
        ("SHOW POOLS; SHOW STATS", "42601"),
        ("SHOW POOLS extra", "42601"),
        ("PAUSE nothing", "3D000"),
        ("RESUME nothing", "3D000"),
        ("KILL nothing", "3D000"),
        ("DISABLE nothing", "3D000"),
        ("ENABLE nothing", "3D000"),
        ("RECONNECT nothing", "3D000"),
        ("WAIT_CLOSE nothing", "3D000"),
        ("DISABLE", "42601"),
        ("ENABLE", "42601"),
        ("PAUSE pgbouncer", "42501"),
        ("DISABLE pgbouncer", "42501"),
        ("KILL pgbouncer", "42501"),
        ("SET", "42601"),
        ("SET nothing = 1", "22023"),
        ("SET default_pool_size = many", "22023"),
        ("SET default_pool_size = -1", "22023"),
        ("SET listen_port = 1", "55P02"),
        ("SET pool_mode = 'sesion'", "22023"),
        ("SHUTDOWN SOON", "42601"),
        ("'", "42601"),
        ("\"", "42601"),
        ("%s%n", "42601"),
    ] {
        let (found, text) = console.error(command);
        assert!(found == sqlstate && !text.is_empty(), "{command}: {found} {text}");
    }
    let (_, text) = console.error(&"x".repeat(20_000));
    assert!(text.len() < 1_000, "a long command is not repeated whole");
    for nothing in ["", ";", "  ", "-- a comment"] {
        assert_eq!(console.run(nothing).tags, "IZ", "{nothing:?}");
    }
    assert!(!console.run("SHOW POOLS").rows.is_empty());
    pooler.check_others();
}

#[test]
fn the_extended_protocol_is_refused_until_the_next_sync() {
    let pooler = Setup::new().start();
    let mut console = pooler.console();
    for _ in 0..2 {
        console.raw.tell(|out| {
            encode::parse(out, b"", b"SHOW POOLS", &[]);
            encode::bind_text(out, b"", b"", &[]);
            encode::describe_portal(out, b"");
            encode::execute(out, b"", 0);
            encode::sync(out);
        });
        let reply = console.raw.reply();
        assert_eq!((reply.tags.as_str(), reply.sqlstate()), ("EZ", "0A000"));
        assert!(reply.error_text().contains("extended"), "{}", reply.error_text());
        console.run("SHOW POOLS");
    }
    for tag in [b'd', b'c', b'f', b'F', b'p', b'!', 0] {
        console.raw.send(&[tag, 0, 0, 0, 4]);
    }
    console.raw.tell(encode::sync);
    assert_eq!(console.raw.reply().errors.len(), 1);
    console.run("SHOW POOLS");
    // A length that cannot be ends this connection, and no other.
    console.raw.send(b"Q\0\0\0\0");
    console.raw.until_closed();
    pooler.console().run("SHOW POOLS");
    let mut huge = pooler.console();
    huge.raw.start_query(&"x".repeat(1_000_000));
    huge.raw.until_closed();
    pooler.check_others();
}

#[test]
fn those_who_may_look_may_not_touch() {
    let pooler = Setup::new().start();
    let mut client = pooler.client();
    let mut stats = pooler.console_as("stats");
    for topic in
        ["POOLS", "STATS", "CLIENTS", "SERVERS", "DATABASES", "CONFIG", "VERSION", "LISTS", "USERS", "HELP"]
    {
        stats.run(&format!("SHOW {topic}"));
    }
    for command in [
        "PAUSE",
        "RESUME",
        "PAUSE db",
        "DISABLE db",
        "ENABLE db",
        "RECONNECT",
        "KILL",
        "KILL db",
        "KILL_CLIENT 1",
        "RELOAD",
        "WAIT_CLOSE",
        "SET default_pool_size = 1",
        "SHUTDOWN",
        "SHUTDOWN WAIT_FOR_CLIENTS",
    ] {
        assert_eq!(stats.error(command).0, "42501", "{command}");
    }
    assert_eq!(client.value("SELECT 'unharmed'"), "unharmed");
    for user in ["app", "nobody", "pgbouncer", "'", "admin\nstats"] {
        let (sqlstate, text) = pooler.refusal(&[("user", user), ("database", "pgbouncer")]);
        assert_eq!(sqlstate, "42501", "{user:?}: {text}");
    }
}

#[test]
fn administrators_prove_who_they_are() {
    let pooler =
        Setup::new().set("auth_type", "plain").secret("admin", "right").secret("stats", "also right").start();
    for (user, password, is_right) in [
        ("admin", "right", true),
        ("admin", "", false),
        ("stats", "right", false),
        ("stats", "also right", true),
    ] {
        let mut console = pooler.connect();
        console.send(&start_packet(&[("user", user), ("database", "pgbouncer")]));
        console.tell(|out| encode::password(out, password.as_bytes()));
        if is_right {
            console.finish_login();
            assert!(console.query("SHOW POOLS").errors.is_empty());
        } else {
            assert_eq!(console.last_error().expect("an error").0, "28P01");
        }
    }
}

#[test]
fn the_own_system_user_is_an_administrator_on_the_unix_socket() {
    let pooler = Setup::new().set("auth_type", "plain").set("admin_users", "").set("stats_users", "").start();
    let mut console = Raw::unix(&pooler.socket_path());
    console.log_in(&[("user", "pgbouncer"), ("database", "pgbouncer")]);
    assert!(console.query("PAUSE").errors.is_empty());
    assert!(console.query("RESUME").errors.is_empty());
    // Not over TCP, and not under another name.
    assert_eq!(pooler.refusal(&[("user", "pgbouncer"), ("database", "pgbouncer")]).0, "42501");
    let mut other = Raw::unix(&pooler.socket_path());
    other.send(&start_packet(&[("user", "admin"), ("database", "pgbouncer")]));
    assert_eq!(other.last_error().expect("an error").0, "42501");
}

#[test]
fn set_changes_what_show_config_shows() {
    let pooler = Setup::new().start();
    let mut console = pooler.console();
    let config = console.run("SHOW CONFIG");
    let mut set = 0;
    for row in 0..config.rows.len() {
        let key = config.column("key")[row].to_string();
        let (value, changeable) = (config.column("value")[row], config.column("changeable")[row]);
        if changeable == "no" {
            assert_eq!(console.error(&format!("SET {key} = '1'")).0, "55P02", "{key}");
            continue;
        }
        // Each takes its own value; numbers take another one, too.
        let own = if value == "NULL" { "" } else { value };
        console.run(&format!("SET {key} = '{}'", own.replace('\'', "''")));
        if let Ok(number) = value.parse::<u32>()
            && number > 1
            && number < 1_000_000
        {
            console.run(&format!("SET {key} = {}", number - 1));
            let shown = console.run("SHOW CONFIG");
            assert_eq!(shown.cell("key", &key, "value"), (number - 1).to_string(), "{key}");
            console.run(&format!("SET {key} = {number}"));
        }
        set += 1;
    }
    assert!(set > 50, "{set} settings can be changed");
    let after = console.run("SHOW CONFIG");
    assert_eq!(after.rows, config.rows, "all is as before");
    pooler.check_others();
}

#[test]
fn set_takes_effect_at_once() {
    let pooler = Setup::new().set("default_pool_size", 1).workers(3).start();
    let mut console = pooler.console();
    let mut holder = in_transaction(&pooler);
    let mut waiting = pooler.client();
    waiting.start_query("SELECT 'more room'");
    eventually("it waits", || console.pool("db", "app", "cl_waiting") == 1);
    console.run("SET default_pool_size = 2");
    assert_eq!(waiting.reply().value(), "more room");
    holder.query("COMMIT");
    console.run("SET pool_mode = 'session'");
    eventually("the pool has the mode", || {
        console.run("SHOW POOLS").cell("database", "db", "pool_mode") == "session"
    });
    console.run("SET max_packet_size = 2000");
    let mut client = pooler.client();
    client.start_query(&" ".repeat(3_000));
    assert_eq!(client.last_error().expect("an error").0, "08P01");
    console.run("SET admin_users = 'other'");
    assert_eq!(pooler.refusal(&[("user", "admin"), ("database", "pgbouncer")]).0, "42501");
    pooler.console_as("other").run("SHOW POOLS");
}

#[test]
fn shutdown_tells_clients_and_ends() {
    let pooler = Setup::new().workers(3).start();
    let mut clients = [pooler.client(), in_transaction(&pooler)];
    let mut console = pooler.console();
    console.raw.start_query("SHUTDOWN");
    for client in &mut clients {
        assert_eq!(client.last_error().expect("an error").0, "57P01");
    }
    console.raw.until_closed();
}
