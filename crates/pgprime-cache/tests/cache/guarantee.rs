//! After a commit nobody is served what is older.

use std::time::Duration;

use nix::sys::signal::Signal;
use pgprime_cache::{Cache, CacheConfig, Consistency, Policy, Reach, RedisConfig, Source};

use crate::stress::{Load, World};
use crate::support::{Redis, get, hour, memory_only, tables, until, until_up};

const LOAD: Load = Load { writers: 6, readers: 24, writes_each: 150 };

/// Short, so that results expire, are served stale and are filled anew all the time.
fn short() -> Policy {
    Policy {
        stale_while_revalidate: Some(Duration::from_millis(20)),
        jitter: 0.5,
        compress_above_bytes: 10,
        ..Policy::ttl(Duration::from_millis(20))
    }
}

fn hits(cache: &Cache) -> u64 {
    cache.snapshot().total.hits()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_memory() {
    for (seed, policy) in [(1, hour()), (2, short())] {
        let cache = memory_only().await;
        World::new(vec![cache.clone()], policy).run(LOAD, seed).await;
        assert!(hits(&cache) > 100, "{:?}", cache.snapshot());
        assert_eq!(cache.snapshot().flights, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_redis_alone() {
    let redis = Redis::start();
    for (seed, policy) in [(3, hour()), (4, short())] {
        let caches = vec![redis.cache(0).await, redis.cache(0).await];
        World::new(caches.clone(), policy).run(LOAD, seed).await;
        assert!(caches.iter().all(|cache| hits(cache) > 20), "{:?}", caches[0].snapshot());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_two_tiers_of_two_instances() {
    let redis = Redis::start();
    for (seed, policy) in [(5, hour()), (6, short())] {
        let caches = vec![redis.cache(1 << 20).await, redis.cache(1 << 20).await];
        World::new(caches.clone(), policy).run(LOAD, seed).await;
        assert!(caches.iter().all(|cache| hits(cache) > 20), "{:?}", caches[0].snapshot());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_redis_dies_hangs_and_forgets() {
    let mut redis = Redis::with(&["--save", "3600 100000"]);
    let config = RedisConfig { timeout: Duration::from_millis(100), ..redis.config() };
    let config = CacheConfig { redis: Some(config), ..CacheConfig::default() };
    let caches = vec![
        Cache::connect(config.clone()).await.unwrap(),
        Cache::connect(CacheConfig { memory_bytes_max: 0, ..config }).await.unwrap(),
    ];
    let world = World::new(caches.clone(), hour());
    let load = Load { writes_each: 400, ..LOAD };
    let running = tokio::spawn(async move { world.run(load, 7).await });
    let mut fault = 0;
    while !running.is_finished() {
        // How long each state lasts is part of the fault; nothing is expected of it.
        tokio::time::sleep(Duration::from_millis(60)).await;
        match fault % 7 {
            0 => redis.query::<()>(&["FLUSHALL"]),
            1 => {
                redis.query::<()>(&["SAVE"]);
                redis.query::<()>(&["SCRIPT", "FLUSH"]);
            }
            // With the data of the snapshot, which is older than what was there.
            2 => {
                redis.kill();
                redis.run();
            }
            3 => {
                redis.signal(Signal::SIGSTOP);
                tokio::time::sleep(Duration::from_millis(150)).await;
                redis.signal(Signal::SIGCONT);
            }
            4 => poison(&redis),
            5 => {
                // Whatever is written pushes everything else out.
                redis.query::<()>(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
                redis.query::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
                tokio::time::sleep(Duration::from_millis(60)).await;
                redis.query::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
            }
            _ => {
                redis.kill();
                tokio::time::sleep(Duration::from_millis(50)).await;
                redis.run();
            }
        }
        fault += 1;
    }
    running.await.unwrap();
    assert!(fault > 6, "{fault} faults");
    assert!(caches.iter().all(|cache| cache.snapshot().redis.unwrap().outages > 0));
}

/// Garbage in every key. What the cache does meanwhile may undo it, or make it fail.
fn poison(redis: &Redis) {
    let mut client = redis.client();
    for (number, key) in redis.keys("").iter().enumerate() {
        let mut garbage = redis::pipe();
        garbage.atomic().del(key);
        match number % 3 {
            0 => garbage.set(key, "garbage"),
            1 => garbage.lpush(key, "garbage"),
            _ => garbage.hset(key, "m", "garbage").hset(key, "w", "garbage"),
        };
        garbage.exec(&mut client).unwrap();
    }
}

#[tokio::test]
async fn within_a_bound_other_instances_may_lag_and_ones_own_do_not() {
    let redis = Redis::start();
    // So long that the test sees the lag whatever the machine is doing.
    let bound = Duration::from_secs(3600);
    let config = CacheConfig {
        consistency: Consistency::Within(bound),
        redis: Some(redis.config()),
        ..CacheConfig::default()
    };
    let (one, other) = (Cache::connect(config.clone()).await.unwrap(), Cache::connect(config).await.unwrap());
    get(&one, "old").await;
    assert_eq!(get(&other, "x").await.source, Source::Redis);
    let before = redis.query::<String>(&["INFO", "commandstats"]);
    assert_eq!(get(&other, "x").await.source, Source::Memory);
    let after = redis.query::<String>(&["INFO", "commandstats"]);
    let evalsha =
        |text: &str| text.lines().find(|line| line.starts_with("cmdstat_evalsha:")).map(str::to_owned);
    assert_eq!(evalsha(&before), evalsha(&after), "nothing was asked");

    assert_eq!(one.begin_write(&tables(&["t"])).await.committed().await, Reach::Everywhere);
    assert_eq!(get(&one, "new").await.bytes, "new");
    assert_eq!(get(&other, "newer").await.bytes, "old", "within the bound");
    assert_eq!(other.invalidate(&tables(&["t"])).await, Reach::Everywhere);
    assert_eq!(get(&other, "newest").await.bytes, "newest");
}

#[tokio::test]
async fn after_the_bound_every_instance_sees_it() {
    let redis = Redis::start();
    let bound = Duration::from_millis(100);
    let config = CacheConfig {
        consistency: Consistency::Within(bound),
        redis: Some(redis.config()),
        ..CacheConfig::default()
    };
    let (one, other) = (Cache::connect(config.clone()).await.unwrap(), Cache::connect(config).await.unwrap());
    get(&one, "old").await;
    get(&other, "x").await;
    let _ = one.invalidate(&tables(&["t"])).await;
    // The bound itself is what is tested.
    tokio::time::sleep(bound).await;
    assert_eq!(get(&other, "new").await.bytes, "new");
}

#[tokio::test]
async fn a_writer_of_anything_is_one_of_every_table_on_all_instances() {
    let redis = Redis::start();
    let (one, other) = (redis.cache(1 << 20).await, redis.cache(1 << 20).await);
    get(&one, "old").await;
    let intent = one.begin_write_anything().await;
    assert_eq!(intent.reach(), Reach::Everywhere);
    for cache in [&one, &other] {
        assert_eq!(get(cache, "meanwhile").await.source, Source::Filled);
    }
    intent.rolled_back().await;
    assert_eq!(get(&one, "x").await.source, Source::Memory, "nothing has changed");
    assert_eq!(get(&other, "x").await.source, Source::Redis, "nothing has changed");

    assert_eq!(one.begin_write_anything().await.committed().await, Reach::Everywhere);
    assert_eq!(get(&other, "new").await.bytes, "new");
    assert_eq!(get(&one, "x").await.bytes, "new");
    let ttl: i64 = redis.query(&["PTTL", "{pgprime}:everything"]);
    assert_eq!(ttl, -1, "else all results would be given up at once when it expires");
}

#[tokio::test(start_paused = true)]
async fn a_commit_of_unknown_outcome_keeps_its_mark_for_the_whole_lease() {
    let cache = memory_only().await;
    let lease = CacheConfig::default().write_lease;
    get(&cache, "old").await;
    for intent in [cache.begin_write(&tables(&["t"])).await, cache.begin_write_anything().await] {
        intent.unknown();
    }
    tokio::time::advance(lease - Duration::from_millis(1)).await;
    assert_eq!(get(&cache, "meanwhile").await.source, Source::Filled);
    assert_eq!(get(&cache, "still").await.source, Source::Filled);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(get(&cache, "new").await.bytes, "new");
    assert_eq!(get(&cache, "x").await.source, Source::Memory);
}

#[tokio::test]
async fn other_instances_hear_of_a_commit_of_unknown_outcome_though_redis_was_away() {
    let mut redis = Redis::start();
    let lease = Duration::from_millis(300);
    let config = CacheConfig { write_lease: lease, redis: Some(redis.config()), ..CacheConfig::default() };
    let (one, other) = (Cache::connect(config.clone()).await.unwrap(), Cache::connect(config).await.unwrap());
    redis.kill();
    let intent = one.begin_write(&tables(&["t"])).await;
    assert_eq!(intent.reach(), Reach::Here);
    redis.run();
    until_up(&one).await;
    until_up(&other).await;
    get(&other, "old").await;
    let epoch = || redis.query::<Option<String>>(&["HGET", "{pgprime}:table:t", "e"]);
    let before = epoch();
    intent.unknown();
    until("Redis is told at the end of the lease", || epoch() != before).await;
    assert_eq!(get(&other, "new").await.bytes, "new");
}
