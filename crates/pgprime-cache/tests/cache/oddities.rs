//! What answers is no Redis, or one that cannot do what it should.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pgprime_cache::{Cache, CacheConfig, Reach, RedisConfig, RedisState, Source};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{LONG, Redis, get, redis_state, tables, until, until_up};

async fn connect(redis: RedisConfig) -> Cache {
    Cache::connect(CacheConfig { redis: Some(redis), ..CacheConfig::default() }).await.unwrap()
}

/// One try, and no other for as long as a test takes.
fn once(url: String) -> RedisConfig {
    RedisConfig {
        timeout: LONG,
        connect_timeout: LONG,
        pause_first: LONG,
        pause_max: LONG,
        ..RedisConfig::new(url)
    }
}

#[tokio::test]
async fn another_service_that_listens_there_is_told_and_nothing_panics() {
    const HINT: &str = "is it Redis that listens there?";
    let answers: [(&[u8], &str); 6] = [
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", HINT),
        // PostgreSQL, to what it takes for the length of a startup message.
        (b"E\0\0\0\x18SFATAL\0C08P01\0\0", HINT),
        (&[0xff; 64], HINT),
        (b"+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n", "connecting failed"),
        (b"$999999999999999999\r\n", "connecting failed"),
        (b"", "connecting failed"),
    ];
    for (answer, said) in answers {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let service = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answer);
        });
        let cache = connect(once(url)).await;
        service.join().unwrap();
        assert_eq!(redis_state(&cache), RedisState::Down);
        assert_eq!(get(&cache, "1").await.bytes, "1");
        let report = cache.snapshot().redis.unwrap();
        let trouble = report.trouble.unwrap();
        assert_eq!(report.failures, 1);
        assert!(trouble.contains(said), "{:?}: {trouble}", String::from_utf8_lossy(answer));
    }
}

#[tokio::test]
async fn one_that_says_nothing_is_given_up_after_the_time_to_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let cache = connect(RedisConfig { connect_timeout: Duration::from_millis(50), ..once(url) }).await;
    let report = cache.snapshot().redis.unwrap();
    assert_eq!((report.state, report.timeouts), (RedisState::Down, 1));
    assert_eq!(report.trouble.as_deref(), Some("connecting took too long"));
}

#[tokio::test]
async fn one_that_still_loads_its_data_is_waited_for() {
    // Slowly, but so that it answers meanwhile.
    let slowly = ["--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024"];
    let mut redis = Redis::with(&[&slowly[..], &["--save", "3600 100000"]].concat());
    let (keys, value): (Vec<String>, _) = ((0..1000).map(|key| key.to_string()).collect(), "v".repeat(100));
    let pairs = keys.iter().flat_map(|key| [key.as_str(), value.as_str()]);
    redis.query::<()>(&["MSET"].into_iter().chain(pairs).collect::<Vec<_>>());
    redis.query::<()>(&["SAVE"]);
    redis.kill();
    redis.run();
    let cache = connect(redis.config()).await;
    assert_ne!(redis_state(&cache), RedisState::Up);
    let trouble = cache.snapshot().redis.unwrap().trouble.unwrap();
    assert!(trouble.to_lowercase().contains("loading"), "{trouble}");
    assert_eq!(get(&cache, "1").await.bytes, "1");
    redis.query::<()>(&["CONFIG", "SET", "key-load-delay", "0"]);
    until_up(&cache).await;
}

#[tokio::test]
async fn one_that_cannot_save_and_so_takes_no_writes_is_left_alone_and_says_why() {
    // It is to write its snapshot where a folder is.
    let redis = Redis::with(&["--save", "3600 100000", "--dbfilename", "snapshot"]);
    let cache = connect(redis.config()).await;
    get(&cache, "old").await;
    let folder = redis.url().trim_start_matches("unix://").replace("/redis", "/snapshot");
    std::fs::create_dir_all(format!("{folder}/full")).unwrap();
    redis.query::<String>(&["BGSAVE"]);
    until("saving fails", || {
        redis.query::<String>(&["INFO", "persistence"]).contains("rdb_last_bgsave_status:err")
    })
    .await;
    for _ in 0..4 {
        assert_eq!(cache.begin_write(&tables(&["t"])).await.committed().await, Reach::Here);
        assert_eq!(get(&cache, "new").await.bytes, "new");
    }
    let report = cache.snapshot().redis.unwrap();
    assert_ne!(report.state, RedisState::Up);
    assert!(report.trouble.unwrap().contains("MISCONF"));
    redis.query::<()>(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]);
    until_up(&cache).await;
    get(&cache, "newer").await;
    assert_ne!(get(&cache, "x").await.source, Source::Filled);
}

/// Passes on what comes, until it is told to swallow everything on the connections that are open then.
async fn proxy(redis: &Redis) -> (String, Arc<AtomicBool>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let swallows = Arc::new(AtomicBool::new(false));
    let (flag, socket) = (swallows.clone(), redis.url().trim_start_matches("unix://").to_owned());
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            // Those who come now find a way that is whole.
            flag.store(false, Ordering::SeqCst);
            let server = tokio::net::UnixStream::connect(&socket).await.unwrap();
            let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                (client.into_split(), server.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            let flag = flag.clone();
            tokio::spawn(async move {
                let (mut buffer, mut is_lost) = ([0; 4096], false);
                while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
                    is_lost |= flag.load(Ordering::SeqCst);
                    if !is_lost && to_server.write_all(&buffer[..count]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (url, swallows)
}

#[tokio::test]
async fn a_connection_that_is_only_half_there_is_replaced() {
    let redis = Redis::start();
    let (url, swallows) = proxy(&redis).await;
    let redis = RedisConfig { url, timeout: Duration::from_millis(300), ..redis.config() };
    let cache = connect(redis).await;
    get(&cache, "1").await;
    swallows.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(get(&cache, "2").await.bytes, "2");
    }
    until_up(&cache).await;
    let report = cache.snapshot().redis.unwrap();
    assert_eq!((report.outages, report.connections), (1, 2));
    assert!(report.trouble.unwrap().contains("took too long"));
    get(&cache, "3").await;
    assert_ne!(get(&cache, "4").await.source, Source::Filled);
}
