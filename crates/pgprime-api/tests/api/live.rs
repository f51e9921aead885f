//! Live events.

use std::time::{Duration, Instant};

use crate::support::world::World;
use crate::support::{Stream, start};

const EVENTS: &str = "/api/v1/monitoring/events";
/// As many as may listen.
const LISTENERS_MAX: usize = 200;

#[tokio::test]
async fn the_state_comes_first_and_then_what_happens() {
    let world = World::start("").await;
    let client = world.client().await;
    client.batch_execute("SELECT 1").await.unwrap();
    let mut stream = world.api.open(EVENTS, &[]).await;
    assert_eq!(stream.status(), 200);
    assert!(stream.text.contains("content-type: text/event-stream"), "{}", stream.text);
    let live = stream.event("live", |live| live["server"].is_object()).await;
    assert!(live["at"].is_string() && live["server"]["max_connections"].as_u64().unwrap() > 0, "{live}");
    assert!(live["pooler"]["servers_idle"].is_u64(), "{live}");
    let rates = stream.event("live", |live| live["pooler"]["queries_per_s"].is_f64()).await;
    assert!(rates["pooler"]["transactions_per_s"].is_f64(), "{rates}");
    let health = stream.event("health", |_| true).await;
    assert!(health["checks"].as_array().unwrap().len() > 20, "{health}");
    world.end().await;
    assert!(stream.rest().await.ends_with("0\r\n\r\n"), "it ends as it should");
}

#[tokio::test]
async fn an_end_does_not_wait_for_those_who_listen() {
    let api = start().await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(api.open(EVENTS, &[]).await);
    }
    let began = Instant::now();
    api.end().await;
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    for stream in &mut streams {
        stream.rest().await;
    }
}

#[tokio::test]
async fn only_so_many_may_listen() {
    let api = start().await;
    let mut streams: Vec<Stream> = Vec::new();
    for _ in 0..LISTENERS_MAX {
        streams.push(api.open(EVENTS, &[]).await);
    }
    assert!(streams.iter().all(|stream| stream.status() == 200));
    let refused = api.get(EVENTS).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.json()["detail"].as_str().unwrap().contains("too many"), "{refused:?}");
    streams.pop();
    // Its place is free when the server has noticed.
    while api.open(EVENTS, &[]).await.status() != 200 {
        tokio::task::yield_now().await;
    }
}
