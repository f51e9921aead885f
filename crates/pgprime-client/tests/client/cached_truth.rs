//! What could make a kept result untrue, one by one: times in parameters, labels, rights, settings, and what sessions are left
//! with.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use pgprime_client::cache::{CacheConfig, RedisConfig};
use pgprime_client::types::ToSql;
use pgprime_client::{
    CachedSource, Database, DatabaseConfig, Error, Isolation, ResultCacheConfig, Transaction,
    TransactionOptions, Writes,
};

use crate::cached::{config, fetch, until_read};
use crate::support::{Place, Redis, at_rest, connect, place, run, sqlstate, until};

/// One connection for all, with catalogs that are read again soon.
fn single(place: &Place) -> DatabaseConfig {
    let cache =
        ResultCacheConfig { schema_refresh: Duration::from_millis(300), ..ResultCacheConfig::default() };
    DatabaseConfig { cache: Some(cache), pool_min: Some(1), pool_max: Some(1), ..config(place) }
}

async fn source(database: &Database, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> CachedSource {
    database.cached(sql, parameters).await.unwrap().source()
}

async fn number(database: &Database, sql: &str) -> i64 {
    fetch(database, sql).await.row(0).unwrap().get(0)
}

#[test]
fn a_time_relative_to_now_in_a_parameter_is_not_kept() {
    run(async {
        let database = connect(config(&place())).await;
        let sql = "SELECT $1::text::date::text";
        for value in ["today", " Tomorrow", "YESTERDAY 10:00", "10:00 tomorrow"] {
            let rows = database.cached(sql, &[&value]).await.unwrap();
            let reason = rows.not_kept().unwrap().to_owned();
            assert!(reason.contains("$1") && reason.contains("relative to now"), "{reason}");
            for expected in [CachedSource::Filled, CachedSource::Memory] {
                let allowed = database.cached(sql, &[&value]).allow_stable().await.unwrap();
                assert_eq!(allowed.source(), expected);
            }
        }
        for value in ["2025-01-01", "infinity", "epoch"] {
            assert_eq!(source(&database, sql, &[&value]).await, CachedSource::Filled, "{value}");
            assert_eq!(source(&database, sql, &[&value]).await, CachedSource::Memory, "{value}");
        }
        let array = "SELECT count(*) FROM unnest($1::text[]) d WHERE d::date > '2020-01-01'";
        let values = ["2025-01-01", "today"];
        assert_eq!(source(&database, array, &[&&values[..]]).await, CachedSource::NotKept);
        // Longer than any time, and nothing of a time.
        let long = format!("now {}", "a".repeat(200));
        for value in [long.as_str(), "nowhere", "", "knowing"] {
            let sql = "SELECT length($1)";
            source(&database, sql, &[&value]).await;
            assert_eq!(source(&database, sql, &[&value]).await, CachedSource::Memory, "{value}");
        }
        assert_eq!(source(&database, "SELECT $1::int", &[&1_i32]).await, CachedSource::Filled);
    });
}

#[test]
fn labels_of_others_are_seen_in_time() {
    run(async {
        let place = place();
        place.psql("CREATE TYPE mood AS ENUM ('sad', 'well'); CREATE TABLE moods (m mood); INSERT INTO moods VALUES ('well')");
        let database = connect(single(&place)).await;
        let sql = "SELECT m::text FROM moods";
        assert_eq!(fetch(&database, sql).await.row(0).unwrap().get::<_, &str>(0), "well");
        assert_eq!(source(&database, sql, &[]).await, CachedSource::Memory);
        place.psql("ALTER TYPE mood RENAME VALUE 'well' TO 'fine'");
        until_read("the new label is read", &database, sql, |rows| {
            rows.row(0).unwrap().get::<_, &str>(0) == "fine"
        })
        .await;
    });
}

#[test]
fn rights_that_others_revoke_end_what_was_kept_in_time() {
    run(async {
        let place = place();
        let role = format!("{}_reader", place.name);
        place.psql(&format!(
            "INSERT INTO items VALUES (1, 'a', 1); CREATE ROLE {role} LOGIN; GRANT SELECT ON items TO {role}; \
             CREATE SCHEMA apart; CREATE TABLE apart.rows (id int); INSERT INTO apart.rows VALUES (1); \
             CREATE ROLE {role}_group; GRANT {role}_group TO {role}; GRANT USAGE ON SCHEMA apart TO {role}_group; \
             GRANT SELECT ON apart.rows TO {role}_group; \
             GRANT SELECT (key) ON marks TO {role}"
        ));
        let mut own = single(&place);
        own.url = own.url.replace("//postgres:", &format!("//{role}:"));
        let database = connect(own).await;
        let reads =
            ["SELECT count(*) FROM items", "SELECT count(*) FROM apart.rows", "SELECT count(key) FROM marks"];
        let revokes = [
            format!("REVOKE SELECT ON items FROM {role}"),
            format!("REVOKE {role}_group FROM {role}"),
            format!("REVOKE SELECT (key) ON marks FROM {role}"),
        ];
        for (sql, revoke) in reads.iter().zip(&revokes) {
            number(&database, sql).await;
            assert_eq!(source(&database, sql, &[]).await, CachedSource::Memory);
            place.psql(revoke);
            let deadline = std::time::Instant::now() + Duration::from_secs(30);
            while database.cached(*sql, &[]).await.is_ok() {
                assert!(std::time::Instant::now() < deadline, "{sql} is still served");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(sqlstate(database.cached(*sql, &[]).await), "42501");
        }
        place.psql(&format!("GRANT SELECT ON items TO {role}"));
        until_read("it may read again", &database, reads[0], |_| true).await;
        place.psql(&format!("DROP OWNED BY {role}, {role}_group; DROP ROLE {role}, {role}_group"));
    });
}

#[test]
fn what_a_session_is_left_with_is_not_read_for_others() {
    run(async {
        let place = place();
        place.psql(
            "INSERT INTO items VALUES (1, '', 1); CREATE SCHEMA apart; \
             CREATE TABLE apart.items (id bigint, text text, n int); \
             CREATE FUNCTION leaves_table() RETURNS void LANGUAGE plpgsql AS \
             $$ BEGIN CREATE TEMP TABLE items AS SELECT 99 AS n; END $$; \
             CREATE FUNCTION leaves_path() RETURNS void LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM set_config('search_path', 'apart', false); END $$; \
             CREATE FUNCTION leaves_path_by_text() RETURNS void LANGUAGE plpgsql AS \
             $$ BEGIN EXECUTE 'SET search_path = ' || 'apart'; END $$",
        );
        let database = connect(single(&place)).await;
        let sql = "SELECT coalesce(sum(n), 0)::bigint FROM items";
        for (round, left) in [
            "SELECT leaves_table()",
            "SELECT leaves_path()",
            "SELECT leaves_path_by_text()",
            "SELECT 99 AS n INTO LOCAL TEMPORARY TABLE items",
            "SELECT 99 AS n INTO pg_temp.items",
            "CREATE TEMP TABLE items AS SELECT 99 AS n",
            "SET search_path = apart",
            "DO $$ BEGIN CREATE TEMP TABLE items (n int); END $$",
        ]
        .into_iter()
        .enumerate()
        {
            database.main().execute(left, &[]).await.unwrap();
            database.main().execute("UPDATE public.items SET n = n + 1", &[]).await.unwrap();
            assert_eq!(number(&database, sql).await, i64::try_from(round).unwrap() + 2, "{left}");
        }
    });
}

#[test]
fn a_function_that_only_another_path_finds_is_said_as_well() {
    run(async {
        let place = place();
        place.psql(
            "INSERT INTO items VALUES (1, '', 0); CREATE SCHEMA apart; \
             CREATE FUNCTION next_one() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'; \
             CREATE FUNCTION apart.next_one() RETURNS int LANGUAGE sql AS 'UPDATE public.items SET n = n + 1 RETURNING n'; \
             CREATE FUNCTION apart.upper(text) RETURNS text LANGUAGE sql AS 'SELECT apart.next_one()::text'",
        );
        let database = connect(config(&place)).await;
        let sql = "SELECT sum(n)::bigint FROM items";
        for (round, hidden) in ["SELECT next_one()", "SELECT upper('a')"].into_iter().enumerate() {
            number(&database, sql).await;
            assert_eq!(source(&database, sql, &[]).await, CachedSource::Memory);
            let own = database.main().acquire().await.unwrap();
            own.execute("SET search_path = apart, public, pg_catalog", &[]).await.unwrap();
            own.query("SELECT count(*) FROM items", &[]).await.unwrap();
            assert_eq!(source(&database, sql, &[]).await, CachedSource::Memory, "a read says nothing");
            own.query(hidden, &[]).await.unwrap();
            assert_eq!(number(&database, sql).await, i64::try_from(round).unwrap() + 1, "{hidden}");
            drop(own);
            at_rest(&database).await;
        }
    });
}

#[test]
fn settings_of_the_database_are_those_of_sessions_that_begin_later() {
    run(async {
        let place = place();
        place
            .psql("CREATE TABLE times (at timestamptz); INSERT INTO times VALUES ('2025-06-01 12:00:00+00')");
        place.psql(&format!("ALTER DATABASE {} SET TimeZone = 'UTC'", place.name));
        let database = connect(single(&place)).await;
        let sql = "SELECT at::text FROM times";
        let text = |rows: &pgprime_client::CachedRows| rows.row(0).unwrap().get::<_, String>(0);
        assert!(text(&fetch(&database, sql).await).ends_with("12:00:00+00"));
        let held = Arc::new(database.main().acquire().await.unwrap());
        place.psql(&format!("ALTER DATABASE {} SET TimeZone = 'Asia/Tokyo'", place.name));
        let loads = || database.report().cache.unwrap().schema_loads_total;
        let before = loads();
        until("the catalogs have been read", || loads() >= before + 2).await;
        drop(held);
        // Neither from what was kept nor from a session that began before.
        let rows = fetch(&database, sql).await;
        assert_eq!(rows.source(), CachedSource::Filled);
        assert!(text(&rows).ends_with("21:00:00+09"), "{}", text(&rows));
        place.psql(&format!(
            "ALTER DATABASE {} SET default_transaction_isolation = 'repeatable read'",
            place.name
        ));
        let before = loads();
        until("the catalogs have been read", || loads() >= before + 2).await;
        let work = |transaction: Transaction| {
            let database = &database;
            async move { database.cached(sql, &[]).fetch_in(&transaction).await }
        };
        let rows = database.main().transaction(work).await.unwrap();
        assert!(rows.not_kept().unwrap().contains("one moment"), "{rows:?}");
        let options = TransactionOptions { isolation: Isolation::ReadCommitted, writes: Writes::Allowed };
        drop(database.main().transaction_with(options, work).await.unwrap());
    });
}

#[test]
fn what_others_rewrote_or_emptied_is_read_again_in_time() {
    run(async {
        let place = place();
        place.psql(
            "INSERT INTO items VALUES (1, '', 1); CREATE MATERIALIZED VIEW counts AS SELECT count(*) AS n FROM items",
        );
        let database = connect(single(&place)).await;
        let reads = ["SELECT coalesce(sum(n), 0)::bigint FROM items", "SELECT n FROM counts"];
        for (change, expected) in [
            ("ALTER TABLE items ALTER n TYPE int USING n + 10", [11, 1]),
            ("TRUNCATE items; REFRESH MATERIALIZED VIEW counts", [0, 0]),
        ] {
            for sql in reads {
                number(&database, sql).await;
                assert_eq!(source(&database, sql, &[]).await, CachedSource::Memory);
            }
            place.psql(change);
            for (sql, expected) in reads.into_iter().zip(expected) {
                let is_so =
                    |rows: &pgprime_client::CachedRows| rows.row(0).unwrap().get::<_, i64>(0) == expected;
                until_read(change, &database, sql, is_so).await;
            }
        }
    });
}

#[test]
fn what_a_handle_sends_behind_the_end_of_its_transaction_is_refused() {
    run(async {
        let place = place();
        place.psql("INSERT INTO items VALUES (1, '', 0)");
        let database = connect(DatabaseConfig { pool_max: Some(2), ..config(&place) }).await;
        for (round, writes) in [Writes::Allowed, Writes::Refused].into_iter().enumerate() {
            let left = Mutex::new(None);
            let options = TransactionOptions { writes, ..TransactionOptions::default() };
            let work = |transaction: Transaction| {
                let left = &left;
                async move {
                    // New, so that it is prepared first: by its first poll nothing but that is sent.
                    let sql = format!("UPDATE items SET n = n + 1 WHERE id = 1 AND {round} = {round}");
                    let mut late = Box::pin(async move { transaction.execute(&sql, &[]).await });
                    assert!((&mut late).now_or_never().is_none());
                    *left.lock().unwrap() = Some(late);
                    Ok::<(), Error>(())
                }
            };
            database.main().transaction_with(options, work).await.unwrap();
            let late = left.into_inner().unwrap().unwrap();
            let error = late.await.unwrap_err();
            assert!(error.to_string().contains("this transaction is over"), "{error}");
            assert_eq!(place.psql("SELECT n FROM items"), "0");
            at_rest(&database).await;
        }
        database.main().execute("UPDATE items SET n = 5", &[]).await.unwrap();
        assert_eq!(number(&database, "SELECT sum(n)::bigint FROM items").await, 5);
    });
}

#[test]
fn a_thousand_readers_on_two_instances_ask_the_database_once() {
    run(async {
        let (place, redis) = (place(), Redis::start());
        place.psql("CREATE EXTENSION pg_stat_statements; INSERT INTO items VALUES (1, '', 1)");
        let cache = || {
            let config = redis.config();
            let redis = config.cache.redis.clone().map(|redis| RedisConfig {
                timeout: Duration::from_secs(5),
                fill_wait_max: Duration::from_secs(60),
                ..redis
            });
            ResultCacheConfig { cache: CacheConfig { redis, ..config.cache }, ..config }
        };
        let config = || DatabaseConfig { cache: Some(cache()), ..place.config() };
        let databases = [connect(config()).await, connect(config()).await];
        let readers = (0..1_000).map(|number: usize| {
            let database = databases[number % 2].clone();
            tokio::spawn(async move {
                database.cached("SELECT count(*) AS asked_once FROM items", &[]).await.map(|_| ())
            })
        });
        for reader in join_all(readers.collect::<Vec<_>>()).await {
            reader.unwrap().unwrap();
        }
        let calls = "SELECT sum(calls) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid \
                     WHERE d.datname = current_database() AND query LIKE '%asked_once%' AND query NOT LIKE '%pg_stat%'";
        assert_eq!(place.psql(calls), "1");
    });
}

#[test]
fn a_fill_that_fails_or_waits_too_long_leaves_nothing_behind() {
    run(async {
        let place = place();
        place.psql("INSERT INTO items VALUES (1, '', 1)");
        let timeout = Duration::from_millis(300);
        let mut configs = [config(&place), config(&place)];
        configs[0].statement_timeout = timeout;
        configs[1].timeout = timeout;
        configs[1].pool_max = Some(1);
        let holder = place.connect().await;
        for (number_of_way, config) in configs.into_iter().enumerate() {
            let database = connect(config).await;
            let sql = "SELECT count(*) FROM items";
            // By the time of the statement, which waits for a lock, or by that of the pool, whose connection is taken.
            let lock = holder.main().acquire().await.unwrap();
            let taken = match number_of_way {
                0 => {
                    lock.batch_execute("BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE").await.unwrap();
                    None
                }
                _ => Some(database.main().acquire().await.unwrap()),
            };
            let read = || async { database.cached(sql, &[]).await.map(drop) };
            let failed =
                join_all((0..8).map(|_| tokio::time::timeout(Duration::from_secs(20), read()))).await;
            let failures = failed.iter().filter(|outcome| matches!(outcome, Ok(Err(_)))).count();
            drop(taken);
            assert_eq!(failures, 8);
            if number_of_way == 0 {
                lock.batch_execute("ROLLBACK").await.unwrap();
            }
            assert_eq!(number(&database, sql).await, 1);
            assert_eq!(source(&database, sql, &[]).await, CachedSource::Memory);
            until("nobody fills", || database.cache().unwrap().snapshot().flights == 0).await;
            at_rest(&database).await;
        }
    });
}
