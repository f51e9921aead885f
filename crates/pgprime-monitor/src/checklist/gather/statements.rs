//! What statements did, from pg_stat_statements.

use pgprime_advisor::history::StatementTotals;
use pgprime_advisor::indexes;
use pgprime_advisor::slow::{self, Period, ReportOptions, SlowError, Snapshot};
use pgprime_advisor::sql;
use pgprime_planner::observe::Statements;
use tokio_postgres::Client;

use super::error::GatherError;
use crate::checklist::evidence::{Statement, StatementKind, Workload};
use crate::checklist::words::shortened;
use crate::health::{Missing, Section};

/// Statements that are looked at, those with the most time first.
const STATEMENTS_MAX: usize = 5_000;

/// What statements did, for the items and for the advisor.
pub(super) struct Found {
    pub(super) workload: Section<Workload>,
    pub(super) weights: Section<indexes::Workload>,
}

pub(super) async fn read(client: &Client, measured: Option<&Statements>) -> Result<Found, GatherError> {
    let snapshot = match slow::snapshot(client).await {
        Ok(snapshot) => snapshot,
        Err(error) if error.is_connection_lost() => {
            return Err(GatherError::Lost { reason: error.to_string() });
        }
        Err(error) => {
            let missing = unseen(error);
            return Ok(Found { workload: Err(missing.clone()), weights: Err(missing) });
        }
    };
    let period = slow::since_reset(&snapshot);
    let weights = indexes::Workload::from_period(&period, snapshot.server.database_oid);
    Ok(Found { workload: Ok(workload(&snapshot, &period, measured)), weights: Ok(weights) })
}

fn unseen(error: SlowError) -> Missing {
    let what = "what statements do".to_owned();
    match error {
        SlowError::NotMeasured { missing } => Missing {
            what,
            why: missing.iter().map(|missing| missing.why.as_str()).collect::<Vec<_>>().join("; "),
            statement: missing.iter().find_map(|missing| missing.statement.clone()),
        },
        error => Missing { what, why: error.to_string(), statement: None },
    }
}

fn workload(snapshot: &Snapshot, period: &Period, measured: Option<&Statements>) -> Workload {
    let coverage = &period.totals.coverage;
    let is_wanted = |statement: &&StatementTotals| {
        let identity = &statement.identity;
        identity.key.database_oid == snapshot.server.database_oid
            && identity.key.toplevel
            && statement.counters.calls > 0.0
            && identity.text.as_deref().is_some_and(|text| !slow::is_own(text))
    };
    let mut totals: Vec<&StatementTotals> = period.totals.statements.iter().filter(is_wanted).collect();
    totals.sort_by(|a, b| b.counters.exec_ms.total_cmp(&a.counters.exec_ms));
    totals.truncate(STATEMENTS_MAX);
    let block_bytes = snapshot.server.block_bytes as f64;
    Workload {
        seconds: coverage.end.duration_since(coverage.start).as_secs_f64(),
        statements: totals.into_iter().map(|totals| statement(totals, block_bytes)).collect(),
        hidden: snapshot.hidden.statements,
        counts_planning: snapshot.tracking.has_planning,
        read_time_share: measured.and_then(|statements| statements.read_time_share),
        busy_connections_mean: measured.map_or(0.0, |statements| statements.busy_connections_mean),
        repeated: repeated(snapshot, period),
    }
}

fn statement(totals: &StatementTotals, block_bytes: f64) -> Statement {
    let text = totals.identity.text.as_deref().unwrap_or_default();
    let counters = &totals.counters;
    Statement {
        query_id: totals.identity.key.query_id.to_string(),
        kind: kind(text),
        text: text.split_whitespace().collect::<Vec<_>>().join(" "),
        calls: counters.calls,
        plans: counters.plans,
        exec_ms: counters.exec_ms,
        rows: counters.rows,
        blocks: counters.shared_hit_blocks + counters.shared_read_blocks,
        temp_bytes: counters.temp_written_blocks * block_bytes,
    }
}

/// By its parse tree, or by its first word where it cannot be parsed, as with lists that the server has shortened.
fn kind(text: &str) -> StatementKind {
    let Ok(statement) = sql::Statement::parse(text) else {
        return match text.split_whitespace().next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "select" | "values" => StatementKind::Read,
            "insert" => StatementKind::Insert,
            "update" | "delete" | "merge" | "with" => StatementKind::Write,
            _ => StatementKind::Other,
        };
    };
    match statement.kind() {
        sql::StatementKind::Read => StatementKind::Read,
        sql::StatementKind::Write { command: "INSERT" } => StatementKind::Insert,
        sql::StatementKind::Write { .. } | sql::StatementKind::Locking => StatementKind::Write,
        sql::StatementKind::Explain | sql::StatementKind::Utility { .. } => StatementKind::Other,
    }
}

/// The weightiest hint at a loop.
fn repeated(snapshot: &Snapshot, period: &Period) -> Option<String> {
    let report = slow::report(snapshot, period, &ReportOptions::default());
    let hint = report.repeats.first()?;
    Some(format!(
        "{} ran {} times, as often as this returned rows: {}",
        shortened(&hint.text),
        hint.calls,
        shortened(&hint.parent_text)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_apart() {
        for (text, expected) in [
            ("SELECT * FROM t WHERE id = $1", StatementKind::Read),
            ("WITH a AS (SELECT 1) SELECT * FROM a", StatementKind::Read),
            ("WITH a AS (INSERT INTO t VALUES ($1) RETURNING 1) SELECT * FROM a", StatementKind::Insert),
            ("INSERT INTO t VALUES ($1)", StatementKind::Insert),
            ("UPDATE t SET a = $1", StatementKind::Write),
            ("SELECT * FROM t FOR UPDATE", StatementKind::Write),
            ("VACUUM t", StatementKind::Other),
            ("COPY t FROM STDIN", StatementKind::Other),
            ("SELECT FROM WHERE", StatementKind::Read),
            ("", StatementKind::Other),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }
}
