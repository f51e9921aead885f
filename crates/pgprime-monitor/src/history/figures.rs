//! Which series a round of observations gives.

use pgprime_cache::Report as CacheReport;

use super::series::{About, Figure, SeriesKind, SeriesName};
use crate::health::{Check, HealthReport, Unit};
use crate::pooler::{self, PoolerKind, PoolerPool, PoolerReport};

/// Pools that have series of their own: those with the most clients.
const POOLS_MAX: usize = 20;
/// Cached queries that have series of their own: those that save the most.
const LABELS_MAX: usize = 20;

/// What was observed at about one moment; each with the one before, where a series is about what happened between them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Round<'a> {
    /// Health.
    pub health: Option<&'a HealthReport>,
    /// Poolers: the built-in one and PgBouncer, one of each.
    pub poolers: &'a [(&'a PoolerReport, Option<&'a PoolerReport>)],
    /// The result cache.
    pub cache: Option<(&'a CacheReport, Option<&'a CacheReport>)>,
}

/// The series of a round: each check under its id, then poolers and the cache.
#[must_use]
pub fn figures(round: &Round<'_>) -> Vec<Figure> {
    let mut all = Vec::new();
    if let Some(health) = round.health {
        all.extend(health.checks.iter().filter_map(check));
        all.push(figure(
            "health.took_ms",
            "Time that health checks took",
            Unit::Milliseconds,
            health.took_ms,
        ));
    }
    for (report, before) in round.poolers {
        pooler_figures(&mut all, report, *before);
    }
    if let Some((report, before)) = round.cache {
        cache(&mut all, report, before);
    }
    let mut names = std::collections::HashSet::new();
    all.retain(|figure| figure.value.is_finite() && names.insert(figure.name.clone()));
    all
}

/// A figure whose group is the first part of its name.
fn figure(name: &str, title: &str, unit: Unit, value: f64) -> Figure {
    let group = name.split('.').next().unwrap_or_default().to_owned();
    let about = About { title: title.to_owned(), unit, group, kind: SeriesKind::Gauge };
    Figure { name: SeriesName::new(name), about, value }
}

fn rate(name: &str, title: &str, unit: Unit, value: f64) -> Figure {
    let mut figure = figure(name, title, unit, value);
    figure.about.kind = SeriesKind::Rate;
    figure
}

fn check(check: &Check) -> Option<Figure> {
    let group = serde_json::to_value(check.group).ok()?.as_str()?.to_owned();
    let about = About { title: check.title.clone(), unit: check.unit, group, kind: SeriesKind::Gauge };
    Some(Figure { name: SeriesName::new(&check.id), about, value: check.value? })
}

fn pooler_figures(all: &mut Vec<Figure>, report: &PoolerReport, before: Option<&PoolerReport>) {
    let prefix = match report.kind {
        PoolerKind::Pgprime => "pooler",
        PoolerKind::Pgbouncer => "pgbouncer",
    };
    let sum = |of: fn(&PoolerPool) -> u64| report.pools.iter().map(of).sum::<u64>() as f64;
    let wait_s_max = report.pools.iter().map(|pool| pool.wait_s_max).fold(0.0, f64::max);
    let counts = [
        ("clients", "Clients", report.clients as f64),
        ("clients_active", "Clients with a server, or idle", sum(|pool| pool.clients_active)),
        ("clients_waiting", "Clients that wait", sum(|pool| pool.clients_waiting)),
        ("servers_active", "Servers at work", sum(|pool| pool.servers_active)),
        ("servers_idle", "Servers at rest", sum(|pool| pool.servers_idle)),
    ];
    for (name, title, value) in counts {
        all.push(figure(&format!("{prefix}.{name}"), title, Unit::Count, value));
    }
    all.push(figure(&format!("{prefix}.wait_s_max"), "Longest wait", Unit::Seconds, wait_s_max));
    if let Some(before) = before {
        pooler_rates(all, prefix, report, before);
    }
    pools(all, prefix, report);
}

/// Rates since the report before; none over a restart, when counters begin anew.
fn pooler_rates(all: &mut Vec<Figure>, prefix: &str, report: &PoolerReport, before: &PoolerReport) {
    let Some(rates) = pooler::rates(before, report) else { return };
    let figures = [
        ("transactions_per_s", "Transactions", Unit::PerSecond, Some(rates.transactions_per_s)),
        ("queries_per_s", "Requests", Unit::PerSecond, Some(rates.queries_per_s)),
        ("received_bytes_per_s", "From clients, each second", Unit::Bytes, Some(rates.received_bytes_per_s)),
        ("sent_bytes_per_s", "To clients, each second", Unit::Bytes, Some(rates.sent_bytes_per_s)),
        ("query_ms_mean", "Time of a request", Unit::Milliseconds, rates.query_ms_mean),
        ("transaction_ms_mean", "Time of a transaction", Unit::Milliseconds, rates.transaction_ms_mean),
        ("wait_ms_mean", "Wait for a server", Unit::Milliseconds, rates.wait_ms_mean),
        ("p50_ms", "Half of the requests within", Unit::Milliseconds, report.latency.map(|all| all.p50_ms)),
        ("p95_ms", "95 of 100 requests within", Unit::Milliseconds, report.latency.map(|all| all.p95_ms)),
        ("p99_ms", "99 of 100 requests within", Unit::Milliseconds, report.latency.map(|all| all.p99_ms)),
    ];
    for (name, title, unit, value) in figures {
        all.extend(value.map(|value| rate(&format!("{prefix}.{name}"), title, unit, value)));
    }
}

fn pools(all: &mut Vec<Figure>, prefix: &str, report: &PoolerReport) {
    for pool in busiest(&report.pools, POOLS_MAX) {
        let whose = format!("{prefix}.pool.{}.{}", pool.database, pool.user);
        let title = |what: &str| format!("{what}: {} on {}", pool.user, pool.database);
        let waiting = pool.clients_waiting as f64;
        all.push(figure(
            &format!("{whose}.clients_waiting"),
            &title("Clients that wait"),
            Unit::Count,
            waiting,
        ));
        let active = pool.servers_active as f64;
        all.push(figure(&format!("{whose}.servers_active"), &title("Servers at work"), Unit::Count, active));
    }
}

/// The pools with the most clients, in the order of their names.
pub(crate) fn busiest(pools: &[PoolerPool], count: usize) -> Vec<&PoolerPool> {
    let mut chosen: Vec<&PoolerPool> = pools.iter().collect();
    chosen.sort_by_key(|pool| {
        let clients = pool.clients_active + pool.clients_waiting;
        (std::cmp::Reverse(clients), &pool.database, &pool.user)
    });
    chosen.truncate(count);
    chosen.sort_by_key(|pool| (&pool.database, &pool.user));
    chosen
}

fn cache(all: &mut Vec<Figure>, report: &CacheReport, before: Option<&CacheReport>) {
    let bytes = report.memory_bytes as f64;
    all.push(figure("result_cache.memory_bytes", "Results in memory", Unit::Bytes, bytes));
    let Some(before) = before else { return };
    let percent = |now: (u64, u64), then: (u64, u64)| {
        let hits = now.0.saturating_sub(then.0) as f64;
        let requests = hits + now.1.saturating_sub(then.1) as f64;
        (requests > 0.0).then(|| hits / requests * 100.0)
    };
    let total =
        percent((report.total.hits(), report.total.misses), (before.total.hits(), before.total.misses));
    let hits = |name: &str, title: &str, value| rate(name, title, Unit::Percent, value);
    all.extend(total.map(|value| hits("result_cache.hits", "Requests served from the cache", value)));
    for label in report.labels.iter().take(LABELS_MAX) {
        let then = before.labels.iter().find(|then| then.label == label.label);
        let then = then.map_or((0, 0), |then| (then.hits(), then.misses));
        let title = format!("Served from the cache: {}", label.label);
        let value = percent((label.hits(), label.misses), then);
        all.extend(value.map(|value| hits(&format!("result_cache.hits.{}", label.label), &title, value)));
    }
}
