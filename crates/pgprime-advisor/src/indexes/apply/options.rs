//! What applying may take.

use std::time::Duration;

use crate::explain::Superuser;

/// What is applied, how long it may take, and what happens to an index that brings nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct ApplyOptions {
    /// The suggestions by their names; empty: all of the advice.
    pub names: Vec<String>,
    /// How long a build waits for others. Default 60 s: a concurrent build has to wait for all transactions that have written
    /// the table, and keeps no read or write waiting meanwhile. Statements that do keep others waiting, of which only
    /// partitioned tables need some, never wait longer than half a second.
    pub lock_timeout: Duration,
    /// How long the build of an index may take. Default: no limit, as large tables take hours.
    pub build_timeout: Option<Duration>,
    /// How long a statement that is measured may take. Default 10 s; one that takes longer is judged by its cost.
    pub statement_timeout: Duration,
    /// How often a statement is executed before and after; the best time counts, as it is disturbed least. Default 3; 0: none
    /// is executed.
    pub runs: u32,
    /// Whether an index that brings nothing is dropped at the end. Default no: the undo is part of the result.
    pub auto_revert: bool,
    /// What the measured statements have to gain at least, as a share of what they took. Default 0.05: less is noise.
    pub gain_min_share: f64,
    /// How long it is tried to take away what a failed build left. Default 60 s. That waits for transactions as the build
    /// does, and keeps nobody waiting either.
    pub clean_up_timeout: Duration,
    /// Whether a superuser may execute statements to measure them. Default refused, as for EXPLAIN.
    pub superuser: Superuser,
}

impl Default for ApplyOptions {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            lock_timeout: Duration::from_secs(60),
            build_timeout: None,
            statement_timeout: Duration::from_secs(10),
            runs: 3,
            auto_revert: false,
            gain_min_share: 0.05,
            clean_up_timeout: Duration::from_secs(60),
            superuser: Superuser::Refused,
        }
    }
}
