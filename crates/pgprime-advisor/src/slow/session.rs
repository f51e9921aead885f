//! One read-only transaction with short timeouts.

use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, Row};

use super::error::SlowError;

/// Everything is local to the transaction: through a pooler the next client finds nothing changed. A `search_path` of
/// pg_catalog alone keeps objects of others from being taken for the server's own.
///
/// The statements carry a comment behind their first word, by which their own entries are known: from version 18 on,
/// pg_stat_statements does not keep comments in front. From version 16 on it goes by what is parsed, so that they are
/// written as nobody else does, too: names of settings in capitals and quotes, which the server does not mind, and an
/// option that changes nothing. SAVEPOINT and COMMIT carry no comment: they have one form, and it would hide those of
/// everybody else.
const BEGIN: &str = "BEGIN /* pgprime */ TRANSACTION READ ONLY, NOT DEFERRABLE; \
    SET /* pgprime */ LOCAL \"STATEMENT_TIMEOUT\" = '15s'; \
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
    pub(super) async fn begin(client: &'a Client) -> Result<Self, SlowError> {
        client.batch_execute(BEGIN).await.map_err(SlowError::query("begin a read-only transaction"))?;
        Ok(Self { client })
    }

    /// Ends the transaction, whatever came of it. It has changed nothing, and a rollback would be counted as one of the
    /// application's.
    pub(super) async fn end<T>(self, outcome: Result<T, SlowError>) -> Result<T, SlowError> {
        let ended = self.client.batch_execute("COMMIT").await;
        let value = outcome?;
        ended.map_err(SlowError::query("end the transaction"))?;
        Ok(value)
    }

    /// Unnamed statements only: a pooler need not know them.
    pub(super) async fn rows(
        &self,
        step: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, SlowError> {
        self.client.query_typed(sql, parameters).await.map_err(SlowError::query(step))
    }

    pub(super) async fn row(&self, step: &'static str, sql: &str) -> Result<Row, SlowError> {
        let rows = self.rows(step, sql, &[]).await?;
        let empty = || SlowError::Answer { step, reason: "no row".to_owned() };
        rows.into_iter().next().ok_or_else(empty)
    }

    /// As [`Session::rows`], but the transaction survives a refusal by the server.
    pub(super) async fn attempt(&self, step: &'static str, sql: &str) -> Result<Attempt, SlowError> {
        self.client.batch_execute("SAVEPOINT attempt").await.map_err(SlowError::query(step))?;
        let error = match self.client.query_typed(sql, &[]).await {
            Ok(rows) => return Ok(Attempt::Rows(rows)),
            Err(error) => error,
        };
        let Some(refusal) = error.as_db_error() else { return Err(SlowError::Query { step, source: error }) };
        let (state, message) = (refusal.code().clone(), refusal.message().to_owned());
        self.client.batch_execute("ROLLBACK TO attempt").await.map_err(SlowError::query(step))?;
        Ok(Attempt::Refused { state, message })
    }
}

/// The value of a column, or what is wrong with it.
pub(super) fn column<'r, T: FromSql<'r>>(
    row: &'r Row,
    step: &'static str,
    name: &str,
) -> Result<T, SlowError> {
    row.try_get(name).map_err(SlowError::answer(step))
}
