//! How much of the database reports may use, and what is remembered of them.

use std::time::Duration;

use pgprime_client::{Connection, Database, DatabaseConfig, Error, HeldCounts, Named, Step};

use crate::support::{Place, SECRET, connect, main_pool, place, run, secret, sqlstate, until, value};

/// The server's major version.
fn version(place: &Place) -> u32 {
    place.psql("SHOW server_version_num").parse::<u32>().unwrap() / 10_000
}

fn held(database: &Database) -> HeldCounts {
    database.report().admin.held.unwrap()
}

/// One connection for the service.
fn narrow(mut config: DatabaseConfig) -> DatabaseConfig {
    config.pool_max = Some(1);
    config.admin.size = Some(1);
    config
}

#[test]
fn limits_are_in_force() {
    run(async {
        let place = place();
        let mut config = place.config();
        config.admin.lock_timeout = Duration::from_millis(40);
        config.admin.idle_in_transaction_timeout = Duration::from_millis(50);
        let database = connect(config).await;
        let sql = "SELECT concat_ws(' ', current_setting('max_parallel_workers_per_gather'), \
                   current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout'))";
        assert_eq!(value::<String>(&database.admin(), sql).await, "0 40ms 50ms");
        assert_eq!(value::<String>(&database.main(), sql).await, "2 0 1min");

        // A report does not queue behind DDL, and nobody behind it.
        let ddl = database.main().acquire().await.unwrap();
        ddl.batch_execute("BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE").await.unwrap();
        assert_eq!(sqlstate(database.admin().query("SELECT count(*) FROM items", &[]).await), "55P03");
        ddl.batch_execute("ROLLBACK").await.unwrap();

        // What was forgotten in the middle of a transaction is ended by the server.
        let forgotten = database.admin().acquire().await.unwrap();
        forgotten.batch_execute("BEGIN; INSERT INTO items VALUES (1)").await.unwrap();
        until("it is ended", || place.sessions("state LIKE 'idle in transaction%'") == 0).await;
        assert_eq!(value::<i64>(&database.main(), "SELECT count(*) FROM items").await, 0);
    });
}

/// The settings of an admin session, those that the server does not know as `-`.
async fn settings(report: &Connection) -> String {
    let names = "hash_mem_multiplier,client_connection_check_interval,transaction_timeout".split(',');
    let shown = names.map(|name| format!("coalesce(current_setting('{name}', true), '-')"));
    let sql = format!("SELECT concat_ws(' ', {})", shown.collect::<Vec<_>>().join(", "));
    report.query_one(sql.as_str(), &[]).await.unwrap().get(0)
}

#[test]
fn what_newer_servers_can_bound_is_bounded() {
    run(async {
        let place = place();
        let database = connect(place.config()).await;
        let version = version(&place);
        let check = if version >= 14 { "10s" } else { "-" };
        let timeout = if version >= 17 { "30min" } else { "-" };
        let expected = format!("2 {check} {timeout}");
        // Whatever a report sets: the next one finds the limits in force.
        for _ in 0..2 {
            let report = database.admin().acquire().await.unwrap();
            assert_eq!(settings(&report).await, expected);
            report.batch_execute("SET hash_mem_multiplier = 1000").await.unwrap();
            if version >= 17 {
                report.batch_execute("SET transaction_timeout = 0").await.unwrap();
            }
            if version >= 14 {
                report.batch_execute("SET client_connection_check_interval = 0").await.unwrap();
            }
        }
    });
}

#[test]
fn reports_end_with_the_process_that_asked() {
    let place = place();
    if version(&place) < 14 {
        return;
    }
    let mut config = place.config();
    config.admin.client_check_interval = Duration::from_millis(50);
    // It ends as if it were killed: nothing is cancelled, its sockets are closed.
    let process = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let database = process.block_on(connect(config));
    let admin = database.admin();
    process.spawn(async move { admin.query("SELECT pg_sleep(600)", &[]).await.map(drop) });
    run(until("it runs", || place.sessions("query LIKE '%pg_sleep(600)%'") == 1));
    process.shutdown_background();
    run(until("it has ended", || place.sessions("query LIKE '%pg_sleep(600)%'") == 0));
}

#[test]
fn reports_given_up_at_the_end_are_cancelled() {
    run(async {
        let place = place();
        let mut config = place.config();
        // The server does not notice by itself.
        config.admin.client_check_interval = Duration::ZERO;
        let database = connect(config).await;
        let admin = database.admin();
        let report = tokio::spawn(async move { admin.query("SELECT pg_sleep(601)", &[]).await.map(drop) });
        let running = || place.sessions("query LIKE '%pg_sleep(601)%' AND state = 'active'");
        until("it runs", || running() == 1).await;
        report.abort();
        database.close().await;
        until("it has ended", || running() == 0).await;
    });
}

#[test]
fn reports_do_not_fill_the_disk() {
    run(async {
        let place = place();
        let mut config = place.config();
        (config.admin.work_mem, config.admin.temp_file_limit) = ("64kB".into(), Some("1MB".into()));
        let database = connect(config.clone()).await;
        let sort = "SELECT count(*) FROM (SELECT i FROM generate_series(1, 300000) i ORDER BY -i OFFSET 0) s";
        assert_eq!(sqlstate(database.admin().query(sort, &[]).await), "53400");
        assert_eq!(value::<i64>(&database.main(), sort).await, 300_000);

        // Who may not have the limit is told so, and by whom it can be given; the service goes on.
        let role = format!("{}_report", place.name);
        place.psql(&format!("CREATE ROLE {role} LOGIN"));
        config.url = config.url.replace("//postgres:", &format!("//{role}:"));
        let database = connect(config.clone()).await;
        let refused = database.admin().query(sort, &[]).await.unwrap_err().to_string();
        assert!(refused.contains("GRANT SET ON PARAMETER temp_file_limit TO"), "{refused}");
        assert_eq!(value::<i64>(&database.main(), sort).await, 300_000);
        drop(database);
        if version(&place) >= 15 {
            place.psql(&format!("GRANT SET ON PARAMETER temp_file_limit TO {role}"));
            let database = connect(config).await;
            assert_eq!(sqlstate(database.admin().query(sort, &[]).await), "53400");
            database.close().await;
            place.psql(&format!("REVOKE SET ON PARAMETER temp_file_limit FROM {role}"));
        }
        place.psql(&format!("DROP ROLE {role}"));
    });
}

#[test]
fn a_report_whose_rows_nobody_fetches_is_ended() {
    run(async {
        let place = place();
        if version(&place) < 17 {
            return;
        }
        let mut config = place.config();
        config.admin.transaction_timeout = Duration::from_millis(200);
        let database = connect(config).await;
        // More than the sockets take: the server waits for us, and need not heed any other limit there.
        let many = "SELECT repeat('x', 1000) FROM generate_series(1, 1000000)";
        let mut report = database.admin().query_stream(many, &[]).await.unwrap();
        until("it is ended", || place.sessions("query LIKE '%repeat%' AND state = 'active'") == 0).await;
        let error = loop {
            match report.next().await {
                Ok(row) => assert!(row.is_some(), "all rows came"),
                Err(error) => break error,
            }
        };
        assert!(error.sqlstate() == "25P04" || error.is_connection_lost(), "{error}");
    });
}

#[test]
fn a_report_stays_on_one_core_unless_it_is_allowed_more() {
    run(async {
        let place = place();
        let parallel = "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; \
                        SET min_parallel_table_scan_size = 0";
        place.psql("INSERT INTO items SELECT i FROM generate_series(1, 20000) i; ANALYZE items");
        for (workers, is_parallel) in [(0, false), (1, true)] {
            let mut config = place.config();
            config.admin.parallel_workers_max = workers;
            let database = connect(config).await;
            let report = database.admin().acquire().await.unwrap();
            report.batch_execute(parallel).await.unwrap();
            let plan = report.query("EXPLAIN SELECT sum(n) FROM items", &[]).await.unwrap();
            let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
            assert_eq!(plan.join("\n").contains("Workers Planned: 1"), is_parallel, "{plan:?}");
        }
    });
}

#[test]
fn reports_wait_while_the_service_does() {
    run(async {
        let place = place();
        let database = connect(narrow(place.config())).await;
        let admin = database.admin();
        assert_eq!(value::<i32>(&admin, "SELECT 1").await, 1);
        assert_eq!(held(&database), HeldCounts::default());

        let busy = database.main().acquire().await.unwrap();
        let main = database.main();
        let request = tokio::spawn(async move { value::<i32>(&main, "SELECT 2").await });
        until("the request waits", || main_pool(&database).waiting == 1).await;

        assert!(admin.try_acquire().is_none());
        let error =
            admin.clone().with_wait(Duration::from_millis(30)).query("SELECT 3", &[]).await.unwrap_err();
        let Error::HeldBack { waiting: 1, waited } = error else { panic!("{error}") };
        assert!(waited >= Duration::from_millis(30));
        let text = error.to_string();
        assert!(text.contains("requests wait for connections of pool main (1 now)"), "{text}");
        assert_eq!((error.step(), error.sqlstate(), error.is_retryable()), (Step::Wait, "53300", true));
        assert_eq!(held(&database), HeldCounts { now: 0, held_total: 1, refused_total: 1 });

        // One that is given up leaves nothing behind.
        let access = admin.clone();
        let given_up = tokio::spawn(async move { access.acquire().await.map(drop) });
        until("it is held", || held(&database).now == 1).await;
        given_up.abort();
        assert!(given_up.await.unwrap_err().is_cancelled());
        assert_eq!(held(&database).now, 0);

        // One that waits is begun when nobody waits for the main pool any more.
        let report = tokio::spawn(async move {
            admin
                .transaction(|it| async move { Ok::<_, Error>(it.query_one("SELECT 4", &[]).await?.get(0)) })
                .await
        });
        until("it is held", || held(&database).now == 1).await;
        assert_eq!(place.sessions("query LIKE '%SELECT 4%'"), 0);
        drop(busy);
        assert_eq!((request.await.unwrap(), report.await.unwrap().unwrap()), (2, 4));
        assert_eq!(held(&database), HeldCounts { now: 0, held_total: 3, refused_total: 1 });
    });
}

#[test]
fn reports_go_ahead_where_they_are_told_to() {
    run(async {
        let place = place();
        let mut config = narrow(place.config());
        config.admin.yield_to_service = false;
        let database = connect(config).await;
        let busy = database.main().acquire().await.unwrap();
        let main = database.main();
        let request = tokio::spawn(async move { value::<i32>(&main, "SELECT 2").await });
        until("the request waits", || main_pool(&database).waiting == 1).await;
        assert_eq!(value::<i32>(&database.admin(), "SELECT 3").await, 3);
        assert_eq!(database.report().admin.held, None);
        drop(busy);
        assert_eq!(request.await.unwrap(), 2);
    });
}

#[test]
fn the_statements_that_took_most_are_remembered_without_values() {
    run(async {
        let place = place();
        let mut config = place.config();
        config.slow_query = Duration::from_millis(50);
        config.statements = vec![("wait".into(), "SELECT pg_sleep($1)".into())];
        let database = connect(config).await;
        for number in 0..300_u32 {
            let sql = format!("SELECT {number} AS n_{number}, '{}'", secret(number));
            database.admin().query(sql.as_str(), &[]).await.unwrap();
            database.main().query(sql.as_str(), &[]).await.unwrap();
        }
        for value in ["a", "b", "c"] {
            let sql = format!("SELECT pg_sleep(0.06), '{value}'");
            database.admin().query(sql.as_str(), &[]).await.unwrap();
        }
        assert_eq!(sqlstate(database.admin().query("SELECT pg_sleep(0.06) / 0", &[]).await), "42883");
        database.main().query(Named("wait"), &[&0.06_f64]).await.unwrap();

        let report = database.report();
        let slowest = &report.admin.slowest;
        assert_eq!(slowest.len(), 10);
        let first = &slowest[0];
        assert_eq!((first.statement.as_str(), first.count), ("SELECT pg_sleep(?), ?", 3));
        assert!(
            first.total_ms >= 180.0 && first.max_ms >= 60.0 && first.mean_ms <= first.max_ms,
            "{first:?}"
        );
        assert!(first.last_seen_unix_ms > 1_600_000_000_000, "{first:?}");
        let document = serde_json::to_string(&report).unwrap();
        assert!(!document.contains(SECRET) && document.contains("\"last_seen_unix_ms\""), "{document}");
        // Of the service's own, what is slow; here it may be that others were, on a busy machine.
        let wait = report.main.slowest.iter().find(|it| it.statement == "wait").unwrap();
        assert_eq!(wait.count, 1);
        assert_eq!(
            report.main.queries.slow_queries_total,
            report.main.slowest.iter().map(|it| it.count).sum::<u64>()
        );
    });
}
