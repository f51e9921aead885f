//! HTTP as others send it: from careless to hostile.

use crate::support::{Answer, Running, start, start_with};

async fn raw(api: &Running, text: &str) -> Answer {
    api.raw(text.as_bytes()).await
}

#[tokio::test]
async fn who_asks_and_whom_is_said_once() {
    let api = start().await;
    let get = async |lines: &str| {
        raw(&api, &format!("GET /api/v1/session HTTP/1.1\r\nconnection: close\r\n{lines}\r\n")).await.status
    };
    assert_eq!(get("host: localhost\r\n").await, 200);
    assert_eq!(get("").await, 400);
    assert_eq!(get("host: localhost\r\nhost: evil.example\r\n").await, 400);
    assert_eq!(get("host: localhost\r\nauthorization: Bearer a\r\nauthorization: Bearer b\r\n").await, 400);
    for host in ["[::1]evil.example", "localhost:8000:1", "localhost:x", "localhost.evil.example", "", "ö"] {
        assert_eq!(get(&format!("host: {host}\r\n")).await, 403, "{host}");
    }
    let absolute = async |name: &str| {
        let line =
            format!("GET http://{name}/api/v1/session HTTP/1.1\r\nconnection: close\r\nhost: localhost");
        raw(&api, &format!("{line}\r\n\r\n")).await.status
    };
    assert_eq!((absolute("localhost").await, absolute("evil.example").await), (200, 403));
}

#[tokio::test]
async fn a_page_of_another_site_may_link_and_nothing_else() {
    let api = start().await;
    let get = async |site: &str, mode: &str| {
        let headers = [("sec-fetch-site", site), ("sec-fetch-mode", mode)];
        api.send("GET", "/api/v1/session", &headers, "").await.status
    };
    assert_eq!(get("cross-site", "no-cors").await, 403, "an image's address");
    assert_eq!(get("cross-site", "navigate").await, 200, "a link");
    assert_eq!((get("same-origin", "cors").await, get("none", "navigate").await), (200, 200));
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let api = start().await;
    let long = "x".repeat(70_000);
    let query = raw(&api, &format!("GET /api/v1/session?{long} HTTP/1.1\r\nhost: localhost\r\n\r\n")).await;
    assert!([414, 431].contains(&query.status), "{query:?}");
    let header = raw(&api, &format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: {long}\r\n\r\n")).await;
    assert_eq!(header.status, 431, "{header:?}");
    let many = "x: y\r\n".repeat(200);
    let headers = raw(&api, &format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{many}\r\n")).await;
    assert_eq!(headers.status, 431, "{headers:?}");
    let names = vec!["a"; 10_000].join(",");
    let series = api.get(&format!("/api/v1/monitoring/history?series={names}")).await;
    assert!([400, 404].contains(&series.status), "{series:?}");
}

#[tokio::test]
async fn odd_bytes_are_answered() {
    let api = start().await;
    for (request, wanted) in [
        (&b"GET /api/v1/session HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer \xff\xfe\r\n\r\n"[..], 401),
        (b"GET /api/v1/session HTTP/1.1\r\nhost: \xff\r\n\r\n", 403),
        (b"GET /api/v1/monitoring/slow-queries?order=%FF%FE HTTP/1.1\r\nhost: localhost\r\n\r\n", 400),
        (b"GET /api/v1/monitoring/slow-queries?limit=1&limit=2 HTTP/1.1\r\nhost: localhost\r\n\r\n", 400),
        (b"GET /api/v1/monitoring/slow-queries?limit=%31%00 HTTP/1.1\r\nhost: localhost\r\n\r\n", 400),
        (b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nhost: localhost\r\n\r\n", 404),
        (b"GET /healthz%2f HTTP/1.1\r\nhost: localhost\r\n\r\n", 404),
        (b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx y: z\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\nhost: localhost\n\n", 200),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (
            b"POST /api/v1/monitoring/analyze-query HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n{}",
            400,
        ),
    ] {
        let answer = api.raw(request).await;
        let shown = String::from_utf8_lossy(request);
        assert_eq!(answer.status, wanted, "{shown}: {answer:?}");
    }
}

#[tokio::test]
async fn a_slash_too_many_is_no_good_sign() {
    let api = start_with("").await;
    for path in [
        "/healthz/",
        "/readyz/",
        "/metrics/",
        "/healthz/x",
        "//healthz/",
        "//api/v1/session",
        "/api/v1/session/",
        "/api/",
    ] {
        let answer = api.get(path).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
    }
    assert_eq!(api.get("/queries/").await.status, 200, "pages of the dashboard take one");
}

#[tokio::test]
async fn methods_that_are_not_there_say_which_are() {
    let api = start().await;
    for (method, path, allowed) in [
        ("OPTIONS", "/api/v1/session", "GET,HEAD"),
        ("PUT", "/healthz", "GET,HEAD"),
        ("GET", "/api/v1/monitoring/analyze-query", "POST"),
        ("POST", "/", "GET,HEAD"),
        ("DELETE", "/app.js", "GET,HEAD"),
        ("POST", "/api/docs", "GET,HEAD"),
        ("TRACE", "/api/v1/session", "GET,HEAD"),
    ] {
        let answer = api.send(method, path, &[], "").await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some(allowed)),
            "{method} {path}: {answer:?}"
        );
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{method} {path}");
    }
}

#[tokio::test]
async fn head_says_what_get_would() {
    let api = start().await;
    for path in ["/api/v1/monitoring/capacity?rps=100", "/healthz", "/", "/app.js"] {
        let (got, asked) = (api.get(path).await, api.send("HEAD", path, &[], "").await);
        assert_eq!((asked.status, asked.body.as_str()), (200, ""), "{path}");
        for name in ["etag", "content-type", "content-length", "cache-control", "vary"] {
            assert_eq!(asked.header(name), got.header(name), "{path}: {name}");
        }
    }
    assert_eq!(api.send("HEAD", "/api/v1/monitoring/events", &[], "").await.status, 200);
}

#[tokio::test]
async fn a_mark_stands_for_the_contents_however_they_are_sent() {
    let api = start().await;
    for path in ["/api/v1/monitoring/capacity?rps=100", "/app.js"] {
        let get = async |name: &str, value: &str| api.send("GET", path, &[(name, value)], "").await;
        let plain = api.get(path).await;
        let tag = plain.header("etag").unwrap().to_owned();
        assert!(tag.starts_with("W/\""), "{path}: {tag}: compressed it is the same, and not the same bytes");
        assert_eq!(get("accept-encoding", "gzip").await.header("etag"), Some(tag.as_str()), "{path}");
        let bare = tag.trim_start_matches("W/");
        for known in [tag.clone(), bare.to_owned(), format!("\"x\", {tag}"), "*".to_owned()] {
            let again = get("if-none-match", &known).await;
            assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}: {known}");
            assert_eq!(again.header("etag"), Some(tag.as_str()), "{path}: {known}");
        }
        assert_eq!(get("if-none-match", "\"x\"").await.status, 200);
        assert_eq!(get("range", "bytes=0-1").await.body, plain.body, "{path}: parts are not given");
    }
    let other = api.get("/api/v1/monitoring/capacity?rps=200").await;
    assert_ne!(other.header("etag"), api.get("/api/v1/monitoring/capacity?rps=100").await.header("etag"));
}

#[tokio::test]
async fn the_first_http_is_served_where_nobody_has_to_be_known() {
    let api = start().await;
    assert_eq!(raw(&api, "GET /healthz HTTP/1.0\r\n\r\n").await.status, 200);
    let asked = raw(&api, "GET /api/v1/session HTTP/1.0\r\nhost: localhost\r\n\r\n").await;
    assert_eq!(asked.status, 401, "{asked:?}");
}

#[tokio::test]
async fn a_body_is_taken_as_it_is() {
    let api = start().await;
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let squeezed = api.send("POST", "/api/v1/monitoring/analyze-query", &headers, "x").await;
    assert_eq!(squeezed.status, 415, "{squeezed:?}");
    assert!(squeezed.json()["detail"].as_str().unwrap().contains("Content-Encoding"), "{squeezed:?}");
}
