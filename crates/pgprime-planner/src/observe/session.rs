//! One read-only transaction with short timeouts.

use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, Row};

use super::error::ObserveError;

/// Everything is local to the transaction: through a pooler the next client finds nothing changed. A `search_path` of
/// pg_catalog alone keeps objects of others from being taken for the server's own. None of these is a setting that is
/// observed, which would then be seen with this value.
///
/// The queries carry a comment behind their first word, by which pg_stat_statements' entries for them are left out:
/// from version 18 on it does not keep comments in front.
const BEGIN: &str = "BEGIN /* pgprime */ TRANSACTION READ ONLY, NOT DEFERRABLE; \
    SET /* pgprime */ LOCAL \"STATEMENT_TIMEOUT\" = '5s'; \
    SET /* pgprime */ LOCAL \"LOCK_TIMEOUT\" = '1s'; \
    SET /* pgprime */ LOCAL \"SEARCH_PATH\" = pg_catalog";

/// A parameter and its type, which spares asking the server for it.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// A transaction that changes nothing. Its exit is [`Session::end`].
pub(super) struct Session<'a> {
    client: &'a Client,
}

/// What a step answers that an ordinary role may not be allowed.
pub(super) enum Attempt {
    Rows(Vec<Row>),
    /// What the server said; the transaction goes on.
    Refused {
        state: SqlState,
        message: String,
    },
}

impl<'a> Session<'a> {
    pub(super) async fn begin(client: &'a Client) -> Result<Self, ObserveError> {
        client.batch_execute(BEGIN).await.map_err(ObserveError::query("begin a read-only transaction"))?;
        Ok(Self { client })
    }

    /// Ends the transaction, whatever came of it. It has changed nothing, and a rollback would be counted as one of the
    /// application's.
    pub(super) async fn end<T>(self, outcome: Result<T, ObserveError>) -> Result<T, ObserveError> {
        let ended = self.client.batch_execute("COMMIT").await;
        let value = outcome?;
        ended.map_err(ObserveError::query("end the transaction"))?;
        Ok(value)
    }

    /// Unnamed statements only: a pooler need not know them.
    pub(super) async fn rows(
        &self,
        step: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, ObserveError> {
        self.client.query_typed(sql, parameters).await.map_err(ObserveError::query(step))
    }

    pub(super) async fn row(&self, step: &'static str, sql: &str) -> Result<Row, ObserveError> {
        let rows = self.rows(step, sql, &[]).await?;
        let empty = || ObserveError::Answer { step, reason: "no row".to_owned() };
        rows.into_iter().next().ok_or_else(empty)
    }

    /// As [`Session::rows`], but the transaction survives a refusal by the server.
    pub(super) async fn attempt(
        &self,
        step: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Attempt, ObserveError> {
        self.client.batch_execute("SAVEPOINT attempt").await.map_err(ObserveError::query(step))?;
        let error = match self.client.query_typed(sql, parameters).await {
            Ok(rows) => return Ok(Attempt::Rows(rows)),
            Err(error) => error,
        };
        let Some(refusal) = error.as_db_error() else {
            return Err(ObserveError::Query { step, source: error });
        };
        let (state, message) = (refusal.code().clone(), refusal.message().to_owned());
        self.client.batch_execute("ROLLBACK TO attempt").await.map_err(ObserveError::query(step))?;
        Ok(Attempt::Refused { state, message })
    }
}

/// The value of a column, or what is wrong with it.
pub(super) fn column<'r, T: FromSql<'r>>(
    row: &'r Row,
    step: &'static str,
    name: &str,
) -> Result<T, ObserveError> {
    row.try_get(name).map_err(ObserveError::answer(step))
}

/// A count of the server's, which is never negative.
pub(super) fn count(row: &Row, step: &'static str, name: &str) -> Result<u64, ObserveError> {
    let number: i64 = column(row, step, name)?;
    Ok(u64::try_from(number).unwrap_or(0))
}
