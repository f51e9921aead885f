//! Another server takes over, with whatever it had been told by then.

use std::path::PathBuf;

use pgprime_cache::{Cache, CacheConfig, Reach, RedisConfig, RedisState};

use crate::support::{Redis, get, redis_state, replicated, tables, until, until_up, until_up_by_use};

/// Where instances find the primary of the day: a socket that is moved from one server to another.
struct Sign {
    folder: tempfile::TempDir,
}

impl Sign {
    fn to(redis: &Redis) -> Sign {
        let sign = Sign { folder: tempfile::tempdir().unwrap() };
        sign.turn(redis);
        sign
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis")
    }

    fn turn(&self, redis: &Redis) {
        let _ = std::fs::remove_file(self.socket());
        std::os::unix::fs::symlink(redis.url().trim_start_matches("unix://"), self.socket()).unwrap();
    }

    async fn cache(&self, redis: &Redis) -> Cache {
        let config = RedisConfig { url: format!("unix://{}", self.socket().display()), ..redis.config() };
        let config = CacheConfig { redis: Some(config), ..CacheConfig::default() };
        let cache = Cache::connect(config).await.unwrap();
        assert_eq!(redis_state(&cache), RedisState::Up);
        cache
    }
}

/// A primary and a replica of it that has caught up.
async fn pair() -> (Redis, Redis) {
    let primary = Redis::on_a_port(&[]);
    let replica = Redis::on_a_port(&[]);
    replica.query::<()>(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
    caught_up(&replica).await;
    (primary, replica)
}

async fn caught_up(replica: &Redis) {
    until("the replica has caught up", || {
        replica.query::<String>(&["INFO", "replication"]).contains("master_link_status:up")
    })
    .await;
}

async fn commit(cache: &Cache) -> Reach {
    cache.begin_write(&tables(&["t"])).await.committed().await
}

#[tokio::test]
async fn a_commit_lost_with_a_primary_is_not_undone_by_its_replica() {
    let (mut primary, replica) = pair().await;
    let sign = Sign::to(&primary);
    let (one, other) = (sign.cache(&primary).await, sign.cache(&primary).await);
    get(&one, "old").await;
    get(&other, "x").await;
    replicated(&primary, &replica).await;
    // From here on the replica is told nothing.
    replica.query::<()>(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(commit(&one).await, Reach::Everywhere);
    drop(one);
    primary.kill();
    sign.turn(&replica);
    assert_eq!(replica.keys(":entry:").len(), 1, "the old entry is there, and with it the old epochs");
    until_up_by_use(&other).await;
    assert_eq!(get(&other, "new").await.bytes, "new");
    assert_eq!(get(&sign.cache(&replica).await, "x").await.bytes, "new");
}

#[tokio::test]
async fn nor_by_the_first_primary_when_it_is_promoted_again() {
    let (primary, mut replica) = pair().await;
    let idle = primary.cache(1 << 20).await;
    get(&idle, "old").await;
    replicated(&primary, &replica).await;
    // The replica takes over. What is changed there the first primary, its replica now, is never told.
    replica.query::<()>(&["REPLICAOF", "NO", "ONE"]);
    primary.query::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    let writer = replica.cache(0).await;
    assert_eq!(commit(&writer).await, Reach::Everywhere);
    drop(writer);
    replica.kill();
    primary.query::<()>(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(get(&idle, "new").await.bytes, "new", "same process, same connection, another reign");
    assert_ne!(get(&primary.cache(0).await, "x").await.bytes, "old");
}

#[tokio::test]
async fn nor_by_one_that_never_knew_it_had_been_replaced() {
    let (primary, mut replica) = pair().await;
    let sign = Sign::to(&primary);
    let (one, other) = (sign.cache(&primary).await, primary.cache(1 << 20).await);
    get(&one, "old").await;
    get(&other, "x").await;
    replica.query::<()>(&["REPLICAOF", "NO", "ONE"]);
    sign.turn(&replica);
    primary.query::<()>(&["CLIENT", "KILL", "TYPE", "normal"]);
    until_up_by_use(&one).await;
    assert_eq!(commit(&one).await, Reach::Everywhere);
    replica.kill();
    sign.turn(&primary);
    until_up_by_use(&one).await;
    until_up_by_use(&other).await;
    assert_eq!(get(&other, "new").await.bytes, "new", "it was told by the one that came back");
    assert_eq!(get(&one, "x").await.bytes, "new");
}

#[tokio::test]
async fn what_was_told_a_primary_of_the_past_is_told_the_one_of_today() {
    let (mut primary, replica) = pair().await;
    let sign = Sign::to(&primary);
    let writer = sign.cache(&primary).await;
    replica.query::<()>(&["REPLICAOF", "NO", "ONE"]);
    let reader = replica.cache(1 << 20).await;
    get(&reader, "old").await;
    // It cannot know that nobody listens there any more.
    assert_eq!(commit(&writer).await, Reach::Everywhere);
    assert_eq!(get(&reader, "x").await.bytes, "old", "what remains, and is documented");
    primary.kill();
    sign.turn(&replica);
    until_up_by_use(&writer).await;
    assert_eq!(get(&reader, "new").await.bytes, "new");
}

#[tokio::test]
async fn a_replica_is_refused_and_the_report_says_so() {
    let (_primary, replica) = pair().await;
    let config = CacheConfig { redis: Some(replica.config()), ..CacheConfig::default() };
    let cache = Cache::connect(config).await.unwrap();
    let report = cache.snapshot().redis.unwrap();
    assert_ne!(report.state, RedisState::Up);
    let trouble = report.trouble.unwrap();
    assert!(trouble.contains("replica") && trouble.contains("primary"), "{trouble}");
    assert_eq!(get(&cache, "1").await.bytes, "1");
    replica.query::<()>(&["REPLICAOF", "NO", "ONE"]);
    until_up(&cache).await;
}
