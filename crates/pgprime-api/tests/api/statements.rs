//! Which statements take the time, and of which time that is told.

use jiff::SignedDuration;
use pgprime_advisor::history::{History, Retention};
use pgprime_advisor::slow::{Snapshot, record, snapshot};
use serde_json::Value;

use crate::support::cluster;
use crate::support::world::{World, connect};

async fn told(world: &World, path: &str) -> Value {
    let answer = world.api.get(&format!("/api/v1/monitoring/slow-queries{path}")).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

fn find<'a>(told: &'a Value, text: &str) -> Option<&'a Value> {
    let mut statements = told["statements"].as_array().unwrap().iter();
    statements.find(|statement| statement["text"].as_str().is_some_and(|known| known.contains(text)))
}

fn id<'a>(told: &'a Value, text: &str) -> &'a str {
    find(told, text).unwrap_or_else(|| panic!("{told}"))["query_id"].as_str().unwrap()
}

fn has_note(told: &Value, words: &str) -> bool {
    told["notes"].as_array().unwrap().iter().any(|note| note.as_str().unwrap().contains(words))
}

#[tokio::test]
async fn a_slow_statement_hides_no_other() {
    let world = World::start("requests_per_minute = 1000000").await;
    let client = connect(&cluster().primary().url(&world.database)).await;
    client.batch_execute("SELECT pg_sleep(1.01) AS the_slow_one").await.unwrap();
    for _ in 0..30 {
        client.batch_execute("SELECT 1 AS the_quick_one").await.unwrap();
    }
    let slow = told(&world, "").await;
    assert_eq!(slow["slow_count"], 1, "{slow}");
    assert!(find(&slow, "the_slow_one").is_some() && find(&slow, "the_quick_one").is_none(), "{slow}");
    let all = told(&world, "?threshold_ms=0&limit=500&order=calls").await;
    assert!(find(&all, "the_slow_one").is_some() && find(&all, "the_quick_one").is_some(), "{all}");
    for text in ["the_slow_one", "the_quick_one"] {
        let detail = told(&world, &format!("/{}", id(&all, text))).await;
        assert!(detail["statement"]["text"].as_str().unwrap().contains(text), "{detail}");
        assert!(detail["start"].is_string() && detail["basis"].is_string(), "{detail}");
    }
    // Where none is slow, the order that was asked for holds as well, and is named.
    let none = told(&world, "?threshold_ms=9999999&order=calls&limit=500").await;
    assert_eq!((&none["slow_count"], &none["order"]), (&Value::from(0), &Value::from("calls")));
    let calls: Vec<u64> =
        none["statements"].as_array().unwrap().iter().map(|one| one["calls"].as_u64().unwrap()).collect();
    assert!(!calls.is_empty() && calls.is_sorted_by(|one, other| one >= other), "{calls:?}");
    world.end().await;
}

/// A reading as if it were taken earlier.
fn earlier(mut taken: Snapshot, minutes: i64) -> Snapshot {
    taken.reading.taken_at = taken.reading.taken_at.checked_sub(SignedDuration::from_mins(minutes)).unwrap();
    taken
}

#[tokio::test]
async fn statements_are_told_of_the_time_that_is_asked_for() {
    let world = World::start("requests_per_minute = 1000000").await;
    let client = connect(&cluster().primary().url(&world.database)).await;
    let mut history = History::open(&world.statement_history(), Retention::default()).unwrap();
    let mut keep = |taken: &Snapshot| record(&mut history, taken, "test").unwrap();
    client
        .batch_execute(
            "SELECT count(*) AS early_one FROM quotes; SELECT max(premium) AS late_one FROM quotes",
        )
        .await
        .unwrap();
    keep(&earlier(snapshot(&client).await.unwrap(), 30));
    for _ in 0..3 {
        client.batch_execute("SELECT count(*) AS early_one FROM quotes").await.unwrap();
    }
    keep(&earlier(snapshot(&client).await.unwrap(), 20));
    for _ in 0..5 {
        client.batch_execute("SELECT max(premium) AS late_one FROM quotes").await.unwrap();
    }
    keep(&earlier(snapshot(&client).await.unwrap(), 10));

    let early = told(&world, "?threshold_ms=0&limit=500&since=32m&until=19m").await;
    assert_eq!(
        (&early["basis"], &early["recordings"]),
        (&Value::from("history"), &Value::from(1)),
        "{early}"
    );
    assert_eq!(find(&early, "early_one").unwrap_or_else(|| panic!("{early}"))["calls"], 3, "{early}");
    assert!(find(&early, "late_one").is_none(), "{early}");
    let late = told(&world, "?threshold_ms=0&limit=500&since=19m&until=1m").await;
    assert_eq!(find(&late, "late_one").unwrap_or_else(|| panic!("{late}"))["calls"], 5, "{late}");
    assert!(find(&late, "early_one").is_none(), "{late}");

    // One statement in the same way; in a time without it, its figures are of all time, and that is said.
    let late_id = id(&late, "late_one");
    let within = told(&world, &format!("/{late_id}?since=19m&until=1m")).await;
    assert_eq!((&within["basis"], &within["statement"]["calls"]), (&Value::from("history"), &Value::from(5)));
    assert_eq!(within["series"].as_array().unwrap().len(), 1, "{within}");
    let before = told(&world, &format!("/{late_id}?since=32m&until=19m")).await;
    assert!(has_note(&before, "No call of it was recorded") && before["basis"] != "history", "{before}");
    assert!(before["series"].as_array().unwrap().is_empty() && before["statement"]["calls"] == 6, "{before}");

    // A moment within an interval is told of with all of it; a time of which nothing is known with nothing.
    let moment = told(&world, "?threshold_ms=0&limit=500&since=13m&until=12m").await;
    assert!(find(&moment, "late_one").is_some() && has_note(&moment, "longer than the time"), "{moment}");
    let unknown = told(&world, "?threshold_ms=0&since=3h&until=2h").await;
    assert!(
        unknown["statements"].as_array().unwrap().is_empty() && has_note(&unknown, "Nothing is recorded")
    );
    world.end().await;
}

#[tokio::test]
async fn a_time_that_is_none_is_refused() {
    let world = World::start("requests_per_minute = 1000000").await;
    for (query, words) in [
        ("?until=10m", "until needs since"),
        ("?since=10m&until=20m", "not later than since"),
        ("?since=10m&until=soon", "until:"),
        ("/1?since=soon", "since:"),
        ("/1?sinse=1h", "unknown field"),
    ] {
        let answer = world.api.get(&format!("/api/v1/monitoring/slow-queries{query}")).await;
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(answer.status == 400 && detail.contains(words), "{query}: {} {detail}", answer.status);
    }
    world.end().await;
}
