//! Texts of statements by their numbers.

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::error::ExplainError;
use super::request::Limits;
use super::session::{Session, column};
use crate::Missing;

const SERVER: &str = include_str!("../../sql/explain_server.sql");
const EXTENSION: &str = include_str!("../../sql/explain_extension.sql");
const TEXT: &str = include_str!("../../sql/explain_statement_text.sql");
const STEP: &str = "read the text of a statement";
const HIDDEN: &str = "<insufficient privilege>";

/// The text of a statement of this database by its number (`queryid`) in pg_stat_statements.
///
/// # Errors
/// [`ExplainError::Missing`] with what makes it visible, [`ExplainError::UnknownQueryId`], or why the server does not answer.
pub async fn statement_text(client: &Client, query_id: i64, limits: Limits) -> Result<String, ExplainError> {
    let session = Session::begin(client, limits).await?;
    let outcome = read(&session, query_id).await;
    session.end(outcome).await
}

async fn read(session: &Session<'_>, query_id: i64) -> Result<String, ExplainError> {
    let missing = |why: &str, statement: Option<String>| {
        let what = format!("the text of the statement with the number {query_id}");
        ExplainError::Missing(Missing { what, why: why.to_owned(), statement })
    };
    let extension = session.rows(STEP, EXTENSION, &[]).await?;
    let Some(extension) = extension.first() else {
        let create = "CREATE EXTENSION pg_stat_statements".to_owned();
        return Err(missing("pg_stat_statements is not installed in this database", Some(create)));
    };
    let text = TEXT.replace("{schema}", &column::<String>(extension, STEP, "schema")?);
    let rows = session.rows(STEP, &text, &[(&query_id, Type::INT8)]).await?;
    let Some(row) = rows.first() else { return Err(ExplainError::UnknownQueryId { query_id }) };
    match column::<Option<String>>(row, STEP, "query")? {
        Some(text) if text == HIDDEN => {
            let role: String = column(&session.row(STEP, SERVER, &[]).await?, STEP, "role")?;
            let grant = format!("GRANT pg_read_all_stats TO {}", crate::sql::quoted(&role));
            Err(missing("it is none of this role, which may not see those of others", Some(grant)))
        }
        Some(text) => Ok(text),
        None => Err(missing("pg_stat_statements has lost it: its file of texts was too large to keep", None)),
    }
}
