//! What is measured of statements: tables of our own, beside PgBouncer's. Times are in microseconds.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::table::{Cell, Table, Type, row};
use super::time::timestamp;
use crate::context::Context;
use crate::core::{Measured, MeasuredPage, MeasuredPart};
use crate::status::{self, Repeats, Statements};

use Type::{Big, Int, Text};

/// The columns of what is measured of anything.
const FIGURES: [(&str, Type); 12] = [
    ("calls", Big),
    ("errors", Big),
    ("exec_us_total", Big),
    ("exec_us_mean", Big),
    ("exec_us_p50", Big),
    ("exec_us_p95", Big),
    ("exec_us_p99", Big),
    ("exec_us_max", Big),
    ("waited", Big),
    ("wait_us_mean", Big),
    ("wait_us_p99", Big),
    ("since", Text),
];
fn figures(measured: &Measured, since: &str) -> Vec<Cell> {
    row![
        measured.calls(),
        measured.errors(),
        measured.exec_us(),
        measured.exec_us_mean(),
        measured.exec_us_quantile(0.5),
        measured.exec_us_quantile(0.95),
        measured.exec_us_quantile(0.99),
        measured.exec_us_max(),
        measured.waited(),
        measured.wait_us_mean(),
        measured.wait_us_quantile(0.99),
        since,
    ]
}

/// SHOW STATEMENTS
pub(super) async fn statements(context: &Context) -> Table {
    let Statements { since, rows } = status::statements(context).await;
    let since = since.map(moment).unwrap_or_default();
    let mut columns = vec![("database", Text), ("user", Text), ("query", Text)];
    columns.extend(FIGURES);
    columns.push(("application_names", Text));
    let mut table = Table::new(&columns);
    for row in rows {
        let mut cells: Vec<Cell> = row![row.database, row.user, row.text];
        cells.extend(figures(&row.measured, &since));
        cells.push(Cell::from(row.application_names.join(", ")));
        table.push(cells);
    }
    table
}

/// SHOW APPLICATIONS
pub(super) async fn applications(context: &Context) -> Table {
    by_name("application_name", context.measured(MeasuredPart::Applications).await)
}

/// SHOW USER_STATISTICS
pub(super) async fn users(context: &Context) -> Table {
    by_name("user", context.measured(MeasuredPart::Users).await)
}

fn by_name(column: &'static str, pages: Vec<MeasuredPage>) -> Table {
    let since = status::since(&pages).map(moment).unwrap_or_default();
    let mut merged: BTreeMap<String, Measured> = BTreeMap::new();
    for row in pages.into_iter().flat_map(|page| page.names) {
        merged.entry(row.name).or_default().add(&row.measured);
    }
    let mut rows: Vec<(String, Measured)> = merged.into_iter().collect();
    rows.sort_by_key(|(_, measured)| std::cmp::Reverse(measured.exec_us()));
    let mut columns = vec![(column, Text)];
    columns.extend(FIGURES);
    let mut table = Table::new(&columns);
    for (name, measured) in rows {
        let mut cells: Vec<Cell> = row![name];
        cells.extend(figures(&measured, &since));
        table.push(cells);
    }
    table
}

/// SHOW REPEATS
pub(super) async fn repeats(context: &Context) -> Table {
    let Repeats { since, rows } = status::repeats(context).await;
    let since = since.map(moment).unwrap_or_default();
    let mut table = Table::new(&[
        ("database", Text),
        ("user", Text),
        ("query", Text),
        ("query_before", Text),
        ("bursts", Big),
        ("longest", Big),
        ("executions", Big),
        ("exec_us_total", Big),
        ("since", Text),
    ]);
    for row in rows {
        table.push(row![
            row.database,
            row.user,
            row.text,
            row.parent,
            row.bursts,
            row.longest,
            row.executions,
            row.exec_us,
            since.as_str(),
        ]);
    }
    table
}

/// SHOW PARAMETERS, for administrators.
pub(super) async fn parameters(context: &Context) -> Table {
    let pages = context.measured(MeasuredPart::Captured).await;
    let mut rows: Vec<_> = pages.into_iter().flat_map(|page| page.captured).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.at));
    let mut table = Table::new(&[
        ("database", Text),
        ("user", Text),
        ("query", Text),
        ("captured_at", Text),
        ("exec_us", Big),
        ("complete", Int),
        ("parameters", Text),
    ]);
    for row in rows {
        table.push(row![
            row.database,
            row.user,
            row.text,
            moment(row.at),
            row.exec_us,
            u32::from(row.is_complete),
            row.parameters,
        ]);
    }
    table
}

fn moment(at: Instant) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    timestamp(now.saturating_sub(at.elapsed()))
}
