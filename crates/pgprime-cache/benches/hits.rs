//! What a hit costs: `cargo bench -p pgprime-cache`; with `REDIS_URL`, also through Redis' epochs and from Redis alone.

use std::time::{Duration, Instant};

use pgprime_cache::{
    Cache, CacheConfig, Consistency, Filled, KeyBuilder, Policy, RedisConfig, Request, Tables,
};

const VALUE_BYTES: usize = 4000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        measure("memory", CacheConfig::default(), 500_000).await?;
        let Ok(url) = std::env::var("REDIS_URL") else { return Ok(()) };
        let redis = RedisConfig { namespace: "pgprime-bench".into(), ..RedisConfig::new(url) };
        let two_tiers = CacheConfig { redis: Some(redis), ..CacheConfig::default() };
        let within = Consistency::Within(Duration::from_secs(1));
        measure("two tiers, within 1 s", CacheConfig { consistency: within, ..two_tiers.clone() }, 500_000)
            .await?;
        measure("two tiers, strict", two_tiers.clone(), 20_000).await?;
        measure("redis alone, strict", CacheConfig { memory_bytes_max: 0, ..two_tiers }, 20_000).await
    })
}

/// Hits one after the other, and the time of each.
async fn measure(name: &str, config: CacheConfig, hits: u32) -> Result<(), Box<dyn std::error::Error>> {
    let cache = Cache::connect(config).await?;
    let tables = Tables::new(["quotes", "policies"]);
    let policy = Policy::ttl(Duration::from_secs(3600));
    let began = Instant::now();
    for _ in 0..hits {
        // Making the key is part of every request.
        let key = KeyBuilder::new().database("insurance").role("admin").text("SELECT 1").build();
        let request = Request { key, tables: &tables, label: "bench", policy };
        let fill = || async { Ok::<_, std::io::Error>(Filled::new(vec![7; VALUE_BYTES])) };
        cache.get_or_fill(&request, fill).await?;
    }
    let each = began.elapsed() / hits;
    let ratio = cache.snapshot().total.hit_ratio().unwrap_or_default();
    println!("{name}: {each:?} for each of {hits} hits of {VALUE_BYTES} bytes ({:.2} % hits)", ratio * 100.0);
    Ok(())
}
