//! Statements on a connection that may lead through a transaction pooler.
//!
//! Every statement is sent unnamed, alone, with its types: nothing is kept in the session, and a text that holds two
//! statements is refused by the server.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use crate::error::ViewsError;

/// A parameter and its type.
pub(crate) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Rows of one statement.
pub(crate) async fn rows(
    client: &Client,
    step: &str,
    sql: &str,
    parameters: &[Parameter<'_>],
) -> Result<Vec<Row>, ViewsError> {
    client.query_typed(&marked(sql), parameters).await.map_err(ViewsError::at(step))
}

/// A query with the comment by which pgprime's own are known among the statements that a server counts. It is behind the first
/// word, since version 18 drops what is before it. Refreshes and definitions are left as they are: they are no overhead.
fn marked(sql: &str) -> String {
    let is_comment = |line: &&str| line.starts_with("--");
    let start: usize = sql.split_inclusive('\n').take_while(is_comment).map(str::len).sum();
    let (comments, statement) = sql.split_at(start);
    match statement.split_once(char::is_whitespace) {
        Some((word @ ("SELECT" | "WITH" | "INSERT" | "UPDATE" | "DELETE"), rest)) => {
            format!("{comments}{word} /* pgprime */ {rest}")
        }
        _ => sql.to_owned(),
    }
}

/// The first row of one statement, if any.
pub(crate) async fn row(
    client: &Client,
    step: &str,
    sql: &str,
    parameters: &[Parameter<'_>],
) -> Result<Option<Row>, ViewsError> {
    Ok(rows(client, step, sql, parameters).await?.into_iter().next())
}

/// One statement for its effect.
pub(crate) async fn run(client: &Client, step: &str, sql: &str) -> Result<(), ViewsError> {
    rows(client, step, sql, &[]).await.map(drop)
}

/// A value of a row.
pub(crate) fn value<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a Row,
    name: &str,
) -> Result<T, ViewsError> {
    row.try_get(name).map_err(ViewsError::at(format!("read {name} of an answer")))
}

/// Settings of a transaction; `None` leaves the session's own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Begin<'a> {
    pub(crate) read_only: bool,
    pub(crate) lock_timeout_ms: Option<u64>,
    pub(crate) statement_timeout_ms: Option<u64>,
    pub(crate) search_path: Option<&'a str>,
}

/// Each statement has its limit, so a role's limit for a whole transaction, which version 17 brought, must not end the
/// session in the middle.
const UNLIMITED: &str = "; SELECT /* pgprime */ set_config(name, '0', true) FROM pg_settings \
                         WHERE name = 'transaction_timeout' AND setting <> '0'";

/// Starts a transaction: all in one round trip, and each setting for this transaction alone.
pub(crate) async fn begin(client: &Client, begin: Begin<'_>) -> Result<(), ViewsError> {
    let mut sql = String::from("BEGIN /* pgprime */ ISOLATION LEVEL READ COMMITTED");
    sql.push_str(if begin.read_only { ", READ ONLY" } else { ", READ WRITE" });
    sql.push_str(", NOT DEFERRABLE");
    for (name, value) in
        [("LOCK_TIMEOUT", begin.lock_timeout_ms), ("STATEMENT_TIMEOUT", begin.statement_timeout_ms)]
    {
        if let Some(value) = value {
            sql.push_str(&format!("; SET /* pgprime */ LOCAL \"{name}\" = {}", value.min(i32::MAX as u64)));
        }
    }
    if begin.statement_timeout_ms.is_some() {
        sql.push_str(UNLIMITED);
    }
    if let Some(path) = begin.search_path {
        sql.push_str(&format!("; SET /* pgprime */ LOCAL \"SEARCH_PATH\" = {path}"));
    }
    client.batch_execute(&sql).await.map_err(ViewsError::at("begin a transaction"))
}

/// Ends the transaction, for good or ill: commits where `outcome` is well, rolls back where it is not.
pub(crate) async fn end<T>(client: &Client, outcome: Result<T, ViewsError>) -> Result<T, ViewsError> {
    match outcome {
        Ok(done) => {
            client.batch_execute("COMMIT").await.map_err(ViewsError::at("commit"))?;
            Ok(done)
        }
        Err(error) => {
            // What went wrong is said already; a connection that is gone has rolled back by itself.
            let _ = client.batch_execute("ROLLBACK").await;
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_marked_and_definitions_are_not() {
        for (sql, expected) in [
            ("SELECT 1", "SELECT /* pgprime */ 1"),
            (
                "-- What.\nWITH a AS (SELECT 1)\nTABLE a",
                "-- What.\nWITH /* pgprime */ a AS (SELECT 1)\nTABLE a",
            ),
            ("REFRESH MATERIALIZED VIEW v", "REFRESH MATERIALIZED VIEW v"),
            ("COMMIT", "COMMIT"),
        ] {
            assert_eq!(marked(sql), expected);
        }
    }
}
