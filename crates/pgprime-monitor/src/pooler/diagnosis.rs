//! What is wrong with a pooler, why, and which setting changes it.

use pgprime_capacity::{Inputs, ServiceTime, UTILISATION_MAX, plan};
use serde::Serialize;

use super::rates::PoolerRates;
use super::report::{PoolerPool, PoolerReport};

/// Clients above this fraction of `max_client_conn` are worth a word.
const CLIENTS_WARNING: f64 = 0.8;
const CLIENTS_CRITICAL: f64 = 0.95;
/// A transaction that spends more than this fraction of its time on the client's side holds a server for nothing.
const IDLE_SHARE: f64 = 0.5;
/// Beyond these a longer queue helps nobody.
const WAIT_S_CRITICAL: f64 = 5.0;
const REQUESTS_PER_S_MIN: f64 = 1.0;
/// A size that is calculated for any number of connections of the database.
const CONNECTIONS_ANY: u32 = 10_000;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingSeverity {
    /// Good to know.
    Note,
    /// Somebody should look at it.
    Warning,
    /// Clients suffer now.
    Critical,
}

/// Something that is wrong with a pooler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PoolerFinding {
    /// How grave it is.
    pub severity: FindingSeverity,
    /// A name for programs, such as `pool_exhausted`.
    pub code: &'static str,
    /// What is the matter, with its figures.
    pub text: String,
    /// What to do.
    pub action: String,
    /// A line for the configuration, or a command for the console.
    pub statement: Option<String>,
}

/// What is wrong, the gravest first. `rates` tells causes apart; without them only the state is judged.
#[must_use]
pub fn diagnose(report: &PoolerReport, rates: Option<&PoolerRates>) -> Vec<PoolerFinding> {
    let mut findings: Vec<PoolerFinding> = Vec::new();
    findings.extend(report.pools.iter().filter_map(|pool| exhausted(pool, rates)));
    findings.extend(clients(report));
    findings.extend(report.databases.iter().filter(|database| database.paused).map(|database| {
        held(&database.name, "paused", "clients wait until RESUME", format!("RESUME {};", database.name))
    }));
    findings.extend(report.databases.iter().filter(|database| database.disabled).map(|database| {
        held(&database.name, "disabled", "new clients are refused", format!("ENABLE {};", database.name))
    }));
    findings.extend(report.databases.iter().filter_map(|database| {
        let max = database.connections_max?;
        (database.connections >= max).then(|| PoolerFinding {
            severity: FindingSeverity::Warning,
            code: "database_limit",
            text: format!("{} has all {max} servers that max_db_connections allows", database.name),
            action: "all users of the database share them: raise the limit if the database has connections to spare, or give \
                     each user a smaller pool"
                .to_owned(),
            statement: None,
        })
    }));
    findings.extend(report.pools.iter().filter_map(session_mode));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

/// Clients wait although every server is in use.
fn exhausted(pool: &PoolerPool, rates: Option<&PoolerRates>) -> Option<PoolerFinding> {
    let size = pool.size_max.unwrap_or(pool.servers_active);
    let is_full = pool.servers_active + pool.servers_other >= size && size > 0;
    if pool.clients_waiting == 0 || pool.paused {
        return None;
    }
    let name = format!("{}/{}", pool.database, pool.user);
    let waiting = format!(
        "{} clients of {name} wait, the first for {:.1} s, with {} of {size} servers at work",
        pool.clients_waiting, pool.wait_s_max, pool.servers_active
    );
    if !is_full {
        return Some(PoolerFinding {
            severity: severity(pool),
            code: "no_servers",
            text: waiting,
            action: "servers cannot be opened as fast as they are needed, or not at all: look at the pooler's log for logins \
                     that the database refuses, and at its max_connections"
                .to_owned(),
            statement: None,
        });
    }
    let (action, statement) = remedy(size, rates);
    Some(PoolerFinding { severity: severity(pool), code: "pool_exhausted", text: waiting, action, statement })
}

fn severity(pool: &PoolerPool) -> FindingSeverity {
    match pool.wait_s_max >= WAIT_S_CRITICAL {
        true => FindingSeverity::Critical,
        false => FindingSeverity::Warning,
    }
}

/// Why servers do not suffice: transactions that idle, or more load than the size is for.
fn remedy(size: u64, rates: Option<&PoolerRates>) -> (String, Option<String>) {
    let unknown = || {
        let words = "find out what the servers do (pgprime health shows long and idle transactions), then calculate the size \
                     with pgprime plan";
        (words.to_owned(), None)
    };
    let Some(rates) = rates.filter(|rates| rates.transactions_per_s >= REQUESTS_PER_S_MIN) else {
        return unknown();
    };
    let Some(transaction_ms) = rates.transaction_ms_mean else { return unknown() };
    let at_work_ms = rates.query_ms_mean.unwrap_or(0.0) * rates.queries_per_s / rates.transactions_per_s;
    if at_work_ms < transaction_ms * (1.0 - IDLE_SHARE) {
        let idle = 100.0 * (1.0 - at_work_ms / transaction_ms);
        let words = format!(
            "servers idle {idle:.0} % of their transactions' time, waiting for the application: do not wait for other services \
             inside of a transaction; a larger pool would only hold more of them"
        );
        return (words, Some("idle_transaction_timeout = 60".to_owned()));
    }
    match needed(rates.transactions_per_s, transaction_ms) {
        Some(needed) if u64::from(needed) > size => (
            format!(
                "{:.0} transactions/s of {transaction_ms:.1} ms need {needed} servers to be at most {:.0} % busy: raise \
                 default_pool_size, if max_connections of the database allows it, then RELOAD; or make the slowest statements \
                 faster (pgprime slow-queries)",
                rates.transactions_per_s,
                100.0 * UTILISATION_MAX
            ),
            Some(format!("default_pool_size = {needed}")),
        ),
        _ => (
            format!(
                "{size} servers are enough for {:.0} transactions/s of {transaction_ms:.1} ms on average: a few take far longer \
                 than the others; give reports a pool of their own, or make them faster (pgprime slow-queries --order max)",
                rates.transactions_per_s
            ),
            None,
        ),
    }
}

/// The size that the planner calculates for this load.
pub(super) fn needed(transactions_per_s: f64, transaction_ms: f64) -> Option<u32> {
    let service = ServiceTime::exponential(transaction_ms).ok()?;
    Some(plan(&Inputs::new(transactions_per_s, service, 1, CONNECTIONS_ANY)).ok()?.needed_connections)
}

fn clients(report: &PoolerReport) -> Option<PoolerFinding> {
    let max = report.clients_max.filter(|max| *max > 0)?;
    let share = report.clients as f64 / max as f64;
    let severity = match share {
        share if share >= CLIENTS_CRITICAL => FindingSeverity::Critical,
        share if share >= CLIENTS_WARNING => FindingSeverity::Warning,
        _ => return None,
    };
    Some(PoolerFinding {
        severity,
        code: "clients_near_limit",
        text: format!("{} of {max} clients are connected; further ones are refused", report.clients),
        action: "raise max_client_conn, with the limit on open files of the pooler's process".to_owned(),
        statement: Some(format!("max_client_conn = {}", max.saturating_mul(2))),
    })
}

fn held(database: &str, how: &'static str, effect: &str, statement: String) -> PoolerFinding {
    PoolerFinding {
        severity: FindingSeverity::Critical,
        code: how,
        text: format!("{database} is {how}: {effect}"),
        action: format!("if nobody is at work on it, undo it on the pooler's console: {statement}"),
        statement: Some(statement),
    }
}

fn session_mode(pool: &PoolerPool) -> Option<PoolerFinding> {
    let clients = pool.clients_active + pool.clients_waiting;
    let size = pool.size_max?;
    (pool.mode == "session" && clients > size).then(|| PoolerFinding {
        severity: FindingSeverity::Warning,
        code: "session_pooling",
        text: format!("{}/{} has {clients} clients for {size} servers in session pooling", pool.database, pool.user),
        action: "in session pooling a client keeps its server until it leaves; use transaction pooling where the application \
                 does not depend on sessions"
            .to_owned(),
        statement: Some("pool_mode = transaction".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pooler::{PoolerDatabase, PoolerKind, PoolerTotals};

    fn pool() -> PoolerPool {
        PoolerPool {
            database: "db".into(),
            user: "app".into(),
            mode: "transaction".into(),
            clients_active: 10,
            clients_waiting: 5,
            servers_active: 10,
            servers_idle: 0,
            servers_other: 0,
            wait_s_max: 0.5,
            size_max: Some(10),
            paused: false,
        }
    }

    fn report(pool: PoolerPool) -> PoolerReport {
        PoolerReport {
            latency: None,
            taken_at: jiff::Timestamp::UNIX_EPOCH,
            kind: PoolerKind::Pgbouncer,
            version: "PgBouncer 1.18.0".into(),
            pools: vec![pool],
            databases: Vec::new(),
            totals: PoolerTotals::default(),
            clients: 15,
            clients_max: Some(100),
            servers: 10,
        }
    }

    fn load(transactions_per_s: f64, transaction_ms: f64, query_ms: f64) -> PoolerRates {
        PoolerRates {
            seconds: 10.0,
            transactions_per_s,
            queries_per_s: transactions_per_s,
            query_ms_mean: Some(query_ms),
            transaction_ms_mean: Some(transaction_ms),
            ..PoolerRates::default()
        }
    }

    fn one(pool: PoolerPool, rates: Option<PoolerRates>) -> PoolerFinding {
        let mut found = diagnose(&report(pool), rates.as_ref());
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    #[test]
    fn the_cause_of_waiting_decides_what_helps() {
        let small = one(pool(), Some(load(1_000.0, 20.0, 20.0)));
        assert_eq!((small.code, small.severity), ("pool_exhausted", FindingSeverity::Warning));
        assert_eq!(small.statement.as_deref(), Some("default_pool_size = 25"), "the guide's own example");
        let idle = one(pool(), Some(load(100.0, 100.0, 5.0)));
        assert!(idle.action.contains("95 % of their transactions' time"), "{}", idle.action);
        let few = one(pool(), Some(load(100.0, 20.0, 20.0)));
        assert!(few.action.contains("are enough") && few.statement.is_none(), "{}", few.action);
        let long = one(PoolerPool { wait_s_max: 7.0, ..pool() }, None);
        assert_eq!(long.severity, FindingSeverity::Critical);
        let none = one(PoolerPool { servers_active: 2, ..pool() }, None);
        assert_eq!(none.code, "no_servers");
    }

    #[test]
    fn what_is_held_or_full_is_told() {
        let calm = PoolerPool { clients_waiting: 0, ..pool() };
        assert!(diagnose(&report(calm.clone()), None).is_empty());
        let mut full = report(calm.clone());
        full.clients = 96;
        full.databases.push(PoolerDatabase {
            name: "db".into(),
            pool_size: Some(10),
            reserve_pool: None,
            connections_max: Some(10),
            connections: 10,
            paused: true,
            disabled: false,
        });
        let codes: Vec<&str> = diagnose(&full, None).iter().map(|finding| finding.code).collect();
        assert_eq!(codes, ["clients_near_limit", "paused", "database_limit"]);
        let session = one(PoolerPool { mode: "session".into(), clients_active: 20, ..calm }, None);
        assert_eq!(session.code, "session_pooling");
    }
}
