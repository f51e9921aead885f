//! What the system itself asks of the database is not taken for the application's.

use std::time::Instant;

use serde_json::Value;

use crate::support::world::World;
use crate::support::{PATIENCE, cluster};

const PATHS: [&str; 12] = [
    "pool-stats",
    "slow-queries",
    "health",
    "indexes",
    "bloat",
    "replication",
    "connections",
    "views",
    "cache",
    "admin/metrics",
    "checklist",
    "alerts",
];

/// What the application runs here, as pg_stat_statements of all versions write it; names of settings that the pooler sets for
/// its client; refreshes and figures, which are work.
fn is_applications(text: &str) -> bool {
    ["SELECT status FROM quotes WHERE id = $1", "SET application_name", "SELECT pg_stat_statements_reset("]
        .iter()
        .any(|known| text.starts_with(known))
        || text.contains("daily")
}

#[tokio::test]
async fn the_systems_own_statements_are_left_out_or_marked() {
    let world = World::start("requests_per_minute = 1000000").await;
    // Health is there from the first round on.
    world.api.open("/api/v1/monitoring/events", &[]).await.event("health", |_| true).await;
    let node = cluster().primary();
    let forget =
        "SELECT pg_stat_statements_reset(0, oid, 0) FROM pg_database WHERE datname = current_database()";
    node.psql(&world.database, forget).unwrap();
    let client = world.client().await;
    for _ in 0..5 {
        client.query("SELECT status FROM quotes WHERE id = $1", &[&1_i64]).await.unwrap();
    }
    for path in PATHS {
        let answer = world.api.get(&format!("/api/v1/monitoring/{path}")).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    for query in ["SELECT * FROM quotes WHERE status = $1", "SELECT 1 FROM quotes WHERE id = 1"] {
        let body = format!("{{\"query\": \"{query}\"}}");
        let answer = world.api.post("/api/v1/monitoring/analyze-query", &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    // Counters are kept for a moment: those after all of this come with a later answer.
    let began = Instant::now();
    let told = loop {
        let told = world.api.get("/api/v1/monitoring/slow-queries?threshold_ms=0&limit=100").await.json();
        if told["statements"].to_string().contains("COMMIT") || began.elapsed() > PATIENCE {
            break told;
        }
        tokio::task::yield_now().await;
    };
    let statements = told["statements"].as_array().unwrap();
    let taken_for_others: Vec<&Value> = statements
        .iter()
        .filter(|one| one["may_include_own"] == false)
        .map(|one| &one["text"])
        .filter(|text| !is_applications(text.as_str().unwrap()))
        .collect();
    assert!(taken_for_others.is_empty(), "{taken_for_others:#?}");
    let is_there = |text: &str| statements.iter().any(|one| one["text"].as_str().unwrap().contains(text));
    assert!(is_there("SELECT status FROM quotes") && is_there("COMMIT"), "{told}");
    // Its own looks leave nothing in the session that has to be reset.
    for text in ["RESET ALL", "DISCARD TEMP", "CLOSE ALL", "UNLISTEN"] {
        assert!(!is_there(text), "{told}");
    }
    world.end().await;
}
