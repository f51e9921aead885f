//! Every endpoint of the document, with input that nobody should send: never a 500, always a problem that says what to do.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use crate::support::world::World;
use crate::support::{Running, start_with};

/// For each endpoint.
const CASES: usize = 12;

/// One request of the document's.
struct Endpoint {
    method: String,
    path: String,
    parameters: Vec<(String, String)>,
    has_body: bool,
}

fn endpoints(document: &Value) -> Vec<Endpoint> {
    let mut endpoints = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            endpoints.push(Endpoint {
                method: method.to_uppercase(),
                path: path.clone(),
                parameters: parameters
                    .map(|parameter| (text(parameter, "name"), text(parameter, "in")))
                    .collect(),
                has_body: operation["requestBody"].is_object(),
            });
        }
    }
    endpoints
}

/// What somebody could send as a value.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("0".to_owned()),
        Just("-1".to_owned()),
        Just("NaN".to_owned()),
        Just("1e308".to_owned()),
        Just("18446744073709551616".to_owned()),
        Just("../../etc/passwd".to_owned()),
        Just("'; DROP TABLE quotes; --".to_owned()),
        Just("\u{0}".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        "\\PC{0,40}",
        "[a-z0-9]{1,2000}",
    ]
}

fn body() -> impl Strategy<Value = String> {
    let query = prop_oneof![
        Just("SELECT 1".to_owned()),
        Just("SELECT".to_owned()),
        Just("SELECT $1; SELECT 2".to_owned()),
        Just("SELECT * FROM no_such_table WHERE a = $1".to_owned()),
        Just("COPY quotes TO PROGRAM 'true'".to_owned()),
        Just("SELECT pg_sleep(1000)".to_owned()),
        Just(format!("SELECT {}1{}", "(".repeat(3_000), ")".repeat(3_000))),
        value(),
    ];
    prop_oneof![
        value(),
        Just("{}".to_owned()),
        Just("[]".to_owned()),
        Just("null".to_owned()),
        Just(format!("{}{}", "[".repeat(10_000), "]".repeat(10_000))),
        query.prop_map(|query| serde_json::json!({ "query": query }).to_string()),
        value().prop_map(|value| {
            serde_json::json!({ "query": "SELECT $1::int", "parameters": [value], "execute": true })
                .to_string()
        }),
        value().prop_map(|value| serde_json::json!({ "query": "SELECT 1", "parameters": value }).to_string()),
    ]
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn draw<S: Strategy>(runner: &mut TestRunner, strategy: &S) -> S::Value {
    strategy.new_tree(runner).unwrap().current()
}

async fn ask(api: &Running, endpoint: &Endpoint, runner: &mut TestRunner) {
    let mut path = endpoint.path.clone();
    let mut query = Vec::new();
    for (name, place) in &endpoint.parameters {
        let value = escaped(&draw(runner, &value()));
        match place.as_str() {
            "path" => {
                path = path.replace(&format!("{{{name}}}"), if value.is_empty() { "%20" } else { &value })
            }
            _ if draw(runner, &any::<bool>()) => query.push(format!("{name}={value}")),
            _ => {}
        }
    }
    if !query.is_empty() {
        path = format!("{path}?{}", query.join("&"));
    }
    let sent = if endpoint.has_body { draw(runner, &body()) } else { String::new() };
    let headers = [("content-type", "application/json")];
    let answer = api.send(&endpoint.method, &path, &headers, &sent).await;
    let shown = format!("{} {path} {sent}", endpoint.method);
    assert_ne!(answer.status, 500, "{shown}: {}", answer.body);
    if answer.status >= 400 {
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{shown}: {answer:?}");
        assert!(!answer.json()["detail"].as_str().unwrap().is_empty(), "{shown}");
    }
}

#[tokio::test]
async fn no_input_makes_an_endpoint_fail() {
    let world = World::start("requests_per_minute = 1000000").await;
    let api = &world.api;
    let document = api.get("/api/v1/openapi.json").await.json();
    let mut runner = TestRunner::deterministic();
    let mut endpoints = endpoints(&document);
    // A stream has no end to wait for, and takes no input.
    endpoints.retain(|endpoint| !endpoint.path.ends_with("/events"));
    assert!(endpoints.len() >= 20, "the document has endpoints");
    for endpoint in &endpoints {
        // Such as have nothing to fill in need no more than one.
        let cases = if endpoint.parameters.is_empty() && !endpoint.has_body { 1 } else { CASES };
        for _ in 0..cases {
            ask(api, endpoint, &mut runner).await;
        }
    }
    world.end().await;
}

#[tokio::test]
async fn an_action_without_a_body_or_with_a_wrong_one_is_answered() {
    let api = start_with("").await;
    for path in [
        "analyze-query",
        "connections/1/cancel",
        "connections/1/terminate",
        "views/a.b/refresh",
        "alerts/test",
    ] {
        for (headers, body) in
            [(&[][..], ""), (&[("content-type", "application/json")][..], "{"), (&[][..], "\u{0}")]
        {
            let answer = api.send("POST", &format!("/api/v1/monitoring/{path}"), headers, body).await;
            assert_ne!(answer.status, 500, "{path}: {answer:?}");
            let wanted: &[u16] = if path == "analyze-query" { &[400, 415] } else { &[200, 404, 422] };
            assert!(wanted.contains(&answer.status), "{path}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn mistakes_say_what_to_do() {
    let api = start_with("").await;
    for (path, status, words) in [
        ("/api/v1/monitoring/slow-queries?order=best", 400, "there are total, mean"),
        ("/api/v1/monitoring/slow-queries?limit=0", 400, "limit is 1 to 500"),
        ("/api/v1/monitoring/slow-queries?treshold_ms=1", 400, "unknown field `treshold_ms`"),
        ("/api/v1/monitoring/slow-queries?since=soon", 400, "since"),
        ("/api/v1/monitoring/slow-queries/x", 400, "whole number"),
        ("/api/v1/monitoring/slow-queries/1", 404, "no statement 1"),
        ("/api/v1/monitoring/capacity", 400, "missing field `rps`"),
        ("/api/v1/monitoring/capacity?rps=-1", 400, "rps"),
        ("/api/v1/monitoring/none", 404, "/api/docs"),
    ] {
        let answer = api.get(path).await;
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(answer.status == status && detail.contains(words), "{path}: {} {detail}", answer.status);
    }
    let wrong = api.send("DELETE", "/api/v1/session", &[], "").await;
    assert_eq!(wrong.status, 405, "{wrong:?}");
    let large = "x".repeat(2 << 20);
    let refused = api.post("/api/v1/monitoring/analyze-query", &large).await;
    assert_eq!(refused.status, 413, "{refused:?}");
}
