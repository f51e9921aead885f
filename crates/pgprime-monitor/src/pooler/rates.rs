//! What happened between two reports of a pooler.

use serde::Serialize;

use super::report::{PoolerReport, PoolerTotals};

/// What a pooler did in an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PoolerRates {
    /// Length of the interval in seconds.
    pub seconds: f64,
    /// Transactions per second.
    pub transactions_per_s: f64,
    /// Requests per second.
    pub queries_per_s: f64,
    /// Mean time of a request on its server in milliseconds; `None` without requests.
    pub query_ms_mean: Option<f64>,
    /// Mean time of a transaction, what the client thought meanwhile included, in milliseconds.
    pub transaction_ms_mean: Option<f64>,
    /// Mean time that a transaction waited for a server in milliseconds.
    pub wait_ms_mean: Option<f64>,
    /// Bytes per second from clients.
    pub received_bytes_per_s: f64,
    /// Bytes per second to clients.
    pub sent_bytes_per_s: f64,
}

/// What happened between `before` and `after`; `None` when no time has passed, or the pooler has begun anew meanwhile.
#[must_use]
pub fn rates(before: &PoolerReport, after: &PoolerReport) -> Option<PoolerRates> {
    let seconds = after.taken_at.duration_since(before.taken_at).as_secs_f64();
    if seconds <= 0.0 || after.kind != before.kind {
        return None;
    }
    let gained = gained(&before.totals, &after.totals)?;
    let mean = |us: u64, count: u64| (count > 0).then(|| us as f64 / 1e3 / count as f64);
    Some(PoolerRates {
        seconds,
        transactions_per_s: gained.transactions as f64 / seconds,
        queries_per_s: gained.queries as f64 / seconds,
        query_ms_mean: mean(gained.query_us, gained.queries),
        transaction_ms_mean: mean(gained.transaction_us, gained.transactions),
        wait_ms_mean: mean(gained.wait_us, gained.transactions),
        received_bytes_per_s: gained.received_bytes as f64 / seconds,
        sent_bytes_per_s: gained.sent_bytes as f64 / seconds,
    })
}

fn gained(before: &PoolerTotals, after: &PoolerTotals) -> Option<PoolerTotals> {
    Some(PoolerTotals {
        transactions: after.transactions.checked_sub(before.transactions)?,
        queries: after.queries.checked_sub(before.queries)?,
        received_bytes: after.received_bytes.checked_sub(before.received_bytes)?,
        sent_bytes: after.sent_bytes.checked_sub(before.sent_bytes)?,
        query_us: after.query_us.checked_sub(before.query_us)?,
        transaction_us: after.transaction_us.checked_sub(before.transaction_us)?,
        wait_us: after.wait_us.checked_sub(before.wait_us)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pooler::PoolerKind;

    fn report(second: i64, transactions: u64, query_us: u64) -> PoolerReport {
        PoolerReport {
            latency: None,
            taken_at: jiff::Timestamp::from_second(second).expect("a moment"),
            kind: PoolerKind::Pgbouncer,
            version: String::new(),
            pools: Vec::new(),
            databases: Vec::new(),
            totals: PoolerTotals {
                transactions,
                queries: transactions * 2,
                query_us,
                ..PoolerTotals::default()
            },
            clients: 0,
            clients_max: None,
            servers: 0,
        }
    }

    #[test]
    fn counters_become_rates_and_a_restart_none() {
        let rates_of =
            rates(&report(100, 1_000, 0), &report(110, 1_500, 2_000_000)).expect("time has passed");
        assert_eq!((rates_of.transactions_per_s, rates_of.queries_per_s), (50.0, 100.0));
        assert_eq!((rates_of.query_ms_mean, rates_of.wait_ms_mean), (Some(2.0), Some(0.0)));
        assert_eq!(rates(&report(100, 1_000, 0), &report(110, 10, 0)), None, "it has begun anew");
        assert_eq!(rates(&report(100, 1, 0), &report(100, 1, 0)), None);
        assert_eq!(rates(&report(100, 1, 0), &report(101, 1, 0)).expect("time").query_ms_mean, None);
    }
}
