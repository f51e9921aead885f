//! Metrics in the text format of Prometheus.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use pgprime_cache::{LabelReport, Report as CacheReport};

use crate::alerts::{AlertsView, Severity};
use crate::health::{HealthReport, Status};
use crate::history::busiest;
use crate::pooler::{PoolerKind, PoolerPool, PoolerReport};

/// Pools with metrics of their own; further ones are added up.
const POOLS_MAX: usize = 200;
/// Cached queries with metrics of their own: those that save the most.
const QUERIES_MAX: usize = 100;
const OTHERS: &str = "(others)";

/// What is exposed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exposed<'a> {
    /// The last health report.
    pub health: Option<&'a HealthReport>,
    /// Whether rounds go on; `None` where none are made.
    pub watching: Option<Watching>,
    /// Poolers: the built-in one and PgBouncer, one of each.
    pub poolers: &'a [&'a PoolerReport],
    /// The result cache.
    pub cache: Option<&'a CacheReport>,
    /// Alerts and channels.
    pub alerts: Option<&'a AlertsView>,
}

/// How watching goes.
#[derive(Clone, Copy, Debug)]
pub struct Watching {
    /// When the last round ended; `None` before the first one has.
    pub last_round_at: Option<Timestamp>,
    /// A round that ended longer ago tells nothing any more.
    pub stale_after: Duration,
}

/// All metrics, for the content type `text/plain; version=0.0.4`.
#[must_use]
pub fn prometheus_text(exposed: &Exposed<'_>) -> String {
    let mut text = Text::default();
    text.family("pgprime_build_info", Type::Gauge, "Always 1; the label says which version this is");
    text.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    if let Some(watching) = exposed.watching {
        self::watching(&mut text, watching);
    }
    if let Some(health) = exposed.health {
        checks(&mut text, health);
    }
    if !exposed.poolers.is_empty() {
        poolers(&mut text, exposed.poolers);
        pools(&mut text, exposed.poolers);
    }
    if let Some(cache) = exposed.cache {
        self::cache(&mut text, cache);
    }
    if let Some(alerts) = exposed.alerts {
        self::alerts(&mut text, alerts);
    }
    text.0
}

#[derive(Clone, Copy)]
enum Type {
    Gauge,
    Counter,
}

/// The text, family by family.
#[derive(Default)]
struct Text(String, String);

impl Text {
    /// Begins a metric: all samples that follow are of it.
    fn family(&mut self, name: &str, kind: Type, help: &str) {
        let kind = match kind {
            Type::Gauge => "gauge",
            Type::Counter => "counter",
        };
        self.1 = name.to_owned();
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {}\n# TYPE {name} {kind}", escaped(help));
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(&self.1);
        for (index, (name, label)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{before}{name}=\"{}\"", escaped(label).replace('"', "\\\""));
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = match value {
            value if value.is_nan() => writeln!(self.0, " NaN"),
            f64::INFINITY => writeln!(self.0, " +Inf"),
            f64::NEG_INFINITY => writeln!(self.0, " -Inf"),
            value => writeln!(self.0, " {value}"),
        };
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n")
}

/// As a number: the same in rules and dashboards.
pub(super) fn status_number(status: Status) -> u8 {
    match status {
        Status::Ok => 0,
        Status::Unknown => 1,
        Status::Warning => 2,
        Status::Critical => 3,
    }
}

fn watching(text: &mut Text, watching: Watching) {
    let seconds = |at: Timestamp| at.as_millisecond() as f64 / 1_000.0;
    text.family(
        "pgprime_health_last_round_seconds",
        Type::Gauge,
        "When the last round of checks ended, in seconds since 1970; 0 before the first one",
    );
    text.sample(&[], watching.last_round_at.map_or(0.0, seconds));
    text.family(
        "pgprime_health_stale_after_seconds",
        Type::Gauge,
        "A round that ended longer ago tells nothing any more: three intervals",
    );
    text.sample(&[], watching.stale_after.as_secs_f64());
}

fn checks(text: &mut Text, health: &HealthReport) {
    text.family(
        "pgprime_health_status",
        Type::Gauge,
        "The gravest status of all checks: 0 ok, 1 unknown, 2 warning, 3 critical",
    );
    text.sample(&[], status_number(health.status).into());
    text.family("pgprime_health_taken_timestamp_seconds", Type::Gauge, "When the checks were made");
    text.sample(&[], health.taken_at.as_millisecond() as f64 / 1_000.0);
    text.family("pgprime_health_duration_seconds", Type::Gauge, "How long they took");
    text.sample(&[], health.took_ms / 1_000.0);
    text.family(
        "pgprime_check_status",
        Type::Gauge,
        "A check's status: 0 ok, 1 unknown, 2 warning, 3 critical",
    );
    for check in &health.checks {
        text.sample(&[("check", &check.id)], status_number(check.status).into());
    }
    text.family(
        "pgprime_check_value",
        Type::Gauge,
        "A check's value, in the unit that its description names",
    );
    for check in &health.checks {
        if let Some(value) = check.value {
            text.sample(&[("check", &check.id)], value);
        }
    }
    text.family("pgprime_check_threshold", Type::Gauge, "From where on a check's value is bad");
    for check in &health.checks {
        let Some(thresholds) = check.thresholds else { continue };
        for (severity, limit) in [("warning", thresholds.warning), ("critical", thresholds.critical)] {
            if limit.is_finite() {
                text.sample(&[("check", &check.id), ("severity", severity)], limit);
            }
        }
    }
}

fn name(report: &PoolerReport) -> &'static str {
    match report.kind {
        PoolerKind::Pgprime => "pgprime",
        PoolerKind::Pgbouncer => "pgbouncer",
    }
}

type OfPooler = fn(&PoolerReport) -> Option<f64>;
type OfPool = fn(&PoolerPool) -> Option<f64>;
type OfQuery = fn(&LabelReport) -> f64;

fn poolers(text: &mut Text, reports: &[&PoolerReport]) {
    let families: [(&str, Type, &str, OfPooler); 10] = [
        ("clients", Type::Gauge, "Client connections", |report| Some(report.clients as f64)),
        ("clients_max", Type::Gauge, "The most client connections", |report| {
            report.clients_max.map(|max| max as f64)
        }),
        ("servers", Type::Gauge, "Server connections", |report| Some(report.servers as f64)),
        ("transactions_total", Type::Counter, "Transactions", |report| {
            Some(report.totals.transactions as f64)
        }),
        ("queries_total", Type::Counter, "Requests", |report| Some(report.totals.queries as f64)),
        ("received_bytes_total", Type::Counter, "Bytes from clients", |report| {
            Some(report.totals.received_bytes as f64)
        }),
        ("sent_bytes_total", Type::Counter, "Bytes to clients", |report| {
            Some(report.totals.sent_bytes as f64)
        }),
        ("query_seconds_total", Type::Counter, "Time that servers were at work", |report| {
            seconds(report.totals.query_us)
        }),
        ("transaction_seconds_total", Type::Counter, "Time that servers were in transactions", |report| {
            seconds(report.totals.transaction_us)
        }),
        ("wait_seconds_total", Type::Counter, "Time that clients waited for servers", |report| {
            seconds(report.totals.wait_us)
        }),
    ];
    for (end, kind, help, value) in families {
        text.family(&format!("pgprime_pooler_{end}"), kind, help);
        for report in reports {
            if let Some(value) = value(report) {
                text.sample(&[("pooler", name(report))], value);
            }
        }
    }
}

fn seconds(us: u64) -> Option<f64> {
    Some(us as f64 / 1e6)
}

fn pools(text: &mut Text, reports: &[&PoolerReport]) {
    let shown: Vec<(&str, Vec<PoolerPool>)> =
        reports.iter().map(|report| (name(report), bounded(report))).collect();
    let families: [(&str, &str, OfPool); 8] = [
        ("clients_active", "Clients with a server, or idle", |pool| Some(pool.clients_active as f64)),
        ("clients_waiting", "Clients that wait for a server", |pool| Some(pool.clients_waiting as f64)),
        ("servers_active", "Servers with a client", |pool| Some(pool.servers_active as f64)),
        ("servers_idle", "Servers at rest", |pool| Some(pool.servers_idle as f64)),
        ("servers_other", "Servers that log in, are tested or cancelled", |pool| {
            Some(pool.servers_other as f64)
        }),
        ("servers_max", "The most servers", |pool| pool.size_max.map(|max| max as f64)),
        ("wait_seconds", "How long the first in the queue has waited", |pool| Some(pool.wait_s_max)),
        ("paused", "1 while PAUSE is in force", |pool| Some(f64::from(u8::from(pool.paused)))),
    ];
    for (end, help, value) in families {
        text.family(&format!("pgprime_pool_{end}"), Type::Gauge, help);
        for (pooler, pool) in
            shown.iter().flat_map(|(pooler, pools)| pools.iter().map(move |pool| (pooler, pool)))
        {
            if let Some(value) = value(pool) {
                text.sample(&[("pooler", pooler), ("database", &pool.database), ("user", &pool.user)], value);
            }
        }
    }
}

/// The busiest pools, and the others as one.
fn bounded(report: &PoolerReport) -> Vec<PoolerPool> {
    let chosen = busiest(&report.pools, POOLS_MAX);
    let is_chosen = |pool: &PoolerPool| chosen.iter().any(|chosen| std::ptr::eq(*chosen, pool));
    let others =
        report.pools.iter().filter(|pool| !is_chosen(pool)).cloned().reduce(|sum, pool| PoolerPool {
            clients_active: sum.clients_active + pool.clients_active,
            clients_waiting: sum.clients_waiting + pool.clients_waiting,
            servers_active: sum.servers_active + pool.servers_active,
            servers_idle: sum.servers_idle + pool.servers_idle,
            servers_other: sum.servers_other + pool.servers_other,
            wait_s_max: sum.wait_s_max.max(pool.wait_s_max),
            size_max: sum.size_max.zip(pool.size_max).map(|(one, other)| one + other),
            paused: sum.paused && pool.paused,
            ..sum
        });
    let named = |pool| PoolerPool { database: OTHERS.to_owned(), user: OTHERS.to_owned(), ..pool };
    chosen.into_iter().cloned().chain(others.map(named)).collect()
}

fn cache(text: &mut Text, cache: &CacheReport) {
    let gauges = [
        ("memory_bytes", "Bytes in memory, administration included", cache.memory_bytes),
        ("memory_bytes_max", "Their bound", cache.memory_bytes_max),
        ("entries", "Entries in memory", cache.memory_entries),
    ];
    for (end, help, value) in gauges {
        text.family(&format!("pgprime_cache_{end}"), Type::Gauge, help);
        text.sample(&[], value as f64);
    }
    let families: [(&str, &str, OfQuery); 6] = [
        ("hits_total", "Requests served without a fill", |label| label.hits() as f64),
        ("misses_total", "Requests that led to a fill", |label| label.misses as f64),
        ("fill_errors_total", "Fills that failed", |label| label.errors as f64),
        ("invalidated_total", "Entries outdated by a change of their tables", |label| {
            label.invalidated as f64
        }),
        ("evictions_total", "Entries pushed out of memory by others", |label| label.evictions as f64),
        ("fill_seconds_total", "Time that fills took", |label| label.fill_us as f64 / 1e6),
    ];
    for (end, help, value) in families {
        text.family(&format!("pgprime_cache_{end}"), Type::Counter, help);
        let mut labels: Vec<&LabelReport> = cache.labels.iter().take(QUERIES_MAX).collect();
        labels.sort_by(|one, other| one.label.cmp(&other.label));
        for label in labels {
            text.sample(&[("query", &label.label)], value(label));
        }
    }
}

fn alerts(text: &mut Text, alerts: &AlertsView) {
    text.family("pgprime_alerts_firing", Type::Gauge, "Alerts that fire");
    for severity in [Severity::Warning, Severity::Critical] {
        let count = alerts.firing.iter().filter(|alert| alert.severity == severity).count();
        text.sample(&[("severity", severity.as_str())], count as f64);
    }
    text.family("pgprime_alert_notices_waiting", Type::Gauge, "Notices that wait to be delivered");
    for channel in &alerts.channels {
        text.sample(&[("channel", &channel.name)], channel.waiting as f64);
    }
    text.family("pgprime_alert_notices_lost_total", Type::Counter, "Notices that could not be delivered");
    for channel in &alerts.channels {
        text.sample(&[("channel", &channel.name)], channel.lost as f64);
    }
}
