//! One read-only transaction with short limits, in which statements are planned.

use std::time::Duration;

use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, Row, SimpleQueryMessage};

use super::error::IndexesError;
use super::options::AdviceOptions;

/// A parameter and its type, which spares asking the server for it.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// What was done since is undone at the end, and the transaction commits nothing: one that is rolled back would be counted
/// as one of the application's.
const SAVEPOINT: &str = "SAVEPOINT pgprime_begin";
const END: &str = "ROLLBACK TO SAVEPOINT pgprime_begin; COMMIT";

/// A transaction that changes nothing. Its exit is [`Session::end`].
pub(super) struct Session<'a> {
    client: &'a Client,
    /// Statements that were prepared, which outlive the transaction.
    prepared: Vec<String>,
    /// Where HypoPG's functions are; its indexes outlive the transaction, too.
    hypopg_schema: Option<String>,
}

impl<'a> Session<'a> {
    /// Every setting is local to the transaction: through a pooler the next client finds nothing changed.
    pub(super) async fn begin(client: &'a Client, options: &AdviceOptions) -> Result<Self, IndexesError> {
        let begin = format!(
            "BEGIN /* pgprime */ ISOLATION LEVEL READ COMMITTED, READ ONLY, NOT DEFERRABLE; \
             SET /* pgprime */ LOCAL \"STATEMENT_TIMEOUT\" = {}; \
             SET /* pgprime */ LOCAL \"LOCK_TIMEOUT\" = {}; \
             SET /* pgprime */ LOCAL \"STANDARD_CONFORMING_STRINGS\" = on; \
             SET /* pgprime */ LOCAL \"JIT\" = off; {SAVEPOINT}",
            milliseconds(options.statement_timeout),
            milliseconds(options.lock_timeout)
        );
        client.batch_execute(&begin).await.map_err(IndexesError::query("begin a read-only transaction"))?;
        Ok(Self { client, prepared: Vec::new(), hypopg_schema: None })
    }

    /// Ends the transaction, whatever came of it, and takes back what outlives it; in one message, so that a pooler
    /// cannot come between.
    pub(super) async fn end<T>(self, outcome: Result<T, IndexesError>) -> Result<T, IndexesError> {
        let mut end = END.to_owned();
        if let Some(schema) = &self.hypopg_schema {
            end += &format!("; SELECT /* pgprime */ {schema}.hypopg_reset()");
        }
        end.extend(self.prepared.iter().map(|name| format!("; DEALLOCATE {name}")));
        let ended = self.client.batch_execute(&end).await;
        let value = outcome?;
        ended.map_err(IndexesError::query("end the transaction"))?;
        Ok(value)
    }

    /// Makes hypothetical indexes possible; those that are left from before go. The inner error is why they are not.
    pub(super) async fn try_hypopg(
        &mut self,
        schema: &str,
    ) -> Result<Result<(), IndexesError>, IndexesError> {
        self.hypopg_schema = Some(schema.to_owned());
        let outcome = self.attempt(self.reset_hypothetical()).await?;
        if outcome.is_err() {
            self.hypopg_schema = None;
        }
        Ok(outcome)
    }

    pub(super) fn hypopg_schema(&self) -> Option<&str> {
        self.hypopg_schema.as_deref()
    }

    /// Takes all hypothetical indexes away.
    pub(super) async fn reset_hypothetical(&self) -> Result<(), IndexesError> {
        let Some(schema) = &self.hypopg_schema else { return Ok(()) };
        self.execute(
            "take hypothetical indexes away",
            &format!("SELECT /* pgprime */ {schema}.hypopg_reset()"),
        )
        .await
    }

    /// The text is ours.
    pub(super) async fn execute(&self, step: &'static str, sql: &str) -> Result<(), IndexesError> {
        self.client.batch_execute(sql).await.map_err(IndexesError::query(step))
    }

    /// Unnamed statements only: a pooler need not know them. The extended protocol takes one statement and no more.
    pub(super) async fn rows(
        &self,
        step: &'static str,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, IndexesError> {
        self.client.query_typed(sql, parameters).await.map_err(IndexesError::query(step))
    }

    /// The first column of the first row of what is ours, or ends in a statement that was parsed to be one.
    pub(super) async fn text(&self, step: &'static str, sql: &str) -> Result<String, IndexesError> {
        let messages = self.client.simple_query(sql).await.map_err(IndexesError::query(step))?;
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        row.map(str::to_owned).ok_or_else(|| IndexesError::Answer { step, reason: "no row".to_owned() })
    }

    /// A step that may fail without ending the transaction; what it set is undone if it does.
    pub(super) async fn attempt<T>(
        &self,
        step: impl Future<Output = Result<T, IndexesError>>,
    ) -> Result<Result<T, IndexesError>, IndexesError> {
        self.execute("begin a step", "SAVEPOINT pgprime").await?;
        let outcome = step.await;
        let end = match &outcome {
            Ok(_) => "RELEASE SAVEPOINT pgprime",
            Err(error) if error.is_connection_lost() => return outcome.map(Ok),
            Err(_) => "ROLLBACK TO SAVEPOINT pgprime; RELEASE SAVEPOINT pgprime",
        };
        self.execute("end a step", end).await?;
        Ok(outcome)
    }

    /// As [`Session::text`], without ending the transaction when it fails; in one message, as it is done very often.
    pub(super) async fn attempt_text(
        &self,
        step: &'static str,
        sql: &str,
    ) -> Result<Result<String, IndexesError>, IndexesError> {
        // The new line ends whatever comment the statement ends in.
        let guarded = format!("SAVEPOINT pgprime; {sql}\n; RELEASE SAVEPOINT pgprime");
        match self.text(step, &guarded).await {
            Err(error) if error.is_connection_lost() => Err(error),
            Err(error) => {
                let undo = "ROLLBACK TO SAVEPOINT pgprime; RELEASE SAVEPOINT pgprime";
                self.execute("end a step", undo).await?;
                Ok(Err(error))
            }
            Ok(text) => Ok(Ok(text)),
        }
    }

    /// Remembers to deallocate a statement.
    pub(super) fn keep_prepared(&mut self, name: &str) {
        self.prepared.push(name.to_owned());
    }
}

/// For the server, to which 0 would mean no limit at all.
pub(super) fn milliseconds(limit: Duration) -> i32 {
    i32::try_from(limit.as_millis()).unwrap_or(i32::MAX).max(1)
}

/// The value of a column, or what is wrong with it.
pub(super) fn column<'r, T: FromSql<'r>>(
    row: &'r Row,
    step: &'static str,
    name: &str,
) -> Result<T, IndexesError> {
    row.try_get(name).map_err(IndexesError::answer(step))
}
