//! Alerting rules of Prometheus that say what the default rules say.

use std::fmt::Write as _;
use std::time::Duration;

use super::metrics::status_number;
use crate::alerts::{Rule, Severity, default_rules};
use crate::health::{Status, definition, in_unit};

/// The check whose failing makes everything else unknown.
const DATABASE_UP: &str = "database.up";

/// The file `deploy/prometheus/pgprime-alerts.yml`, for Prometheus 2.42 or newer.
#[must_use]
pub fn prometheus_rules() -> String {
    let mut text = String::from(HEAD);
    for rule in default_rules() {
        text.push_str(&alert(&rule));
    }
    text
}

const HEAD: &str = r#"# Alerting rules for pgprime's metrics, made from its own rules. Prometheus 2.42 or newer.
#
# Thresholds are pgprime's ([health.thresholds] in pgprime.toml): these rules go by the status of its checks.
# An inhibition rule in Alertmanager keeps a warning silent while the critical alert of its check fires:
#
#   inhibit_rules:
#     - source_matchers: [ severity = "critical" ]
#       target_matchers: [ severity = "warning" ]
#       equal: [ instance, check ]
groups:
  - name: pgprime
    rules:
      - alert: PgprimeDown
        expr: up{job="pgprime"} == 0
        for: 1m
        labels:
          severity: critical
          check: pgprime.up
        annotations:
          summary: "pgprime at {{ $labels.instance }} does not answer"
          description: "Nothing watches the database meanwhile. systemctl status pgprime and its log say why."
      - alert: PgprimeChecksStale
        expr: time() - pgprime_health_last_round_seconds > pgprime_health_stale_after_seconds
        for: 1m
        labels:
          severity: critical
          check: pgprime.stale
        annotations:
          summary: "pgprime at {{ $labels.instance }} watches nothing any more"
          description: "It answers, and its rounds of checks have stopped or hang: its own alerts say nothing new. Its log says why."
"#;

fn alert(rule: &Rule) -> String {
    let status = status_number(match rule.severity {
        Severity::Warning => Status::Warning,
        Severity::Critical => Status::Critical,
    });
    let Rule { check, description, .. } = rule;
    let mut expression = format!("pgprime_check_status{{check=\"{check}\"}} >= {status}");
    if check != DATABASE_UP {
        // Without the database the rest says nothing new.
        let _ = write!(
            expression,
            " unless on (instance, job) pgprime_check_status{{check=\"{DATABASE_UP}\"}} == 3"
        );
    }
    let mut text = format!("      - alert: {}\n        expr: {expression}\n", name(rule));
    if !rule.fires_after.is_zero() {
        let _ = writeln!(text, "        for: {}", duration(rule.fires_after));
    }
    let _ = write!(
        text,
        "        keep_firing_for: {}\n        labels:\n          severity: {}\n        annotations:\n          \
         summary: {}\n          description: {}\n",
        duration(rule.clear_after),
        rule.severity.as_str(),
        quoted(&format!("{description} ({{{{ $labels.instance }}}})")),
        quoted(&self::description(rule)),
    );
    text
}

/// `ConnectionsUsedCritical`
fn name(rule: &Rule) -> String {
    let words = rule.check.split(['.', '_']).chain([rule.severity.as_str()]);
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_uppercase().chain(letters).collect::<String>())
            .unwrap_or_default()
    };
    format!("Pgprime{}", words.map(capital).collect::<String>())
}

/// With the value at the moment, and pgprime's usual threshold.
fn description(rule: &Rule) -> String {
    let query = format!(
        "{{{{ with printf `pgprime_check_value{{check=\"{}\",instance=%q}}` .Labels.instance | query }}}}Value: \
         {{{{ . | first | value | humanize }}}}. {{{{ end }}}}",
        rule.check
    );
    let Some(check) = definition(&rule.check) else { return query };
    let limit = check.thresholds.map(|thresholds| match rule.severity {
        Severity::Warning => thresholds.warning,
        Severity::Critical => thresholds.critical,
    });
    let limit = limit.filter(|limit| limit.is_finite());
    let side = if check.is_bad_below() { "below" } else { "from" };
    let usual = limit.map(|limit| format!("Bad {side} {} by default. ", in_unit(limit, check.unit)));
    format!("{query}{}pgprime health says what to do.", usual.unwrap_or_default())
}

fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds >= 3_600 && seconds % 3_600 == 0 => format!("{}h", seconds / 3_600),
        seconds if seconds >= 60 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// A string of YAML: one of JSON is one.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
