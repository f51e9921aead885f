//! What readers must not see: values.

use pgprime_api::NewToken;
use serde_json::Value;

use crate::support::cluster;
use crate::support::world::{World, connect};

/// It stands in a running statement, and in what PostgreSQL says of one that failed.
const SECRET: &str = "s3cr3t-value";

#[tokio::test]
async fn readers_see_no_value_anywhere() {
    let [read, analyze] = [(); 2].map(|()| NewToken::random().unwrap());
    let line = |role: &str, token: &NewToken| {
        format!("{{ name = '{role}', role = '{role}', sha256 = '{}' }}", token.sha256)
    };
    let lines =
        format!("loopback_role = 'admin'\ntokens = [{}, {}]", line("read", &read), line("analyze", &analyze));
    let world = World::start(&lines).await;
    let url = cluster().primary().url(&world.database);
    let text = format!("UPDATE divisors SET text = '{SECRET}' WHERE id = 1");
    let (first, second) = (connect(&url).await, connect(&url).await);
    first.batch_execute(&text).await.unwrap();
    // It fails at the value, and says so in the history of views.
    let failed = world.api.post("/api/v1/monitoring/views/fragile/refresh", "").await;
    assert!(failed.status == 422 && failed.body.contains(SECRET), "{failed:?}");
    first.batch_execute(&format!("BEGIN; {text}")).await.unwrap();

    let bearers = [read, analyze].map(|token| format!("Bearer {}", token.text));
    let [as_reader, as_analyst] = bearers.each_ref().map(|bearer| [("authorization", bearer.as_str())]);
    let mut events = world.api.open("/api/v1/monitoring/events", &as_reader).await;
    let waiting = async {
        let alert = events.event("alert", |alert| alert["check"] == "locks.waiting").await;
        assert_eq!(alert["state"], "firing", "{alert}");
        events.event("health", has_waits).await;
        assert!(!events.text.contains(SECRET), "{}", events.text);
        let paths = [
            "health",
            "pool-stats",
            "alerts",
            "connections",
            "views",
            "admin/metrics",
            "slow-queries",
            "cache",
            "checklist",
            "indexes",
        ];
        for path in paths {
            let path = format!("/api/v1/monitoring/{path}");
            let seen = world.api.send("GET", &path, &as_reader, "").await;
            assert!(seen.status == 200 && !seen.body.contains(SECRET), "{path}: {seen:?}");
        }
        for path in ["health", "connections", "views"] {
            let path = format!("/api/v1/monitoring/{path}");
            let seen = world.api.send("GET", &path, &as_analyst, "").await;
            assert!(seen.body.contains(SECRET), "the role analyze sees it: {path}: {seen:?}");
        }
        let metrics = world.api.send("GET", "/metrics", &as_reader, "").await;
        assert!(metrics.status == 200 && !metrics.body.contains(SECRET), "{metrics:?}");
        first.batch_execute("ROLLBACK").await.unwrap();
    };
    let (waited, ()) = tokio::join!(second.batch_execute(&text), waiting);
    waited.unwrap();
    world.end().await;
}

fn has_waits(health: &Value) -> bool {
    let checks = health["checks"].as_array().unwrap().iter();
    let locks = checks.filter(|check| check["group"] == "locks");
    locks.into_iter().any(|check| check["details"].as_array().is_some_and(|details| !details.is_empty()))
}
