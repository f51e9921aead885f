//! Servers that stop, are killed, or lag, while users go on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use pgprime_cluster::{Cluster, ClusterOptions, StopMode};
use tokio::task::JoinSet;

use crate::http::Answer;
use crate::service::{Service, User, config, id};

const USERS: u32 = 60;

/// What the users and who stops servers tell each other.
#[derive(Default)]
struct Board {
    /// Answers that were right.
    served: AtomicU32,
    /// Answers that asked to come back later.
    refused: AtomicU32,
    is_over: AtomicBool,
}

impl Board {
    /// Waits for so many more of what is counted.
    async fn wait_for(counter: &AtomicU32, more: u32) {
        let enough = counter.load(Ordering::Relaxed) + more;
        let waited = async {
            while counter.load(Ordering::Relaxed) < enough {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waited).await.expect("the users go on");
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Whether the answer is the one to a request that was carried out; anything but 503 beside it is a fault.
    fn count(&self, answer: &Answer) -> bool {
        if answer.status == 503 {
            assert!(answer.header("retry-after").is_some(), "{}", answer.text());
            self.refused.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        assert!(matches!(answer.status, 200 | 201), "{} {}", answer.status, answer.text());
        self.served.fetch_add(1, Ordering::Relaxed);
        true
    }
}

/// Asks for quotes and binds them, each until it is done; what was acknowledged, as quote and policy.
async fn write(mut user: User, board: Arc<Board>) -> Vec<(i64, i64)> {
    let mut acknowledged = Vec::new();
    while !board.is_over() {
        let key = user.next_key();
        let quote_id = loop {
            let answer = user.ask_quote(&key).await;
            if board.count(&answer) {
                break id(&answer.json(answer.status));
            }
            come_back_later().await;
        };
        let policy_id = loop {
            let answer = user.bind(quote_id).await;
            if board.count(&answer) {
                break id(&answer.json(answer.status));
            }
            come_back_later().await;
        };
        acknowledged.push((quote_id, policy_id));
    }
    acknowledged
}

/// Sooner than people would.
async fn come_back_later() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_loses_nothing_and_doubles_nothing() {
    // The end is a crash, which only loses what was committed when commits do not wait for the log.
    let options = ClusterOptions::default().with_setting("synchronous_commit", "on");
    let cluster = Cluster::start(&options).expect("PostgreSQL is installed");
    let (database, mut config) =
        config(&cluster, &[("DATABASE_POOL_MAX", "8"), ("DATABASE_POOL_TIMEOUT", "1")]);
    // On a slow machine, too, nothing but the outage may fail a request.
    config.statement_timeout = Duration::from_secs(60);
    let service = Service::start(&cluster, config).await;
    let board = Arc::new(Board::default());
    let mut users = JoinSet::new();
    for number in 0..USERS {
        let mut user = service.user(format!("user{number}"));
        user.register().await;
        users.spawn(write(user, Arc::clone(&board)));
    }

    Board::wait_for(&board.served, 4 * USERS).await;
    cluster.primary().stop(StopMode::Immediate).expect("stops");
    Board::wait_for(&board.refused, 2 * USERS).await;
    service.client().get("/healthz").await.json(204);
    service.client().get("/readyz").await.json(503);
    cluster.primary().start().expect("starts again");
    Board::wait_for(&board.served, 4 * USERS).await;
    service.client().get("/readyz").await.json(204);
    board.is_over.store(true, Ordering::Relaxed);
    let acknowledged: BTreeSet<(i64, i64)> = users.join_all().await.concat().into_iter().collect();

    let sql = |sql: &str| cluster.primary().psql(&database, sql).expect("the primary runs");
    let stored: BTreeSet<(i64, i64)> = sql("SELECT quote_id, id FROM policies").lines().map(pair).collect();
    assert!(acknowledged.len() as u32 >= 4 * USERS);
    assert_eq!(stored, acknowledged, "all users have ended, so what is stored is what was acknowledged");
    let doubled = "SELECT count(*) - count(DISTINCT details ->> 'request_key') FROM quotes";
    assert_eq!(sql(doubled), "0");
    assert_eq!(sql("SELECT count(*) FROM quotes"), stored.len().to_string());
    service.stop(&cluster, &database).await;
}

fn pair(line: &str) -> (i64, i64) {
    let (quote_id, policy_id) = line.split_once('|').expect("two columns");
    (quote_id.parse().expect("a number"), policy_id.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_follow_writes_and_outlive_the_replica() {
    let cluster =
        Cluster::start(&ClusterOptions::default().with_replicas(1)).expect("PostgreSQL is installed");
    let replica = &cluster.replicas()[0];
    let (database, mut config) =
        config(&cluster, &[("DATABASE_POOL_MAX", "8"), ("DATABASE_POOL_TIMEOUT", "60")]);
    config.read_url = Some(replica.url(&database));
    config.replica_lag_max = Duration::from_secs(3_600);
    let service = Service::start(&cluster, config).await;
    let mut user = service.user("writer");
    user.register().await;

    replica.psql("postgres", "SELECT pg_wal_replay_pause()").expect("can be paused");
    let path = format!("/quotes/{}", id(&user.ask_quote("late").await.json(201)));
    user.get(&path).await.json(200);
    service.client().get(&path).await.json(404);
    replica.psql("postgres", "SELECT pg_wal_replay_resume()").expect("can be resumed");
    cluster.wait_for_replay().expect("the replica follows");
    service.client().get(&path).await.json(200);

    let board = Arc::new(Board::default());
    let mut readers = JoinSet::new();
    for _ in 0..USERS {
        let (mut client, board, path) = (service.client(), Arc::clone(&board), path.clone());
        readers.spawn(async move {
            while !board.is_over() {
                let answer = client.get(&path).await;
                answer.json(200);
                board.count(&answer);
            }
        });
    }
    Board::wait_for(&board.served, 10 * USERS).await;
    replica.kill();
    Board::wait_for(&board.served, 10 * USERS).await;
    let report = service.pool_once(|report| report["replica"]["is_used"] == false).await;
    assert!(report["replica"]["reason"].is_string(), "{report:#}");
    Board::wait_for(&board.served, 10 * USERS).await;
    replica.start().expect("starts again");
    service.pool_once(|report| report["replica"]["is_used"] == true).await;
    Board::wait_for(&board.served, 10 * USERS).await;
    board.is_over.store(true, Ordering::Relaxed);
    readers.join_all().await;
    service.stop(&cluster, &database).await;
}
