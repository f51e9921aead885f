//! What the statements of one role came to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use tokio::time::timeout;

use crate::connection::StatementRef;
use crate::error::{Error, QueryError};
use crate::loggable::without_values;
use crate::session::Role;
use crate::slowest::{SlowStatement, Slowest};

/// How long an answer may be on its way beyond `statement_timeout`, by which the server has given up: enough for a busy
/// server and a lost packet.
const GRACE: Duration = Duration::from_secs(5);

/// Counts the statements of one role, and keeps each within its time.
#[derive(Debug)]
pub(crate) struct Meter {
    role: Role,
    /// From here on a statement is slow.
    slow: Duration,
    /// How long an answer is waited for; `None` is for ever.
    limit: Option<Duration>,
    counts: Counts,
    slowest: Slowest,
}

#[derive(Debug, Default)]
struct Counts {
    queries: AtomicU64,
    slow: AtomicU64,
    errors: AtomicU64,
    timeouts: AtomicU64,
    retries: AtomicU64,
    commits_uncertain: AtomicU64,
}

/// Counts of one role's statements since the start. Those on connections taken by
/// [`Access::acquire`](crate::Access::acquire) are not among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QueryCounts {
    /// Statements sent, each attempt counted; a batch is one.
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

impl Meter {
    /// `statement_timeout` is the server's own limit; zero is none.
    pub(crate) fn new(role: Role, slow: Duration, statement_timeout: Duration) -> Self {
        let limit = (!statement_timeout.is_zero()).then(|| statement_timeout.saturating_add(GRACE));
        Self { role, slow, limit, counts: Counts::default(), slowest: Slowest::default() }
    }

    /// Carries out what the server answers within its own limit. A server or a network that is silent for longer is given
    /// up: nothing else would end the wait while the connection stays open.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let Some(after) = self.limit else { return work.await };
        let outcome = timeout(after, work).await;
        outcome.unwrap_or(Err(Error::Query { source: QueryError::Silent { after } }))
    }

    /// Counts a statement that began then, and logs it when it was slow.
    pub(crate) fn count<T>(&self, statement: StatementRef<'_>, began: Instant, outcome: &Result<T, Error>) {
        let elapsed = began.elapsed();
        self.count_start(outcome);
        // Reports are few; of the service's statements only the slow ones may cost anything here.
        if self.role == Role::Admin || elapsed >= self.slow {
            self.slowest.count(statement, elapsed, SystemTime::now());
        }
        if elapsed < self.slow {
            return;
        }
        add(&self.counts.slow);
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let statement = match statement {
            StatementRef::Named(name) => name.to_owned(),
            StatementRef::Text(sql) => without_values(sql),
        };
        tracing::warn!(pool = self.role.name(), elapsed_ms, %statement, "slow query");
    }

    /// Counts a statement whose duration is up to whoever reads its rows.
    pub(crate) fn count_start<T>(&self, outcome: &Result<T, Error>) {
        add(&self.counts.queries);
        if let Err(error) = outcome {
            self.count_error(error);
        }
    }

    /// Counts what failed outside of a statement.
    pub(crate) fn count_error(&self, error: &Error) {
        add(&self.counts.errors);
        match error {
            Error::CommitUncertain { .. } => add(&self.counts.commits_uncertain),
            error if error.sqlstate() == "57014" => add(&self.counts.timeouts),
            _ => {}
        }
    }

    pub(crate) fn count_retry(&self) {
        add(&self.counts.retries);
    }

    /// Statements that took the most time: all of the admin role, those that are slow of the others.
    pub(crate) fn slowest(&self) -> Vec<SlowStatement> {
        self.slowest.report()
    }

    pub(crate) fn report(&self) -> QueryCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        QueryCounts {
            queries_total: read(&self.counts.queries),
            slow_queries_total: read(&self.counts.slow),
            errors_total: read(&self.counts.errors),
            timeouts_total: read(&self.counts.timeouts),
            retries_total: read(&self.counts.retries),
            commits_uncertain_total: read(&self.counts.commits_uncertain),
        }
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
