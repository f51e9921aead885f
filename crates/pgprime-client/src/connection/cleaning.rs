//! From a connection in an unknown state to one that can be used again.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

use super::cancel::cancel;
use crate::connect::{Server, cell};
use crate::session::Path;
use crate::tls::Tls;

/// How long a request that was given up may go on before it is cancelled. Most end sooner by themselves, and a cancel
/// request costs the database a connection.
const GRACE: Duration = Duration::from_millis(50);

/// What a session had before its first use. Prepared statements stay: they are what makes the session worth keeping.
///
/// Where pg_stat_statements can tell these from an application's own statements, they carry the comment by which pgprime's
/// are known. From version 16 on it does not go by the text but by what is parsed: a constant more, or another spelling of
/// a setting's name, is another statement; `RESET ALL` and the like have one form, so a comment in them might stand for the
/// application's as well.
const RESET: &str = "CLOSE ALL; SET /* pgprime */ \"SESSION_AUTHORIZATION\" TO DEFAULT; RESET ALL; UNLISTEN *; \
                     SELECT /* pgprime */ pg_catalog.pg_advisory_unlock_all(), 'pgprime'; \
                     DISCARD TEMP; DISCARD SEQUENCES";

/// Why a connection is to be closed instead.
#[derive(Debug, thiserror::Error)]
pub(super) enum CleanError {
    #[error("cancel request: {0}")]
    Cancel(#[from] std::io::Error),
    #[error(transparent)]
    Statement(#[from] Error),
}

/// Ends what still runs, so that the next request does not wait for it.
pub(super) async fn quiet(client: &Client, server: &Server, tls: &Tls) -> Result<(), CleanError> {
    // Answers come in the order of requests: this one's says that all before it have ended.
    let mut last = Box::pin(client.batch_execute(""));
    if let Ok(outcome) = timeout(GRACE, &mut last).await {
        return Ok(outcome?);
    }
    cancel(client.cancel_token(), server, tls).await?;
    // The cancel request may have hit this one, too.
    match last.await {
        Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// Rolls back what is open, and undoes what was done to the session.
pub(super) async fn reset(client: &Client, path: Path, is_touched: bool) -> Result<(), Error> {
    if is_transaction_open(client).await? {
        client.batch_execute("ROLLBACK").await?;
    }
    if is_touched && path == Path::Direct {
        client.batch_execute(RESET).await?;
    }
    Ok(())
}

/// Asks without a warning in the server's log, which ROLLBACK outside of a transaction would leave there. A statement by
/// itself begins its own transaction, so its beginning is now.
async fn is_transaction_open(client: &Client) -> Result<bool, Error> {
    let sql =
        "SELECT /* pgprime */ pg_catalog.now() OPERATOR(pg_catalog.<>) pg_catalog.statement_timestamp()";
    match client.simple_query(sql).await {
        Ok(rows) => Ok(rows.iter().find_map(|row| cell(row, 0)) == Some("t")),
        Err(error) if error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION) => Ok(true),
        Err(error) => Err(error),
    }
}
