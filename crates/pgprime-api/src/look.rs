//! Short looks at the database, within limits of their own.

use pgprime_client::{Row, TransactionOptions, Writes};

use crate::app::App;
use crate::limits::{ACQUIRE_MAX, LOOK_MAX, within};
use crate::problem::Problem;

/// Somebody waits for the page, and nobody may wait for us.
const LIMITS: [&str; 2] = ["SET LOCAL statement_timeout = '5s'", "SET LOCAL lock_timeout = '200ms'"];

/// The rows of a statement that only reads.
pub(crate) async fn look(app: &App, sql: &'static str) -> Result<Vec<Row>, Problem> {
    let options = TransactionOptions { writes: Writes::Refused, ..TransactionOptions::default() };
    let admin = app.database().await?.admin().with_wait(ACQUIRE_MAX);
    let rows = admin.transaction_with(options, |transaction| async move {
        for limit in LIMITS {
            transaction.execute(limit, &[]).await?;
        }
        transaction.query(sql, &[]).await
    });
    within(LOOK_MAX, async { rows.await.map_err(|error: pgprime_client::Error| Problem::from(error)) }).await
}
