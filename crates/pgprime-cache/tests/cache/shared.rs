//! Two instances and a Redis that works.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pgprime_cache::{Cache, CacheConfig, Filled, Policy, RedisConfig, RedisState, Request, Source};
use tokio::sync::Notify;

use crate::support::{Redis, get, get_with, hour, key, redis_state, tables};

#[tokio::test]
async fn what_one_fills_the_other_serves() {
    let redis = Redis::start();
    let (one, other) = (redis.cache(1 << 20).await, redis.cache(1 << 20).await);
    get(&one, "value").await;
    let served = get(&other, "x").await;
    assert_eq!((&served.bytes[..], served.source), (&b"value"[..], Source::Redis));
    assert_eq!(get(&other, "x").await.source, Source::Memory);
    let _ = one.begin_write(&tables(&["t"])).await.committed().await;
    assert_eq!(get(&other, "new").await.bytes, "new");
    assert_eq!(get(&one, "x").await.bytes, "new");
    let _ = other.invalidate_all().await;
    assert_eq!(get(&one, "newest").await.bytes, "newest");
}

#[tokio::test]
async fn a_write_here_stops_serving_there() {
    let redis = Redis::start();
    let (one, other) = (redis.cache(1 << 20).await, redis.cache(0).await);
    get(&one, "old").await;
    let intent = one.begin_write(&tables(&["t"])).await;
    assert_eq!(get(&other, "during").await.bytes, "during");
    assert_eq!(get(&other, "during, too").await.bytes, "during, too");
    intent.rolled_back().await;
    assert_eq!(get(&other, "x").await.bytes, "old", "nothing has changed");
    drop(one.begin_write(&tables(&["t"])).await);
    // The keeper tells Redis; until then the announcement holds.
    assert_eq!(get(&other, "new").await.bytes, "new");
}

#[tokio::test]
async fn a_writer_whose_instance_died_counts_as_committed_when_its_lease_ends() {
    let redis = Redis::start();
    let lease = Duration::from_millis(200);
    let config = CacheConfig { write_lease: lease, redis: Some(redis.config()), ..CacheConfig::default() };
    let (one, other) = (Cache::connect(config).await.unwrap(), redis.cache(1 << 20).await);
    get(&other, "old").await;
    std::mem::forget(one.begin_write(&tables(&["t"])).await);
    assert_eq!(get(&other, "during").await.source, Source::Filled);
    // The lease itself is what is tested.
    tokio::time::sleep(lease + Duration::from_millis(5)).await;
    assert_eq!(get(&other, "after").await.bytes, "after");
    assert_eq!(get(&other, "x").await.bytes, "after");
}

#[tokio::test]
async fn one_fill_over_all_instances() {
    let redis = Redis::start();
    let config = RedisConfig { fill_wait_max: Duration::from_secs(30), ..redis.config() };
    let config = CacheConfig { redis: Some(config), ..CacheConfig::default() };
    let caches = [
        Cache::connect(config.clone()).await.unwrap(),
        Cache::connect(config.clone()).await.unwrap(),
        Cache::connect(CacheConfig { memory_bytes_max: 0, ..config }).await.unwrap(),
    ];
    let fills = Arc::new(AtomicUsize::new(0));
    let readers: Vec<_> = (0..999)
        .map(|number| {
            let (cache, fills) = (caches[number % 3].clone(), fills.clone());
            tokio::spawn(async move {
                let tables = tables(&["t"]);
                let request = Request { key: key("q"), tables: &tables, label: "q", policy: hour() };
                let fill = || async {
                    fills.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    Ok::<_, ()>(Filled::new(b"value".as_slice()))
                };
                cache.get_or_fill(&request, fill).await.unwrap().bytes
            })
        })
        .collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), "value");
    }
    assert_eq!(fills.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_fill_elsewhere_that_takes_too_long_is_not_waited_for() {
    let redis = Redis::start();
    let config = RedisConfig { fill_wait_max: Duration::from_millis(20), ..redis.config() };
    let config = CacheConfig { redis: Some(config), ..CacheConfig::default() };
    let (one, other) = (redis.cache(1 << 20).await, Cache::connect(config).await.unwrap());
    let (began, may_end) = (Notify::new(), Notify::new());
    let tables = tables(&["t"]);
    let request = Request { key: key("q"), tables: &tables, label: "q", policy: hour() };
    let slow = one.get_or_fill(&request, || async {
        began.notify_one();
        may_end.notified().await;
        Ok::<_, ()>(Filled::new(b"slow".as_slice()))
    });
    let fast = async {
        began.notified().await;
        let served = get(&other, "fast").await;
        may_end.notify_one();
        served
    };
    let (slow, fast) = tokio::join!(slow, fast);
    assert_eq!((&slow.unwrap().bytes[..], &fast.bytes[..]), (&b"slow"[..], &b"fast"[..]));
}

#[tokio::test]
async fn a_claim_of_a_cancelled_fill_is_given_back() {
    let redis = Redis::start();
    let cache = redis.cache(1 << 20).await;
    let began = Arc::new(Notify::new());
    let (cache_too, began_too) = (cache.clone(), began.clone());
    let filling = tokio::spawn(async move {
        let tables = tables(&["t"]);
        let request = Request { key: key("q"), tables: &tables, label: "q", policy: hour() };
        let fill = || async {
            began_too.notify_one();
            std::future::pending::<Result<Filled, ()>>().await
        };
        cache_too.get_or_fill(&request, fill).await
    });
    began.notified().await;
    assert_eq!(redis.keys(":claim:").len(), 1);
    filling.abort();
    crate::support::until("the claim is given back", || redis.keys(":claim:").is_empty()).await;
    assert_eq!(get(&redis.cache(0).await, "value").await.bytes, "value");
}

#[tokio::test]
async fn garbage_is_a_miss_and_overwritten() {
    let redis = Redis::start();
    let (cache, reader) = (redis.cache(0).await, redis.cache(0).await);
    let large = "0123456789".repeat(2000);
    get(&cache, &large).await;
    let [entry] = &redis.keys(":entry:")[..] else { panic!("one entry") };
    let good: Vec<u8> = redis.query(&["GET", entry]);
    assert!(good.len() < 1000, "compressed: {} bytes", good.len());
    let length = redis.query::<i64>(&["STRLEN", entry]);
    let spoils: [&[&str]; 6] = [
        &["SET", entry, "garbage"],
        &["SETRANGE", entry, "3", "\u{2}"],
        &["SETRANGE", entry, "70", "zz"],
        &["SETRANGE", entry, &length.to_string(), "more"],
        &["RESTORE", entry, "0", "never reached"],
        &["LPUSH", entry, "of another type"],
    ];
    let mut garbage = 0;
    for spoil in spoils {
        match spoil[0] {
            "RESTORE" => {
                // Cut in the middle.
                let half = redis::cmd("SET")
                    .arg(entry)
                    .arg(&good[..good.len() / 2])
                    .query::<()>(&mut redis.client());
                half.unwrap();
            }
            "LPUSH" => {
                redis.query::<()>(&["DEL", entry]);
                redis.query::<()>(spoil);
            }
            _ => redis.query::<()>(spoil),
        }
        garbage += 1;
        assert_eq!(get(&reader, &large).await.source, Source::Filled, "{spoil:?}");
        assert_eq!(reader.snapshot().total.garbage, garbage, "{spoil:?}");
        let served = get(&cache, "x").await;
        assert_eq!((served.source, served.bytes.len()), (Source::Redis, large.len()), "{spoil:?}");
    }
    assert_eq!(redis_state(&reader), RedisState::Up);
}

#[tokio::test]
async fn an_entry_of_another_key_or_too_large_is_not_served() {
    let redis = Redis::start();
    let cache = redis.cache(0).await;
    let none = tables(&["t"]);
    let fill = || async { Ok::<_, ()>(Filled::new(b"of another key".as_slice())) };
    let other = Request { key: key("other"), tables: &none, label: "other", policy: hour() };
    cache.get_or_fill(&other, fill).await.unwrap();
    let [from] = &redis.keys(":entry:")[..] else { panic!("one entry") };
    let to = from.replace(&key("other").to_string(), &key("q").to_string());
    redis.query::<()>(&["COPY", from, &to]);
    assert_eq!(get(&cache, "mine").await.bytes, "mine");
    redis.query::<()>(&["SET", &to, &"x".repeat(5 << 20)]);
    assert_eq!(get(&cache, "mine again").await.bytes, "mine again");
    assert_eq!(cache.snapshot().total.garbage, 2);
}

#[tokio::test]
async fn ages_and_times_to_live_go_by_the_servers_clock() {
    let redis = Redis::start();
    let (one, other) = (redis.cache(0).await, redis.cache(1 << 20).await);
    let stale = Some(Duration::from_secs(3600));
    let policy =
        Policy { stale_while_revalidate: stale, jitter: 0.0, ..Policy::ttl(Duration::from_millis(100)) };
    get_with(&one, policy, "1").await;
    let [entry] = &redis.keys(":entry:")[..] else { panic!("one entry") };
    let left: i64 = redis.query(&["PTTL", entry]);
    assert!((3_590_000..=3_600_100).contains(&left), "{left}");
    tokio::time::sleep(Duration::from_millis(110)).await;
    // Found stale there, it is filled by the one who found it.
    let served = get_with(&other, policy, "2").await;
    assert_eq!((&served.bytes[..], served.source), (&b"2"[..], Source::Filled));
    assert_eq!(other.snapshot().total.garbage, 0);
    // Who allows less is served less.
    get(&one, "3").await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    let young = Policy::ttl(Duration::from_millis(5));
    assert_eq!(get_with(&one, young, "4").await.bytes, "4");
}

#[tokio::test]
async fn namespaces_do_not_see_each_other() {
    let redis = Redis::start();
    let apart = RedisConfig { namespace: "apart".into(), ..redis.config() };
    let other = CacheConfig { redis: Some(apart), ..CacheConfig::default() };
    let (one, other) = (redis.cache(0).await, Cache::connect(other).await.unwrap());
    get(&one, "1").await;
    assert_eq!(get(&other, "2").await.bytes, "2");
    let _ = one.invalidate_all().await;
    assert_eq!(get(&other, "3").await.bytes, "2");
}
