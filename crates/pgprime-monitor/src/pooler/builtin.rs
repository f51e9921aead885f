//! The built-in pooler, without its console.

use jiff::Timestamp;
use pgprime_pooler::core::{Counters, Measured, Mode};
use pgprime_pooler::{Handle, PoolStatus, Status};

use super::report::{PoolerKind, PoolerLatency, PoolerPool, PoolerReport, PoolerTotals};

/// What the pooler in this process says of itself.
pub async fn of_handle(handle: &Handle) -> PoolerReport {
    report(&handle.status().await, Timestamp::now())
}

/// How long executions took, by what was measured of them; `None` when there was none.
#[must_use]
pub fn latency(executions: &Measured) -> Option<PoolerLatency> {
    let quantile = |share: f64| executions.exec_us_quantile(share) as f64 / 1e3;
    (executions.calls() > 0).then(|| PoolerLatency {
        p50_ms: quantile(0.5),
        p95_ms: quantile(0.95),
        p99_ms: quantile(0.99),
    })
}

fn report(status: &Status, taken_at: Timestamp) -> PoolerReport {
    let pools: Vec<PoolerPool> = status.pools.iter().map(pool).collect();
    PoolerReport {
        latency: None,
        taken_at,
        kind: PoolerKind::Pgprime,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        servers: pools.iter().map(|pool| pool.servers_active + pool.servers_idle + pool.servers_other).sum(),
        pools,
        databases: Vec::new(),
        totals: totals(&status.totals),
        clients: u64::from(status.clients),
        clients_max: Some(u64::from(status.clients_max)),
    }
}

fn pool(pool: &PoolStatus) -> PoolerPool {
    let row = &pool.row;
    let other = row.servers_being_cancelled + row.servers_tested + row.servers_login;
    PoolerPool {
        database: row.database.clone(),
        user: row.user.clone(),
        mode: match row.mode {
            Mode::Session => "session",
            Mode::Transaction => "transaction",
            Mode::Statement => "statement",
        }
        .to_owned(),
        clients_active: row.clients_active as u64,
        clients_waiting: row.clients_waiting as u64,
        servers_active: row.servers_active as u64,
        servers_idle: row.servers_idle as u64,
        servers_other: other as u64,
        wait_s_max: row.wait_max.as_secs_f64(),
        size_max: pool.size_max.map(u64::from),
        paused: row.paused,
    }
}

fn totals(counters: &Counters) -> PoolerTotals {
    PoolerTotals {
        transactions: counters.transactions,
        queries: counters.queries,
        received_bytes: counters.received_bytes,
        sent_bytes: counters.sent_bytes,
        query_us: counters.query_us,
        transaction_us: counters.transaction_us,
        wait_us: counters.wait_us,
    }
}
