//! Cached reads: what is served from where, what is refused and why, who waits for whom.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use pgprime_client::types::ToSql;
use pgprime_client::{
    CachedRows, CachedSource, Database, DatabaseConfig, Error, Isolation, Named, RefusedReason,
    ResultCacheConfig, Role, Transaction, TransactionOptions,
};

use crate::support::{Place, at_rest, connect, place, run, sqlstate, until};

const COUNT: &str = "SELECT count(*) FROM items WHERE n >= $1";

/// With results in memory.
pub(crate) fn config(place: &Place) -> DatabaseConfig {
    DatabaseConfig { cache: Some(ResultCacheConfig::default()), ..place.config() }
}

pub(crate) async fn fetch(database: &Database, sql: &str) -> CachedRows {
    database.cached(sql, &[]).await.unwrap()
}

async fn count(database: &Database, least: i32) -> (i64, CachedSource) {
    let rows = database.cached(COUNT, &[&least]).await.unwrap();
    (rows.row(0).unwrap().get(0), rows.source())
}

/// Waits until a read is as it must become.
pub(crate) async fn until_read(
    what: &str,
    database: &Database,
    sql: &str,
    is_so: impl Fn(&CachedRows) -> bool,
) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        if let Ok(rows) = database.cached(sql, &[]).await
            && is_so(&rows)
        {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn the_second_read_needs_no_connection() {
    run(async {
        let place = place();
        place.psql("INSERT INTO items VALUES (1, 'a', 1), (2, 'b', 2)");
        let database = connect(DatabaseConfig { pool_max: Some(1), ..config(&place) }).await;
        assert_eq!(count(&database, 1).await, (2, CachedSource::Filled));
        assert_eq!(count(&database, 2).await, (1, CachedSource::Filled));
        let _all_there_are = database.main().acquire().await.unwrap();
        assert_eq!(count(&database, 1).await, (2, CachedSource::Memory));
        assert_eq!(count(&database, 2).await, (1, CachedSource::Memory));

        let report = database.report().cache.unwrap();
        assert_eq!((report.store.total.hits_memory, report.store.total.misses), (2, 2));
        assert_eq!(report.store.labels[0].label, COUNT);
        assert_eq!((report.refusals.len(), report.schema_load_errors_total), (0, 0));
        assert!(serde_json::to_string(&database.report()).unwrap().contains("\"hits_memory\":2"));
    });
}

#[test]
fn writes_end_what_was_kept() {
    run(async {
        let place = place();
        let database = connect(config(&place)).await;
        for number in 0..20_i64 {
            assert_eq!(count(&database, 0).await.0, number);
            assert_eq!(count(&database, 0).await, (number, CachedSource::Memory));
            database.main().execute("INSERT INTO items VALUES ($1)", &[&number]).await.unwrap();
        }
        // Another table.
        count(&database, 0).await;
        database.main().execute("INSERT INTO marks VALUES ('x')", &[]).await.unwrap();
        assert_eq!(count(&database, 0).await, (20, CachedSource::Memory));
    });
}

#[test]
fn without_a_cache_it_is_an_ordinary_read() {
    run(async {
        let place = place();
        let mut config = place.config();
        config.statements = vec![("items".into(), "SELECT id FROM items".into())];
        let database = connect(config).await;
        for _ in 0..2 {
            let rows = database.cached(Named("items"), &[]).await.unwrap();
            assert_eq!((rows.source(), rows.len()), (CachedSource::NotKept, 0));
            assert_eq!(rows.not_kept(), Some("no cache is configured"));
        }
        assert!(database.report().cache.is_none());
    });
}

#[test]
fn what_must_not_be_kept_is_run_and_counted_with_its_reason() {
    run(async {
        let place = place();
        place.psql(
            "CREATE TABLE secrets (id int); ALTER TABLE secrets ENABLE ROW LEVEL SECURITY; \
             ALTER TABLE secrets FORCE ROW LEVEL SECURITY; CREATE POLICY p ON secrets USING (true); \
             CREATE ROLE cached_reader LOGIN; \
             CREATE FUNCTION one_more() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1'; \
             CREATE VIEW moments AS SELECT id, clock_timestamp() AS at FROM items; \
             GRANT ALL ON ALL TABLES IN SCHEMA public TO cached_reader;",
        );
        let mut config = config(&place);
        config.url = config.url.replace("postgres:password", "cached_reader:password");
        let database = connect(config).await;
        let cases = [
            ("SELECT random()", "random()"),
            ("SELECT one_more()", "one_more()"),
            ("SELECT * FROM moments", "clock_timestamp()"),
            ("SELECT now()", "now()"),
            ("SELECT id FROM items FOR UPDATE", "locks rows"),
            ("SELECT * FROM secrets", "row security"),
            ("SELECT relname FROM pg_class LIMIT 1", "belongs to the system"),
            ("INSERT INTO marks VALUES ('a') RETURNING key", "writes"),
            ("SHOW work_mem", "only reads"),
            ("WITH new AS (INSERT INTO marks VALUES ('b') RETURNING key) SELECT * FROM new", "writes"),
        ];
        for (sql, expected) in cases {
            for _ in 0..2 {
                let rows = fetch(&database, sql).await;
                let reason = rows.not_kept().unwrap_or_else(|| panic!("{sql} is kept"));
                assert_eq!(rows.source(), CachedSource::NotKept, "{sql}");
                assert!(reason.contains(expected), "{sql}: {reason}");
            }
        }
        assert_eq!(place.psql("SELECT count(*) FROM marks"), "4", "each was run, and once for each call");
        let report = database.report().cache.unwrap();
        assert_eq!((report.refusals.len(), report.store.memory_entries), (cases.len(), 0));
        let refusal = report.refusals.iter().find(|refusal| refusal.label == "SELECT random()").unwrap();
        let [RefusedReason { reason, count: 2 }] = &refusal.reasons[..] else { panic!("{refusal:?}") };
        assert!(reason.contains("random()"));
        place.psql("DROP OWNED BY cached_reader; DROP ROLE cached_reader");
    });
}

#[test]
fn errors_are_those_of_the_database_and_are_not_kept() {
    run(async {
        let place = place();
        let database = connect(config(&place)).await;
        for _ in 0..2 {
            let outcome = database.cached("SELECT nothing FROM items", &[]).await;
            assert_eq!(sqlstate(outcome), "42703");
            assert_eq!(sqlstate(database.cached("SELECT FROM WHERE", &[]).await), "42601");
            assert_eq!(
                sqlstate(database.cached("SELECT 1 / n FROM (VALUES ($1::int)) v (n)", &[&0]).await),
                "22012"
            );
            // Types, and numbers, of parameters.
            let parameters: [&[&(dyn ToSql + Sync)]; 3] = [&[&"text"], &[], &[&1, &2]];
            for parameters in parameters {
                let cached = database.cached(COUNT, parameters).await.unwrap_err();
                let direct = database.main().query(COUNT, parameters).await.unwrap_err();
                assert_eq!(cached.to_string(), direct.to_string());
                assert_eq!(cached.sqlstate(), direct.sqlstate());
            }
            let unknown = database.cached(Named("nobody"), &[]).await.unwrap_err();
            assert!(unknown.to_string().contains("no statement `nobody`"), "{unknown}");
        }
        assert_eq!(count(&database, 0).await, (0, CachedSource::Filled));
        at_rest(&database).await;
    });
}

#[test]
fn time_ends_what_is_kept_and_stale_is_served_where_asked_for() {
    run(async {
        let place = place();
        let database = connect(config(&place)).await;
        let sql = "SELECT count(*) FROM items";
        let read = || database.cached(sql, &[]).ttl(Duration::ZERO);
        for _ in 0..3 {
            assert_eq!(read().await.unwrap().source(), CachedSource::Filled);
        }
        let hour = Duration::from_secs(3_600);
        let stale = || read().stale_while_revalidate(hour).refresh_in_background();
        assert_eq!(stale().await.unwrap().source(), CachedSource::Filled);
        // A writer that nobody heard of.
        place.psql("INSERT INTO items VALUES (1)");
        let rows = stale().await.unwrap();
        assert_eq!((rows.source(), rows.row(0).unwrap().get::<_, i64>(0)), (CachedSource::Stale, 0));
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while stale().await.unwrap().row(0).unwrap().get::<_, i64>(0) == 0 {
            assert!(std::time::Instant::now() < deadline, "it is never read anew");
            tokio::task::yield_now().await;
        }
        // A writer that was heard of.
        database.main().execute("INSERT INTO items VALUES (2)", &[]).await.unwrap();
        let rows = stale().await.unwrap();
        assert_eq!((rows.source(), rows.row(0).unwrap().get::<_, i64>(0)), (CachedSource::Filled, 2));
        // Who asks for what is younger is not served what was kept for longer.
        assert_eq!(fetch(&database, sql).await.source(), CachedSource::Filled);
        assert_eq!(fetch(&database, sql).await.source(), CachedSource::Memory);
        assert_eq!(read().await.unwrap().source(), CachedSource::Filled);
    });
}

#[test]
fn parameters_are_kept_for_a_read_in_the_background() {
    run(async {
        let place = place();
        place.psql("INSERT INTO items VALUES (1, 'a', 1), (2, 'b', 2)");
        let database = connect(config(&place)).await;
        let sql = "SELECT text FROM items WHERE id = $1 AND text IS DISTINCT FROM $2";
        let nothing = None::<String>;
        for (id, expected) in [(1_i64, "a"), (2, "b"), (1, "a"), (2, "b")] {
            let parameters: [&(dyn ToSql + Sync); 2] = [&id, &nothing];
            let read = database.cached(sql, &parameters).ttl(Duration::ZERO);
            let read = read.stale_while_revalidate(Duration::from_secs(3_600)).refresh_in_background();
            assert_eq!(read.fetch_one().await.unwrap().get::<_, &str>("text"), expected);
        }
        until("both were read in the background", || {
            database.report().cache.is_some_and(|report| report.store.total.fills == 4)
        })
        .await;
        assert_eq!(database.report().cache.unwrap().store.total.errors, 0);
    });
}

#[test]
fn what_depends_on_time_and_session_is_kept_where_allowed() {
    run(async {
        let place = place();
        let database = connect(config(&place)).await;
        let now = || async {
            database
                .cached("SELECT now()::text", &[])
                .allow_stable()
                .fetch_one()
                .await
                .unwrap()
                .get::<_, String>(0)
        };
        assert_eq!(now().await, now().await);
        // Settings differ from pool to pool.
        let work_mem = |role| {
            let sql = "SELECT current_setting('work_mem')";
            let read = database.cached(sql, &[]).allow_stable().on(role);
            async move { read.fetch_one().await.unwrap().get::<_, String>(0) }
        };
        for _ in 0..2 {
            assert_eq!(work_mem(Role::Main).await, "4MB");
            assert_eq!(work_mem(Role::Admin).await, "64MB");
        }
    });
}

#[test]
fn roles_are_those_that_were_asked_for() {
    run(async {
        let place = place();
        let mut config = config(&place);
        config.admin.statement_timeout = Duration::from_millis(50);
        config.statements = vec![("marks".into(), "SELECT count(*) FROM marks".into())];
        let database = connect(config).await;
        let insert = "INSERT INTO marks VALUES ('x') RETURNING key";
        assert_eq!(sqlstate(database.cached(insert, &[]).on(Role::Read).await), "25006");
        let slow = "SELECT count(pg_sleep(60))";
        assert_eq!(sqlstate(database.cached(slow, &[]).on(Role::Admin).await), "57014");
        // What one role has read serves the others.
        let read = |role| database.cached(Named("marks"), &[]).on(role);
        assert_eq!(read(Role::Read).await.unwrap().source(), CachedSource::Filled);
        for role in [Role::Admin, Role::Main, Role::Read] {
            assert_eq!(read(role).await.unwrap().source(), CachedSource::Memory);
        }
        let labels = database.report().cache.unwrap().store.labels;
        assert!(labels.iter().any(|label| label.label == "marks" && label.hits_memory == 3), "{labels:?}");
    });
}

#[test]
fn rows_are_counted_as_by_the_database() {
    run(async {
        let place = place();
        place.psql("INSERT INTO items VALUES (1), (2)");
        let database = connect(config(&place)).await;
        let read = |sql| database.cached(sql, &[]);
        for _ in 0..2 {
            let outcome = read("SELECT id FROM items").fetch_one().await;
            assert!(matches!(outcome, Err(Error::Rows { found: "several rows", .. })), "{outcome:?}");
            let outcome = read("SELECT id FROM items WHERE id > 2").fetch_one().await;
            assert!(matches!(outcome, Err(Error::Rows { found: "no row", .. })), "{outcome:?}");
            assert!(read("SELECT id FROM items WHERE id > 2").fetch_opt().await.unwrap().is_none());
            let rows = read("SELECT id AS number, text FROM items WHERE id > 2").await.unwrap();
            assert_eq!(rows.columns()[0].name(), "number");
            assert_eq!(rows.columns()[1].type_(), &pgprime_client::types::Type::TEXT);
        }
    });
}

#[test]
fn a_transaction_is_served_what_others_see_until_it_writes() {
    run(async {
        let place = place();
        let database = connect(config(&place)).await;
        let sql = "SELECT count(*) FROM items";
        let read = async |transaction: &Transaction| {
            let rows = database.cached(sql, &[]).fetch_in(transaction).await.unwrap();
            let value = rows.row(0).unwrap().get::<_, i64>(0);
            (value, rows.source(), rows.not_kept().unwrap_or_default().to_owned())
        };
        let (main, read) = (database.main(), &read);
        main.transaction(|transaction| async move {
            // Its own connection fills, so that it never waits for a second one.
            assert_eq!(read(&transaction).await, (0, CachedSource::Filled, String::new()));
            assert_eq!(read(&transaction).await, (0, CachedSource::Memory, String::new()));
            transaction.execute("INSERT INTO items VALUES (1)", &[]).await?;
            let (value, source, reason) = read(&transaction).await;
            assert_eq!((value, source), (1, CachedSource::NotKept));
            assert_eq!(reason, "the transaction has written");
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
        assert_eq!(fetch(&database, sql).await.row(0).unwrap().get::<_, i64>(0), 1);
        let serial =
            TransactionOptions { isolation: Isolation::RepeatableRead, ..TransactionOptions::default() };
        main.transaction_with(serial, |transaction| async move {
            let (value, source, reason) = read(&transaction).await;
            assert_eq!((value, source), (1, CachedSource::NotKept));
            assert!(reason.contains("one moment"), "{reason}");
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
        main.transaction(|transaction| async move {
            transaction.execute("SET LOCAL search_path = pg_catalog, public", &[]).await?;
            let (_, source, reason) = read(&transaction).await;
            assert_eq!(source, CachedSource::NotKept);
            assert!(reason.contains("settings"), "{reason}");
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
    });
}

#[test]
fn what_a_replica_says_is_not_kept_for_others() {
    run(async {
        let place = place();
        let config =
            DatabaseConfig { cache: Some(ResultCacheConfig::default()), ..place.config_with_replica() };
        let database = connect(config).await;
        let (sql, read) = ("SELECT count(*) FROM items", database.read());
        let database = &database;
        let outcome = read.transaction(|transaction| async move {
            let rows = database.cached(sql, &[]).fetch_in(&transaction).await?;
            Ok::<_, Error>((rows.source(), rows.not_kept().map(str::to_owned)))
        });
        let (source, reason) = outcome.await.unwrap();
        assert_eq!(source, CachedSource::NotKept);
        assert!(reason.is_some_and(|reason| reason.contains("replica")));
        let rows = database.cached(sql, &[]).on(Role::Read).await.unwrap();
        assert_eq!(rows.source(), CachedSource::Filled, "asked on the main database");
    });
}

#[test]
fn many_readers_are_one_fill() {
    run(async {
        let place = place();
        let database = Arc::new(connect(config(&place)).await);
        let holder = place.connect().await;
        let lock = holder.main().acquire().await.unwrap();
        lock.batch_execute("BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let readers: Vec<_> = (0..500)
            .map(|_| {
                let database = Arc::clone(&database);
                tokio::spawn(async move { count(&database, 0).await.0 })
            })
            .collect();
        // The description of its parameters waits for the lock, too.
        until("one reads", || place.sessions("wait_event_type = 'Lock'") == 1).await;
        lock.batch_execute("ROLLBACK").await.unwrap();
        for reader in join_all(readers).await {
            assert_eq!(reader.unwrap(), 0);
        }
        let total = database.report().cache.unwrap().store.total;
        assert_eq!((total.fills, total.hits()), (1, 499));
        assert_eq!(database.report().main.queries.queries_total, 1);
    });
}

#[test]
fn readers_that_give_up_leave_their_place_to_the_next() {
    run(async {
        let place = place();
        let database = Arc::new(connect(config(&place)).await);
        let holder = place.connect().await;
        let sql = "SELECT count(*) FROM items";
        for _ in 0..5 {
            let lock = holder.main().acquire().await.unwrap();
            lock.batch_execute("BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE").await.unwrap();
            let reader = || {
                let database = Arc::clone(&database);
                let read =
                    async move { database.cached(sql, &[]).ttl(Duration::ZERO).await.map(|rows| rows.len()) };
                tokio::spawn(read)
            };
            let first = reader();
            until("the first reads", || place.sessions("wait_event_type = 'Lock'") == 1).await;
            let others: Vec<_> = (0..20).map(|_| reader()).collect();
            first.abort();
            assert!(first.await.unwrap_err().is_cancelled());
            others[3].abort();
            lock.batch_execute("ROLLBACK").await.unwrap();
            for (number, other) in others.into_iter().enumerate() {
                match other.await {
                    Ok(rows) => assert_eq!(rows.unwrap(), 1),
                    Err(error) => assert!(number == 3 && error.is_cancelled()),
                }
            }
        }
        at_rest(&database).await;
        assert_eq!(database.cache().unwrap().snapshot().flights, 0);
    });
}

#[test]
fn settings_that_cannot_work_are_refused_without_a_secret() {
    run(async {
        let place = place();
        let mut config = config(&place);
        config.redis_url = Some("http://secret".to_owned());
        let error = Database::connect(config.clone()).await.unwrap_err();
        assert!(matches!(error, Error::Usage(_)), "{error}");
        assert!(
            !error.to_string().contains("secret") && !format!("{config:?}").contains("secret"),
            "{error}"
        );
    });
}
