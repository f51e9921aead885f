//! Rules: from when on a bad check is an alert, and from when on it is none any more.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::alert::Severity;

/// The check whose failing makes everything else unknown.
pub(crate) const DATABASE_UP: &str = "database.up";

/// When a check that is bad becomes an alert.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rule {
    /// Its name, unique: the check's id and the severity where nothing else is said.
    pub name: String,
    /// The check.
    pub check: String,
    /// The status of the check that it is about, or a graver one.
    pub severity: Severity,
    /// For how long the check has to be bad.
    #[serde(rename = "for_s", serialize_with = "seconds")]
    pub fires_after: Duration,
    /// For how long it has to be well again. Default 5 minutes.
    #[serde(rename = "clear_after_s", serialize_with = "seconds")]
    pub clear_after: Duration,
    /// How far beyond the threshold the value has to be to be well, as a part of it. Default 0.05: with a threshold of
    /// 80 %, up to 76 %.
    pub margin: f64,
    /// What it means.
    pub description: String,
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// Of rules that say nothing else.
pub(super) const CLEAR_AFTER: Duration = Duration::from_secs(300);
/// Of rules that say nothing else.
pub(super) const MARGIN: f64 = 0.05;

impl Rule {
    /// A rule with the usual name, time to clear, and margin.
    #[must_use]
    pub fn new(check: &str, severity: Severity, fires_after: Duration) -> Self {
        Self {
            name: format!("{check}.{}", severity.as_str()),
            check: check.to_owned(),
            severity,
            fires_after,
            clear_after: CLEAR_AFTER,
            margin: MARGIN,
            description: description(check).unwrap_or_default().to_owned(),
        }
    }
}

/// A line of the default rules: after how many seconds a check that is bad is an alert, by severity.
struct Default {
    check: &'static str,
    warning_s: Option<u64>,
    critical_s: Option<u64>,
    description: &'static str,
}

const fn line(
    check: &'static str,
    warning_s: Option<u64>,
    critical_s: Option<u64>,
    description: &'static str,
) -> Default {
    Default { check, warning_s, critical_s, description }
}

const MINUTE: u64 = 60;
const QUARTER: u64 = 15 * MINUTE;
const HOUR: u64 = 60 * MINUTE;

/// Short where minutes of users' time are at stake, long where something grows over days. What is only advice has none.
const DEFAULTS: &[Default] = &[
    line(DATABASE_UP, Some(MINUTE), Some(20), "The database answers late or not at all"),
    line("database.sequences_used", Some(10 * MINUTE), Some(MINUTE), "A sequence is running out of values"),
    line("connections.used", Some(5 * MINUTE), Some(MINUTE), "The server is running out of connections"),
    line(
        "connections.idle_in_transaction",
        Some(5 * MINUTE),
        Some(5 * MINUTE),
        "Sessions hold transactions open and do nothing",
    ),
    line("pooler.up", Some(MINUTE), Some(20), "The pooler does not answer"),
    line(
        "pooler.clients_waiting",
        Some(MINUTE),
        Some(MINUTE),
        "Clients wait for servers: a pool is exhausted",
    ),
    line("pooler.longest_wait", Some(MINUTE), Some(30), "Clients wait long for servers"),
    line("pooler.servers_busy", Some(5 * MINUTE), Some(5 * MINUTE), "All servers of a pool are at work"),
    line(
        "pooler.clients_used",
        Some(5 * MINUTE),
        Some(MINUTE),
        "The pooler is running out of client connections",
    ),
    line(
        "queries.slow_share",
        Some(QUARTER),
        Some(QUARTER),
        "Slow statements take a growing part of the time",
    ),
    line("queries.mean_ms", Some(QUARTER), Some(QUARTER), "Statements have become slow on average"),
    line("queries.longest_running", Some(MINUTE), Some(MINUTE), "A statement has been running for long"),
    line("cache.buffers_hit", Some(2 * QUARTER), Some(2 * QUARTER), "Too much is read from disk"),
    line("cache.indexes_hit", Some(2 * QUARTER), Some(2 * QUARTER), "Indexes are read from disk"),
    line("replication.lag_s", Some(2 * MINUTE), Some(MINUTE), "A replica lags"),
    line("replication.lag_bytes", Some(5 * MINUTE), Some(5 * MINUTE), "A replica is behind by much WAL"),
    line(
        "replication.slots_retained",
        Some(5 * MINUTE),
        Some(5 * MINUTE),
        "A slot keeps WAL from being removed",
    ),
    line("replication.slots_inactive", Some(QUARTER), Some(QUARTER), "A replication slot is used by nobody"),
    line("replication.broken", Some(MINUTE), Some(MINUTE), "A replica is missing"),
    line("replication.receiver", Some(MINUTE), Some(MINUTE), "This replica receives nothing"),
    line("replication.replay_delay_s", Some(2 * MINUTE), Some(MINUTE), "This replica is behind"),
    line("indexes.invalid", Some(HOUR), Some(HOUR), "An index is invalid: no query uses it"),
    line("bloat.tables", Some(HOUR), Some(HOUR), "Tables waste much space"),
    line("bloat.indexes", Some(HOUR), Some(HOUR), "Indexes waste much space"),
    line("locks.waiting", Some(MINUTE), Some(MINUTE), "Sessions wait for locks"),
    line("locks.blocked_longest", Some(30), Some(30), "A session has been waiting long for a lock"),
    line("transactions.longest", Some(MINUTE), Some(MINUTE), "A transaction has been open for long"),
    line(
        "transactions.idle_longest",
        Some(MINUTE),
        Some(MINUTE),
        "An idle transaction has been open for long",
    ),
    line(
        "transactions.prepared_oldest",
        Some(5 * MINUTE),
        Some(5 * MINUTE),
        "A prepared transaction was left",
    ),
    line("vacuum.wraparound", Some(10 * MINUTE), Some(MINUTE), "Transaction ids are running out"),
    line("vacuum.multixact", Some(10 * MINUTE), Some(MINUTE), "Multixact ids are running out"),
    line("vacuum.dead_rows", Some(HOUR), Some(HOUR), "Autovacuum does not keep up with dead rows"),
    line("vacuum.workers_busy", Some(2 * QUARTER), Some(2 * QUARTER), "All autovacuum workers are at work"),
    line(
        "checkpoints.requested_share",
        Some(HOUR),
        Some(HOUR),
        "WAL forces checkpoints: max_wal_size is too small",
    ),
    line("disk.free", Some(5 * MINUTE), Some(MINUTE), "The disk is filling up"),
    line("errors.deadlocks", Some(MINUTE), Some(MINUTE), "Transactions deadlock"),
    line("errors.rollback_share", Some(QUARTER), Some(QUARTER), "Many transactions are rolled back"),
    line("errors.checksum_failures", Some(0), Some(0), "Data pages are damaged"),
    line("errors.temp_bytes", Some(QUARTER), Some(QUARTER), "Statements spill to temporary files"),
    line("views.failing", Some(MINUTE), Some(MINUTE), "Refreshes of a materialized view fail"),
    line("views.stale", Some(10 * MINUTE), Some(10 * MINUTE), "A materialized view is older than it may be"),
    line("result_cache.worth", Some(HOUR), Some(HOUR), "The result cache is below worth: too few hits"),
];

/// The rules that hold where the configuration says nothing else.
#[must_use]
pub fn default_rules() -> Vec<Rule> {
    let rule = |check, severity, seconds: Option<u64>| {
        seconds.map(|seconds| Rule::new(check, severity, Duration::from_secs(seconds)))
    };
    let both = |line: &Default| {
        [
            rule(line.check, Severity::Warning, line.warning_s),
            rule(line.check, Severity::Critical, line.critical_s),
        ]
    };
    DEFAULTS.iter().flat_map(both).flatten().collect()
}

/// What it means when a check is bad, as the default rules say.
fn description(check: &str) -> Option<&'static str> {
    DEFAULTS.iter().find(|line| line.check == check).map(|line| line.description)
}

/// Whether there is such a check.
pub(super) fn is_known(check: &str) -> bool {
    crate::health::definition(check).is_some()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::health::DEFINITIONS;

    #[test]
    fn every_rule_is_about_a_check_and_only_advice_has_none() {
        let rules = default_rules();
        let names: BTreeSet<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!(names.len(), rules.len());
        let checks: BTreeSet<&str> = rules.iter().map(|rule| rule.check.as_str()).collect();
        assert!(checks.iter().all(|check| is_known(check)), "{checks:?}");
        let without: Vec<&str> =
            DEFINITIONS.iter().map(|check| check.id).filter(|id| !checks.contains(id)).collect();
        let advice = [
            "indexes.unused_bytes",
            "indexes.seq_scans",
            "checkpoints.wal_bytes_per_s",
            "disk.database_bytes",
        ];
        assert_eq!(without, advice);
    }
}
