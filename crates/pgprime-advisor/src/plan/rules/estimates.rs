//! Expectations of the planner that were wrong.

use super::context::{Context, Found, table};
use crate::plan::figures::{Direction, EstimateError};
use crate::plan::finding::{Severity, Unit};
use crate::plan::format;
use crate::plan::kind::Kind;
use crate::plan::model::{ConditionKind, Node};

/// With fewer rows a wrong expectation leads to nothing.
const ROWS_MIN: f64 = 1000.0;

pub(super) fn far_off(context: &Context<'_>) -> Vec<Found> {
    const FACTOR_MIN: f64 = 10.0;
    let mut found = Vec::new();
    for (node, actual) in context.executed() {
        let (Some(error), Some(estimate)) = (node.figures.estimate_error, node.estimate) else { continue };
        let rows = actual.rows_total().max(estimate.rows * actual.loops);
        // What came with the inputs began there.
        let own = error.factor / inherited(node, error.direction);
        if own < FACTOR_MIN || rows < ROWS_MIN || is_stale(node) {
            continue;
        }
        let word = if error.direction == Direction::Underestimated { "more" } else { "fewer" };
        let text = format!(
            "{} rows were expected and {} came, {}× {word}",
            format::number(estimate.rows),
            format::number(actual.rows),
            format::number(error.factor)
        );
        found.push(
            Found::at(context, node, text)
                .severity(severity(error))
                .number("rows_expected", estimate.rows, Unit::Rows)
                .number("rows_actual", actual.rows, Unit::Rows)
                .number("factor", error.factor, Unit::Factor)
                .advise(advice(node))
                .statement(statement(node)),
        );
    }
    found
}

/// The factor that the inputs are off by in the same direction.
fn inherited(node: &Node, direction: Direction) -> f64 {
    let errors = node.inputs().filter_map(|input| input.figures.estimate_error);
    errors.filter(|error| error.direction == direction).map(|error| error.factor).product()
}

fn severity(error: EstimateError) -> Severity {
    match error.factor {
        factor if factor >= 1000.0 => Severity::Critical,
        factor if factor >= 100.0 => Severity::Major,
        _ => Severity::Minor,
    }
}

fn advice(node: &Node) -> &'static str {
    let is_scan = node.kind.is_table_scan() || node.kind == Kind::BitmapIndexScan;
    let filter = node.condition(ConditionKind::Filter).or(node.condition(ConditionKind::IndexCond));
    match filter {
        Some(text) if is_scan && text.contains(" AND ") => {
            "Run ANALYZE. If it stays so, the columns depend on each other: tell the planner by \
                CREATE STATISTICS on them."
        }
        _ if is_scan => {
            "Run ANALYZE; for uneven values raise the column's statistics target (ALTER TABLE … \
                ALTER COLUMN … SET STATISTICS 1000)."
        }
        _ if node.kind.is_join() => {
            "The planner knows nothing of how the tables' values go together. Check the inputs' \
                estimates, and simplify what is joined by."
        }
        _ => {
            "Functions and grouping hide the values from the planner: a plain column, statistics on \
                the expression or ROWS of the function help."
        }
    }
}

fn statement(node: &Node) -> Option<String> {
    let table = table(node)?;
    let columns: Vec<&str> = {
        let filter = super::context::filter_comparisons(node);
        let bare =
            filter.iter().filter_map(|comparison| crate::plan::condition::bare_column(comparison.left));
        let mut columns: Vec<&str> = bare.collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    };
    Some(match columns.len() {
        // Statistics hold at most eight columns.
        2..=8 => format!("CREATE STATISTICS ON {} FROM {table}; ANALYZE {table};", columns.join(", ")),
        _ => format!("ANALYZE {table};"),
    })
}

pub(super) fn stale(context: &Context<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (node, actual) in context.executed().filter(|(node, _)| is_stale(node)) {
        let (Some(estimate), Some(error)) = (node.estimate, node.figures.estimate_error) else { continue };
        let text = format!(
            "{} rows were expected of the whole table and {} came",
            format::number(estimate.rows),
            format::number(actual.rows)
        );
        found.push(
            Found::at(context, node, text)
                .number("rows_expected", estimate.rows, Unit::Rows)
                .number("rows_actual", actual.rows, Unit::Rows)
                .number("factor", error.factor, Unit::Factor)
                .advise(
                    "No condition can be the reason: the statistics are out of date. Run \
                    ANALYZE, and see why autovacuum has not.",
                )
                .statement(table(node).map(|table| format!("ANALYZE {table};"))),
        );
    }
    found
}

/// Whether a scan without any condition brought another number of rows than the table should have.
fn is_stale(node: &Node) -> bool {
    /// The number of rows goes with the table's size, so that it is close as long as rows are as before.
    const FACTOR_MIN: f64 = 3.0;
    let (Some(error), Some(actual), Some(estimate)) =
        (node.figures.estimate_error, node.executed(), node.estimate)
    else {
        return false;
    };
    node.kind == Kind::SeqScan
        && node.conditions.is_empty()
        && error.factor >= FACTOR_MIN
        && actual.rows.max(estimate.rows) >= ROWS_MIN
}
