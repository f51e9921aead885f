//! The document says all there is to know.

use serde_json::Value;

use crate::support::start;

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            found.push((format!("{method} {path}"), operation));
        }
    }
    found
}

#[test]
fn each_operation_has_a_summary_and_its_errors() {
    let document = serde_json::to_value(pgprime_api::document()).unwrap();
    let found = operations(&document);
    for (name, operation) in &found {
        let responses = operation["responses"].as_object().unwrap();
        assert!(!operation["summary"].as_str().unwrap_or_default().is_empty(), "{name} has no summary");
        assert!(!operation["tags"][0].as_str().unwrap_or_default().is_empty(), "{name} has no tag");
        let is_probe = name.ends_with("z");
        assert!(is_probe || responses.contains_key("401"), "{name} does not say 401");
        let is_action = name.starts_with("post");
        assert!(!is_action || responses.contains_key("403"), "{name} does not say 403");
        let has_input = !operation["parameters"].is_null() || operation["requestBody"].is_object();
        assert!(!has_input || responses.contains_key("400"), "{name} does not say 400");
    }
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    for needed in [
        "get /api/v1/session",
        "get /api/v1/monitoring/health",
        "get /api/v1/monitoring/pool-stats",
        "get /api/v1/monitoring/slow-queries",
        "get /api/v1/monitoring/slow-queries/{query_id}",
        "post /api/v1/monitoring/analyze-query",
        "get /api/v1/monitoring/indexes",
        "get /api/v1/monitoring/bloat",
        "get /api/v1/monitoring/replication",
        "get /api/v1/monitoring/connections",
        "post /api/v1/monitoring/connections/{pid}/cancel",
        "post /api/v1/monitoring/connections/{pid}/terminate",
        "get /api/v1/monitoring/views",
        "post /api/v1/monitoring/views/{name}/refresh",
        "get /api/v1/monitoring/cache",
        "get /api/v1/monitoring/admin/metrics",
        "get /api/v1/monitoring/checklist",
        "get /api/v1/monitoring/alerts",
        "post /api/v1/monitoring/alerts/test",
        "get /api/v1/monitoring/history",
        "get /api/v1/monitoring/history/series",
        "get /api/v1/monitoring/capacity",
        "get /api/v1/monitoring/events",
        "get /metrics",
        "get /healthz",
        "get /readyz",
    ] {
        assert!(names.contains(&needed), "{needed} is not in the document");
    }
}

#[test]
fn every_schema_that_is_named_is_there() {
    let document = serde_json::to_value(pgprime_api::document()).unwrap();
    let text = document.to_string();
    for (at, prefix) in text.match_indices("#/components/schemas/") {
        let name = text[at + prefix.len()..].split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "there is no schema {name}");
    }
}

#[tokio::test]
async fn the_page_of_the_document_needs_nothing_from_elsewhere() {
    let api = start().await;
    let page = api.get("/api/docs").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(
        !page.body.contains("<style") && !page.body.contains("style=") && !page.body.contains("://"),
        "{}",
        page.body
    );
    for (name, kind) in
        [("docs.css", "text/css; charset=utf-8"), ("docs.js", "text/javascript; charset=utf-8")]
    {
        assert!(page.body.contains(&format!("\"{name}\"")), "the page names {name}");
        let file = api.get(&format!("/api/{name}")).await;
        assert_eq!((file.status, file.header("content-type")), (200, Some(kind)));
        assert!(!file.body.contains("innerHTML") && !file.body.contains("://"), "{name}");
    }
    // What browsers ask for by themselves is there as well.
    let icon = api.get("/favicon.ico").await;
    assert_eq!((icon.status, icon.header("content-type")), (200, Some("image/svg+xml")));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe"), "{policy}");
}
