//! Each format as it is sent.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::support::{channel, channels, report};
use crate::alerts::format::bodies;
use crate::alerts::message::{Message, Notice, NoticeKind};
use crate::alerts::{Alert, Alerts, ChannelKind, Rule, Severity};
use crate::health::Status;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_763_888_400 + seconds).unwrap()
}

/// An alert that fired after a minute and was over after ten.
fn alerts() -> (Alert, Alert) {
    let mut rule = Rule::new("connections.used", Severity::Critical, Duration::from_secs(60));
    rule.clear_after = Duration::ZERO;
    let mut alerts = Alerts::new(vec![rule]);
    let mut step = |seconds, status, value| {
        alerts.step(at(seconds), &report(at(seconds), &[("connections.used", status, value)]))
    };
    step(0, Status::Critical, 95.0);
    let fired = step(60, Status::Critical, 96.0).remove(0).alert;
    (fired, step(600, Status::Ok, 40.0).remove(0).alert)
}

fn body(kind: ChannelKind, notices: Vec<Notice>) -> Vec<Value> {
    let message = Message { at: at(700), notices };
    let mut channel = channel(kind, "http://x/");
    channel.repeat = Duration::from_secs(60);
    bodies(&channel, &channels(vec![]).sender, &message)
}

fn fired() -> Notice {
    Notice { event: NoticeKind::Fired, alert: alerts().0 }
}

fn resolved() -> Notice {
    Notice { event: NoticeKind::Resolved, alert: alerts().1 }
}

const STATEMENT: &str = "SELECT usename, count(*) FROM pg_stat_activity GROUP BY 1";
const HEADLINE: &str = "[critical] insurance at db1: Connections in use: 96 of 100 connections are in use";
const DETAILS: [&str; 3] = [
    "Since: 2025-11-23 09:00:00 UTC",
    "Value: 96 %, threshold 90 %",
    "What to do: find out <who> holds them & why",
];

#[test]
fn webhook() {
    let mut keyed_fired = serde_json::to_value(fired()).unwrap();
    keyed_fired["key"] = json!("insurance at db1/connections.used.critical");
    let expected = json!({
        "version": 1,
        "at": "2025-11-23T09:11:40Z",
        "source": "insurance at db1",
        "status": "firing",
        "summary": format!("{HEADLINE}, and 1 more"),
        "link": "https://db.example.com/alerts",
        "alerts": [
            {
                "event": "resolved",
                "id": "connections.used.critical@1763888400",
                "key": "insurance at db1/connections.used.critical",
                "rule": "connections.used.critical",
                "severity": "critical",
                "state": "resolved",
                "check": "connections.used",
                "title": "Connections in use",
                "text": "40 of 100 connections are in use",
                "value": 40.0,
                "unit": "percent",
                "threshold": 90.0,
                "action": null,
                "statement": null,
                "since": "2025-11-23T09:00:00Z",
                "fired_at": "2025-11-23T09:01:00Z",
                "last_at": "2025-11-23T09:10:00Z",
                "resolved_at": "2025-11-23T09:10:00Z",
                "fired_within_hour": 1,
                "is_suppressed": false,
                "is_clearing": false,
            },
            keyed_fired,
        ],
    });
    assert_eq!(body(ChannelKind::Webhook, vec![resolved(), fired()]), [expected]);
}

#[test]
fn slack() {
    let section = |text: String| json!({"type": "section", "text": {"type": "mrkdwn", "text": text}});
    let details = DETAILS.join("\n").replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let expected = json!({
        "text": HEADLINE,
        "blocks": [
            section(format!(":red_circle: *{HEADLINE}*\n{details}\n```{STATEMENT}```")),
            section("<https://db.example.com/alerts|Dashboard>".to_owned()),
        ],
    });
    assert_eq!(body(ChannelKind::Slack, vec![fired()]), [expected]);
    let over = body(ChannelKind::Slack, vec![resolved()]);
    let text = over[0]["blocks"][0]["text"]["text"].as_str().unwrap();
    let expected = ":large_green_circle: *[resolved] insurance at db1: Connections in use: 40 of 100 connections are in use*\n\
                    It lasted 10 min, from 2025-11-23 09:00:00 UTC\nValue: 40 %, threshold 90 %";
    assert_eq!(text, expected);
    let many = body(ChannelKind::Slack, vec![fired(); 40]);
    assert_eq!(many[0]["blocks"].as_array().unwrap().len(), 17, "15, how many more, and the link");
    let mut long = fired();
    long.alert.text = "x".repeat(9_000);
    let long = body(ChannelKind::Slack, vec![long]);
    assert!(long[0]["blocks"][0]["text"]["text"].as_str().unwrap().chars().count() <= 3_000);
}

#[test]
fn alertmanager() {
    let alert = |ends: &str, summary: &str, description: &str, statement: Option<&str>| {
        let mut annotations = json!({"summary": summary, "description": description});
        if let Some(statement) = statement {
            annotations["statement"] = json!(statement);
        }
        json!({
            "labels": {
                "alertname": "connections.used.critical",
                "check": "connections.used",
                "severity": "critical",
                "source": "insurance at db1",
            },
            "annotations": annotations,
            "startsAt": "2025-11-23T09:00:00Z",
            "endsAt": ends,
            "generatorURL": "https://db.example.com/alerts",
        })
    };
    let over = "[resolved] insurance at db1: Connections in use: 40 of 100 connections are in use";
    let lasted = "It lasted 10 min, from 2025-11-23 09:00:00 UTC\nValue: 40 %, threshold 90 %";
    let expected = json!([
        // Four repeats after the message.
        alert("2025-11-23T09:15:40Z", HEADLINE, &DETAILS.join("\n"), Some(STATEMENT)),
        alert("2025-11-23T09:10:00Z", over, lasted, None),
    ]);
    assert_eq!(body(ChannelKind::Alertmanager, vec![fired(), resolved()]), [expected]);
}

#[test]
fn pagerduty() {
    let expected = [
        json!({
            "routing_key": "routing-key-1",
            "event_action": "trigger",
            "dedup_key": "insurance at db1/connections.used.critical",
            "client": "pgprime",
            "client_url": "https://db.example.com/alerts",
            "links": [{"href": "https://db.example.com/alerts", "text": "Dashboard"}],
            "payload": {
                "summary": HEADLINE,
                "source": "insurance at db1",
                "severity": "critical",
                "timestamp": "2025-11-23T09:00:00Z",
                "component": "connections.used",
                "class": "connections.used.critical",
                "custom_details": {
                    "details": DETAILS,
                    "value": 96.0,
                    "threshold": 90.0,
                    "unit": "percent",
                    "action": "find out <who> holds them & why",
                    "statement": STATEMENT,
                },
            },
        }),
        json!({
            "routing_key": "routing-key-1",
            "event_action": "resolve",
            "dedup_key": "insurance at db1/connections.used.critical",
        }),
    ];
    assert_eq!(body(ChannelKind::Pagerduty, vec![fired(), resolved()]), expected);
}
