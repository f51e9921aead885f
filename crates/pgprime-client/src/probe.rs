//! What stands between the application and PostgreSQL, found out by asking.

use tokio::time::Instant;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::connect::{OpenRequest, Opened, cell, within};
use crate::error::ConnectError;
use crate::session::{Path, Pooling, SessionSettings};

/// Opens a first connection and finds out what it goes through.
///
/// PostgreSQL takes a setting with a dot in its name for an extension's and keeps it. A transaction pooler refuses it, or
/// drops it when it is told to ignore `options`.
pub(crate) async fn find(
    request: OpenRequest<'_>,
    pooling: Pooling,
    settings: &SessionSettings,
    deadline: Instant,
) -> Result<(Opened, Path), ConnectError> {
    match pooling {
        Pooling::Direct => {
            let options = settings.startup_options(request.options);
            let opened = direct(request, settings, &options).open(deadline).await?;
            Ok((opened, Path::Direct))
        }
        Pooling::TransactionPooler => through_pooler(request.open(deadline).await?, deadline).await,
        Pooling::Auto => {
            let token = format!("{:016x}", fastrand::u64(..));
            let probing = format!("-c pgprime.probe={token} {}", settings.startup_options(request.options));
            let opened = match direct(request, settings, probing.trim_end()).open(deadline).await {
                Ok(opened) => opened,
                Err(error) if refuses_options(&error) => {
                    return through_pooler(request.open(deadline).await?, deadline).await;
                }
                Err(error) => return Err(error),
            };
            match within(&opened.server.target, deadline, has_probe(&opened.client, &token)).await? {
                true => Ok((opened, Path::Direct)),
                false => through_pooler(opened, deadline).await,
            }
        }
    }
}

/// The same request with the startup options of a session of one's own.
pub(crate) fn direct<'a>(
    request: OpenRequest<'a>,
    settings: &SessionSettings,
    options: &'a str,
) -> OpenRequest<'a> {
    let options = (!options.is_empty()).then_some(options);
    OpenRequest { options, sets_read_only: settings.read_only, ..request }
}

async fn through_pooler(opened: Opened, deadline: Instant) -> Result<(Opened, Path), ConnectError> {
    let found = within(&opened.server.target, deadline, has_named_statements(&opened.client)).await;
    let named_statements = found.map_err(|error| explain_statement_pooling(error, &opened.server.target))?;
    Ok((opened, Path::TransactionPooler { named_statements }))
}

/// A protocol violation, in the words of PgBouncer and of everybody who speaks like it.
fn refuses_options(error: &ConnectError) -> bool {
    let (ConnectError::Rejected { reason, sqlstate, .. }
    | ConnectError::Unavailable { reason, sqlstate, .. }) = error
    else {
        return false;
    };
    sqlstate == SqlState::PROTOCOL_VIOLATION.code()
        && (reason.contains("options")
            || reason.contains("startup parameter")
            || reason.contains("pgprime.probe"))
}

async fn has_probe(client: &Client, token: &str) -> Result<bool, tokio_postgres::Error> {
    let rows = client
        .simple_query("SELECT /* pgprime */ pg_catalog.current_setting('pgprime.probe', true), 'pgprime'")
        .await?;
    Ok(rows.iter().find_map(|row| cell(row, 0)) == Some(token))
}

/// Whether a statement prepared here has another name in the database: then the pooler keeps account of names, and makes
/// a statement known to whichever session runs it. A pooler that passes names on as they are would run, in another
/// session, whatever another process has prepared by that name.
async fn has_named_statements(client: &Client) -> Result<bool, tokio_postgres::Error> {
    client.batch_execute("BEGIN").await?;
    let outcome = is_renamed(client).await;
    let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
    client.batch_execute(end).await?;
    match outcome {
        Err(error) if matches!(error.code(), Some(code) if is_about_statements(code)) => Ok(false),
        outcome => outcome,
    }
}

async fn is_renamed(client: &Client) -> Result<bool, tokio_postgres::Error> {
    let text = format!("SELECT /* pgprime {:016x} */ 1, 'pgprime'", fastrand::u64(..));
    let statement = client.prepare(&text).await?;
    let look_up = format!(
        "SELECT /* pgprime */ name FROM pg_catalog.pg_prepared_statements WHERE statement = '{}'",
        text.replace('\'', "''")
    );
    let rows = client.simple_query(&look_up).await;
    // Closed within the transaction, so that it does not stay in a session that others use.
    drop(statement);
    let is_drivers = |name: &str| {
        name.strip_prefix('s').is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    Ok(rows?.iter().find_map(|row| cell(row, 0)).is_some_and(|name| !is_drivers(name)))
}

fn is_about_statements(code: &SqlState) -> bool {
    *code == SqlState::DUPLICATE_PSTATEMENT || *code == SqlState::INVALID_SQL_STATEMENT_NAME
}

/// Statement pooling refuses BEGIN: no transaction could be run there.
fn explain_statement_pooling(error: ConnectError, target: &str) -> ConnectError {
    match error {
        ConnectError::Rejected { reason, sqlstate, .. } => ConnectError::Rejected {
            target: target.to_owned(),
            reason: format!("{reason}; a pooler in between must pool by session or by transaction"),
            sqlstate,
        },
        other => other,
    }
}
