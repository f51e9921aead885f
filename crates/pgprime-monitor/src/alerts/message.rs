//! Messages: what people read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::alert::{Alert, AlertState, Severity};
use super::channel::Sender;
use crate::health::Unit;

/// Why an alert is in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum NoticeKind {
    /// It began to fire.
    Fired,
    /// It still does.
    Repeated,
    /// It is over.
    Resolved,
}

/// An alert in a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Notice {
    /// Why it is there.
    pub(super) event: NoticeKind,
    /// The alert.
    #[serde(flatten)]
    pub(super) alert: Alert,
}

/// What goes to a channel at once.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Message {
    pub(super) at: Timestamp,
    pub(super) notices: Vec<Notice>,
}

impl Message {
    /// Whether anything in it fires.
    pub(super) fn is_firing(&self) -> bool {
        self.notices.iter().any(|notice| notice.event != NoticeKind::Resolved)
    }

    /// One line: `[critical] Connections in use, and 2 more`.
    pub(super) fn summary(&self, sender: &Sender) -> String {
        let worst = self
            .notices
            .iter()
            .max_by_key(|notice| (notice.event != NoticeKind::Resolved, notice.alert.severity));
        let Some(worst) = worst else { return "nothing".to_owned() };
        let more = match self.notices.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        format!("{}{more}", headline(worst, sender))
    }
}

/// `[critical] insurance at db1: Connections in use: 95 of 97 connections are in use (98 %)`
pub(super) fn headline(notice: &Notice, sender: &Sender) -> String {
    let alert = &notice.alert;
    let label = match notice.event {
        NoticeKind::Resolved => "resolved",
        _ => alert.severity.as_str(),
    };
    let source = if sender.source.is_empty() { String::new() } else { format!("{}: ", sender.source) };
    format!("[{label}] {source}{}: {}", alert.title, alert.text)
}

/// What is known of an alert, and what to do, by line.
pub(super) fn details(notice: &Notice) -> Vec<String> {
    let alert = &notice.alert;
    let mut lines = vec![since(notice)];
    if let Some(value) = alert.value {
        let threshold = alert.threshold.map(|threshold| amount(threshold, alert.unit));
        let threshold = threshold.map_or_else(String::new, |text| format!(", threshold {text}"));
        lines.push(format!("Value: {}{threshold}", amount(value, alert.unit)));
    }
    if notice.event != NoticeKind::Resolved {
        lines.extend(alert.action.iter().map(|action| format!("What to do: {action}")));
    }
    if alert.fired_within_hour > 1 {
        lines.push(format!("It has come and gone: {} times within the hour", alert.fired_within_hour));
    }
    lines
}

fn since(notice: &Notice) -> String {
    let alert = &notice.alert;
    let lasted = alert.resolved_at.unwrap_or(alert.last_at).duration_since(alert.since).as_secs_f64();
    let moment = alert.since.strftime("%Y-%m-%d %H:%M:%S UTC");
    match notice.event {
        NoticeKind::Fired => format!("Since: {moment}"),
        NoticeKind::Repeated => format!("Since: {moment}, for {}", amount(lasted, Unit::Seconds)),
        NoticeKind::Resolved => format!("It lasted {}, from {moment}", amount(lasted, Unit::Seconds)),
    }
}

/// A value with its unit.
fn amount(value: f64, unit: Unit) -> String {
    crate::health::in_unit(value, unit)
}

/// An alert that says it is a test.
pub(super) fn test_notice(now: Timestamp) -> Notice {
    let alert = Alert {
        id: format!("test@{}", now.as_second()),
        rule: "test".to_owned(),
        severity: Severity::Warning,
        state: AlertState::Resolved,
        check: "test".to_owned(),
        title: "Test of delivery".to_owned(),
        text: "this is a test, nothing is wrong".to_owned(),
        value: None,
        unit: Unit::Count,
        threshold: None,
        action: None,
        statement: None,
        since: now,
        fired_at: Some(now),
        last_at: now,
        resolved_at: Some(now),
        fired_within_hour: 0,
        is_suppressed: false,
        is_clearing: false,
    };
    Notice { event: NoticeKind::Resolved, alert }
}
