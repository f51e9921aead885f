//! All endpoints of the whole system.

use serde_json::Value;

use crate::support::world::World;

/// The fields that each answer has at least.
const FIELDS: [(&str, &[&str]); 15] = [
    ("pool-stats", &["taken_at", "pooler", "pgbouncer", "application", "server", "rates", "missing"]),
    ("slow-queries", &["statements", "slow_count", "all", "missing", "hidden", "pooler_since"]),
    ("indexes", &["advice", "review", "missing"]),
    ("bloat", &["tables", "indexes", "findings"]),
    ("replication", &["in_recovery", "replicas", "slots", "receiver", "replay_delay_s", "missing"]),
    ("connections", &["clients", "clients_total", "servers", "sessions", "blocking", "missing"]),
    ("views", &["views", "history", "missing"]),
    ("cache", &["enabled", "total", "labels", "memory_bytes", "memory_bytes_max", "redis"]),
    ("admin/metrics", &["taken_at", "pool", "slowest", "views", "cache", "figures", "missing"]),
    ("checklist", &["taken_at", "counts", "items"]),
    ("alerts", &["firing", "pending", "history", "rules", "channels"]),
    ("capacity?rps=100", &["max_connections", "pool_size", "curve"]),
    ("health", &["taken_at", "status", "checks", "missing", "took_ms"]),
    ("history?series=connections.used", &["series"]),
    ("/api/v1/session", &["role", "version", "database", "name", "started_at", "is_loopback", "features"]),
];

async fn answered(world: &World, path: &str) -> Value {
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/api/v1/monitoring/{path}") };
    let answer = world.api.get(&path).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

/// Until the first rounds are kept.
async fn until_recorded(world: &World) {
    loop {
        let known = answered(world, "history/series").await;
        if known.as_array().unwrap().iter().any(|series| series["name"] == "connections.used") {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn every_endpoint_answers_as_agreed() {
    let world = World::start("requests_per_minute = 1000000").await;
    let client = world.client().await;
    for _ in 0..5 {
        client.query("SELECT status FROM quotes WHERE id = $1", &[&1_i64]).await.unwrap();
    }
    world.api.open("/api/v1/monitoring/events", &[]).await.event("health", |_| true).await;
    until_recorded(&world).await;
    for (path, fields) in FIELDS {
        let answer = answered(&world, path).await;
        for field in fields {
            assert!(answer.get(field).is_some(), "{path} has no {field}: {answer}");
        }
    }
    let session = answered(&world, "/api/v1/session").await;
    let features = &session["features"];
    assert_eq!(session["database"], Value::from(world.database.as_str()));
    for (name, has) in
        [("pooler", true), ("pgbouncer", false), ("views", true), ("cache", true), ("alerts", true)]
    {
        assert_eq!(features[name], Value::from(has), "{name}");
    }
    let history = answered(&world, "history?series=connections.used&points=10").await;
    assert!(
        history["series"][0]["points"][0][0].is_i64() && history["series"][0]["kind"].is_string(),
        "{history}"
    );
    let pools = answered(&world, "pool-stats").await;
    assert!(
        pools["pooler"]["pools"]
            .as_array()
            .unwrap()
            .iter()
            .any(|pool| pool["database"] == session["database"]),
        "{pools}"
    );
    assert!(pools["server"]["by_state"].is_object(), "{pools}");
    let connections = answered(&world, "connections").await;
    assert!(connections["clients_total"].as_u64().unwrap() >= 1, "{connections}");
    world.end().await;
}

#[tokio::test]
async fn the_pooler_adds_what_clients_met() {
    let world = World::start("requests_per_minute = 1000000").await;
    let client = world.client().await;
    for _ in 0..3 {
        client.batch_execute("SELECT count(*) FROM quotes WHERE premium > 100").await.unwrap();
    }
    let slow = answered(&world, "slow-queries?threshold_ms=0&limit=500").await;
    assert!(slow["pooler_since"].is_string(), "{slow}");
    let found = slow["statements"].as_array().unwrap().iter();
    let found =
        found.filter(|statement| statement["text"].as_str().is_some_and(|text| text.contains("premium >")));
    let statement = found.into_iter().next().unwrap_or_else(|| panic!("{slow}"));
    let id = statement["query_id"].as_str().unwrap();
    let detail = answered(&world, &format!("slow-queries/{id}")).await;
    assert_eq!(detail["statement"]["query_id"], id);
    assert!(detail["series"].is_array() && detail["missing"].is_array(), "{detail}");
    assert!(detail["pooler"]["calls"].as_u64() >= Some(3), "{detail}");
    assert!(detail["pooler"]["exec_ms_p95"].is_f64(), "{detail}");
    world.end().await;
}

#[tokio::test]
async fn views_are_refreshed_and_what_shows_them_is_new() {
    let world = World::start("").await;
    let metrics = answered(&world, "admin/metrics").await;
    let figure = &metrics["figures"][0];
    assert_eq!((&figure["name"], &figure["error"]), (&"days".into(), &Value::Null), "{metrics}");
    assert!(figure["rows"].as_array().unwrap().len() == 10 && figure["age_s"].is_f64(), "{metrics}");
    // As the query has them, though JSON would not mind.
    let body = world.api.get("/api/v1/monitoring/admin/metrics").await.body;
    assert!(body.contains(r#""rows":[{"day":0,"premium":"#), "{body}");
    let limits = &metrics["pool"]["limits"];
    assert!(limits["work_mem"] == "64MB" && limits["client_check_interval_ms"] == 10_000, "{limits}");
    let cache = answered(&world, "cache").await;
    assert_eq!((&cache["enabled"], &cache["labels"][0]["fills"]), (&true.into(), &1.into()), "{cache}");

    let done = world.api.post("/api/v1/monitoring/views/daily/refresh", "").await;
    let outcome = done.json();
    assert_eq!((done.status, &outcome["name"]), (200, &"public.daily".into()), "{outcome}");
    assert!(outcome["outcome"] == "refreshed" && outcome["refreshed"]["rows"] == 10, "{outcome}");
    let views = answered(&world, "views").await;
    assert!(views["history"].as_array().unwrap().iter().any(|entry| entry["reason"] == "asked"), "{views}");
    let after = answered(&world, "cache").await;
    assert!(after["invalidations"].as_u64() > cache["invalidations"].as_u64(), "{after}");
    for (name, status) in [("none", 404), ("a%20b", 400), ("pg_catalog.pg_class", 400), ("quotes", 404)] {
        let refused = world.api.post(&format!("/api/v1/monitoring/views/{name}/refresh"), "").await;
        assert_eq!(refused.status, status, "{name}: {refused:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn the_checklist_knows_what_runs() {
    let world = World::start("").await;
    world.api.open("/api/v1/monitoring/events", &[]).await.event("health", |_| true).await;
    let checklist = answered(&world, "checklist").await;
    let items = checklist["items"].as_array().unwrap();
    let verdict = |id: &str| {
        let found = items.iter().find(|item| item["id"] == id);
        found.unwrap_or_else(|| panic!("there is no item {id}: {checklist}"))["verdict"].clone()
    };
    assert_eq!(verdict("application.pooling"), "met", "{checklist}");
    let levels = ["database", "application", "query", "monitoring"];
    assert!(levels.iter().all(|level| items.iter().any(|item| item["level"] == *level)), "{checklist}");
    world.end().await;
}

#[tokio::test]
async fn alerts_are_tested_and_told() {
    let world = World::start("").await;
    let tested = world.api.post("/api/v1/monitoring/alerts/test", "").await;
    assert_eq!(
        (tested.status, tested.json()["deliveries"].as_array().unwrap().len()),
        (200, 0),
        "{tested:?}"
    );
    let alerts = answered(&world, "alerts").await;
    let rule = alerts["rules"]
        .as_array()
        .unwrap()
        .iter()
        .find(|rule| rule["name"] == "locks.waiting.warning")
        .unwrap();
    assert!(rule["for_s"] == 0.0 && rule["description"].is_string(), "{rule}");
    world.end().await;
}
