//! A transaction as a closure: begun, committed or rolled back, and run again as a whole where that is safe.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::connection::{Connection, RowStream, StatementRef, TRANSACTION_OVER};
use crate::counters::Meter;
use crate::error::Error;
use crate::lease::PooledConnection;

/// What a transaction sees of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Isolation {
    /// Each statement sees what was committed before it began: PostgreSQL's default.
    #[default]
    ReadCommitted,
    /// All statements see what was committed before the first one began.
    RepeatableRead,
    /// As if transactions ran one after another; conflicts are retried.
    Serializable,
}

/// Whether a transaction may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Writes {
    /// It may.
    #[default]
    Allowed,
    /// `READ ONLY`.
    Refused,
}

/// How a transaction is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TransactionOptions {
    /// Its isolation.
    pub isolation: Isolation,
    /// Whether it may write.
    pub writes: Writes,
}

impl TransactionOptions {
    /// The statement that begins it.
    pub(crate) fn begin(self) -> String {
        let isolation = match self.isolation {
            Isolation::ReadCommitted => "",
            Isolation::RepeatableRead => " ISOLATION LEVEL REPEATABLE READ",
            Isolation::Serializable => " ISOLATION LEVEL SERIALIZABLE",
        };
        let writes = match self.writes {
            Writes::Allowed => "",
            Writes::Refused => " READ ONLY",
        };
        format!("BEGIN{isolation}{writes}")
    }
}

/// An open transaction, as its closure gets it. Clones are the same transaction; after the closure's end they refuse.
///
/// A statement may be sent before the one before it is answered (`tokio::join!`): they are pipelined, and run in order once
/// all of them have been used on this connection; at its first use a statement is prepared before it is sent.
#[derive(Clone, Debug)]
pub struct Transaction {
    running: Arc<Running>,
}

#[derive(Debug)]
struct Running {
    connection: PooledConnection,
    #[cfg_attr(not(feature = "cache"), expect(dead_code, reason = "only cached reads ask for it"))]
    isolation: Isolation,
    meter: Arc<Meter>,
    state: State,
}

/// What the statements of a transaction came to, whatever the closure made of their errors.
#[derive(Debug, Default)]
struct State(AtomicU8);

/// The closure has ended.
const ENDED: u8 = 1;
/// A statement failed, so that PostgreSQL refuses all others up to the end or a savepoint.
const FAILED: u8 = 2;
/// PostgreSQL gave the transaction up for another's sake: it may be run again.
const CONFLICT: u8 = 4;
/// The connection was lost before COMMIT was sent: nothing of it is in the database.
const LOST: u8 = 8;

impl State {
    fn has(&self, flags: u8) -> bool {
        self.0.load(Ordering::Acquire) & flags != 0
    }

    fn set(&self, flags: u8) {
        self.0.fetch_or(flags, Ordering::AcqRel);
    }

    fn unset(&self, flags: u8) {
        self.0.fetch_and(!flags, Ordering::AcqRel);
    }
}

impl Transaction {
    /// Begins on this connection.
    pub(crate) async fn begin(
        connection: PooledConnection,
        begin: &str,
        isolation: Isolation,
        meter: Arc<Meter>,
    ) -> Result<Self, Error> {
        meter.within(connection.begin(begin)).await?;
        Ok(Self { running: Arc::new(Running { connection, isolation, meter, state: State::default() }) })
    }

    /// All rows of a statement.
    ///
    /// # Errors
    /// [`Error::Query`], as for every statement here; the transaction has failed then.
    pub async fn query<'s>(
        &self,
        statement: impl Into<StatementRef<'s>>,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        let statement = statement.into();
        self.run(statement, self.connection()?.query(statement, parameters)).await
    }

    /// The one row of a statement.
    ///
    /// # Errors
    /// As [`Transaction::query`]; [`Error::Rows`] for none or several, which leaves the transaction as it is.
    pub async fn query_one<'s>(
        &self,
        statement: impl Into<StatementRef<'s>>,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, Error> {
        let statement = statement.into();
        self.run(statement, self.connection()?.query_one(statement, parameters)).await
    }

    /// The one row of a statement, or none.
    ///
    /// # Errors
    /// As [`Transaction::query_one`].
    pub async fn query_opt<'s>(
        &self,
        statement: impl Into<StatementRef<'s>>,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, Error> {
        let statement = statement.into();
        self.run(statement, self.connection()?.query_opt(statement, parameters)).await
    }

    /// Runs a statement; the number of rows it changed.
    ///
    /// # Errors
    /// As [`Transaction::query`].
    pub async fn execute<'s>(
        &self,
        statement: impl Into<StatementRef<'s>>,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Error> {
        let statement = statement.into();
        self.run(statement, self.connection()?.execute(statement, parameters)).await
    }

    /// The rows of a statement one by one, with no more of them in memory than fit the socket.
    ///
    /// # Errors
    /// As [`Transaction::query`].
    pub async fn query_stream<'s>(
        &self,
        statement: impl Into<StatementRef<'s>>,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<RowStream<'_>, Error> {
        let meter = &self.running.meter;
        let outcome = meter.within(self.connection()?.query_stream(statement, parameters)).await;
        meter.count_start(&outcome);
        self.note(outcome)
    }

    /// Runs one statement for many rows of parameters, pipelined: one round trip for hundreds of them.
    ///
    /// # Errors
    /// The first statement's error; the transaction has failed then.
    pub async fn batch<'s>(
        &self,
        statement: impl Into<StatementRef<'s>>,
        rows: &[Vec<&(dyn ToSql + Sync)>],
    ) -> Result<Vec<u64>, Error> {
        // Each of its statements has the server's limit for itself, so there is none for all of them.
        let (statement, began) = (statement.into(), Instant::now());
        let outcome = self.connection()?.batch(statement, rows).await;
        self.running.meter.count(statement, began, &outcome);
        self.note(outcome)
    }

    /// Runs `work` within a savepoint: when it fails, what it did is undone and the transaction goes on.
    ///
    /// # Errors
    /// The closure's own error, or that of the savepoint.
    pub async fn savepoint<T, E, F, Fut>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(Self) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        self.simple("SAVEPOINT pgprime").await?;
        match work(self.clone()).await {
            Ok(value) if !self.running.state.has(FAILED) => {
                self.simple("RELEASE SAVEPOINT pgprime").await?;
                Ok(value)
            }
            outcome => {
                // The innermost savepoint of a name is meant, so nested ones need no names of their own.
                self.simple("ROLLBACK TO SAVEPOINT pgprime; RELEASE SAVEPOINT pgprime").await?;
                self.running.state.unset(FAILED);
                outcome.and_then(|_| Err(E::from(swallowed())))
            }
        }
    }

    async fn simple(&self, sql: &str) -> Result<(), Error> {
        let outcome = self.running.meter.within(self.connection()?.control(sql)).await;
        self.note(outcome)
    }

    /// Runs a statement within its time, and counts it.
    async fn run<T>(
        &self,
        statement: StatementRef<'_>,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let (meter, began) = (&self.running.meter, Instant::now());
        let outcome = meter.within(work).await;
        meter.count(statement, began, &outcome);
        self.note(outcome)
    }

    fn connection(&self) -> Result<&Connection, Error> {
        if self.running.state.has(ENDED) {
            return Err(Error::Usage(TRANSACTION_OVER.to_owned()));
        }
        Ok(&self.running.connection)
    }

    /// Remembers what the outcome of a statement means for the transaction.
    fn note<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &outcome {
            self.running.state.set(match error {
                Error::Query { .. } if error.is_connection_lost() => FAILED | LOST,
                Error::Query { .. } if error.is_retryable() => FAILED | CONFLICT,
                Error::Query { .. } => FAILED,
                _ => 0,
            });
        }
        outcome
    }

    /// Ends it: commits what the closure finished, or rolls back.
    pub(crate) async fn end<T, E: From<Error>>(self, outcome: Result<T, E>, writes: Writes) -> End<T, E> {
        let end = self.finish(outcome, writes).await;
        // Unless a handle was left behind, so that what it is used for is refused.
        let connection = Arc::into_inner(self.running).map(|running| running.connection);
        if let Some(connection) = &connection {
            connection.reopen();
        }
        match end {
            End::Committed(value, _) => End::Committed(value, connection),
            end => end,
        }
    }

    async fn finish<T, E: From<Error>>(&self, outcome: Result<T, E>, writes: Writes) -> End<T, E> {
        let state = &self.running.state;
        state.set(ENDED);
        let outcome = match outcome {
            Ok(_) if state.has(FAILED) => Err(E::from(swallowed())),
            outcome => outcome,
        };
        let value = match outcome {
            Ok(value) => value,
            Err(error) => {
                self.roll_back().await;
                return End::RolledBack { error, is_retryable: state.has(CONFLICT | LOST) };
            }
        };
        let Running { connection, meter, .. } = &*self.running;
        // What is known to be lost by now cannot have brought COMMIT to the server.
        let was_lost = connection.is_closed();
        match meter.within(connection.end_for_all("COMMIT")).await {
            Ok(()) => End::Committed(value, None),
            // A deferred constraint or a conflict found at the end: PostgreSQL has rolled back.
            Err(error) if !error.is_connection_lost() => {
                meter.count_error(&error);
                End::RolledBack { is_retryable: error.is_retryable(), error: E::from(error) }
            }
            Err(error) if was_lost => End::RolledBack { error: E::from(error), is_retryable: true },
            Err(error) if writes == Writes::Refused => {
                End::RolledBack { error: E::from(error), is_retryable: true }
            }
            Err(error) => End::Uncertain(error.into_uncertain()),
        }
    }

    async fn roll_back(&self) {
        // A connection that cannot roll back is not clean, and closed when it is returned.
        let Running { connection, meter, state, .. } = &*self.running;
        if !state.has(LOST)
            && let Err(error) = meter.within(connection.end_for_all("ROLLBACK")).await
        {
            tracing::debug!(%error, "rolling back");
        }
    }
}

/// What cached reads need to know of it.
#[cfg(feature = "cache")]
impl Transaction {
    /// The pool it runs on.
    pub(crate) fn role(&self) -> crate::session::Role {
        self.running.connection.role()
    }

    /// Why it may see something else than others do, if it may.
    pub(crate) fn sees_apart(&self) -> Option<&'static str> {
        let Running { connection, isolation, state, .. } = &*self.running;
        if state.has(ENDED | FAILED) {
            return Some("the transaction is over, or has failed");
        }
        if *isolation != Isolation::ReadCommitted {
            return Some("the transaction sees one moment with all its statements");
        }
        if connection.has_written() {
            return Some("the transaction has written");
        }
        if connection.is_outdated() {
            return Some("the transaction's session began with other settings than those of now");
        }
        connection.is_touched().then_some("the transaction may have changed its session's settings")
    }

    /// What the database says of a statement, without running it.
    pub(crate) async fn describe(&self, sql: &str) -> Result<crate::results::Described, Error> {
        let outcome = self.running.meter.within(self.connection()?.describe(sql)).await;
        self.note(outcome)
    }
}

/// How a transaction ended.
pub(crate) enum End<T, E> {
    /// It is in the database.
    Committed(T, Option<PooledConnection>),
    /// Nothing of it is.
    RolledBack {
        /// Why.
        error: E,
        /// Whether the whole of it may be run again.
        is_retryable: bool,
    },
    /// Nobody knows.
    Uncertain(Error),
}

impl<T, E: From<Error>> End<T, E> {
    pub(crate) fn into_result(self) -> Result<T, E> {
        match self {
            Self::Committed(value, _) => Ok(value),
            Self::RolledBack { error, .. } => Err(error),
            Self::Uncertain(error) => Err(E::from(error)),
        }
    }
}

/// A closure that returns Ok after a failed statement would lose its work silently: PostgreSQL answers COMMIT with a
/// ROLLBACK then.
fn swallowed() -> Error {
    Error::Usage(
        "a statement of this transaction failed, so it was rolled back although its closure returned Ok; return the \
         error, or run the statement in a savepoint"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_sql() {
        let options = |isolation, writes| TransactionOptions { isolation, writes }.begin();
        assert_eq!(options(Isolation::ReadCommitted, Writes::Allowed), "BEGIN");
        let expected = "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY";
        assert_eq!(options(Isolation::Serializable, Writes::Refused), expected);
    }
}
