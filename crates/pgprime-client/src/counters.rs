//! What the statements of one role came to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

use crate::error::Error;

/// Counts of one role's statements since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    queries: AtomicU64,
    slow: AtomicU64,
    errors: AtomicU64,
    timeouts: AtomicU64,
    retries: AtomicU64,
    commits_uncertain: AtomicU64,
}

/// Counts of one role's statements since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QueryCounts {
    /// Statements sent, each attempt counted.
    pub queries_total: u64,
    /// Statements that took longer than the configured threshold.
    pub slow_queries_total: u64,
    /// Statements that failed, whatever the cause.
    pub errors_total: u64,
    /// Statements ended by `statement_timeout` or cancelled otherwise (SQLSTATE 57014).
    pub timeouts_total: u64,
    /// Attempts after the first one.
    pub retries_total: u64,
    /// Transactions whose outcome is not known, because the connection was lost after COMMIT was sent.
    pub commits_uncertain_total: u64,
}

impl Counters {
    /// Counts one statement, or one end of a transaction.
    pub(crate) fn count<T>(&self, elapsed: Duration, slow: Duration, outcome: &Result<T, Error>) -> Pace {
        add(&self.queries);
        if let Err(error) = outcome {
            self.count_error(error);
        }
        if elapsed < slow {
            return Pace::Normal;
        }
        add(&self.slow);
        Pace::Slow
    }

    /// Counts what failed outside of a statement.
    pub(crate) fn count_error(&self, error: &Error) {
        add(&self.errors);
        match error {
            Error::CommitUncertain { .. } => add(&self.commits_uncertain),
            error if error.sqlstate() == "57014" => add(&self.timeouts),
            _ => {}
        }
    }

    pub(crate) fn count_retry(&self) {
        add(&self.retries);
    }

    pub(crate) fn report(&self) -> QueryCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        QueryCounts {
            queries_total: read(&self.queries),
            slow_queries_total: read(&self.slow),
            errors_total: read(&self.errors),
            timeouts_total: read(&self.timeouts),
            retries_total: read(&self.retries),
            commits_uncertain_total: read(&self.commits_uncertain),
        }
    }
}

/// Whether a statement is worth a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Below the threshold.
    Normal,
    /// At or above it.
    Slow,
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
