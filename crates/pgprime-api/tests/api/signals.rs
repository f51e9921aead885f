//! Who waits for a row, and what ends it.

use serde_json::Value;
use tokio_postgres::Client;

use crate::support::world::connect;
use crate::support::{Running, cluster, start_with};

async fn client() -> (Client, i32) {
    let client = connect(&cluster().primary().url("postgres")).await;
    let pid = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    (client, pid)
}

async fn sessions(api: &Running) -> Value {
    let answer = api.get("/api/v1/monitoring/connections").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn session(seen: &Value, pid: i32) -> &Value {
    let sessions = seen["sessions"].as_array().unwrap();
    sessions.iter().find(|session| session["pid"] == pid).unwrap_or_else(|| panic!("no {pid}: {seen}"))
}

async fn act(api: &Running, pid: i32, what: &str) -> Value {
    let answer = api.post(&format!("/api/v1/monitoring/connections/{pid}/{what}"), "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Until each of them waits.
async fn until_waiting(api: &Running, pids: &[i32]) -> Value {
    loop {
        let seen = sessions(api).await;
        if pids.iter().all(|pid| session(&seen, *pid)["lock"].is_string()) {
            return seen;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn whoever_keeps_a_row_is_ended_and_not_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit.log");
    let lines = format!("requests_per_minute = 1000000\naudit_file = '{}'", audit.display());
    let api = start_with(&lines).await;
    let ((keeper, keeper_pid), (first, first_pid), (second, second_pid)) =
        (client().await, client().await, client().await);
    keeper.batch_execute("CREATE TABLE kept_rows AS SELECT 1 AS id").await.unwrap();
    keeper.batch_execute("BEGIN; UPDATE kept_rows SET id = 1").await.unwrap();
    let update = "UPDATE kept_rows SET id = 1 WHERE id = 1";
    let first = tokio::spawn(async move { first.batch_execute(update).await });
    // One after the other: the second waits for the first's place.
    until_waiting(&api, &[first_pid]).await;
    let second = tokio::spawn(async move { second.batch_execute(update).await });
    let seen = until_waiting(&api, &[first_pid, second_pid]).await;
    for pid in [first_pid, second_pid] {
        let waits = session(&seen, pid);
        assert!(waits["lock"] == "a row of kept_rows" && waits["query_s"].is_f64(), "{waits}");
    }
    let root = session(&seen, keeper_pid);
    assert!(root["state"] == "idle in transaction" && root["query_s"].is_null(), "it runs nothing: {root}");

    assert_eq!(act(&api, keeper_pid, "cancel").await["after"], "ran_nothing");
    assert!(session(&sessions(&api).await, first_pid)["lock"].is_string(), "nobody is helped by it");
    let ended = act(&api, keeper_pid, "terminate").await;
    assert_eq!((&ended["terminated"], &ended["after"]), (&true.into(), &"gone".into()));
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    let nobody = act(&api, keeper_pid, "terminate").await;
    assert_eq!((&nobody["terminated"], &nobody["after"]), (&false.into(), &"untold".into()));

    let noted = std::fs::read_to_string(audit).unwrap();
    assert!(noted.contains("\"action\":\"cancel\"") && noted.contains("told; it ran nothing"), "{noted}");
    assert!(noted.contains("\"action\":\"terminate\"") && noted.contains("told; it has ended"), "{noted}");
    cluster().primary().psql("postgres", "DROP TABLE kept_rows").unwrap();
    api.end().await;
}
