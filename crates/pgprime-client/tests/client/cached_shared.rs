//! Cached reads of several instances, and with servers that fail.

use std::time::Duration;

use pgprime_client::cache::CacheConfig;
use pgprime_client::{CachedSource, Database, DatabaseConfig, ResultCacheConfig};
use pgprime_cluster::StopMode;

use crate::cached::{config, fetch, until_read};
use crate::pgbouncer::PgBouncer;
use crate::support::{Place, Redis, connect, disturbed_place, is_up, place, run, until};

const COUNT: &str = "SELECT count(*) FROM items";

fn shared(place: &Place, redis: &Redis) -> DatabaseConfig {
    DatabaseConfig { cache: Some(redis.config()), ..place.config() }
}

/// Without a tier in memory, so that everything is read from Redis.
fn only_shared(place: &Place, redis: &Redis) -> DatabaseConfig {
    let cache = redis.config();
    let only = CacheConfig { memory_bytes_max: 0, ..cache.cache };
    DatabaseConfig { cache: Some(ResultCacheConfig { cache: only, ..cache }), ..place.config() }
}

async fn count(database: &Database) -> (i64, CachedSource) {
    let rows = fetch(database, COUNT).await;
    (rows.row(0).unwrap().get(0), rows.source())
}

#[test]
fn instances_share_results_and_changes() {
    run(async {
        let (place, redis) = (place(), Redis::start());
        let (one, other) = (connect(shared(&place, &redis)).await, connect(shared(&place, &redis)).await);
        for number in 0..20_i64 {
            let (writer, reader) = if number % 2 == 0 { (&one, &other) } else { (&other, &one) };
            assert_eq!(count(reader).await, (number, CachedSource::Filled));
            assert_eq!(count(writer).await, (number, CachedSource::Redis));
            assert_eq!(count(writer).await, (number, CachedSource::Memory));
            writer.main().execute("INSERT INTO items VALUES ($1)", &[&number]).await.unwrap();
        }
        assert_eq!(count(&one).await.0, 20);
        assert_eq!(count(&other).await.0, 20);
    });
}

#[test]
fn the_url_of_redis_is_taken_from_the_databases_settings() {
    run(async {
        let (place, redis) = (place(), Redis::start());
        let with_url = || DatabaseConfig { redis_url: Some(redis.url()), ..config(&place) };
        let (one, other) = (connect(with_url()).await, connect(with_url()).await);
        assert!(is_up(&one) && is_up(&other));
        assert_eq!(count(&one).await.1, CachedSource::Filled);
        assert_eq!(count(&other).await.1, CachedSource::Redis);
    });
}

#[test]
fn whatever_changes_a_result_has_its_own_key() {
    run(async {
        let (place, redis) = (place(), Redis::start());
        place.psql(
            "CREATE SCHEMA other; CREATE TABLE other.items (id bigint); INSERT INTO other.items VALUES (1); \
             CREATE ROLE cached_other LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO cached_other;",
        );
        let with = |change: fn(String) -> String| {
            let mut config = only_shared(&place, &redis);
            config.url = change(config.url);
            config
        };
        let changes: [fn(String) -> String; 6] = [
            |url| url,
            |url| url.replace("postgres:password", "cached_other:password"),
            |url| url + "&options=-c%20search_path%3Dother%2Cpublic",
            |url| url + "&options=-c%20TimeZone%3DAsia%2FTokyo",
            |url| url + "&options=-c%20DateStyle%3DGerman",
            |url| url + "&options=-c%20extra_float_digits%3D0",
        ];
        let mut databases = Vec::new();
        for change in changes {
            let database = connect(with(change)).await;
            assert_eq!(count(&database).await.1, CachedSource::Filled);
            assert_eq!(count(&connect(with(change)).await).await.1, CachedSource::Redis);
            databases.push(database);
        }
        assert_eq!(count(&databases[0]).await, (0, CachedSource::Redis));
        assert_eq!(count(&databases[2]).await, (1, CachedSource::Redis));
        drop(databases);
        place.psql("DROP OWNED BY cached_other; DROP ROLE cached_other");
    });
}

#[test]
fn without_redis_reads_go_on_and_with_it_results_are_kept_again() {
    run(async {
        let (place, mut redis) = (place(), Redis::start());
        let database = connect(shared(&place, &redis)).await;
        assert_eq!(count(&database).await.1, CachedSource::Filled);
        assert_eq!(count(&database).await.1, CachedSource::Memory);
        for number in 1..4_i64 {
            redis.kill();
            database.main().execute("INSERT INTO items VALUES ($1)", &[&number]).await.unwrap();
            for _ in 0..10 {
                assert_eq!(count(&database).await, (number, CachedSource::Filled));
            }
            redis.run();
            until_read("it is kept again", &database, COUNT, |rows| rows.source() == CachedSource::Memory)
                .await;
            assert!(is_up(&database));
            assert_eq!(count(&database).await.0, number);
        }
        let writes = database.report().writes.unwrap();
        assert!(writes.here_only_total >= 3, "{writes:?}");
    });
}

#[test]
fn garbage_in_redis_is_a_miss() {
    run(async {
        let (place, redis) = (place(), Redis::start());
        place.psql("INSERT INTO items VALUES (1)");
        let database = connect(only_shared(&place, &redis)).await;
        let mut random = fastrand::Rng::with_seed(7);
        assert_eq!(count(&database).await, (1, CachedSource::Filled));
        for _ in 0..50 {
            let keys = redis.keys(":entry:");
            assert_eq!(keys.len(), 1, "{keys:?}");
            let bytes: Vec<u8> = (0..random.usize(0..300)).map(|_| random.u8(..)).collect();
            assert!(redis.command(&[b"SET", keys[0].as_bytes(), &bytes]).starts_with(b"+OK"));
            assert_eq!(count(&database).await, (1, CachedSource::Filled));
            assert_eq!(count(&database).await, (1, CachedSource::Redis));
        }
        assert!(database.report().cache.unwrap().store.total.garbage >= 45);
    });
}

#[test]
fn a_database_that_is_restarted_is_read_again_and_missed_only_by_misses() {
    let (place, _turn) = disturbed_place();
    run(async {
        let redis = Redis::start();
        let mut config = shared(&place, &redis);
        // What is committed must outlast a crash.
        config.url += "&options=-c%20synchronous_commit%3Don";
        config.timeout = Duration::from_millis(500);
        config.connect_timeout = Duration::from_secs(5);
        let database = connect(config).await;
        assert_eq!(count(&database).await, (0, CachedSource::Filled));
        for (number, mode) in [(1_i64, StopMode::Fast), (2, StopMode::Immediate)] {
            place.primary().stop(mode).unwrap();
            for _ in 0..10 {
                assert_eq!(count(&database).await, (number - 1, CachedSource::Memory));
            }
            assert!(database.cached("SELECT count(*) FROM marks", &[]).await.is_err());
            place.primary().start().unwrap();
            until("the database is back", || place.primary().psql("postgres", "SELECT 1").is_ok()).await;
            let insert = async || database.main().execute("INSERT INTO items VALUES ($1)", &[&number]).await;
            let deadline = std::time::Instant::now() + Duration::from_secs(30);
            while insert().await.is_err() {
                assert!(std::time::Instant::now() < deadline, "the pool does not come back");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(count(&database).await, (number, CachedSource::Filled));
            assert_eq!(count(&database).await, (number, CachedSource::Memory));
        }
    });
}

#[test]
fn through_a_pooler_without_named_statements() {
    run(async {
        let place = place();
        place.psql("INSERT INTO items VALUES (1, 'one', 1); CREATE TYPE mood AS ENUM ('low', 'high')");
        let pooler = PgBouncer::start(place.primary(), &place.name, "");
        let url = pooler.url(&place.name);
        let database = connect(DatabaseConfig { url, ..config(&place) }).await;
        let sql = "SELECT text, 'low'::mood AS mood FROM items WHERE id = $1";
        for expected in [CachedSource::Filled, CachedSource::Memory] {
            let rows = database.cached(sql, &[&1_i64]).await.unwrap();
            let row = rows.row(0).unwrap();
            assert_eq!((rows.source(), row.get::<_, &str>("text")), (expected, "one"));
            assert_eq!(row.columns()[1].type_().name(), "mood");
            // Without rows the columns are those that were described.
            let none = database.cached(sql, &[&2_i64]).await.unwrap();
            assert_eq!((none.source(), none.len(), none.columns()[1].name()), (expected, 0, "mood"));
        }
        database.main().execute("UPDATE items SET text = 'two'", &[]).await.unwrap();
        assert_eq!(database.cached(sql, &[&1_i64]).fetch_one().await.unwrap().get::<_, &str>(0), "two");
    });
}
