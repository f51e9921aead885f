//! A report for people, at most 100 columns wide.

use std::fmt::Write as _;

use super::report::{Check, Group, HealthReport, Status, Trend};
use super::table::in_unit;
use super::words;
use pgprime_readonly::Missing;

const WIDTH: usize = 100;
/// Where the text of a check begins.
const INDENT: usize = 4;
/// Parts of a value that fit a report on a terminal.
const DETAILS_MAX: usize = 3;

/// A report for people: what is bad first, by gravity; then what cannot be seen; then what is well, a line for each.
#[must_use]
pub fn text(report: &HealthReport) -> String {
    let mut out = String::new();
    heading(&mut out, report);
    let mut checks: Vec<&Check> = report.checks.iter().collect();
    checks.sort_by_key(|check| std::cmp::Reverse(check.status));
    for (status, title) in [(Status::Critical, "CRITICAL"), (Status::Warning, "WARNING")] {
        for check in checks.iter().filter(|check| check.status == status) {
            bad(&mut out, title, check);
        }
    }
    let unknown: Vec<&&Check> = checks.iter().filter(|check| check.status == Status::Unknown).collect();
    if !unknown.is_empty() {
        out.push_str("\nUNKNOWN\n");
        for check in unknown {
            entry(&mut out, check);
        }
    }
    well(&mut out, report);
    missing(&mut out, &report.missing);
    out
}

fn heading(out: &mut String, report: &HealthReport) {
    let count = |status| report.checks.iter().filter(|check| check.status == status).count();
    let server = match (&report.server_version, report.in_recovery) {
        (Some(version), Some(true)) => format!("PostgreSQL {}, replica", first_word(version)),
        (Some(version), _) => format!("PostgreSQL {}, primary", first_word(version)),
        (None, _) => "no answer from the database".to_owned(),
    };
    let status = match report.status {
        Status::Ok => "well",
        Status::Unknown => "well as far as can be seen",
        Status::Warning => "warning",
        Status::Critical => "critical",
    };
    let at = report.taken_at.strftime("%Y-%m-%d %H:%M:%S UTC");
    let _ =
        writeln!(out, "Health: {status}   {server}   {at}, in {}", words::seconds(report.took_ms / 1_000.0));
    let _ = writeln!(
        out,
        "{} critical, {} warning, {} unknown, {} well",
        count(Status::Critical),
        count(Status::Warning),
        count(Status::Unknown),
        count(Status::Ok)
    );
}

fn bad(out: &mut String, title: &str, check: &Check) {
    let line = format!("{title}  {}  {}{}", check.title, value(check), bounds(check));
    let _ = writeln!(out, "\n{}", line.trim_end());
    wrapped(out, &check.text);
    if let Some(trend) = &check.trend {
        wrapped(out, &moved(check, trend));
    }
    for detail in check.details.iter().take(DETAILS_MAX) {
        detailed(out, detail, 0);
    }
    if check.details.len() > DETAILS_MAX {
        wrapped(out, &format!("… and {} more; --json has them", check.details.len() - DETAILS_MAX));
    }
    if let Some(action) = &check.action {
        wrapped(out, action);
    }
    if let Some(statement) = &check.statement {
        // To be copied, so they are not broken.
        for line in statement.lines() {
            let _ = writeln!(out, "{:INDENT$}  {line}", "");
        }
    }
}

/// A figure, `-` for none.
fn value(check: &Check) -> String {
    check.value.map_or(String::new(), |value| in_unit(value, check.unit))
}

fn bounds(check: &Check) -> String {
    let Some(at) = check.thresholds.filter(|_| check.value.is_some()) else { return String::new() };
    let sign = if at.is_below() { "<" } else { ">=" };
    let mut bounds = Vec::new();
    if at.warning.is_finite() {
        bounds.push(format!("warning {sign} {}", in_unit(at.warning, check.unit)));
    }
    if at.critical.is_finite() {
        bounds.push(format!("critical {sign} {}", in_unit(at.critical, check.unit)));
    }
    if bounds.is_empty() { String::new() } else { format!("  ({})", bounds.join(", ")) }
}

fn moved(check: &Check, trend: &Trend) -> String {
    let before = in_unit(trend.before, check.unit);
    let text = format!("{} ago it was {before}", words::seconds(trend.seconds));
    match trend.seconds_until_critical.filter(|_| check.status != Status::Critical) {
        Some(until) => format!("{text}; at this pace it is critical in {}.", words::seconds(until)),
        None => format!("{text}."),
    }
}

/// One part: a blocking tree as a tree, anything else as `name: value` pairs.
fn detailed(out: &mut String, detail: &serde_json::Value, depth: usize) {
    let Some(fields) = detail.as_object() else { return };
    let mut pairs = Vec::new();
    for (name, value) in fields.iter().filter(|(name, _)| name.as_str() != "blocks") {
        let value = match value {
            serde_json::Value::Null => continue,
            serde_json::Value::String(text) if text.is_empty() => continue,
            serde_json::Value::String(text) => text.split_whitespace().collect::<Vec<_>>().join(" "),
            serde_json::Value::Number(number) => figure(name, number),
            other => other.to_string(),
        };
        pairs.push(format!("{name} {value}"));
    }
    if !pairs.is_empty() {
        let line = format!("{:1$}- {2}", "", depth * 2, pairs.join(", "));
        let _ = writeln!(out, "{:INDENT$}{}", "", cut(&line, WIDTH - INDENT).trim_end());
    }
    if depth < DETAILS_MAX {
        for below in fields.get("blocks").and_then(|blocks| blocks.as_array()).into_iter().flatten() {
            detailed(out, below, depth + 1);
        }
    }
}

/// A figure by the unit that its name ends in.
fn figure(name: &str, number: &serde_json::Number) -> String {
    let value = number.as_f64().unwrap_or(0.0);
    match name {
        _ if name.ends_with("_bytes") || name == "bytes" => words::bytes(value),
        _ if name.ends_with("_s") => words::seconds(value),
        _ if name.ends_with("_ms") || name.ends_with("_ms_mean") => words::seconds(value / 1_000.0),
        "pid" | "oid" => number.to_string(),
        _ => words::number(value),
    }
}

/// By groups, a line for each.
fn well(out: &mut String, report: &HealthReport) {
    let mut group: Option<Group> = None;
    for check in report.checks.iter().filter(|check| check.status == Status::Ok) {
        if group.is_none() {
            out.push_str("\nWELL\n");
        }
        if group != Some(check.group) {
            let _ = writeln!(out, "  {}", check.group.title());
        }
        group = Some(check.group);
        entry(out, check);
    }
}

/// A title and its text in two columns.
fn entry(out: &mut String, check: &Check) {
    const TITLE: usize = 38;
    let mut first = true;
    for line in lines(&check.text, WIDTH - TITLE - INDENT) {
        let title = if first { check.title.as_str() } else { "" };
        let _ = writeln!(out, "{:INDENT$}{title:<TITLE$}{line}", "");
        first = false;
    }
    if check.status == Status::Unknown
        && let Some(statement) = &check.statement
    {
        for line in statement.lines() {
            let _ = writeln!(out, "{:INDENT$}{:TITLE$}{line}", "", "");
        }
    }
}

fn missing(out: &mut String, missing: &[Missing]) {
    if missing.is_empty() {
        return;
    }
    out.push_str("\nNot seen\n");
    for Missing { what, why, statement } in missing {
        let mut first = true;
        for line in lines(&format!("{what}: {why}"), WIDTH - INDENT) {
            let _ = writeln!(out, "  {} {line}", if first { "-" } else { " " });
            first = false;
        }
        for line in statement.iter().flat_map(|statement| statement.lines()) {
            let _ = writeln!(out, "{:INDENT$}  {line}", "");
        }
    }
}

fn wrapped(out: &mut String, text: &str) {
    for line in lines(text, WIDTH - INDENT) {
        let _ = writeln!(out, "{:INDENT$}{line}", "");
    }
}

/// Lines of at most so many characters; a word that is longer is cut.
fn lines(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let word = cut(word, width);
        let last = lines.last().map_or(0, |line| line.chars().count());
        if last > 0 && last + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
        }
    }
    lines
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::health::report::{Thresholds, Unit};

    fn check(id: &str, status: Status, value: Option<f64>) -> Check {
        Check {
            id: id.to_owned(),
            group: Group::Locks,
            title: "Longest wait for a lock".to_owned(),
            status,
            value,
            unit: Unit::Seconds,
            thresholds: Some(Thresholds { warning: 10.0, critical: f64::INFINITY }),
            text:
                "Process 7 has waited for public.t for 12 s, behind process 9 of app (idle in transaction). "
                    .repeat(2),
            trend: value.map(|_| Trend {
                before: 2.0,
                seconds: 600.0,
                seconds_until_critical: Some(1_200.0),
            }),
            action: Some("End the session at the root.".to_owned()),
            statement: Some("SELECT pg_terminate_backend(9);".to_owned()),
            details: vec![
                json!({ "pid": 91_234, "waits_s": null, "query": "UPDATE  t\n SET x = 1 ".repeat(9), "blocks": [{ "pid": 7, "waits_s": 12.0 }] }),
                json!({ "retained_bytes": 8_192 }),
                json!({}),
                json!({}),
            ],
            is_tentative: false,
        }
    }

    #[test]
    fn worst_first_and_no_line_is_too_long() {
        let checks = vec![
            check("a", Status::Ok, Some(1.0)),
            check("b", Status::Warning, Some(12.0)),
            check("c", Status::Critical, None),
            check("d", Status::Unknown, None),
        ];
        let missing =
            vec![Missing { what: "this".to_owned(), why: "for a reason ".repeat(20), statement: None }];
        let report = HealthReport {
            taken_at: Timestamp::UNIX_EPOCH,
            status: Status::Critical,
            server_version: Some("15.8 (Debian)".to_owned()),
            in_recovery: Some(true),
            took_ms: 12.0,
            checks,
            missing,
        };
        let text = text(&report);
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH && line == line.trim_end(), "{line:?}");
        }
        let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part:?} in\n{text}"));
        assert!(
            text.starts_with(
                "Health: critical   PostgreSQL 15.8, replica   1970-01-01 00:00:00 UTC, in 12 ms\n"
            ),
            "{text}"
        );
        assert!(
            at("CRITICAL") < at("WARNING") && at("WARNING") < at("UNKNOWN") && at("UNKNOWN") < at("WELL")
        );
        at("WARNING  Longest wait for a lock  12 s  (warning >= 10 s)\n");
        at("    10 min ago it was 2.0 s; at this pace it is critical in 20 min.\n");
        at("    - pid 91234, query UPDATE t SET x = 1 UPDATE");
        at("      - pid 7, waits_s 12 s\n");
        at("    - retained_bytes 8.0 KiB\n");
        at("    … and 1 more; --json has them\n");
        at("\nWELL\n  Locks\n    Longest wait for a lock               Process 7");
        at("\nNot seen\n  - this: for a reason");
    }
}
