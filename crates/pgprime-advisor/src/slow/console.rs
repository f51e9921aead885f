//! Reading what a pooler has measured from its console.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::pooler::{PoolerCapture, PoolerFigures, PoolerRepeat, PoolerStatement, PoolerStatements};

/// What a pooler cannot tell.
#[derive(Debug, thiserror::Error)]
#[error("the pooler's console does not answer {command}: {source}")]
pub struct ConsoleError {
    command: &'static str,
    source: tokio_postgres::Error,
}

/// What a pgprime pooler has measured, over a connection to its console (the database `pgbouncer`).
///
/// # Errors
/// When the console does not know the commands, as PgBouncer's does not, or the connection is lost.
pub async fn pooler_statements(console: &Client) -> Result<PoolerStatements, ConsoleError> {
    let statements = rows(console, "SHOW STATEMENTS").await?;
    let repeats = rows(console, "SHOW REPEATS").await?;
    Ok(PoolerStatements {
        since: statements.first().and_then(|row| moment(row.try_get("since").ok()??)),
        statements: statements.iter().map(statement).collect(),
        repeats: repeats.iter().map(repeat).collect(),
    })
}

/// The parameters of slow executions that a pgprime pooler has captured whole, the latest first.
///
/// # Errors
/// When the user is no administrator of the pooler, or as [`pooler_statements`].
pub async fn pooler_captures(console: &Client) -> Result<Vec<PoolerCapture>, ConsoleError> {
    let rows = rows(console, "SHOW PARAMETERS").await?;
    let whole = rows.iter().filter(|row| number(row, "complete") == 1);
    let capture = |row: &SimpleQueryRow| {
        let parameters = serde_json::from_str(&text(row, "parameters")).ok()?;
        Some(PoolerCapture { text: text(row, "query"), database: text(row, "database"), parameters })
    };
    Ok(whole.filter_map(capture).collect())
}

async fn rows(console: &Client, command: &'static str) -> Result<Vec<SimpleQueryRow>, ConsoleError> {
    let answer = console.simple_query(command).await;
    let messages = answer.map_err(|source| ConsoleError { command, source })?;
    let row = |message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    };
    Ok(messages.into_iter().filter_map(row).collect())
}

fn statement(row: &SimpleQueryRow) -> PoolerStatement {
    let names = text(row, "application_names");
    PoolerStatement {
        text: text(row, "query"),
        database: text(row, "database"),
        role: text(row, "user"),
        figures: PoolerFigures {
            calls: number(row, "calls"),
            exec_ms_p50: milliseconds(row, "exec_us_p50"),
            exec_ms_p95: milliseconds(row, "exec_us_p95"),
            exec_ms_p99: milliseconds(row, "exec_us_p99"),
            exec_ms_max: milliseconds(row, "exec_us_max"),
            waited: number(row, "waited"),
            wait_ms_mean: milliseconds(row, "wait_us_mean"),
            wait_ms_p99: milliseconds(row, "wait_us_p99"),
            errors: number(row, "errors"),
            application_names: names.split(", ").filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        },
    }
}

fn repeat(row: &SimpleQueryRow) -> PoolerRepeat {
    PoolerRepeat {
        text: text(row, "query"),
        parent_text: row.try_get("query_before").ok().flatten().map(str::to_owned),
        database: text(row, "database"),
        role: text(row, "user"),
        bursts: number(row, "bursts"),
        longest: number(row, "longest"),
        executions: number(row, "executions"),
        exec_ms: milliseconds(row, "exec_us_total"),
    }
}

fn text(row: &SimpleQueryRow, column: &str) -> String {
    row.try_get(column).ok().flatten().unwrap_or_default().to_owned()
}

fn number(row: &SimpleQueryRow, column: &str) -> u64 {
    row.try_get(column).ok().flatten().and_then(|value| value.parse().ok()).unwrap_or(0)
}

fn milliseconds(row: &SimpleQueryRow, column: &str) -> f64 {
    number(row, column) as f64 / 1e3
}

/// `2026-01-31 23:59:59 UTC`
fn moment(text: &str) -> Option<Timestamp> {
    let time: DateTime = text.strip_suffix(" UTC")?.parse().ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_the_console() {
        let expected: Timestamp = "2026-01-31T23:59:59Z".parse().expect("a moment");
        assert_eq!(moment("2026-01-31 23:59:59 UTC"), Some(expected));
        assert_eq!((moment(""), moment("never UTC")), (None, None));
    }
}
