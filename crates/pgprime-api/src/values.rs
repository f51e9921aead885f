//! What the role `read` must not see: values within texts.
//!
//! Texts of statements from pg_stat_statements and the pooler have no constants. Those of running statements have, and so
//! may what PostgreSQL says of a statement that failed: it quotes the value that it did not like. All that leads to readers
//! passes here.

use std::sync::Arc;

use pgprime_monitor::alerts::{Alert, AlertsView};
use pgprime_monitor::health::{Check, HealthReport};
use serde_json::Value;

use crate::security::Role;

/// Fields of details that hold what somebody has sent.
const QUERY: &str = "query";
/// Fields of details that hold what PostgreSQL said of it.
const ERROR: &str = "error";
/// The check whose text repeats what PostgreSQL said.
const FAILING_VIEWS: &str = "views.failing";

/// Whether somebody of this role sees values.
pub(crate) fn sees_values(role: Role) -> bool {
    role >= Role::Analyze
}

/// The report as somebody of this role sees it.
pub(crate) fn health(report: &Arc<HealthReport>, role: Role) -> Arc<HealthReport> {
    if sees_values(role) {
        return Arc::clone(report);
    }
    let mut report = HealthReport::clone(report);
    report.checks.iter_mut().for_each(check);
    Arc::new(report)
}

fn check(check: &mut Check) {
    check.details.iter_mut().for_each(strip);
    if check.id == FAILING_VIEWS {
        check.text = without_quoted(&check.text);
    }
}

/// The alerts as somebody of this role sees them.
pub(crate) fn alerts(mut view: AlertsView, role: Role) -> AlertsView {
    if !sees_values(role) {
        for alert in view.firing.iter_mut().chain(&mut view.pending).chain(&mut view.history) {
            hide(alert);
        }
    }
    view
}

/// An alert as somebody of this role sees it.
pub(crate) fn alert(mut alert: Alert, role: Role) -> Alert {
    if !sees_values(role) {
        hide(&mut alert);
    }
    alert
}

fn hide(alert: &mut Alert) {
    if alert.check == FAILING_VIEWS {
        alert.text = without_quoted(&alert.text);
    }
}

/// What PostgreSQL said, as somebody of this role sees it.
pub(crate) fn said(text: &mut Option<String>, role: Role) {
    if let Some(text) = text.as_mut().filter(|_| !sees_values(role)) {
        *text = without_quoted(text);
    }
}

/// Statements go; of errors, what they quote.
fn strip(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(strip),
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), &*value) {
                    (QUERY, _) => *value = Value::Null,
                    (ERROR, Value::String(text)) => *value = Value::String(without_quoted(text)),
                    _ => strip(value),
                }
            }
        }
        _ => {}
    }
}

/// A text with dots for all from its first quote to its last one; to its end where that is the same.
fn without_quoted(text: &str) -> String {
    // PostgreSQL's detail comes in parentheses, with whole rows in it.
    let text = text.split_once(" (").map_or(text, |(message, _)| message);
    const QUOTES: [char; 7] = ['"', '\'', '«', '»', '„', '“', '”'];
    // An apostrophe within a word quotes nothing.
    let is_apostrophe = |at: usize, quote: &str| quote == "'" && text[..at].ends_with(char::is_alphanumeric);
    let Some((first, quote)) = text.match_indices(QUOTES).find(|&(at, quote)| !is_apostrophe(at, quote))
    else {
        return text.to_owned();
    };
    let begin = first + quote.len();
    let end = text[begin..].rfind(QUOTES).map_or("", |at| &text[begin + at..]);
    format!("{}…{end}", &text[..begin])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_quoted_goes() {
        for (text, expected) in [
            ("division by zero", "division by zero"),
            (
                "invalid input syntax for type integer: \"4711 x\"",
                "invalid input syntax for type integer: \"…\"",
            ),
            ("a \"b\" c \"d\" e", "a \"…\" e"),
            ("value \"it is \"\"so\"\"\" end", "value \"…\" end"),
            ("the database's value 'x' y", "the database's value '…' y"),
            ("not closed: \"secret", "not closed: \"…"),
            ("ungültig: »x« «secret» z", "ungültig: »…» z"),
        ] {
            assert_eq!(without_quoted(text), expected);
        }
    }

    #[test]
    fn statements_go_however_deep_they_are() {
        let mut details = json!([{ "pid": 1, "query": "SELECT 'secret'", "blocks": [
            { "pid": 2, "query": "SELECT 'secret'", "blocks": [] }] }, { "error": "not \"secret\"", "age": 3 }]);
        strip(&mut details);
        assert!(!details.to_string().contains("secret"), "{details}");
        assert_eq!((&details[0]["blocks"][0]["pid"], &details[1]["age"]), (&json!(2), &json!(3)));
    }
}
