//! Signals: reload, and the ways to end.

use std::fs;
use std::net::TcpStream;

use nix::sys::signal::Signal;

use crate::harness::{
    Client, Pooler, cell, cluster, column, database_behind_pooler, eventually, run, sqlstate, wait_until,
};

/// Sends SIGHUP and waits until the reload is done or refused.
fn reload(pooler: &Pooler) {
    let outcomes = || {
        let log = pooler.log();
        log.matches("configuration reloaded").count() + log.matches("reload failed").count()
    };
    let before = outcomes();
    pooler.signal(Signal::SIGHUP);
    wait_until("the reload is done", || outcomes() > before);
}

#[test]
fn sighup_brings_databases_sizes_and_users() {
    let (database, mut pooler) = database_behind_pooler("reload", 1);
    let other = cluster().test_database("reload_other").unwrap();
    run(async {
        let client = pooler.connect(&database).await;
        assert_eq!(sqlstate(Client::connect(&pooler.conninfo(&other)).await), "3D000");

        pooler.reconfigure(|setup| {
            setup.database(cluster().primary(), &database, "pool_size=4").database(
                cluster().primary(),
                &other,
                "",
            )
        });
        client.batch_execute("BEGIN").await.unwrap();
        let backend = client.backend().await;
        reload(&pooler);
        assert_eq!(client.backend().await, backend, "a reload leaves transactions alone");
        assert_eq!(pooler.connect(&other).await.value("SELECT current_database()").await.unwrap(), other);
        // Four at the same time now.
        let mut backends = vec![backend];
        let mut clients = Vec::new();
        for _ in 0..3 {
            let another = pooler.connect(&database).await;
            another.batch_execute("BEGIN").await.unwrap();
            backends.push(another.backend().await);
            clients.push(another);
        }
        backends.sort_unstable();
        backends.dedup();
        assert_eq!(backends.len(), 4);

        pooler.reconfigure(|setup| setup.database(cluster().primary(), &database, "pool_size=1"));
        reload(&pooler);
        for another in clients.iter().chain([&client]) {
            another.batch_execute("COMMIT").await.unwrap();
        }
        let count = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'");
        eventually("one server is left", async || {
            cluster().primary().psql("postgres", &count).unwrap() == "1"
        })
        .await;
        assert_eq!(client.value("SELECT 1").await.unwrap(), "1");
    });
}

/// An entry that leads elsewhere does so for clients that are there already, from their next transaction on.
#[test]
fn sighup_moves_a_database() {
    let (database, mut pooler) = database_behind_pooler("moved", 2);
    let target = cluster().test_database("moved_to").unwrap();
    run(async {
        let client = pooler.connect(&database).await;
        client.batch_execute("BEGIN").await.unwrap();
        assert_eq!(client.value("SELECT current_database()").await.unwrap(), database);
        pooler
            .reconfigure(|setup| setup.database(cluster().primary(), &database, &format!("dbname={target}")));
        reload(&pooler);
        assert_eq!(client.value("SELECT current_database()").await.unwrap(), database);
        client.batch_execute("COMMIT").await.unwrap();
        for _ in 0..3 {
            assert_eq!(client.value("SELECT current_database()").await.unwrap(), target);
        }
    });
}

#[test]
fn a_bad_file_leaves_the_configuration_in_force() {
    let (database, mut pooler) = database_behind_pooler("bad_reload", 1);
    run(async {
        let client = pooler.connect(&database).await;
        let (config, users) = (pooler.config_path(), pooler.dir().join("userlist.txt"));
        for (path, line, said) in [
            (&config, "pool_mod = session\n", "did you mean pool_mode?"),
            (&config, "default_pool_size = many\n", "default_pool_size"),
            (&users, "\"unfinished\n", "userlist.txt"),
        ] {
            let before = fs::read_to_string(path).unwrap();
            fs::write(path, before.clone() + line).unwrap();
            let logged = pooler.log().len();
            reload(&pooler);
            let log = pooler.log();
            assert!(
                log[logged..].contains("reload failed") && log[logged..].contains(said),
                "{}",
                &log[logged..]
            );
            assert_eq!(client.value("SELECT 1").await.unwrap(), "1");
            assert_eq!(pooler.connect(&database).await.value("SELECT 2").await.unwrap(), "2");
            let refused = pooler.psql("pgbouncer", &["RELOAD"]);
            assert!(
                crate::harness::stderr_of(&refused).contains(said),
                "{}",
                crate::harness::stderr_of(&refused)
            );
            fs::write(path, before).unwrap();
        }
        // A setting that waits for a restart does not stand in the way of the others.
        pooler.reconfigure(|setup| setup.set("pkt_buf", "8192").set("max_client_conn", "77"));
        reload(&pooler);
        let rows = pooler.console().await.rows("SHOW CONFIG").await.unwrap();
        let value =
            |key| rows.iter().find(|row| cell(row, "key") == key).map(|row| cell(row, "value").to_owned());
        assert_eq!(
            (value("pkt_buf").unwrap(), value("max_client_conn").unwrap()),
            ("4096".into(), "77".into())
        );
    });
}

#[test]
fn sigterm_waits_for_the_clients_to_leave() {
    let (database, mut pooler) = database_behind_pooler("sigterm", 2);
    run(async {
        let (busy, idle) = (pooler.connect(&database).await, pooler.connect(&database).await);
        busy.batch_execute("BEGIN").await.unwrap();
        pooler.signal(Signal::SIGTERM);
        wait_until("no connection is accepted", || TcpStream::connect(pooler.address()).is_err());
        // Those that are there work on, with all that they may want.
        assert_eq!(busy.value("SELECT 1").await.unwrap(), "1");
        busy.batch_execute("COMMIT").await.unwrap();
        let statement = idle.prepare("SELECT generate_series(1, 3)").await.unwrap();
        assert_eq!(column::<i32>(&idle.query(&statement, &[]).await.unwrap()), [1, 2, 3]);
        drop(busy);
        assert_eq!(idle.value("SELECT 2").await.unwrap(), "2");
        assert!(pooler.status().is_none());
        drop((statement, idle));
        assert_eq!(pooler.wait_exit().code(), Some(0));
    });
}

#[test]
fn a_second_sigterm_does_not_wait() {
    let (database, mut pooler) = database_behind_pooler("sigterm_twice", 1);
    run(async {
        let client = pooler.connect(&database).await;
        client.batch_execute("BEGIN").await.unwrap();
        pooler.signal(Signal::SIGTERM);
        wait_until("it drains", || pooler.log().contains("shutting down"));
        pooler.signal(Signal::SIGTERM);
        assert_eq!(pooler.wait_exit().code(), Some(0));
        assert!(client.simple_query("SELECT 1").await.is_err());
    });
}

/// Transactions are let end; clients that only sit there are not waited for.
#[test]
fn sigint_waits_for_the_servers() {
    let (database, mut pooler) = database_behind_pooler("sigint", 2);
    cluster().primary().psql(&database, "CREATE TABLE t (n int)").unwrap();
    run(async {
        let (busy, idle) = (pooler.connect(&database).await, pooler.connect(&database).await);
        busy.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
        pooler.signal(Signal::SIGINT);
        wait_until("no connection is accepted", || TcpStream::connect(pooler.address()).is_err());
        assert!(pooler.status().is_none());
        busy.batch_execute("INSERT INTO t VALUES (2); COMMIT").await.unwrap();
        assert_eq!(pooler.wait_exit().code(), Some(0));
        assert!(idle.simple_query("SELECT 1").await.is_err());
    });
    assert_eq!(cluster().primary().psql(&database, "SELECT sum(n) FROM t").unwrap(), "3");
}

#[test]
fn sigquit_ends_at_once_and_leaves_nothing_behind() {
    let (database, mut pooler) = database_behind_pooler("sigquit", 1);
    cluster().primary().psql(&database, "CREATE TABLE t (n int)").unwrap();
    let socket = pooler.dir().join(format!(".s.PGSQL.{}", pooler.port()));
    assert!(socket.exists());
    run(async {
        let client = pooler.connect(&database).await;
        client.batch_execute("BEGIN; INSERT INTO t VALUES (1)").await.unwrap();
        pooler.signal(Signal::SIGQUIT);
        assert_eq!(pooler.wait_exit().code(), Some(0));
        assert!(client.simple_query("COMMIT").await.is_err());
    });
    assert!(!socket.exists(), "the Unix socket is removed");
    let left = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'");
    wait_until("the servers are gone", || cluster().primary().psql("postgres", &left).unwrap() == "0");
    assert_eq!(cluster().primary().psql(&database, "SELECT count(*) FROM t").unwrap(), "0");
}

/// The console's own ways to the same ends.
#[test]
fn shutdown_by_the_console() {
    let (database, mut pooler) = database_behind_pooler("shutdown", 1);
    run(async {
        let client = pooler.connect(&database).await;
        let console = pooler.console().await;
        console.batch_execute("SHUTDOWN WAIT_FOR_CLIENTS").await.unwrap();
        wait_until("no connection is accepted", || TcpStream::connect(pooler.address()).is_err());
        assert_eq!(client.value("SELECT 1").await.unwrap(), "1");
        drop(client);
        assert_eq!(pooler.wait_exit().code(), Some(0));
        drop(console);
    });
}
