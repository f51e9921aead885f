//! The three roles: where their statements run, with which settings, and that none takes from another.

use std::time::{Duration, Instant};

use pgprime_client::{Access, Database, Error, Named, Path, RetryPolicy, Step};

use crate::support::{
    Place, at_rest, connect, lines_with, main_pool, place, run, secret, sqlstate, until, value,
};

const READ_ONLY: &str = "25006";

/// Every way to write through the read role.
async fn writes_are_refused(read: &Access, place: &Place) {
    let insert = "INSERT INTO items VALUES (1)";
    assert_eq!(sqlstate(read.execute(insert, &[]).await), READ_ONLY);
    assert_eq!(sqlstate(read.query("INSERT INTO items VALUES (1) RETURNING id", &[]).await), READ_ONLY);
    let hidden = "WITH new AS (INSERT INTO items VALUES (1) RETURNING id) SELECT id FROM new";
    assert_eq!(sqlstate(read.query_opt(hidden, &[]).await), READ_ONLY);
    assert_eq!(sqlstate(read.query_one("SELECT nextval('numbers')", &[]).await), READ_ONLY);
    assert_eq!(sqlstate(read.execute("DROP TABLE marks", &[]).await), READ_ONLY);
    assert_eq!(sqlstate(read.batch(insert, &[vec![]]).await), READ_ONLY);
    let outcome = read.transaction(|transaction| async move { transaction.execute(insert, &[]).await }).await;
    assert_eq!(sqlstate(outcome), READ_ONLY);
    let mut rows = match read.query_stream("INSERT INTO items VALUES (1) RETURNING id", &[]).await {
        Ok(rows) => rows,
        Err(error) => return assert_eq!(error.sqlstate(), READ_ONLY),
    };
    assert_eq!(sqlstate(rows.next().await), READ_ONLY);
    drop(rows);
    assert_eq!(place.psql("SELECT count(*) FROM items"), "0");
}

#[test]
fn writes_through_read_are_refused_with_a_replica_and_without() {
    run(async {
        let place = place();
        let with_replica = connect(place.config_with_replica()).await;
        writes_are_refused(&with_replica.read(), &place).await;

        let without = place.connect().await;
        writes_are_refused(&without.read(), &place).await;
        // The main role's sessions are as they were.
        without.main().execute("INSERT INTO items VALUES (1)", &[]).await.unwrap();
        assert_eq!(value::<i64>(&without.read(), "SELECT count(*) FROM items").await, 1);
    });
}

#[test]
fn writes_through_read_are_refused_while_main_stands_in() {
    run(async {
        let place = place();
        let mut config = place.config();
        // Nobody listens there.
        config.read_url = Some(place.url(pgprime_cluster::free_port()));
        config.timeout = Duration::from_secs(1);
        let database = connect(config).await;
        assert!(!database.report().replica.unwrap().is_used);
        writes_are_refused(&database.read(), &place).await;
        assert!(!value::<bool>(&database.read(), "SELECT pg_is_in_recovery()").await);
    });
}

#[test]
fn reads_run_on_the_replica_and_writes_on_the_primary() {
    run(async {
        let place = place();
        let database = connect(place.config_with_replica()).await;
        for (access, node) in [
            (database.main(), place.primary()),
            (database.read(), place.replica()),
            (database.admin(), place.primary()),
        ] {
            let row = access
                .query_one(
                    "SELECT pg_is_in_recovery(), inet_server_port(), current_setting('cluster_name')",
                    &[],
                )
                .await
                .unwrap();
            assert_eq!(row.get::<_, bool>(0), node.name() != "primary");
            assert_eq!(row.get::<_, i32>(1), i32::from(node.port()));
            assert_eq!(row.get::<_, &str>(2), node.cluster_name());
        }
        let report = database.report();
        assert_eq!(report.read.pool.map(|pool| pool.name), Some("read"));
        assert!(report.replica.unwrap().is_used);
    });
}

#[test]
fn roles_have_their_settings() {
    run(async {
        let place = place();
        let mut config = place.config_with_replica();
        config.admin.work_mem = "99MB".to_owned();
        config.admin.statement_timeout = Duration::from_secs(77);
        config.statement_timeout = Duration::from_secs(11);
        let database = connect(config).await;
        let sql = "SELECT concat_ws(' ', current_setting('work_mem'), current_setting('statement_timeout'), \
                   current_setting('transaction_read_only'))";
        assert_eq!(value::<String>(&database.main(), sql).await, "4MB 11s off");
        assert_eq!(value::<String>(&database.read(), sql).await, "4MB 11s on");
        assert_eq!(value::<String>(&database.admin(), sql).await, "99MB 77s off");
        let admin = database.admin();
        let inside = admin.transaction(|transaction| async move {
            Ok::<String, Error>(transaction.query_one(sql, &[]).await?.get(0))
        });
        assert_eq!(inside.await.unwrap(), "99MB 77s off");
    });
}

#[test]
fn statements_that_take_too_long_are_ended_and_counted() {
    run(async {
        let place = place();
        let mut config = place.config();
        config.admin.statement_timeout = Duration::from_millis(50);
        let database = connect(config).await;
        assert_eq!(sqlstate(database.admin().query("SELECT pg_sleep(60)", &[]).await), "57014");
        let counts = database.report().admin.queries;
        assert_eq!((counts.queries_total, counts.errors_total, counts.timeouts_total), (1, 1, 1));
        assert_eq!(database.report().main.queries.errors_total, 0);
        assert_eq!(value::<i32>(&database.admin(), "SELECT 1").await, 1);
    });
}

#[test]
fn a_heavy_report_never_delays_main() {
    run(async {
        let place = place();
        let mut config = place.config();
        config.admin.size = Some(1);
        config.pool_max = Some(1);
        config.admin.lock_timeout = Duration::ZERO;
        let database = connect(config).await;
        // The report runs for as long as this lock is held.
        let holder = place.connect().await;
        let lock = holder.main().acquire().await.unwrap();
        lock.query("SELECT pg_advisory_lock(1)", &[]).await.unwrap();
        let admin = database.admin();
        let report =
            tokio::spawn(async move { admin.query("SELECT pg_advisory_xact_lock(1)", &[]).await.map(drop) });
        until("the report runs", || place.sessions("wait_event = 'advisory'") == 1).await;

        for number in 0..200_i64 {
            let row = database.main().query_one("SELECT $1::bigint", &[&number]).await.unwrap();
            assert_eq!(row.get::<_, i64>(0), number);
        }
        let error =
            database.admin().with_wait(Duration::from_millis(20)).query("SELECT 1", &[]).await.unwrap_err();
        let Error::Exhausted(exhausted) = &error else { panic!("{error}") };
        assert_eq!((exhausted.pool, exhausted.busy, exhausted.size_max), ("admin", 1, 1));
        let pool = main_pool(&database);
        assert_eq!((pool.waited_total, pool.exhausted_total, pool.size_max), (0, 0, 1), "{pool:?}");
        assert_eq!(database.report().admin.pool.unwrap().exhausted_total, 1);

        drop(lock);
        report.await.unwrap().unwrap();
    });
}

#[test]
fn a_connection_held_too_long_is_reported_with_its_place() {
    run(async {
        let place = place();
        let mut config = place.config();
        config.pool_max = Some(1);
        config.leak_after = Duration::from_millis(100);
        let database = connect(config).await;
        let (held, line) = (database.main().acquire().await.unwrap(), line!());
        let here = format!("{}:{line}", file!());

        let error =
            database.main().with_wait(Duration::from_millis(50)).query("SELECT 1", &[]).await.unwrap_err();
        let Error::Exhausted(exhausted) = &error else { panic!("{error}") };
        let holder = exhausted.longest_holder.as_ref().unwrap();
        assert_eq!(format!("{}:{}", holder.taken_at.file(), holder.taken_at.line()), here);
        assert!(error.to_string().contains("1 of 1 busy, none became free in "), "{error}");
        assert!(error.to_string().contains(&here) && error.to_string().contains("pgprime plan"), "{error}");
        assert_eq!((error.step(), error.is_retryable()), (Step::Wait, true));

        until("the leak is reported", || main_pool(&database).leaked_total == 1).await;
        assert_eq!(main_pool(&database).holders[0].taken_at, here);
        until("the leak is logged", || !lines_with(&["has not been given back", &here]).is_empty()).await;
        drop(held);
        let pool = at_rest(&database).await;
        assert_eq!((pool.leaked_total, pool.exhausted_total), (1, 1));
        assert_eq!(lines_with(&["has not been given back", &here]).len(), 1);
    });
}

/// Whatever takes the connection, the holder that is named is the caller's own line.
#[test]
fn holders_are_named_by_the_line_that_called() {
    run(async {
        let place = place();
        let database = place.connect().await;
        let mut lines = Vec::new();
        let named = |database: &Database| {
            main_pool(database).holders.iter().map(|it| it.taken_at.clone()).collect::<Vec<_>>()
        };
        let (main, sql) = (database.main(), "SELECT 1 FROM generate_series(1, 3)");
        let (rows, line) = (main.query_stream(sql, &[]).await.unwrap(), line!());
        lines.push(format!("{}:{line}", file!()));
        assert_eq!(lines, named(&database));
        drop(rows);
        at_rest(&database).await;

        let (inner, main, line) = (&database, database.main(), line!() + 1);
        let seen = main.transaction(|transaction| async move {
            transaction.execute("SELECT 1", &[]).await?;
            Ok::<_, Error>(named(inner))
        });
        assert_eq!(seen.await.unwrap(), [format!("{}:{line}", file!())]);
    });
}

#[test]
fn statements_by_name_and_by_text() {
    run(async {
        let place = place();
        place.psql("INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 9) i");
        let mut config = place.config_with_replica();
        config.statements = vec![
            ("item_by_id".into(), "SELECT * FROM items WHERE id = $1".into()),
            ("missing".into(), format!("SELECT * FROM missing_{}", place.name)),
        ];
        let database = connect(config).await;
        for access in [database.main(), database.read()] {
            let row = access.query_one(Named("item_by_id"), &[&7_i64]).await.unwrap();
            assert_eq!(row.get::<_, &str>("text"), "item 7");
            assert!(access.query_opt(Named("item_by_id"), &[&70_i64]).await.unwrap().is_none());
            assert_eq!(sqlstate(access.query(Named("missing"), &[]).await), "42P01");
            assert_eq!(access.acquire().await.unwrap().path(), Path::Direct);
        }
        // A missing table is a warning, once for each pool.
        assert_eq!(lines_with(&["WARN", "not prepared", &place.name]).len(), 2);

        let error = database.main().query(Named("unknown"), &[]).await.unwrap_err();
        assert!(error.to_string().contains("these are: item_by_id, missing"), "{error}");
        let error = database.main().query_one("SELECT * FROM items", &[]).await.unwrap_err();
        assert_eq!((error.sqlstate(), error.step()), ("21000", Step::Query));
        let error = database.main().query_one("SELECT 1 WHERE false", &[]).await.unwrap_err();
        assert_eq!(error.sqlstate(), "02000");
        let error = database.main().query("SELECT $1::int", &[]).await.unwrap_err();
        assert!(error.to_string().contains("takes 1 parameters, and 0 were given"), "{error}");
        assert_eq!(database.main().execute("UPDATE items SET n = n + 1 WHERE id < 4", &[]).await.unwrap(), 3);
        at_rest(&database).await;
    });
}

#[test]
fn slow_statements_are_counted_and_logged_without_their_values() {
    run(async {
        let place = place();
        let mut config = place.config();
        config.slow_query = Duration::from_millis(30);
        let database = connect(config).await;
        let sql = format!("SELECT pg_sleep(0.05), $1::text, 'literal-{}', 4711 AS {}", secret(1), place.name);
        database.main().query(&sql, &[&secret(2)]).await.unwrap();
        database.main().query("SELECT 1", &[]).await.unwrap();
        let counts = database.report().main.queries;
        assert_eq!((counts.queries_total, counts.slow_queries_total), (2, 1));
        let lines = lines_with(&["slow query", &place.name]);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0].contains("pg_sleep(?), $1::text, ?, ? AS") && lines[0].contains("elapsed_ms="),
            "{lines:?}"
        );
    });
}

/// What a transaction's statements come to is counted as what single ones do.
#[test]
fn statements_of_transactions_are_counted_too() {
    run(async {
        let place = place();
        let mut config = place.config();
        config.slow_query = Duration::from_millis(30);
        config.statement_timeout = Duration::from_millis(300);
        let database = connect(config).await;
        let sql = format!("SELECT pg_sleep(0.05) AS {}", place.name);
        let sql = sql.as_str();
        let main = database.main();
        let outcome = main.transaction(|transaction| async move {
            transaction.execute(sql, &[]).await?;
            transaction.execute("SELECT 1", &[]).await?;
            transaction.execute("SELECT pg_sleep(60)", &[]).await.map(drop)
        });
        assert_eq!(sqlstate(outcome.await), "57014");
        let counts = database.report().main.queries;
        assert_eq!((counts.queries_total, counts.slow_queries_total), (3, 2), "{counts:?}");
        assert_eq!((counts.errors_total, counts.timeouts_total), (1, 1), "{counts:?}");
        assert_eq!(lines_with(&["slow query", &place.name]).len(), 1);
    });
}

/// A function's notice may hold anything.
#[test]
fn notices_do_not_bring_values_into_the_log() {
    run(async {
        let place = place();
        place.psql(
            "CREATE FUNCTION tell(what text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', what; END $$",
        );
        let database = place.connect().await;
        database.main().query("SELECT tell($1)", &[&secret(3)]).await.unwrap();
        database.main().query("SELECT 1", &[]).await.unwrap();
    });
}

#[test]
fn a_closed_database_hands_out_nothing() {
    run(async {
        let place = place();
        let database = place.connect().await;
        let held = database.main().acquire().await.unwrap();
        let closing = tokio::spawn({
            let database = database.clone();
            async move { database.close().await }
        });
        until("the pool is closed", || database.main().try_acquire().is_none()).await;
        // What is out is usable to its end.
        assert_eq!(held.query_one("SELECT 1", &[]).await.unwrap().get::<_, i32>(0), 1);
        drop(held);
        closing.await.unwrap();
        let error = database.main().query("SELECT 1", &[]).await.unwrap_err();
        assert!(matches!(error, Error::Closed("main")), "{error}");
        until("all sessions have ended", || place.sessions("true") == 0).await;
    });
}

#[test]
fn a_dropped_database_closes_its_connections() {
    run(async {
        let place = place();
        let database = connect(place.config_with_replica()).await;
        drop(database);
        until("all sessions have ended", || place.sessions("true") == 0).await;
    });
}

#[test]
fn sizes_are_calculated_from_the_databases_own_limits() {
    run(async {
        let place = place();
        let mut config = place.config();
        (config.pool_min, config.pool_max, config.admin.size) = (None, None, None);
        config.instances = 5;
        config.requests_per_s = Some(1_000.0);
        let database = connect(config).await;
        // 200 connections × 0.8 over five instances; they need 1,000 requests/s × 20 ms.
        let sizes = database.sizes();
        assert_eq!(sizes.main.max + sizes.admin.max, 32, "{sizes:?}");
        let pool = main_pool(&database);
        assert!(pool.size >= sizes.main.min && pool.size_max == sizes.main.max, "{pool:?}");
    });
}

#[test]
fn a_configuration_that_cannot_work_is_refused_at_once() {
    run(async {
        let place = place();
        let mut config = place.config();
        config.admin.work_mem = "much".to_owned();
        let error = Database::connect(config).await.unwrap_err();
        assert_eq!(error.step(), Step::Configure);
        // A login that is refused does not become accepted by waiting.
        let mut config = place.config();
        config.url = config.url.replace(&place.name, "nowhere");
        let began = Instant::now();
        let error = Database::connect(config).await.unwrap_err();
        assert_eq!((error.step(), error.sqlstate()), (Step::Login, "3D000"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(3) && !error.to_string().contains("SECRET"), "{error}");
        let never = RetryPolicy::NEVER;
        assert_eq!(never.pause(1, Duration::ZERO, 0.0), None);
    });
}

#[test]
fn a_locked_table_does_not_look_like_a_database_out_of_reach() {
    run(async {
        let place = place();
        let other = place.connect().await;
        let locker = other.main().acquire().await.unwrap();
        locker.batch_execute("BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE").await.unwrap();

        let mut config = place.config();
        let statement = |name: &str, sql: &str| (name.to_owned(), sql.to_owned());
        config.statements = vec![
            statement("count_items", "SELECT count(*) FROM items"),
            statement("count_marks", "SELECT count(*) FROM marks"),
        ];
        config.pool_min = Some(2);
        let database = connect(config).await;
        assert_eq!(database.report().main.pool.unwrap().connect_errors_total, 0);
        let count = |row: tokio_postgres::Row| row.get::<_, i64>(0);
        let marks = database.main().query_one(Named("count_marks"), &[]).await;
        assert_eq!(marks.map(count).unwrap(), 0);
        let shown: String = value(&database.main(), "SELECT current_setting('lock_timeout')").await;
        assert_eq!(shown, "0", "the bound holds for the preparing alone");

        drop(locker);
        let items = database.main().query_one(Named("count_items"), &[]).await;
        assert_eq!(items.map(count).unwrap(), 0);
    });
}
