//! What the endpoints answer.

use std::time::{Duration, Instant};

use pgprime_api::{Api, ApiConfig, Services};
use pgprime_cluster::{Cluster, ClusterOptions};
use pgprime_monitor::health::Direct;
use serde_json::Value;

use crate::support::{cluster, config, serve, services, start};

#[tokio::test]
async fn the_guides_questions_are_answered() {
    let api = start().await;
    let slow = api.get("/api/v1/monitoring/slow-queries?threshold_ms=1000").await;
    assert_eq!(slow.status, 200, "{}", slow.body);
    assert_eq!(slow.json()["threshold_ms"], 1000.0);
    let asked = api
        .post("/api/v1/monitoring/analyze-query", r#"{"query": "SELECT * FROM quotes WHERE status = $1"}"#)
        .await;
    assert_eq!(asked.status, 200, "{}", asked.body);
    let analysis = asked.json();
    assert_eq!(analysis["is_executed"], false);
    assert_eq!(analysis["plan"]["root"]["kind"], "Seq Scan");
}

#[tokio::test]
async fn a_plan_is_that_of_the_service_and_not_of_the_admin_pool() {
    let direct = Some(Direct::new(&config().url, Duration::from_secs(10)));
    let services = Services { direct, ..services().await };
    let api =
        serve(Api::bind(ApiConfig::from_toml("listen = '127.0.0.1:0'").unwrap(), services).await.unwrap());
    for _ in 0..3 {
        let query = r#"{"query": "SELECT status, current_setting('work_mem') FROM quotes ORDER BY status"}"#;
        let asked = api.post("/api/v1/monitoring/analyze-query", query).await;
        assert_eq!(asked.status, 200, "{}", asked.body);
        for foreign in ["64MB", "max_parallel_workers_per_gather", "of the admin pool"] {
            assert!(!asked.body.contains(foreign), "{foreign}: {}", asked.body);
        }
    }
    api.end().await;
}

#[tokio::test]
async fn a_statement_is_executed_only_when_that_is_asked_for_and_harmless() {
    let api = start().await;
    let ask = async |body: &str| api.post("/api/v1/monitoring/analyze-query", body).await;
    let executed = ask(r#"{"query": "SELECT count(*) FROM quotes", "execute": true}"#).await;
    // The tests' role is a superuser, who is refused.
    assert_eq!(executed.status, 422, "{}", executed.body);
    let written = ask(r#"{"query": "DELETE FROM quotes", "execute": true}"#).await;
    assert_eq!(
        (written.status, &written.json()["is_executed"]),
        (200, &Value::from(false)),
        "{}",
        written.body
    );
    assert_eq!(cluster().primary().psql("postgres", "SELECT count(*) FROM quotes").unwrap(), "1000");
}

#[tokio::test]
async fn tables_connections_and_replication_are_told() {
    let api = start().await;
    let bloat = api.get("/api/v1/monitoring/bloat").await.json();
    assert!(bloat["tables"].as_array().unwrap().iter().any(|table| table["name"] == "quotes"), "{bloat}");
    let indexes = api.get("/api/v1/monitoring/indexes").await.json();
    assert!(indexes["advice"].is_object() && indexes["review"].is_object(), "{indexes}");
    let connections = api.get("/api/v1/monitoring/connections").await.json();
    assert!(!connections["sessions"].as_array().unwrap().is_empty(), "{connections}");
    let replication = api.get("/api/v1/monitoring/replication").await.json();
    assert_eq!(replication["in_recovery"], false);
    assert_eq!(replication["receiver"], Value::Null);
}

#[tokio::test]
async fn a_replica_tells_its_own_delay_while_it_receives() {
    let cluster = Cluster::start(&ClusterOptions::default().with_replicas(1)).unwrap();
    cluster.wait_for_replay().unwrap();
    let mut config = super::support::config();
    config.url = cluster.replicas()[0].url("postgres");
    let services = pgprime_api::Services {
        database: pgprime_api::LazyDatabase::new(config),
        ..super::support::services().await
    };
    let api =
        pgprime_api::ApiConfig::from_toml("listen = '127.0.0.1:0'\nrequests_per_minute = 100000").unwrap();
    let api = super::support::serve(pgprime_api::Api::bind(api, services).await.unwrap());
    let until = async |delay: Value, status: Value| {
        let begun = Instant::now();
        loop {
            let told = api.get("/api/v1/monitoring/replication").await.json();
            if told["replay_delay_s"] == delay && told["receiver"]["status"] == status {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{told}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    until(Value::from(0.0), Value::from("streaming")).await;
    cluster.primary().kill();
    until(Value::Null, Value::Null).await;
}

#[tokio::test]
async fn the_planner_answers_with_its_curve() {
    let api = start().await;
    let plan = api
        .get("/api/v1/monitoring/capacity?rps=1000&service_ms=20&db_max_connections=100&instances=5")
        .await
        .json();
    assert_eq!((&plan["max_connections"], &plan["pool_size"]), (&Value::from(16), &Value::from(25)));
    assert!(plan["curve"].as_array().unwrap().len() > 10);
}

#[tokio::test]
async fn what_a_client_has_is_not_sent_again() {
    let api = start().await;
    let path = "/api/v1/monitoring/capacity?rps=100";
    let first = api.get(path).await;
    let tag = first.header("etag").unwrap().to_owned();
    let again = api.send("GET", path, &[("if-none-match", &tag)], "").await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    let squeezed = api.send("GET", "/api/v1/openapi.json", &[("accept-encoding", "gzip")], "").await;
    assert_eq!(squeezed.header("content-encoding"), Some("gzip"));
}

#[tokio::test]
async fn a_session_is_cancelled_by_its_number() {
    let api = start().await;
    let mut config = super::support::config();
    config.pool_max = Some(1);
    let database = pgprime_client::Database::connect(config).await.unwrap();
    let main = database.main();
    let held = main.acquire().await.unwrap();
    let pid: i32 = held.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let cancelled = async {
        loop {
            let answer = api.post(&format!("/api/v1/monitoring/connections/{pid}/cancel"), "").await;
            assert_eq!((answer.status, &answer.json()["cancelled"]), (200, &Value::from(true)));
            tokio::task::yield_now().await;
        }
    };
    // Cancelled before it has begun it goes on sleeping, so it is told again and again.
    let outcome = tokio::select! {
        outcome = held.query("SELECT pg_sleep(600)", &[]) => outcome,
        () = cancelled => unreachable!("it goes on until the statement ends"),
    };
    assert_eq!(outcome.unwrap_err().sqlstate(), "57014");
    let nobody = api.post("/api/v1/monitoring/connections/2147483646/cancel", "").await;
    assert_eq!((nobody.status, &nobody.json()["cancelled"]), (200, &Value::from(false)));
}

#[tokio::test]
async fn the_document_and_the_dashboard_are_served() {
    let api = start().await;
    let document = api.get("/api/v1/openapi.json").await.json();
    assert!(document["paths"]["/api/v1/monitoring/slow-queries"]["get"].is_object());
    let page = api.get("/").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(api.get("/queries/12").await.body, page.body, "a path of the dashboard's own");
    assert_eq!(api.get("/assets/none.js").await.status, 404);
    assert_eq!(api.get("/../../etc/passwd").await.status, 404);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_a_problem_that_says_so() {
    let mut config = super::support::config();
    config.url = "postgresql://nobody@127.0.0.1:1/none".to_owned();
    let services = pgprime_api::Services {
        database: pgprime_api::LazyDatabase::new(config),
        ..super::support::services().await
    };
    let api = pgprime_api::ApiConfig::from_toml("listen = '127.0.0.1:0'").unwrap();
    let api = super::support::serve(pgprime_api::Api::bind(api, services).await.unwrap());
    for path in ["slow-queries", "indexes", "bloat", "connections", "replication"] {
        let answer = api.get(&format!("/api/v1/monitoring/{path}")).await;
        assert_eq!(answer.status, 503, "{path}: {answer:?}");
        assert!(
            answer.json()["detail"].as_str().unwrap().contains("cannot reach the database"),
            "{path}: {answer:?}"
        );
    }
    assert_eq!(api.get("/api/v1/session").await.status, 200);
}
