//! What advice may take.

use std::time::Duration;

/// What advice may take and how long.
#[derive(Clone, Debug, PartialEq)]
pub struct AdviceOptions {
    /// Bytes of all suggested indexes together; None: no limit.
    pub budget_bytes: Option<u64>,
    /// Suggestions at most. Default 10: more than a person looks at is of no use.
    pub indexes_max: usize,
    /// What an index has to save at least, as a share of what the workload costs with all candidates. Default 0.001: a
    /// thousandth.
    pub saved_share_min: f64,
    /// Tables with fewer rows get no index: reading them whole is as fast. Default 1,000.
    pub table_rows_min: f64,
    /// Queries that are looked at, those with the most total time first. Default 200.
    pub queries_max: usize,
    /// Candidates over all queries. Default 400.
    pub candidates_max: usize,
    /// When to stop planning with further candidates. Default 60 s.
    pub time_max: Duration,
    /// Limit of each statement that is sent. Default 5 s; planning takes milliseconds.
    pub statement_timeout: Duration,
    /// Limit for each lock. Default 500 ms: nobody is to wait behind advice.
    pub lock_timeout: Duration,
    /// Whether HypoPG is used where it is installed. Default yes.
    pub uses_hypopg: bool,
}

impl Default for AdviceOptions {
    fn default() -> Self {
        Self {
            budget_bytes: None,
            indexes_max: 10,
            saved_share_min: 0.001,
            table_rows_min: 1_000.0,
            queries_max: 200,
            candidates_max: 400,
            time_max: Duration::from_secs(60),
            statement_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_millis(500),
            uses_hypopg: true,
        }
    }
}
