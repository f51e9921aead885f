//! What is worth a word, and how much may be spent on finding it.

use std::time::Duration;

use pgprime_readonly::Timeouts;

/// Thresholds and limits of a [`report`](super::report).
#[derive(Clone, Debug, PartialEq)]
pub struct SpaceOptions {
    /// Waste is reported from this share of a table or index on, in percent. Default 30: rows that come and go leave a
    /// fifth free in good health, and a B-tree that is filled at random settles at 69 of its 90 %.
    pub waste_percent_min: f64,
    /// … and from this many bytes on. Default 10 MiB: less is not worth a rewrite.
    pub waste_bytes_min: u64,
    /// Tables and indexes below this are not estimated. Default 1 MiB: a page too many is a large share of them.
    pub estimate_bytes_min: u64,
    /// Tables that are looked at, largest first. Default 5,000, which takes a second or two.
    pub tables_max: u32,
    /// A sequence is reported when it has used this much of what it can give, in percent. Default 75: there is time to
    /// widen a column.
    pub sequence_warning_percent: f64,
    /// … and is critical from this on. Default 90.
    pub sequence_critical_percent: f64,
    /// Transaction ids are reported at this multiple of `autovacuum_freeze_max_age`. Default 1.1: autovacuum acts at
    /// 1, so that more means it is not keeping up.
    pub age_warning_ratio: f64,
    /// Dead rows below this are not reported. Default 1,000.
    pub dead_rows_min: u64,
    /// Whether and how much is measured with pgstattuple, which reads what it measures.
    pub measure: Measure,
    /// How long a statement may wait for a lock. Default 200 ms: whoever waits makes others wait behind it.
    pub lock_timeout: Duration,
    /// How long a statement may run. Default 10 s.
    pub statement_timeout: Duration,
}

impl Default for SpaceOptions {
    fn default() -> Self {
        Self {
            waste_percent_min: 30.0,
            waste_bytes_min: 10 << 20,
            estimate_bytes_min: 1 << 20,
            tables_max: 5_000,
            sequence_warning_percent: 75.0,
            sequence_critical_percent: 90.0,
            age_warning_ratio: 1.1,
            dead_rows_min: 1_000,
            measure: Measure::default(),
            lock_timeout: Duration::from_millis(200),
            statement_timeout: Duration::from_secs(10),
        }
    }
}

impl SpaceOptions {
    pub(crate) fn timeouts(&self) -> Timeouts {
        Timeouts { statement: self.statement_timeout, lock: self.lock_timeout }
    }
}

/// How much is measured with pgstattuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Relations at most, those with the most to gain first. Default 10; 0 measures nothing.
    pub relations_max: usize,
    /// The time for all of them together. Default 5 s.
    pub time_limit: Duration,
}

impl Default for Measure {
    fn default() -> Self {
        Self { relations_max: 10, time_limit: Duration::from_secs(5) }
    }
}
