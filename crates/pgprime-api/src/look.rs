//! Short looks at the database, within limits of their own.

use tokio_postgres::{Error, Row};

use crate::app::App;
use crate::limits::{LOOK_MAX, within};
use crate::problem::Problem;

/// Somebody waits for the page, and nobody may wait for us. The settings end with the transaction. Its comments, and names
/// and an option that nobody else writes so, keep what the server counts of it apart from the application's statements.
const BEGIN: &str = "BEGIN /* pgprime */ TRANSACTION READ ONLY, NOT DEFERRABLE; \
                     SET /* pgprime */ LOCAL \"STATEMENT_TIMEOUT\" = '5s'; SET /* pgprime */ LOCAL \"LOCK_TIMEOUT\" = '200ms'";

/// The rows of a statement that only reads.
pub(crate) async fn look(app: &App, sql: &'static str) -> Result<Vec<Row>, Problem> {
    let rows = async {
        let connection = app.connection().await?;
        let client = connection.client_local();
        // One round trip; of a transaction that has failed COMMIT is the end as well.
        let (begun, rows, ended) = tokio::join!(biased;
            client.batch_execute(BEGIN),
            client.query_typed(sql, &[]),
            client.batch_execute("COMMIT"));
        let problem = |error: Error| Problem::from(pgprime_client::Error::from(error));
        begun.map_err(problem)?;
        let rows = rows.map_err(problem)?;
        ended.map_err(problem)?;
        Ok(rows)
    };
    within(LOOK_MAX, rows).await
}
