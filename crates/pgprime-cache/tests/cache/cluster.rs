//! A cluster: slots move, masters die, and nobody is served what is older.

use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use pgprime_cache::{Cache, CacheConfig, Reach, RedisConfig, RedisState, Source};

use crate::ring::Ring;
use crate::stress::{Load, World};
use crate::support::{get, hour, redis_state, replicated, tables, until, until_up, until_up_by_use};
use crate::ways_in::{ALLOWED, works};

#[tokio::test]
async fn is_used_through_any_of_its_nodes() {
    let ring = Ring::start(&[]).await;
    let through = |node: usize| {
        let redis =
            RedisConfig { url: format!("redis://127.0.0.1:{}", ring.nodes[node].port()), ..ring.config() };
        Cache::connect(CacheConfig { redis: Some(redis), ..CacheConfig::default() })
    };
    let (one, other) = (through(0).await.unwrap(), through(1).await.unwrap());
    assert_eq!((redis_state(&one), redis_state(&other)), (RedisState::Up, RedisState::Up));
    get(&one, "value").await;
    assert_eq!(get(&other, "x").await.source, Source::Redis);
    assert_eq!(one.begin_write(&tables(&["t"])).await.committed().await, Reach::Everywhere);
    assert_eq!(get(&other, "new").await.bytes, "new");
    for node in &ring.nodes {
        node.query::<()>(&["SCRIPT", "FLUSH"]);
    }
    assert_eq!(get(&one, "x").await.bytes, "new");
    assert_eq!(one.snapshot().redis.unwrap().failures, 0);

    let user = format!("on >secret {ALLOWED} +ping +asking +cluster|slots");
    let command: Vec<&str> = ["ACL", "SETUSER", "cache"].into_iter().chain(user.split_whitespace()).collect();
    ring.nodes.iter().for_each(|node| node.query::<()>(&command));
    works(&format!("redis://cache:secret@127.0.0.1:{}", ring.nodes[2].port())).await;
}

#[tokio::test]
async fn a_commit_that_was_not_replicated_is_not_undone_by_the_replica() {
    let mut ring = Ring::start(&[0, 1, 2]).await;
    let (one, other) = (ring.cache(1 << 20).await, ring.cache(1 << 20).await);
    get(&one, "old").await;
    get(&other, "x").await;
    let home = ring.home();
    let replica = ring.replica_of(home);
    replicated(&ring.nodes[home], &ring.nodes[replica]).await;
    // It cannot follow any more, and is elected all the same.
    ring.nodes[replica].query::<()>(&["CONFIG", "SET", "masterauth", "wrong"]);
    ring.nodes[home].query::<()>(&["CLIENT", "KILL", "TYPE", "replica"]);
    until("the replica is cut off", || {
        ring.nodes[replica].query::<String>(&["INFO", "replication"]).contains("master_link_status:down")
    })
    .await;
    let epoch = |node: usize| ring.nodes[node].query::<Option<String>>(&["HGET", "{pgprime}:table:t", "e"]);
    let before = epoch(home);
    assert_eq!(one.begin_write(&tables(&["t"])).await.committed().await, Reach::Everywhere);
    assert_ne!(epoch(home), before);
    ring.nodes[home].kill();
    until("the replica takes over", || ring.is_master(replica)).await;
    ring.until_state("ok").await;
    let epoch = ring.nodes[replica].query::<Option<String>>(&["HGET", "{pgprime}:table:t", "e"]);
    assert_eq!(epoch, before, "the change is lost");
    until_up_by_use(&other).await;
    assert_eq!(get(&other, "new").await.bytes, "new");
    until_up_by_use(&one).await;
    assert_ne!(get(&one, "newer").await.bytes, "old");
}

/// Readers and writers on two instances, for as long as this is kept.
struct Work {
    world: Arc<World>,
    caches: Vec<Cache>,
    running: tokio::task::JoinHandle<()>,
}

impl Work {
    async fn on(ring: &Ring) -> Work {
        // What hangs is left alone soon.
        let redis = RedisConfig { timeout: Duration::from_millis(500), ..ring.config() };
        let config = CacheConfig { redis: Some(redis), ..CacheConfig::default() };
        let without_memory = CacheConfig { memory_bytes_max: 0, ..config.clone() };
        let caches =
            vec![Cache::connect(config).await.unwrap(), Cache::connect(without_memory).await.unwrap()];
        let world = World::new(caches.clone(), hour());
        let load = Load { writers: 3, readers: 8, writes_each: usize::MAX };
        let worker = world.clone();
        let running = tokio::spawn(async move { worker.run(load, 11).await });
        Work { world, caches, running }
    }

    /// Waits until both instances have been served by Redis some more.
    async fn go_on(&self, after: &str) {
        let hits = || -> Vec<u64> {
            self.caches
                .iter()
                .map(|cache| cache.snapshot().total)
                .map(|total| total.hits_redis + total.hits_memory)
                .collect()
        };
        let before = hits();
        until(after, || {
            assert!(!self.running.is_finished(), "somebody was served what is older");
            hits().iter().zip(&before).all(|(now, before)| *now > before + 20)
        })
        .await;
    }

    async fn end(self) {
        self.world.stop();
        self.running.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_commit_nobody_is_served_what_is_older_whatever_becomes_of_its_nodes() {
    let mut ring = Ring::start(&[0, 1, 2]).await;
    let work = Work::on(&ring).await;
    work.go_on("all is well").await;

    let home = ring.home();
    let away = ring.other_master(home);
    ring.migrate_epochs(home, away).await;
    work.go_on("the slot of the epochs has moved").await;
    ring.migrate_epochs(away, home).await;
    work.go_on("and back").await;

    ring.nodes[home].kill();
    ring.until_state("ok").await;
    until("a replica takes over", || ring.masters() == 3).await;
    work.go_on("the master of the epochs has died").await;
    ring.nodes[home].run();
    ring.until_replicas_follow(3).await;
    work.go_on("it follows its replica now").await;
    ring.nodes[home].query::<()>(&["CLUSTER", "FAILOVER"]);
    until("it is the master again", || ring.is_master(home)).await;
    work.go_on("it is the master again").await;

    let other = ring.other_master(home);
    ring.nodes[other].signal(Signal::SIGSTOP);
    work.go_on("a master of entries hangs").await;
    until("its replica takes over", || ring.masters() == 3).await;
    work.go_on("its replica has taken over").await;
    ring.nodes[other].signal(Signal::SIGCONT);
    work.go_on("it is there again, as a replica").await;
    println!("{:?}", work.caches[0].snapshot().redis);
    work.end().await;
}

#[tokio::test]
async fn while_a_part_of_it_is_lost_the_service_goes_on_without_it() {
    let mut ring = Ring::start(&[]).await;
    let redis = RedisConfig { timeout: Duration::from_secs(1), ..ring.config() };
    let cache = Cache::connect(CacheConfig { redis: Some(redis), ..CacheConfig::default() }).await.unwrap();
    get(&cache, "1").await;
    let home = ring.home();
    let lost = ring.other_master(home);
    ring.nodes[lost].kill();
    ring.until_state("fail").await;
    for _ in 0..5 {
        assert_eq!(get(&cache, "2").await.bytes, "2", "nobody can know what is valid");
    }
    let report = cache.snapshot().redis.unwrap();
    assert_ne!(report.state, RedisState::Up);
    assert!(
        report.trouble.is_some_and(|trouble| trouble.contains("cluster is down")),
        "{:?}",
        cache.snapshot().redis
    );
    ring.nodes[lost].run();
    ring.until_state("ok").await;
    until_up(&cache).await;
    get(&cache, "3").await;
    assert_ne!(get(&cache, "4").await.source, Source::Filled);
}
