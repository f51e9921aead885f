//! Metrics for Prometheus, and the probes.

use pgprime_api::NewToken;

use crate::support::start_with;
use crate::support::world::World;

/// `name{label="value",…} number`
fn is_sample(line: &str) -> bool {
    let Some((series, value)) = line.rsplit_once(' ') else { return false };
    let is_number = value.parse::<f64>().is_ok() || ["+Inf", "-Inf", "NaN"].contains(&value);
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')),
        None => (series, Some("")),
    };
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    is_number && is_name(name) && labels.is_some_and(|labels| are_labels(labels, is_name))
}

fn are_labels(mut labels: &str, is_name: impl Fn(&str) -> bool) -> bool {
    while !labels.is_empty() {
        let Some((name, rest)) = labels.split_once("=\"") else { return false };
        let mut letters = rest.char_indices();
        let end = loop {
            match letters.next() {
                Some((_, '\\')) => drop(letters.next()),
                Some((at, '"')) => break at,
                Some(_) => {}
                None => return false,
            }
        };
        if !is_name(name) {
            return false;
        }
        labels = rest[end + 1..].trim_start_matches(',');
    }
    true
}

#[tokio::test]
async fn every_line_is_a_comment_or_a_sample() {
    let world = World::start("").await;
    world.client().await.batch_execute("SELECT 'secret'").await.unwrap();
    world.api.open("/api/v1/monitoring/events", &[]).await.event("health", |_| true).await;
    world.api.get("/api/v1/monitoring/admin/metrics").await;
    let metrics = world.api.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in metrics.body.lines() {
        assert!(line.is_empty() || line.starts_with("# ") || is_sample(line), "{line}");
    }
    assert!(metrics.body.contains("\npgprime_build_info{"), "{}", metrics.body);
    assert!(!metrics.body.contains("secret"), "no text of a statement is a label");
    world.end().await;
}

#[test]
fn the_parser_knows_mistakes() {
    for good in ["a 1", "a_b{c=\"d\"} 0.5", "a{b=\"c\\\"}\",d=\"\"} +Inf"] {
        assert!(is_sample(good), "{good}");
    }
    for bad in ["", "a", "a b", "1a 1", "a{b=c} 1", "a{b=\"c} 1", "a{b=\"c\" 1", "a-b 1"] {
        assert!(!is_sample(bad), "{bad}");
    }
}

#[tokio::test]
async fn probes_ask_nobody_who_they_are_and_are_not_counted() {
    let token = NewToken::random().unwrap();
    let lines = format!(
        "requests_per_minute = 1\nloopback_role = 'none'\ntokens = [{{ name = 'a', role = 'read', sha256 = '{}' }}]",
        token.sha256
    );
    let api = start_with(&lines).await;
    for path in ["/healthz", "/readyz"] {
        for headers in [&[][..], &[("authorization", "Bearer wrong")][..], &[("host", "evil.example")][..]] {
            let answer = api.send("GET", path, headers, "").await;
            assert_eq!(answer.status, 200, "{path} {headers:?}: {answer:?}");
        }
    }
    assert_eq!(api.get("/metrics").await.status, 401);
}
