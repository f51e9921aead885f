//! Who may ask what.

use pgprime_api::{Api, ApiConfig, NewToken};

use crate::support::{services, start, start_with};

fn bearer(token: &NewToken) -> String {
    format!("Bearer {}", token.text)
}

fn lines(tokens: &[(&str, &NewToken)]) -> String {
    let line = |(role, token): &(&str, &NewToken)| {
        format!("{{ name = '{role}', role = '{role}', sha256 = '{}' }}", token.sha256)
    };
    let all: Vec<String> = tokens.iter().map(line).collect();
    format!("loopback_role = 'none'\ntokens = [{}]", all.join(", "))
}

#[tokio::test]
async fn each_role_may_what_it_may() {
    let [read, analyze, admin] = [(); 3].map(|()| NewToken::random().unwrap());
    let api = start_with(&lines(&[("read", &read), ("analyze", &analyze), ("admin", &admin)])).await;
    let question = r#"{"query": "SELECT 1"}"#;
    let statuses = async |authorization: Option<&str>| {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(authorization.map(|value| ("authorization", value)));
        let cancel = "/api/v1/monitoring/connections/2147483646/cancel";
        [
            api.send("GET", "/api/v1/session", &headers, "").await.status,
            api.send("POST", "/api/v1/monitoring/analyze-query", &headers, question).await.status,
            api.send("POST", cancel, &headers, "").await.status,
        ]
    };
    assert_eq!(statuses(None).await, [401, 401, 401]);
    assert_eq!(statuses(Some("Bearer x")).await, [401, 401, 401]);
    assert_eq!(statuses(Some("Basic eDp4")).await, [401, 401, 401]);
    assert_eq!(statuses(Some(&bearer(&read))).await, [200, 403, 403]);
    assert_eq!(statuses(Some(&bearer(&analyze))).await, [200, 200, 403]);
    assert_eq!(statuses(Some(&bearer(&admin))).await, [200, 200, 200]);
}

#[tokio::test]
async fn texts_with_values_are_for_those_with_the_role() {
    let [read, analyze] = [(); 2].map(|()| NewToken::random().unwrap());
    let api = start_with(&lines(&[("read", &read), ("analyze", &analyze)])).await;
    let queries = async |token: &NewToken| {
        let headers = [("authorization", bearer(token))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let answer = api.send("GET", "/api/v1/monitoring/connections", &headers, "").await.json();
        let sessions = answer["sessions"].as_array().unwrap().clone();
        sessions.iter().filter(|session| session["query"].is_string()).count()
    };
    assert_eq!(queries(&read).await, 0);
    assert!(queries(&analyze).await > 0);
}

#[tokio::test]
async fn pages_of_other_sites_cannot_use_a_visitors_browser() {
    let api = start().await;
    let get = async |headers: &[(&str, &str)]| api.send("GET", "/api/v1/session", headers, "").await.status;
    assert_eq!(get(&[]).await, 200);
    assert_eq!(get(&[("host", "localhost:8000")]).await, 200);
    assert_eq!(get(&[("host", "[::1]:8000")]).await, 200);
    assert_eq!(get(&[("host", "evil.example")]).await, 403, "a name that was made to lead here");
    assert_eq!(get(&[("x-forwarded-for", "10.0.0.1")]).await, 401, "a proxy passes on others' requests");
    let post = async |origin: &str| {
        let headers = [("content-type", "application/json"), ("origin", origin)];
        api.send("POST", "/api/v1/monitoring/analyze-query", &headers, r#"{"query": "SELECT 1"}"#)
            .await
            .status
    };
    assert_eq!(post("https://evil.example").await, 403);
    assert_eq!(post("null").await, 403);
    assert_eq!(post(&format!("http://{}", api.address)).await, 200);
    let simple = [("content-type", "text/plain")];
    let sent =
        api.send("POST", "/api/v1/monitoring/analyze-query", &simple, r#"{"query": "SELECT 1"}"#).await;
    assert_eq!(sent.status, 415, "what a form could send");
    let preflight = [("origin", "https://evil.example"), ("access-control-request-method", "POST")];
    let asked = api.send("OPTIONS", "/api/v1/monitoring/analyze-query", &preflight, "").await;
    assert_eq!(asked.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn every_answer_has_headers_that_protect_browsers() {
    let api = start().await;
    for path in ["/", "/api/v1/session", "/api/v1/none", "/api/docs"] {
        let answer = api.get(path).await;
        assert!(
            answer.header("content-security-policy").unwrap().starts_with("default-src 'self'"),
            "{path}"
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
}

#[tokio::test]
async fn an_address_that_asks_too_often_has_to_wait() {
    let api = start_with("requests_per_minute = 3").await;
    for _ in 0..3 {
        assert_eq!(api.get("/api/v1/session").await.status, 200);
    }
    let refused = api.get("/api/v1/session").await;
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() <= 60);
}

#[tokio::test]
async fn actions_are_noted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.log");
    let api = start_with(&format!("audit_file = '{}'", file.display())).await;
    api.post("/api/v1/monitoring/connections/2147483646/cancel", "").await;
    api.post("/api/v1/monitoring/analyze-query", r#"{"query": "SELECT 'secret'"}"#).await;
    let noted = std::fs::read_to_string(file).unwrap();
    let lines: Vec<serde_json::Value> =
        noted.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (&lines[0]["action"], &lines[0]["object"], &lines[0]["who"]),
        (&"cancel".into(), &"2147483646".into(), &"loopback".into())
    );
    assert!(lines[1]["object"] == "SELECT $1" && !noted.contains("secret"), "{noted}");
}

#[tokio::test]
async fn what_is_open_to_all_does_not_start() {
    let config = ApiConfig { listen: "0.0.0.0:0".parse().unwrap(), ..ApiConfig::default() };
    let Err(error) = Api::bind(config, services().await).await else { panic!("it has started") };
    assert!(error.to_string().contains("other machines"), "{error}");
}
