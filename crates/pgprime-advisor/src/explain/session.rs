//! One read-only transaction with limits, and what was prepared in it.

use std::time::{Duration, SystemTime};

use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, Row, SimpleQueryMessage};

use super::error::ExplainError;
use super::request::Limits;

/// A parameter of ours and its type, which spares asking the server for it.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// What was done since is undone at the end, and the transaction commits nothing: one that is rolled back would be counted
/// as one of the application's.
const SAVEPOINT: &str = "SAVEPOINT pgprime_begin";
const END: &str = "ROLLBACK TO SAVEPOINT pgprime_begin; COMMIT";

/// A transaction that changes nothing. Its exit is [`Session::end`].
pub(super) struct Session<'a> {
    client: &'a Client,
    limits: Limits,
    /// The name of the statement that was prepared, which outlives the transaction.
    prepared: Option<String>,
}

impl<'a> Session<'a> {
    /// Every setting is local to the transaction: through a pooler the next client finds nothing changed. Strings are read
    /// by the server as they were read here.
    pub(super) async fn begin(client: &'a Client, limits: Limits) -> Result<Self, ExplainError> {
        let milliseconds = |limit: Duration| limit.as_millis().clamp(1, 2_147_483_647);
        let begin = format!(
            "BEGIN /* pgprime */ TRANSACTION READ ONLY, NOT DEFERRABLE; \
             SET /* pgprime */ LOCAL \"STATEMENT_TIMEOUT\" = {}; SET /* pgprime */ LOCAL \"LOCK_TIMEOUT\" = {}; \
             SET /* pgprime */ LOCAL \"STANDARD_CONFORMING_STRINGS\" = on; {SAVEPOINT}",
            milliseconds(limits.statement_timeout),
            milliseconds(limits.lock_timeout)
        );
        client.batch_execute(&begin).await.map_err(ExplainError::query("begin a read-only transaction"))?;
        Ok(Self { client, limits, prepared: None })
    }

    /// Ends the transaction, whatever came of it. One message, so that a pooler cannot come between.
    pub(super) async fn end<T>(self, outcome: Result<T, ExplainError>) -> Result<T, ExplainError> {
        let end = match &self.prepared {
            Some(name) => format!("{END}; DEALLOCATE {name}"),
            None => END.to_owned(),
        };
        let ended = self.client.batch_execute(&end).await;
        let value = outcome.map_err(|error| error.limited(&self.limits))?;
        ended.map_err(ExplainError::query("end the transaction"))?;
        Ok(value)
    }

    /// Unnamed statements only: a pooler need not know them. The extended protocol takes one statement and no more.
    pub(super) async fn rows(
        &self,
        step: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, ExplainError> {
        self.client.query_typed(sql, parameters).await.map_err(ExplainError::query(step))
    }

    pub(super) async fn row(
        &self,
        step: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Row, ExplainError> {
        let rows = self.rows(step, sql, parameters).await?;
        rows.into_iter().next().ok_or_else(|| ExplainError::Answer { step, reason: "no row".to_owned() })
    }

    /// A statement that [`Session::prepare`] has taken, with our words in front of it, by the simple protocol: the extended
    /// one would ask for values of its parameters. The server has found it to be a single statement before. Gives the first
    /// column of the first row.
    pub(super) async fn simple(&self, step: &'static str, sql: &str) -> Result<String, ExplainError> {
        let messages = self.client.simple_query(sql).await.map_err(ExplainError::query(step))?;
        let first = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        first.map(str::to_owned).ok_or_else(|| ExplainError::Answer { step, reason: "no row".to_owned() })
    }

    /// A setting for the rest of the transaction; the text is ours.
    pub(super) async fn set(&self, setting: &'static str) -> Result<(), ExplainError> {
        self.client.batch_execute(setting).await.map_err(ExplainError::query("set how to plan"))
    }

    /// Prepares a statement and gives its name.
    pub(super) async fn prepare(&mut self, text: &str) -> Result<String, (String, ExplainError)> {
        let name = unique_name();
        let prefix = format!("PREPARE /* pgprime */ {name} AS ");
        match self.rows("prepare the statement", &format!("{prefix}{text}"), &[]).await {
            Ok(_) => {
                self.prepared = Some(name.clone());
                Ok(name)
            }
            Err(error) => Err((prefix, error)),
        }
    }

    /// From here on names stand for the server's own objects only, until [`Session::leave_catalog`].
    pub(super) async fn enter_catalog(&self) -> Result<(), ExplainError> {
        let enter = "SAVEPOINT pgprime; SET /* pgprime */ LOCAL \"SEARCH_PATH\" = pg_catalog, pg_temp";
        self.client.batch_execute(enter).await.map_err(ExplainError::query("read the catalogs"))
    }

    /// Names stand for what they did before, also after an error.
    pub(super) async fn leave_catalog<T>(&self, outcome: Result<T, ExplainError>) -> Result<T, ExplainError> {
        self.roll_back(outcome).await
    }

    /// A step that may fail without ending the transaction.
    pub(super) async fn savepoint(&self) -> Result<(), ExplainError> {
        let savepoint = self.client.batch_execute("SAVEPOINT pgprime").await;
        savepoint.map_err(ExplainError::query("begin a step"))
    }

    /// Back to the savepoint, with what came of the step; the step's own error goes first.
    pub(super) async fn roll_back<T>(&self, outcome: Result<T, ExplainError>) -> Result<T, ExplainError> {
        let back =
            self.client.batch_execute("ROLLBACK TO SAVEPOINT pgprime; RELEASE SAVEPOINT pgprime").await;
        let value = outcome?;
        back.map_err(ExplainError::query("end a step"))?;
        Ok(value)
    }
}

/// A name that no other statement of a server's session has, should one have been left there.
fn unique_name() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("pgprime_explain_{}", since.as_nanos())
}

/// The value of a column, or what is wrong with it.
pub(super) fn column<'r, T: FromSql<'r>>(
    row: &'r Row,
    step: &'static str,
    name: &str,
) -> Result<T, ExplainError> {
    row.try_get(name).map_err(ExplainError::answer(step))
}
