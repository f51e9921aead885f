//! What follows a client from server to server, and what does not reach the next client.

use futures_util::future::{join_all, try_join_all};

use crate::harness::{Client, Pooler, Setup, cluster, database_behind_pooler, eventually, run, sqlstate};

const ZONES: [&str; 5] = ["UTC", "Asia/Tokyo", "America/New_York", "Europe/Vienna", "Australia/Eucla"];

/// Tracked parameters are each client's own, whichever server it gets.
#[test]
fn tracked_parameters_follow_the_client() {
    let (database, pooler) = database_behind_pooler("tracked", 2);
    run(async {
        let client = async |number: usize| {
            let client = pooler.connect(&database).await;
            let zone = ZONES[number % ZONES.len()];
            let style = ["ISO, MDY", "SQL, DMY", "German, DMY"][number % 3];
            client.batch_execute(&format!("SET timezone = '{zone}'")).await?;
            client.batch_execute(&format!("SET datestyle = '{style}'")).await?;
            client.batch_execute(&format!("SET application_name = 'it''s \\{number}'")).await?;
            let look = "SELECT current_setting('timezone'), current_setting('datestyle'), \
                        current_setting('application_name')";
            for _ in 0..30 {
                let rows = client.rows(look).await?;
                assert_eq!((rows[0].get(0), rows[0].get(1)), (Some(zone), Some(style)));
                assert_eq!(rows[0].get(2), Some(format!("it's \\{number}").as_str()));
            }
            // Undone by a rollback, and with it for the pooler.
            client.batch_execute("BEGIN; SET timezone = 'Etc/GMT+5'").await?;
            assert_eq!(client.value("SHOW timezone").await?, "Etc/GMT+5");
            client.batch_execute("ROLLBACK").await?;
            for _ in 0..5 {
                assert_eq!(client.value("SHOW timezone").await?, zone);
            }
            Ok::<_, tokio_postgres::Error>(())
        };
        try_join_all((0..12).map(client)).await.unwrap();
        let fresh = pooler.connect(&database).await;
        let default = cluster().primary().psql(&database, "SHOW timezone").unwrap();
        for _ in 0..5 {
            assert_eq!(fresh.value("SHOW timezone").await.unwrap(), default);
            assert_eq!(fresh.value("SHOW application_name").await.unwrap(), "");
        }
    });
}

#[test]
fn startup_parameters_hold_on_every_server() {
    let (database, pooler) = database_behind_pooler("startup", 2);
    run(async {
        let clients = (0..8).map(async |number: usize| {
            let zone = ZONES[number % ZONES.len()];
            let conninfo = format!(
                "{} application_name=app-{number} options='-c timezone={zone}'",
                pooler.conninfo(&database)
            );
            let client = Client::connect(&conninfo).await?;
            for _ in 0..20 {
                let rows = client
                    .rows("SELECT current_setting('application_name'), current_setting('timezone')")
                    .await?;
                assert_eq!(
                    (rows[0].get(0), rows[0].get(1)),
                    (Some(format!("app-{number}").as_str()), Some(zone))
                );
            }
            Ok::<_, tokio_postgres::Error>(())
        });
        try_join_all(clients).await.unwrap();
    });
}

/// What no client can find on a server that another has used: settings that are not tracked, roles, and the like.
#[test]
fn untracked_settings_do_not_reach_the_next_client() {
    let (database, pooler) = database_behind_pooler("leaks", 1);
    cluster().primary().psql(&database, "CREATE SCHEMA other").unwrap();
    let sets = [
        "SET search_path = other",
        "SET search_path = ''",
        "BEGIN; SET search_path = other; COMMIT",
        "SET search_path = other; SET timezone = 'Asia/Tokyo'",
        "SET search_path = other; RESET timezone",
        "BEGIN; SET timezone = 'Asia/Tokyo'",
        "ROLLBACK; SET search_path = other",
        "SET work_mem = '64kB'; SET statement_timeout = '1h'",
        "SET default_transaction_read_only = on",
        "SET ROLE pg_monitor",
        "SET SESSION AUTHORIZATION pg_monitor",
        "SET row_security = off",
        "SET LOCAL search_path = other",
    ];
    run(async {
        let (first, second) = (pooler.connect(&database).await, pooler.connect(&database).await);
        let look = "SELECT current_setting('search_path'), current_setting('work_mem'), \
                    current_setting('statement_timeout'), current_setting('default_transaction_read_only'), \
                    current_user, session_user, current_setting('row_security'), \
                    current_setting('timezone')";
        let seen = async || {
            let rows = second.rows(look).await.unwrap();
            (0..8).map(|place| rows[0].get(place).unwrap().to_owned()).collect::<Vec<_>>()
        };
        let before = seen().await;
        for sql in sets {
            first.batch_execute(sql).await.unwrap();
            if sql.starts_with("BEGIN;") && !sql.ends_with("COMMIT") {
                continue;
            }
            assert_eq!(seen().await, before, "after {sql}");
            // By the extended protocol, too.
            for part in sql.split("; ") {
                first.execute(part, &[]).await.unwrap();
            }
            assert_eq!(seen().await, before, "after {sql}, extended");
            first.batch_execute("RESET timezone").await.unwrap();
        }
    });
}

#[test]
fn set_local_holds_for_its_transaction() {
    let (database, pooler) = database_behind_pooler("set_local", 1);
    run(async {
        let (first, second) = (pooler.connect(&database).await, pooler.connect(&database).await);
        for _ in 0..3 {
            first.batch_execute("BEGIN; SET LOCAL statement_timeout = '20ms'").await.unwrap();
            assert_eq!(sqlstate(first.batch_execute("SELECT pg_sleep(600)").await), "57014");
            first.batch_execute("ROLLBACK").await.unwrap();
            for client in [&first, &second] {
                assert_eq!(client.value("SHOW statement_timeout").await.unwrap(), "0");
            }
            assert_eq!(second.value("SELECT 'slow' FROM pg_sleep(0.05)").await.unwrap(), "slow");
        }
    });
}

/// In session mode a client keeps its server with everything on it, and the next one finds nothing of that.
#[test]
fn session_mode_keeps_and_then_clears_the_session() {
    let database = cluster().test_database("session").unwrap();
    let setup = Setup::new().database(cluster().primary(), &database, "pool_size=1 pool_mode=session");
    let pooler = Pooler::start(setup);
    run(async {
        let mut backends = Vec::new();
        for round in 0..4 {
            let client = pooler.connect(&database).await;
            assert_eq!(
                client.value("SELECT to_regclass('pg_temp.mine') IS NULL").await.unwrap(),
                "t",
                "round {round}"
            );
            assert_eq!(client.value("SHOW search_path").await.unwrap(), "\"$user\", public");
            assert_eq!(
                client
                    .value(
                        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
                    )
                    .await
                    .unwrap(),
                "0"
            );
            client
                .batch_execute("CREATE TEMP TABLE mine (a int); SET search_path = pg_catalog")
                .await
                .unwrap();
            client
                .batch_execute("SELECT pg_advisory_lock(1); PREPARE p AS SELECT 8; LISTEN x")
                .await
                .unwrap();
            let statement = client.prepare("SELECT 9").await.unwrap();
            assert_eq!(client.query_one(&statement, &[]).await.unwrap().get::<_, i32>(0), 9);
            assert_eq!(client.value("EXECUTE p").await.unwrap(), "8");
            backends.push(client.backend().await);
        }
        backends.dedup();
        assert_eq!(backends.len(), 1, "one server served all");
    });
}

/// SQL-level PREPARE is the server's own in transaction mode; it must not collide with the pooler's names.
#[test]
fn statements_of_sql_do_not_disturb_those_of_the_protocol() {
    let (database, pooler) = database_behind_pooler("sql_prepare", 1);
    run(async {
        let client = pooler.connect(&database).await;
        // The driver's first statement is `s0`, too.
        client.batch_execute("PREPARE s0 AS SELECT 'by SQL'; PREPARE other AS SELECT 'other'").await.unwrap();
        let statement = client.prepare("SELECT 'by protocol'").await.unwrap();
        assert_eq!(client.value("EXECUTE s0").await.unwrap(), "by SQL");
        assert_eq!(client.query_one(&statement, &[]).await.unwrap().get::<_, String>(0), "by protocol");
        client.batch_execute("DEALLOCATE other").await.unwrap();
        assert!(client.value("EXECUTE other").await.is_err());
        assert_eq!(client.query_one(&statement, &[]).await.unwrap().get::<_, String>(0), "by protocol");
    });
}

/// Two users of one database have pools of their own: nobody acts as the other.
#[test]
fn users_do_not_share_servers() {
    let database = cluster().test_database("users").unwrap();
    cluster()
        .primary()
        .psql("postgres", "CREATE ROLE isolated_a LOGIN; CREATE ROLE isolated_b LOGIN")
        .unwrap();
    let setup = Setup::new()
        .database(cluster().primary(), &database, "pool_size=2")
        .user("isolated_a", "")
        .user("isolated_b", "");
    let pooler = Pooler::start(setup.workers(2));
    run(async {
        let clients = (0..16).map(async |number: usize| {
            let user = ["isolated_a", "isolated_b"][number % 2];
            let client = Client::connect(
                &pooler.conninfo(&database).replace("user=postgres", &format!("user={user}")),
            )
            .await?;
            for _ in 0..20 {
                assert_eq!(
                    client.value("SELECT current_user || '/' || session_user").await?,
                    format!("{user}/{user}")
                );
            }
            Ok::<_, tokio_postgres::Error>(())
        });
        try_join_all(clients).await.unwrap();
        let servers = format!(
            "SELECT max(n) FROM (SELECT count(*) n FROM pg_stat_activity WHERE datname = '{database}' \
             GROUP BY usename) x"
        );
        let most = cluster().primary().psql("postgres", &servers).unwrap();
        assert!(most.parse::<u32>().unwrap() <= 2, "{most} servers for one user");
    });
}

/// Several workers share one pool's budget, and no client goes without.
#[test]
fn workers_share_the_servers_of_a_pool() {
    let database = cluster().test_database("workers").unwrap();
    let setup = Setup::new().database(cluster().primary(), &database, "pool_size=2").workers(3);
    let pooler = Pooler::start(setup);
    run(async {
        let clients = join_all((0..12).map(|_| pooler.connect(&database))).await;
        let work = clients.iter().enumerate().map(async |(number, client)| {
            let statement = client.prepare(&format!("SELECT {number}, $1::int4")).await?;
            for round in 0..40 {
                let row = client.query_one(&statement, &[&round]).await?;
                assert_eq!(
                    (row.get::<_, i32>(0), row.get::<_, i32>(1)),
                    (i32::try_from(number).unwrap(), round)
                );
                if round % 10 == 0 {
                    client.batch_execute("BEGIN; SELECT 1; COMMIT").await?;
                }
            }
            Ok::<_, tokio_postgres::Error>(())
        });
        try_join_all(work).await.unwrap();
        let count = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'");
        eventually("no more than the pool size are left", async || {
            cluster().primary().psql("postgres", &count).unwrap().parse::<u32>().unwrap() <= 2
        })
        .await;
    });
}
