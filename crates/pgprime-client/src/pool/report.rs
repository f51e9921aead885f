//! A pool in numbers.

use serde::Serialize;

/// A pool at one moment. Totals count since the pool was started.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PoolReport {
    /// The pool.
    pub name: &'static str,
    /// Connections that are open: idle, held or being looked after.
    pub size: u32,
    /// Connections kept open however small the load.
    pub size_min: u32,
    /// Connections that the observed load needs, opened ahead of demand; between `size_min` and `size_max`.
    pub size_target: u32,
    /// Connections that the pool never exceeds.
    pub size_max: u32,
    /// Connections that anybody could have at once.
    pub idle: u32,
    /// Connections that are held, checked or cleaned.
    pub busy: u32,
    /// Tasks waiting for a connection.
    pub waiting: u32,
    /// Connections being opened.
    pub connecting: u32,
    /// Whether the last attempt to connect failed.
    pub is_failing: bool,
    /// Connections handed out.
    pub acquired_total: u64,
    /// Requests for a connection that had to wait.
    pub waited_total: u64,
    /// Requests for a connection that were given up after the timeout.
    pub exhausted_total: u64,
    /// Attempts to connect that failed.
    pub connect_errors_total: u64,
    /// Connections opened.
    pub opened_total: u64,
    /// Connections closed, by reason.
    pub closed_total: ClosedTotals,
    /// Connections held beyond [`leak_after`](super::PoolOptions::leak_after).
    pub leaked_total: u64,
    /// Connections that came back in the middle of something and were made usable again.
    pub cleaned_total: u64,
    /// How long requests for a connection waited, in ms, over the last one to two minutes; those given up included.
    pub wait_ms: Percentiles,
    /// How long connections were held, in ms, over the last one to two minutes.
    pub hold_ms: Percentiles,
    /// Requests for a connection per second, averaged as for `size_target`.
    pub arrivals_per_s: f64,
    /// How long a request holds its connection in ms, averaged as for `size_target`.
    pub service_ms: f64,
    /// Who has held a connection for the longest time, at most five.
    pub holders: Vec<HolderReport>,
}

/// How many connections were closed, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClosedTotals {
    /// At the end of their lifetime.
    pub lifetime: u64,
    /// Not needed for a while.
    pub idle: u64,
    /// Found dead: closed by the other side, or without an answer when checked.
    pub died: u64,
    /// Not to be brought back to a known state.
    pub unclean: u64,
    /// Thrown away by their holder.
    pub discarded: u64,
    /// Given up because another pool needed the place.
    pub evicted: u64,
    /// Closed with the pool.
    pub shutdown: u64,
}

/// How times are distributed, in ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// Half of them are at most this.
    pub p50: f64,
    /// 95 % of them are at most this.
    pub p95: f64,
    /// 99 % of them are at most this.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// Who has a connection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HolderReport {
    /// Where in the source it was taken, as `file:line`.
    pub taken_at: String,
    /// How long it has been held, in ms.
    pub held_ms: f64,
}
