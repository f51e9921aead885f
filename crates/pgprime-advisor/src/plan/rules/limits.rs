//! LIMIT and OFFSET.

use super::context::{Context, Found, index_columns, table};
use crate::plan::finding::Unit;
use crate::plan::format;
use crate::plan::kind::Kind;
use crate::plan::model::Node;

const ROWS_MIN: f64 = 1000.0;

pub(super) fn large_offset(context: &Context<'_>) -> Vec<Found> {
    const SKIPPED_PER_KEPT_MIN: f64 = 10.0;
    let mut found = Vec::new();
    for node in context.nodes().filter(|node| node.kind == Kind::Limit) {
        let Some((skipped, kept)) = node.outer().and_then(|input| skipped(node, input)) else { continue };
        if skipped < ROWS_MIN || skipped < SKIPPED_PER_KEPT_MIN * kept {
            continue;
        }
        let text = format!(
            "reads {} rows only to skip them, for {} wanted",
            format::number(skipped),
            format::number(kept)
        );
        found.push(
            Found::at(context, node, text)
                .number("rows_skipped", skipped, Unit::Rows)
                .number("rows_kept", kept, Unit::Rows)
                .advise(
                    "Go on from the last row seen instead of counting: WHERE (order columns) > (last values) ORDER BY \
                     order columns LIMIT n, with an index on the order columns.",
                ),
        );
    }
    found
}

/// Rows that OFFSET skips, and those handed out.
fn skipped(node: &Node, input: &Node) -> Option<(f64, f64)> {
    if let (Some(actual), Some(below)) = (node.executed(), input.executed()) {
        // A LIMIT asks for no row beyond its last.
        return Some(((below.rows_total() - actual.rows_total()).max(0.0), actual.rows_total()));
    }
    if node.actual.is_some() {
        return None;
    }
    let (estimate, below) = (node.estimate?, input.estimate?);
    let span = below.total_cost - below.startup_cost;
    let part = if span > 0.0 { (estimate.startup_cost - below.startup_cost) / span } else { 0.0 };
    Some(((below.rows * part).round().max(0.0), estimate.rows))
}

pub(super) fn order_by_limit(context: &Context<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (node, actual) in context.executed().filter(|(node, _)| is_order_by_limit(context, node)) {
        let (kept, removed) = (actual.rows_total(), node.rows_removed.filter * actual.loops);
        let index = node.index.clone().unwrap_or_default();
        let text = format!(
            "follows {index} for its order and throws {} rows away to find {}",
            format::number(removed),
            format::number(kept)
        );
        let columns = index_columns(node);
        let statement = table(node)
            .filter(|_| !columns.is_empty())
            .map(|table| format!("CREATE INDEX CONCURRENTLY ON {table} ({});", columns.join(", ")));
        found.push(
            Found::at(context, node, text)
                .number("rows_removed", removed, Unit::Rows)
                .number("rows_kept", kept, Unit::Rows)
                .number("share", node.figures.total_share, Unit::Share)
                .advise(
                    "The planner hoped to meet enough rows early. An index on the filter's columns, followed by those of \
                     ORDER BY, serves both; or keep the planner from it with ORDER BY (column + 0) or a materialized CTE.",
                )
                .statement(statement),
        );
    }
    found
}

/// Whether an index scan below a LIMIT gives the order and throws most of its rows away.
pub(super) fn is_order_by_limit(context: &Context<'_>, node: &Node) -> bool {
    const REMOVED_PER_KEPT_MIN: f64 = 100.0;
    let Some(actual) = node.executed().filter(|_| node.kind.is_index_scan()) else { return false };
    let removed = node.rows_removed.filter * actual.loops;
    if removed < ROWS_MIN || removed < REMOVED_PER_KEPT_MIN * actual.rows_total() {
        return false;
    }
    let passes =
        |above: &&Node| !above.kind.is_blocking() && above.kind != Kind::Aggregate && !above.is_aside();
    context.above(node).take_while(passes).any(|above| above.kind == Kind::Limit)
}
