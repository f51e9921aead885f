//! A database that goes and comes back.

use std::time::{Duration, Instant};

use pgprime_cluster::{Cluster, ClusterOptions, StopMode};

use crate::support::world::World;
use crate::support::{Answer, PATIENCE, Running};

/// Nobody reloads a page for longer.
const ANSWER_MAX: Duration = Duration::from_secs(12);

const LOOKING: [&str; 9] = [
    "slow-queries",
    "indexes",
    "bloat",
    "connections",
    "replication",
    "views",
    "admin/metrics",
    "checklist",
    "cache",
];
/// These have their last knowledge, or need no database.
const KNOWING: [&str; 6] = [
    "health",
    "pool-stats",
    "alerts",
    "history/series",
    "capacity?rps=100",
    "history?series=connections.used",
];

async fn ask(api: &Running, path: &str) -> Answer {
    let began = Instant::now();
    let answer = tokio::time::timeout(PATIENCE, api.get(&format!("/api/v1/monitoring/{path}"))).await;
    let answer = answer.unwrap_or_else(|_| panic!("{path} hangs"));
    assert!(began.elapsed() < ANSWER_MAX, "{path} took {:?}: {answer:?}", began.elapsed());
    answer
}

/// Every endpoint answers in time, with what it knows or with a problem that says what is wrong.
async fn all_answer(api: &Running) {
    for path in KNOWING {
        assert_eq!(ask(api, path).await.status, 200, "{path}");
    }
    let answers = LOOKING.map(|path| async move { (path, ask(api, path).await) });
    for (path, answer) in futures_util::future::join_all(answers).await {
        assert!([200, 503].contains(&answer.status), "{path}: {answer:?}");
        assert!(answer.status == 200 || !answer.json()["detail"].as_str().unwrap().is_empty(), "{path}");
    }
    assert_eq!(api.get("/api/v1/session").await.status, 200);
    assert_eq!(api.get("/healthz").await.status, 200);
    assert_eq!(api.get("/readyz").await.status, 200);
    assert_eq!(api.get("/metrics").await.status, 200);
}

async fn until_status(api: &Running, path: &str, wanted: u16) {
    let began = Instant::now();
    loop {
        let answer = ask(api, path).await;
        if answer.status == wanted {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{path} never says {wanted}: {answer:?}");
        tokio::task::yield_now().await;
    }
}

async fn until_up(api: &Running, is_up: bool) {
    let began = Instant::now();
    loop {
        let health = ask(api, "health").await.json();
        let up = health["checks"].as_array().unwrap().iter().find(|check| check["id"] == "database.up");
        if up.is_some_and(|up| (up["status"] == "ok") == is_up) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{health}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_answers_while_the_database_is_away_and_recovers() {
    let options = ClusterOptions::default().with_setting("shared_preload_libraries", "pg_stat_statements");
    let cluster = Cluster::start(&options).unwrap();
    let world = World::on(&cluster, "requests_per_minute = 1000000").await;
    let api = &world.api;
    until_status(api, "health", 200).await;
    for path in LOOKING {
        assert_eq!(ask(api, path).await.status, 200, "{path}");
    }

    cluster.primary().stop(StopMode::Immediate).unwrap();
    until_up(api, false).await;
    all_answer(api).await;
    cluster.primary().start().unwrap();
    until_up(api, true).await;
    for path in LOOKING {
        until_status(api, path, 200).await;
    }

    // It accepts connections, and says nothing.
    cluster.primary().pause().unwrap();
    until_up(api, false).await;
    all_answer(api).await;
    cluster.primary().resume().unwrap();
    until_up(api, true).await;
    for path in LOOKING {
        until_status(api, path, 200).await;
    }
    world.end().await;
}
