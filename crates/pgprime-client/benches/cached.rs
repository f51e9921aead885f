//! What a cached read and an announced write cost: `cargo bench -p pgprime-client`; with `REDIS_URL`, also
//! through Redis.

use std::time::{Duration, Instant};

use pgprime_client::cache::{CacheConfig, RedisConfig};
use pgprime_client::{Database, DatabaseConfig, Error, ResultCacheConfig};
use pgprime_cluster::{Cluster, ClusterOptions};

const SCHEMA: &str = "CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL, name text NOT NULL);
    INSERT INTO items SELECT id, id, md5(id::text) FROM generate_series(1, 100) id";
const ONE: &str = "SELECT id, n, name FROM items WHERE id = $1";
const ALL: &str = "SELECT id, n, name FROM items ORDER BY id";
const WRITE: &str = "UPDATE items SET n = n + 1 WHERE id = $1";

const HITS: u32 = 100_000;
const WRITES: u32 = 2_000;
const BATCHES: u32 = 200;

fn main() {
    // As a test it only has to compile.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let options = ClusterOptions::default().with_setting("fsync", "off");
    let cluster = Cluster::start(&options).expect("PostgreSQL is installed");
    cluster.primary().psql("postgres", SCHEMA).expect("the schema is made");
    let url = cluster.primary().url("postgres");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        measure("no cache", &url, None).await.expect("the cluster runs");
        measure("memory", &url, Some(CacheConfig::default())).await.expect("the cluster runs");
        let Ok(redis) = std::env::var("REDIS_URL") else { return };
        let redis = RedisConfig { namespace: "pgprime-bench".into(), ..RedisConfig::new(redis) };
        let cache = CacheConfig { redis: Some(redis), ..CacheConfig::default() };
        measure("memory and Redis, strict", &url, Some(cache)).await.expect("the cluster runs");
    });
}

async fn measure(name: &str, url: &str, cache: Option<CacheConfig>) -> Result<(), Error> {
    let mut config = DatabaseConfig::new(url);
    (config.pool_min, config.pool_max) = (Some(1), Some(1));
    let hits = if cache.as_ref().is_some_and(|cache| cache.redis.is_none()) { HITS } else { HITS / 50 };
    config.cache = cache.map(|cache| ResultCacheConfig { cache, ..ResultCacheConfig::default() });
    let database = Database::connect(config).await?;
    println!("{name}:");
    println!("  a read of one row by its key: {:?}", reading(&database, ONE, hits).await?);
    println!("  a read of 100 rows: {:?}", reading(&database, ALL, hits).await?);
    println!("  a write: {:?}", writing(&database).await?);
    println!("  100 writes in a batch: {:?}", batches(&database).await?);
    Ok(())
}

async fn reading(database: &Database, sql: &str, reads: u32) -> Result<Duration, Error> {
    let id = 7_i32;
    let parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)] = if sql == ONE { &[&id] } else { &[] };
    database.cached(sql, parameters).ttl(Duration::from_secs(3_600)).await?;
    let began = Instant::now();
    for _ in 0..reads {
        database.cached(sql, parameters).ttl(Duration::from_secs(3_600)).await?;
    }
    Ok(began.elapsed() / reads)
}

async fn writing(database: &Database) -> Result<Duration, Error> {
    let main = database.main();
    main.execute(WRITE, &[&1_i32]).await?;
    let began = Instant::now();
    for _ in 0..WRITES {
        main.execute(WRITE, &[&1_i32]).await?;
    }
    Ok(began.elapsed() / WRITES)
}

async fn batches(database: &Database) -> Result<Duration, Error> {
    let ids: Vec<i32> = (1..=100).collect();
    let rows: Vec<Vec<&(dyn tokio_postgres::types::ToSql + Sync)>> =
        ids.iter().map(|id| vec![id as &(dyn tokio_postgres::types::ToSql + Sync)]).collect();
    let main = database.main();
    main.batch(WRITE, &rows).await?;
    let began = Instant::now();
    for _ in 0..BATCHES {
        main.batch(WRITE, &rows).await?;
    }
    Ok(began.elapsed() / BATCHES)
}
