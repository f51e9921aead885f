//! Where the plan is from: a database, or whoever has copied it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use pgprime_advisor::explain::{
    Execution, ExplainError, ExplainRequest, Explained, Limits, Superuser, explain, statement_text,
};
use pgprime_advisor::indexes::{self, Advice, AdviceOptions};
use pgprime_advisor::plan::limits::TEXT_BYTES_MAX;
use pgprime_advisor::slow::PoolerCapture;
use pgprime_advisor::sql::Statement;
use pgprime_client::Connected;

use super::options::Arguments;
use crate::database::{self, Unreachable};
use crate::pooler_console;

/// Somebody waits for the plan.
const ADVICE_TIME_MAX: Duration = Duration::from_secs(10);

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

/// Asks the database for the plan of the statement, and for indexes that would help.
pub(super) fn ask(arguments: &Arguments) -> anyhow::Result<(Explained, Option<Advice>)> {
    // What is wrong with a statement is said before a database is asked for anything.
    let statement = arguments.statement.as_deref().map(parse).transpose()?;
    database::block_on(async {
        let connected = database::connect(arguments.database_url()).await?;
        let explained = explain_on(&connected, statement, arguments).await;
        let explained = explained.map_err(|error| in_context(error, &connected))?;
        let indexes = indexes_on(&connected, &explained).await?;
        Ok((explained, indexes))
    })
}

/// Indexes that would help with the values that the plan is for. Where that cannot be told the plan is still worth showing.
async fn indexes_on(connected: &Connected, explained: &Explained) -> anyhow::Result<Option<Advice>> {
    let values: Vec<Option<String>> =
        explained.parameters.values.iter().map(|parameter| parameter.value.clone()).collect();
    let options = AdviceOptions { time_max: ADVICE_TIME_MAX, ..AdviceOptions::default() };
    match indexes::for_statement(&connected.client, &explained.statement, &values, &options).await {
        Ok(advice) => Ok(Some(advice)),
        Err(error) if error.is_connection_lost() => Err(Unreachable::lost(connected, &error).into()),
        Err(error) => {
            eprintln!("pgprime: no advice on indexes: {error}");
            Ok(None)
        }
    }
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
    let captured = match arguments.pooler_url().filter(|_| arguments.params.is_empty()) {
        Some(url) => captured(url, &statement).await?,
        None => Vec::new(),
    };
    let request = ExplainRequest {
        parameters: arguments.parameters(),
        captured,
        execution: if arguments.execute { Execution::Execute } else { Execution::PlanOnly },
        superuser: if arguments.as_superuser { Superuser::Allowed } else { Superuser::Refused },
        limits,
        ..ExplainRequest::new(statement)
    };
    Ok(explain(&connected.client, &request).await?)
}

/// Values that a pooler has captured of this statement, the latest first.
async fn captured(url: &str, statement: &Statement) -> anyhow::Result<Vec<Vec<Option<String>>>> {
    let captures = pooler_console::captures(url).await?;
    let is_it = |capture: &PoolerCapture| {
        Statement::parse(&capture.text).is_ok_and(|known| known.fingerprint() == statement.fingerprint())
    };
    // Behind the parameters come constants, which are parameters of pg_stat_statements' text only.
    let needed = |mut values: Vec<Option<String>>| {
        values.truncate(statement.parameters());
        values
    };
    Ok(captures.into_iter().filter(is_it).map(|capture| needed(capture.parameters)).collect())
}

/// A connection that is lost meanwhile is a database out of reach.
fn in_context(error: anyhow::Error, connected: &Connected) -> anyhow::Error {
    match error.downcast_ref::<ExplainError>() {
        Some(lost) if lost.is_connection() => Unreachable::lost(connected, lost).into(),
        Some(_) => error.context("the statement cannot be analyzed"),
        None => error,
    }
}
