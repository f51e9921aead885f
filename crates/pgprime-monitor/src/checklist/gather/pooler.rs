//! What the pooler in front shows of itself and of its clients.

use std::time::Duration;

use pgprime_advisor::slow;
use tokio::time::timeout;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::options::GatherOptions;
use crate::checklist::evidence::Pooling;
use crate::health::{Missing, Section};
use crate::pooler::{PoolerKind, read_console};

/// A console that does not answer is given up after this.
const ANSWER_MAX: Duration = Duration::from_secs(5);

pub(super) async fn read(options: &GatherOptions<'_>) -> Option<Section<Pooling>> {
    let Some(console) = options.console else {
        let report = options.pooler.clone()?;
        return Some(Ok(Pooling { report, parses: None, binds: None, repeats: None }));
    };
    let report = match read_console(console).await {
        Ok(report) => report,
        Err(error) => {
            let missing = Missing { what: "the pooler".to_owned(), why: error.to_string(), statement: None };
            return Some(Err(missing));
        }
    };
    let stats = stats(console).await;
    let sum = |name: &str| {
        let values = stats.iter().filter_map(|row| row.try_get(name).ok().flatten()?.parse::<u64>().ok());
        values.reduce(u64::saturating_add)
    };
    let repeats = match report.kind {
        PoolerKind::Pgprime => {
            let statements = timeout(ANSWER_MAX, slow::pooler_statements(console)).await;
            statements.ok().and_then(Result::ok).map(|statements| statements.repeats)
        }
        PoolerKind::Pgbouncer => None,
    };
    let (parses, binds) = (sum("total_client_parse_count"), sum("total_bind_count"));
    Some(Ok(Pooling { report, parses, binds, repeats }))
}

async fn stats(console: &Client) -> Vec<SimpleQueryRow> {
    let answer = timeout(ANSWER_MAX, console.simple_query("SHOW STATS")).await;
    let row = |message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    };
    answer.ok().and_then(Result::ok).unwrap_or_default().into_iter().filter_map(row).collect()
}
