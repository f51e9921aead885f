//! Where the plan is from: a database, or whoever has copied it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use pgprime_advisor::explain::{
    Execution, ExplainError, ExplainRequest, Explained, Limits, Superuser, explain, statement_text,
};
use pgprime_advisor::plan::limits::TEXT_BYTES_MAX;
use pgprime_advisor::sql::Statement;
use pgprime_client::Connected;

use super::options::Arguments;
use crate::database::{self, Unreachable};

/// Reads a plan that somebody has copied. One byte more than is taken is enough to refuse it.
pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    let mut text = Vec::new();
    let limit = TEXT_BYTES_MAX as u64 + 1;
    let outcome = match path.to_str() {
        Some("-") => io::stdin().lock().take(limit).read_to_end(&mut text),
        _ => File::open(path).and_then(|file| file.take(limit).read_to_end(&mut text)),
    };
    outcome.with_context(|| format!("cannot read the plan in {}", path.display()))?;
    String::from_utf8(text).with_context(|| format!("{} is not text in UTF-8", path.display()))
}

/// Asks the database for the plan of the statement.
pub(super) fn ask(arguments: &Arguments) -> anyhow::Result<Explained> {
    // What is wrong with a statement is said before a database is asked for anything.
    let statement = arguments.statement.as_deref().map(parse).transpose()?;
    database::block_on(async {
        let connected = database::connect(arguments.database_url()).await?;
        explain_on(&connected, statement, arguments).await.map_err(|error| in_context(error, &connected))
    })
}

fn parse(text: &str) -> anyhow::Result<Statement> {
    Statement::parse(text).context("the statement cannot be analyzed")
}

async fn explain_on(
    connected: &Connected,
    statement: Option<Statement>,
    arguments: &Arguments,
) -> anyhow::Result<Explained> {
    let limits =
        Limits { statement_timeout: Duration::from_millis(arguments.timeout_ms.into()), ..Limits::default() };
    let statement = match (statement, arguments.query_id) {
        (Some(statement), _) => statement,
        (None, Some(query_id)) => parse(&statement_text(&connected.client, query_id, limits).await?)?,
        (None, None) => anyhow::bail!("a statement, --query-id or --plan is needed"),
    };
    let request = ExplainRequest {
        parameters: arguments.parameters(),
        execution: if arguments.execute { Execution::Execute } else { Execution::PlanOnly },
        superuser: if arguments.as_superuser { Superuser::Allowed } else { Superuser::Refused },
        limits,
        ..ExplainRequest::new(statement)
    };
    Ok(explain(&connected.client, &request).await?)
}

/// A connection that is lost meanwhile is a database out of reach.
fn in_context(error: anyhow::Error, connected: &Connected) -> anyhow::Error {
    match error.downcast_ref::<ExplainError>() {
        Some(lost) if lost.is_connection() => Unreachable::lost(connected, lost).into(),
        Some(_) => error.context("the statement cannot be analyzed"),
        None => error,
    }
}
