//! Redis fails, and the service goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use pgprime_cache::{
    Cache, CacheConfig, ConfigError, Consistency, Filled, Reach, RedisConfig, RedisState, Request, Source,
};
use tokio::sync::Notify;

use crate::support::{LONG, Redis, get, hour, key, redis_state, tables, until, until_up, until_up_by_use};

#[tokio::test]
async fn without_redis_at_the_beginning_it_goes_on_and_uses_it_later() {
    let mut redis = Redis::start();
    redis.kill();
    let config = CacheConfig { redis: Some(redis.config()), ..CacheConfig::default() };
    let cache = Cache::connect(config).await.unwrap();
    assert_ne!(redis_state(&cache), RedisState::Up);
    assert_eq!(get(&cache, "1").await.bytes, "1");
    assert_eq!(get(&cache, "2").await.bytes, "2", "nobody knows what other instances do");
    redis.run();
    until_up(&cache).await;
    assert_eq!(get(&cache, "3").await.bytes, "3");
    assert_eq!(get(&cache, "4").await.bytes, "3");
}

#[tokio::test]
async fn without_redis_readers_share_only_fills_that_begin_after_they_came() {
    let mut redis = Redis::start();
    redis.kill();
    let config = CacheConfig { redis: Some(redis.config()), ..CacheConfig::default() };
    let cache = Cache::connect(config).await.unwrap();
    let (began, may_end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (cache_too, began_too, may_end_too) = (cache.clone(), began.clone(), may_end.clone());
    let early = tokio::spawn(async move {
        let tables = tables(&["t"]);
        let request = Request { key: key("q"), tables: &tables, label: "q", policy: hour() };
        let fill = || async {
            began_too.notify_one();
            may_end_too.notified().await;
            Ok::<_, ()>(Filled::new(b"old".as_slice()))
        };
        cache_too.get_or_fill(&request, fill).await.unwrap().bytes
    });
    began.notified().await;
    // Another instance commits here, of which this one cannot know.
    let late: Vec<_> = (0..100)
        .map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move { get(&cache, "new").await.bytes })
        })
        .collect();
    while cache.snapshot().flights < 2 {
        tokio::task::yield_now().await;
    }
    may_end.notify_one();
    assert_eq!(early.await.unwrap(), "old");
    for reader in late {
        assert_eq!(reader.await.unwrap(), "new");
    }
    assert!(cache.snapshot().total.fills < 10, "{:?}", cache.snapshot().total);
    assert_eq!(cache.snapshot().flights, 0);
}

#[tokio::test]
async fn killed_and_restarted_empty() {
    let mut redis = Redis::start();
    let (one, other) = (redis.cache(1 << 20).await, redis.cache(0).await);
    get(&one, "old").await;
    redis.kill();
    assert_eq!(get(&one, "meanwhile").await.bytes, "meanwhile");
    until("the loss is noticed", || redis_state(&one) != RedisState::Up).await;
    redis.run();
    until_up(&one).await;
    assert_eq!(get(&one, "new").await.bytes, "new");
    until_up_by_use(&other).await;
    assert_eq!(get(&other, "x").await.bytes, "new");
}

#[tokio::test]
async fn what_a_restored_snapshot_holds_is_void() {
    let mut redis = Redis::with(&["--save", "3600 100000"]);
    let (one, other) = (redis.cache(1 << 20).await, redis.cache(1 << 20).await);
    get(&one, "old").await;
    assert_eq!(get(&other, "x").await.bytes, "old");
    redis.query::<()>(&["SAVE"]);
    assert_eq!(one.begin_write(&tables(&["t"])).await.committed().await, Reach::Everywhere);
    redis.kill();
    redis.run();
    assert_eq!(redis.keys(":entry:").len(), 1, "the old entry is back, and with it the old epochs");
    for cache in [&one, &other] {
        until_up_by_use(cache).await;
    }
    assert_eq!(get(&other, "new").await.bytes, "new");
    assert_eq!(get(&one, "x").await.bytes, "new");
}

#[tokio::test]
async fn flushed_while_a_fill_is_under_way() {
    let redis = Redis::start();
    let (one, other) = (redis.cache(1 << 20).await, redis.cache(1 << 20).await);
    get(&one, "old").await;
    redis.query::<()>(&["FLUSHALL"]);
    assert_eq!(get(&one, "new").await.bytes, "new", "an epoch that is gone makes nothing valid");
    assert_eq!(get(&other, "x").await.bytes, "new");
    assert_eq!(redis_state(&one), RedisState::Up);
}

#[tokio::test]
async fn a_primary_that_becomes_a_replica_is_not_asked_any_more() {
    let redis = Redis::start();
    let cache = redis.cache(1 << 20).await;
    get(&cache, "old").await;
    // Of a primary that is out of reach: it stays as it is.
    redis.query::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    assert_eq!(get(&cache, "meanwhile").await.bytes, "meanwhile");
    assert_ne!(redis_state(&cache), RedisState::Up);
    redis.query::<()>(&["REPLICAOF", "NO", "ONE"]);
    until_up(&cache).await;
    assert_eq!(
        get(&cache, "new").await.bytes,
        "new",
        "what was told another primary meanwhile it does not know"
    );
}

#[tokio::test]
async fn a_redis_that_hangs_is_left_alone() {
    let redis = Redis::start();
    let short = RedisConfig {
        timeout: Duration::from_millis(100),
        pause_max: LONG,
        pause_first: LONG,
        ..redis.config()
    };
    let config = CacheConfig { redis: Some(short), ..CacheConfig::default() };
    let cache = Cache::connect(config).await.unwrap();
    get(&cache, "1").await;
    redis.signal(Signal::SIGSTOP);
    for _ in 0..5 {
        get(&cache, "meanwhile").await;
    }
    assert_eq!(redis_state(&cache), RedisState::Down);
    let began = Instant::now();
    for _ in 0..1000 {
        get(&cache, "meanwhile").await;
    }
    assert!(began.elapsed() < LONG, "a thousand times the limit would be longer");
    let report = cache.snapshot().redis.unwrap();
    assert_eq!((report.outages, report.timeouts), (1, 3));
    redis.signal(Signal::SIGCONT);
}

#[tokio::test]
async fn a_hanging_redis_comes_back() {
    let redis = Redis::start();
    let short = RedisConfig {
        timeout: Duration::from_millis(100),
        connect_timeout: Duration::from_millis(500),
        ..redis.config()
    };
    let config = CacheConfig { redis: Some(short), ..CacheConfig::default() };
    let cache = Cache::connect(config).await.unwrap();
    get(&cache, "old").await;
    redis.signal(Signal::SIGSTOP);
    until_down(&cache).await;
    assert_eq!(cache.begin_write(&tables(&["t"])).await.committed().await, Reach::Here);
    assert_eq!(get(&cache, "meanwhile").await.bytes, "meanwhile");
    redis.signal(Signal::SIGCONT);
    until("Redis was told", || cache.snapshot().redis.unwrap().debts == 0).await;
    until_up(&cache).await;
    assert_ne!(get(&cache, "new").await.bytes, "old");
}

async fn until_down(cache: &Cache) {
    for _ in 0..10 {
        get(cache, "meanwhile").await;
    }
    assert_ne!(redis_state(cache), RedisState::Up);
}

/// A cache that finds Redis at `path` only while there is a link to its socket.
async fn partitioned(redis: &Redis, debts_max: usize) -> (Cache, Partition) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("redis");
    std::os::unix::fs::symlink(redis.url().trim_start_matches("unix://"), &socket).unwrap();
    let config = RedisConfig { url: format!("unix://{}", socket.display()), debts_max, ..redis.config() };
    let config = CacheConfig { redis: Some(config), ..CacheConfig::default() };
    let cache = Cache::connect(config).await.unwrap();
    assert_eq!(redis_state(&cache), RedisState::Up);
    (cache, Partition { _folder: folder, socket, redis: redis.url() })
}

struct Partition {
    _folder: tempfile::TempDir,
    socket: std::path::PathBuf,
    redis: String,
}

impl Partition {
    /// Cuts the connection; the other instance has one of its own, which is cut, too, but comes back at once.
    fn cut(&self, redis: &Redis) {
        std::fs::remove_file(&self.socket).unwrap();
        redis.query::<()>(&["CLIENT", "KILL", "TYPE", "normal"]);
    }

    fn heal(&self) {
        std::os::unix::fs::symlink(self.redis.trim_start_matches("unix://"), &self.socket).unwrap();
    }
}

#[tokio::test]
async fn changes_made_while_redis_was_out_of_reach_are_told_before_it_is_trusted() {
    for (debts_max, overflowed) in [(100, 0), (3, 1)] {
        let redis = Redis::start();
        let (writer, partition) = partitioned(&redis, debts_max).await;
        let reader = redis.cache(1 << 20).await;
        get(&reader, "old").await;
        partition.cut(&redis);
        until_up_by_use(&reader).await;
        until_down(&writer).await;
        for table in ["a", "b", "c", "t"] {
            let intent = writer.begin_write(&tables(&[table])).await;
            assert_eq!(intent.reach(), Reach::Here);
            assert_eq!(intent.committed().await, Reach::Here);
        }
        assert_eq!(get(&writer, "new").await.bytes, "new");
        assert_eq!(get(&reader, "x").await.bytes, "old", "it cannot know: what remains, and is documented");
        assert!(writer.snapshot().redis.unwrap().debts >= 1);
        partition.heal();
        until_up(&writer).await;
        let report = writer.snapshot().redis.unwrap();
        assert_eq!((report.debts, report.debts_overflowed), (0, overflowed));
        assert_eq!(get(&reader, "new").await.bytes, "new");
    }
}

#[tokio::test]
async fn a_dropped_intent_is_told_by_the_keeper_even_without_readers() {
    let redis = Redis::start();
    let (writer, reader) = (redis.cache(1 << 20).await, redis.cache(1 << 20).await);
    get(&reader, "old").await;
    drop(writer.begin_write(&tables(&["t"])).await);
    until("the keeper has told Redis", || writer.snapshot().redis.unwrap().debts == 0).await;
    assert_eq!(get(&reader, "new").await.bytes, "new");
    assert_eq!(get(&reader, "x").await.bytes, "new");
}

#[tokio::test]
async fn within_a_bound_memory_serves_while_redis_is_gone() {
    let mut redis = Redis::start();
    let consistency = Consistency::Within(Duration::from_secs(3600));
    let config = CacheConfig { consistency, redis: Some(redis.config()), ..CacheConfig::default() };
    let cache = Cache::connect(config).await.unwrap();
    redis.kill();
    let _ = cache.invalidate(&tables(&["t"])).await;
    get(&cache, "1").await;
    let served = get(&cache, "2").await;
    assert_eq!((&served.bytes[..], served.source), (&b"1"[..], Source::Memory));
    let _ = cache.begin_write(&tables(&["t"])).await.committed().await;
    assert_eq!(get(&cache, "3").await.bytes, "3", "its own changes it always sees");
}

#[tokio::test]
async fn a_redis_without_memory_stops_caching_and_not_the_service() {
    let redis = Redis::start();
    let cache = redis.cache(1 << 20).await;
    get(&cache, "old").await;
    redis.query::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    assert_eq!(cache.begin_write(&tables(&["t"])).await.committed().await, Reach::Everywhere);
    for _ in 0..10 {
        assert_eq!(get(&cache, "new").await.bytes, "new");
    }
    redis.query::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    until_up(&cache).await;
    get(&cache, "new").await;
    assert_ne!(get(&cache, "x").await.source, Source::Filled);
}

#[tokio::test]
async fn a_dropped_cache_leaves_no_task() {
    let mut redis = Redis::start();
    let cache = redis.cache(1 << 20).await;
    redis.kill();
    get(&cache, "1").await;
    let metrics = tokio::runtime::Handle::current().metrics();
    drop(cache);
    until("its tasks have ended", || metrics.num_alive_tasks() == 0).await;
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let with = |redis| CacheConfig { redis: Some(redis), ..CacheConfig::default() };
    let error = Cache::connect(with(RedisConfig::new("http://:secret@localhost"))).await.err().unwrap();
    assert!(matches!(error, ConfigError::Url(_)));
    assert!(!error.to_string().contains("secret"));
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_not_used_and_nothing_panics() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let refusing = std::thread::spawn(move || drop(listener.accept()));
    let config =
        RedisConfig { pause_first: LONG, pause_max: LONG, ..RedisConfig::new(format!("rediss://{address}")) };
    let cache = Cache::connect(CacheConfig { redis: Some(config), ..CacheConfig::default() }).await.unwrap();
    refusing.join().unwrap();
    assert_eq!(redis_state(&cache), RedisState::Down);
    assert_eq!(get(&cache, "1").await.bytes, "1");
}
