//! Messages as what each kind of channel understands.

use std::time::Duration;

use serde_json::{Value, json};

use super::alert::Severity;
use super::channel::{Channel, ChannelKind, Sender};
use super::message::{Message, Notice, NoticeKind, details, headline};

/// Alerts of one message that Slack shows in full.
const SLACK_ALERTS_MAX: usize = 15;
/// Characters of a section of Slack, which takes 3,000.
const SLACK_CHARS_MAX: usize = 2_800;
/// Characters of a summary of PagerDuty, which takes 1,024.
const PAGERDUTY_CHARS_MAX: usize = 1_000;
/// Alertmanager takes an alert for resolved that it has not heard of for this many repeats.
const HEARD_OF: u32 = 4;

/// The bodies of the requests that a message is, in order.
pub(super) fn bodies(channel: &Channel, sender: &Sender, message: &Message) -> Vec<Value> {
    match channel.kind {
        ChannelKind::Webhook => vec![webhook(sender, message)],
        ChannelKind::Slack => vec![slack(sender, message)],
        ChannelKind::Alertmanager => {
            let alert = |notice| alertmanager(sender, message, notice, channel.repeat);
            vec![message.notices.iter().map(alert).collect()]
        }
        ChannelKind::Pagerduty => {
            let key = channel.key.as_ref().map_or("", |key| key.expose());
            message.notices.iter().map(|notice| pagerduty(sender, notice, key)).collect()
        }
    }
}

fn webhook(sender: &Sender, message: &Message) -> Value {
    json!({
        "version": 1,
        "at": message.at,
        "source": sender.source,
        "status": if message.is_firing() { "firing" } else { "resolved" },
        "summary": message.summary(sender),
        "link": sender.link(),
        "alerts": message.notices.iter().map(|notice| keyed(sender, notice)).collect::<Value>(),
    })
}

/// A notice with what stays the same whenever its alert comes again.
fn keyed(sender: &Sender, notice: &Notice) -> Value {
    let mut body = json!(notice);
    body["key"] = json!(sender.key(&notice.alert));
    body
}

fn slack(sender: &Sender, message: &Message) -> Value {
    let section = |text: String| json!({"type": "section", "text": {"type": "mrkdwn", "text": text}});
    let mut blocks: Vec<Value> = message
        .notices
        .iter()
        .take(SLACK_ALERTS_MAX)
        .map(|notice| section(slack_text(notice, sender)))
        .collect();
    if let Some(more) = message.notices.len().checked_sub(SLACK_ALERTS_MAX).filter(|more| *more > 0) {
        blocks.push(section(format!("and {more} more")));
    }
    if let Some(link) = sender.link() {
        blocks.push(section(format!("<{}|Dashboard>", slack_escaped(&link))));
    }
    json!({"text": slack_escaped(&message.summary(sender)), "blocks": blocks})
}

fn slack_text(notice: &Notice, sender: &Sender) -> String {
    let icon = match (notice.event, notice.alert.severity) {
        (NoticeKind::Resolved, _) => ":large_green_circle:",
        (_, Severity::Warning) => ":large_yellow_circle:",
        (_, Severity::Critical) => ":red_circle:",
    };
    let lines: Vec<String> = details(notice).iter().map(|line| slack_escaped(line)).collect();
    let mut text = format!("{icon} *{}*\n{}", slack_escaped(&headline(notice, sender)), lines.join("\n"));
    if let Some(statement) = notice.alert.statement.as_ref().filter(|_| notice.event != NoticeKind::Resolved)
    {
        let room = SLACK_CHARS_MAX.saturating_sub(text.chars().count());
        let code = slack_escaped(&statement.replace("```", "'''"));
        if code.chars().count() <= room {
            text.push_str(&format!("\n```{code}```"));
        }
    }
    cut(&text, SLACK_CHARS_MAX)
}

fn slack_escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn alertmanager(sender: &Sender, message: &Message, notice: &Notice, repeat: Duration) -> Value {
    let alert = &notice.alert;
    let heard_of = message.at.checked_add(repeat.saturating_mul(HEARD_OF)).unwrap_or(message.at);
    let mut annotations = json!({
        "summary": headline(notice, sender),
        "description": details(notice).join("\n"),
    });
    if let Some(statement) = alert.statement.as_ref().filter(|_| notice.event != NoticeKind::Resolved) {
        annotations["statement"] = json!(statement);
    }
    let mut body = json!({
        "labels": {
            "alertname": alert.rule,
            "check": alert.check,
            "severity": alert.severity,
            "source": sender.source,
        },
        "annotations": annotations,
        "startsAt": alert.since,
        "endsAt": alert.resolved_at.unwrap_or(heard_of),
    });
    if let Some(link) = sender.link() {
        body["generatorURL"] = json!(link);
    }
    body
}

fn pagerduty(sender: &Sender, notice: &Notice, key: &str) -> Value {
    let alert = &notice.alert;
    let source = if sender.source.is_empty() { "pgprime" } else { &sender.source };
    if notice.event == NoticeKind::Resolved {
        return json!({"routing_key": key, "event_action": "resolve", "dedup_key": sender.key(alert)});
    }
    let mut body = json!({
        "routing_key": key,
        "event_action": "trigger",
        "dedup_key": sender.key(alert),
        "client": "pgprime",
        "payload": {
            "summary": cut(&headline(notice, sender), PAGERDUTY_CHARS_MAX),
            "source": source,
            "severity": alert.severity,
            "timestamp": alert.since,
            "component": alert.check,
            "class": alert.rule,
            "custom_details": {
                "details": details(notice),
                "value": alert.value,
                "threshold": alert.threshold,
                "unit": alert.unit,
                "action": alert.action,
                "statement": alert.statement,
            },
        },
    });
    if let Some(link) = sender.link() {
        body["client_url"] = json!(link);
        body["links"] = json!([{"href": link, "text": "Dashboard"}]);
    }
    body
}

/// A PagerDuty event that says it is a test: there are none that only say something, so it is opened and closed.
pub(super) fn test_bodies(channel: &Channel, sender: &Sender, message: &Message) -> Vec<Value> {
    if channel.kind != ChannelKind::Pagerduty {
        return bodies(channel, sender, message);
    }
    let fired = |notice: &Notice| Notice { event: NoticeKind::Fired, ..notice.clone() };
    let opened = Message { at: message.at, notices: message.notices.iter().map(fired).collect() };
    let mut all = bodies(channel, sender, &opened);
    for body in &mut all {
        body["payload"]["severity"] = json!("info");
    }
    all.extend(bodies(channel, sender, message));
    all
}

fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
