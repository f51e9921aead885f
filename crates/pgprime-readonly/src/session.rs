//! One read-only transaction with short timeouts.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, Row};

use crate::ReadError;

/// Everything is local to the transaction: through a pooler the next client finds nothing changed. A `search_path` of
/// pg_catalog alone keeps objects of others from being taken for the server's own, and makes the server write names
/// with their schema.
///
/// From version 16 on pg_stat_statements goes by what is parsed, so that it is written as nobody else does: names of
/// settings in capitals and quotes, which the server does not mind, and an option that changes nothing. SAVEPOINT, RELEASE,
/// ROLLBACK TO and COMMIT carry no comment: they have one form, and it would hide those of everybody else.
const BEGIN: &str = "BEGIN /* pgprime */ ISOLATION LEVEL READ COMMITTED, READ ONLY, NOT DEFERRABLE; \
                     SET /* pgprime */ LOCAL \"SEARCH_PATH\" = pg_catalog";

/// A parameter and its type, which spares asking the server for it.
pub type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// A transaction that changes nothing. Its exit is [`Session::end`].
pub struct Session<'a> {
    client: &'a Client,
    statement_timeout: Duration,
}

/// What a step answers that an ordinary role may not be allowed, or that may wait for a lock.
pub enum Attempt {
    /// Its rows.
    Rows(Vec<Row>),
    /// What the server said; the transaction goes on.
    Refused {
        /// Its SQLSTATE.
        state: SqlState,
        /// Its message.
        message: String,
    },
}

impl<'a> Session<'a> {
    /// Begins it. The connection must not be in a transaction; if the future is dropped before [`Session::end`], close it.
    ///
    /// # Errors
    /// [`ReadError::Query`].
    pub async fn begin(client: &'a Client, timeouts: Timeouts) -> Result<Self, ReadError> {
        let (statement, lock) = (milliseconds(timeouts.statement), milliseconds(timeouts.lock));
        let sql = format!(
            "{BEGIN}; SET /* pgprime */ LOCAL \"STATEMENT_TIMEOUT\" = {statement}; \
             SET /* pgprime */ LOCAL \"LOCK_TIMEOUT\" = {lock}"
        );
        client.batch_execute(&sql).await.map_err(ReadError::query("begin a read-only transaction"))?;
        Ok(Self { client, statement_timeout: timeouts.statement })
    }

    /// Ends the transaction, whatever came of it. It has changed nothing, and a rollback would be counted as one of the
    /// application's.
    ///
    /// # Errors
    /// That of `outcome`, else [`ReadError::Query`].
    pub async fn end<T, E: From<ReadError>>(self, outcome: Result<T, E>) -> Result<T, E> {
        let ended = self.client.batch_execute("COMMIT").await;
        let value = outcome?;
        ended.map_err(ReadError::query("end the transaction"))?;
        Ok(value)
    }

    /// The rows of one statement, unnamed: a pooler need not know it.
    ///
    /// # Errors
    /// [`ReadError::Query`].
    pub async fn rows(
        &self,
        step: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, ReadError> {
        self.client.query_typed(sql, parameters).await.map_err(ReadError::query(step))
    }

    /// The first row of a statement that always has one.
    ///
    /// # Errors
    /// [`ReadError::Query`], [`ReadError::Answer`] where there is none.
    pub async fn row(&self, step: &'static str, sql: &str) -> Result<Row, ReadError> {
        let rows = self.rows(step, sql, &[]).await?;
        rows.into_iter().next().ok_or_else(|| ReadError::Answer { step, reason: "no row".to_owned() })
    }

    /// As [`Session::rows`], but the transaction survives a refusal by the server.
    ///
    /// # Errors
    /// [`ReadError::Query`] when the connection is lost.
    pub async fn attempt(
        &self,
        step: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Attempt, ReadError> {
        self.client.batch_execute("SAVEPOINT attempt").await.map_err(ReadError::query(step))?;
        let outcome = self.client.query_typed(sql, parameters).await;
        let (end, attempt) = match outcome {
            Ok(rows) => ("RELEASE attempt", Attempt::Rows(rows)),
            Err(error) => match error.as_db_error() {
                Some(refusal) => {
                    let (state, message) = (refusal.code().clone(), refusal.message().to_owned());
                    ("ROLLBACK TO attempt; RELEASE attempt", Attempt::Refused { state, message })
                }
                None => return Err(ReadError::Query { step, source: error }),
            },
        };
        self.client.batch_execute(end).await.map_err(ReadError::query(step))?;
        Ok(attempt)
    }

    /// As [`Session::attempt`], with another limit on its time.
    ///
    /// # Errors
    /// As [`Session::attempt`].
    pub async fn attempt_within(
        &self,
        limit: Duration,
        step: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Attempt, ReadError> {
        self.limit_statements(step, limit).await?;
        let attempt = self.attempt(step, sql, parameters).await?;
        self.limit_statements(step, self.statement_timeout).await?;
        Ok(attempt)
    }

    async fn limit_statements(&self, step: &'static str, limit: Duration) -> Result<(), ReadError> {
        let sql = format!("SET /* pgprime */ LOCAL \"STATEMENT_TIMEOUT\" = {}", milliseconds(limit));
        self.client.batch_execute(&sql).await.map_err(ReadError::query(step))
    }
}

/// How long a statement may run, and how long it may wait for a lock.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Of a statement; at least a millisecond.
    pub statement: Duration,
    /// Of waiting for a lock; at least a millisecond.
    pub lock: Duration,
}

/// For the server, to which 0 would mean no limit at all.
fn milliseconds(limit: Duration) -> i32 {
    i32::try_from(limit.as_millis()).unwrap_or(i32::MAX).max(1)
}

/// The value of a column.
///
/// # Errors
/// [`ReadError::Answer`] with what is wrong with it.
pub fn column<'r, T: FromSql<'r>>(row: &'r Row, step: &'static str, name: &str) -> Result<T, ReadError> {
    row.try_get(name).map_err(ReadError::answer(step))
}

/// A count of the server's, which is never negative; none counts as 0.
///
/// # Errors
/// As [`column`].
pub fn count(row: &Row, step: &'static str, name: &str) -> Result<u64, ReadError> {
    let number: Option<i64> = column(row, step, name)?;
    Ok(number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0))
}
