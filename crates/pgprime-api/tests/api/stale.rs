//! Nobody looks any more: what is known is old, and said to be.

use std::sync::Arc;
use std::time::Duration;

use pgprime_api::{Api, ApiConfig, Services};
use pgprime_monitor::health::{Direct, Settings};
use pgprime_monitor::watch::{Monitor, WatchConfig};
use serde_json::Value;

use crate::support::{Running, cluster, serve, services};

/// An interface on the rounds of a watcher that has stopped after its first.
async fn after_the_last_round(stale_after: Duration) -> Running {
    let url = cluster().primary().url("postgres");
    let connect = Arc::new(Direct::new(url, Duration::from_secs(5)));
    let watching = Monitor::start(WatchConfig::new(Settings::default(), connect), Vec::new());
    let mut rounds = watching.rounds();
    rounds.wait_for(Option::is_some).await.unwrap();
    watching.stop().await;
    let services = Services { rounds: Some(rounds), stale_after, ..services().await };
    serve(Api::bind(ApiConfig::from_toml("listen = '127.0.0.1:0'").unwrap(), services).await.unwrap())
}

fn metric(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("no {name}: {text}")).parse().unwrap()
}

#[tokio::test]
async fn what_nobody_looks_at_any_more_is_unknown() {
    let api = after_the_last_round(Duration::ZERO).await;
    let answer = api.get("/api/v1/monitoring/health").await;
    let health = answer.json();
    assert_eq!((answer.status, &health["status"]), (200, &Value::from("unknown")), "{answer:?}");
    assert!(health["checks"].as_array().unwrap().len() > 20, "what was known stays");
    assert!(health["stale"]["age_s"].is_f64(), "{health}");
    assert!(health["stale"]["reason"].as_str().unwrap().contains("watching has stopped"), "{health}");

    let ready = api.get("/readyz").await;
    assert_eq!((ready.status, &ready.json()["status"]), (200, &"ready, and health is unknown".into()));
    assert!(ready.json()["reason"].as_str().unwrap().contains("watching has stopped"), "{ready:?}");
    assert_eq!(api.get("/healthz").await.json(), serde_json::json!({"status": "running"}));

    let mut stream = api.open("/api/v1/monitoring/events", &[]).await;
    let live = stream.event("live", |_| true).await;
    assert_eq!((&live["status"], &live["server"]), (&Value::from("unknown"), &Value::Null), "{live}");
    assert!(live["stale"]["reason"].is_string(), "{live}");
    assert!(stream.event("health", |_| true).await["stale"]["reason"].is_string());

    let metrics = api.get("/metrics").await.body;
    assert_eq!(metric(&metrics, "pgprime_health_status"), 1.0);
    assert_eq!(metric(&metrics, "pgprime_health_stale_after_seconds"), 0.0);
    let (last, taken) = ("pgprime_health_last_round_seconds", "pgprime_health_taken_timestamp_seconds");
    let behind = metric(&metrics, last) - metric(&metrics, taken);
    assert!((0.0..60.0).contains(&behind), "a round ends after it has begun: {behind}");
}

#[tokio::test]
async fn a_young_round_is_believed() {
    let api = after_the_last_round(Duration::from_secs(3_600)).await;
    let health = api.get("/api/v1/monitoring/health").await.json();
    assert!(health["status"] != "unknown" && health["stale"].is_null(), "{health}");
    let ready = api.get("/readyz").await.json();
    assert!(ready["status"].as_str().unwrap().starts_with("ready") && ready["reason"].is_null(), "{ready}");
}

#[tokio::test]
async fn before_the_first_round_metrics_say_so() {
    let (_keep, rounds) = tokio::sync::watch::channel(None);
    let services = Services { rounds: Some(rounds), ..services().await };
    let config = ApiConfig::from_toml("listen = '127.0.0.1:0'").unwrap();
    let api = serve(Api::bind(config, services).await.unwrap());
    assert_eq!(metric(&api.get("/metrics").await.body, "pgprime_health_last_round_seconds"), 0.0);
    assert_eq!(api.get("/api/v1/monitoring/health").await.status, 503);
    assert_eq!(api.get("/readyz").await.json()["status"], "ready");
}
