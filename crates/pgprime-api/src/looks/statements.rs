//! What the built-in pooler knows of statements and the database does not.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use pgprime_advisor::slow::{PoolerFigures, PoolerRepeat, PoolerStatement, PoolerStatements};
use pgprime_pooler::core::{RepeatRow, StatementRow};
use pgprime_pooler::{Handle, Repeats, Statements};

/// Times and repeats of statements as clients met them.
pub(crate) async fn pooler_statements(pooler: &Handle) -> PoolerStatements {
    let Statements { since, rows } = pooler.statements().await;
    let repeats: Repeats = pooler.repeats().await;
    PoolerStatements {
        since: since.and_then(moment),
        statements: rows.into_iter().map(statement).collect(),
        repeats: repeats.rows.into_iter().map(repeat).collect(),
    }
}

/// A moment of this process's clock by the calendar.
pub(crate) fn moment(at: Instant) -> Option<Timestamp> {
    let age = SignedDuration::try_from(at.elapsed()).ok()?;
    Timestamp::now().checked_sub(age).ok()
}

fn statement(row: StatementRow) -> PoolerStatement {
    let measured = &row.measured;
    let quantile = |share: f64| milliseconds(measured.exec_us_quantile(share));
    let figures = PoolerFigures {
        calls: measured.calls(),
        exec_ms_p50: quantile(0.5),
        exec_ms_p95: quantile(0.95),
        exec_ms_p99: quantile(0.99),
        exec_ms_max: milliseconds(measured.exec_us_max()),
        waited: measured.waited(),
        wait_ms_mean: milliseconds(measured.wait_us_mean()),
        wait_ms_p99: milliseconds(measured.wait_us_quantile(0.99)),
        errors: measured.errors(),
        application_names: row.application_names,
    };
    PoolerStatement { text: row.text, database: row.database, role: row.user, figures }
}

fn repeat(row: RepeatRow) -> PoolerRepeat {
    PoolerRepeat {
        text: row.text,
        parent_text: row.parent,
        database: row.database,
        role: row.user,
        bursts: row.bursts,
        longest: row.longest,
        executions: row.executions,
        exec_ms: milliseconds(row.exec_us),
    }
}

fn milliseconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e3
}
