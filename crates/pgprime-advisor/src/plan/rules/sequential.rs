//! Sequential scans.

use super::context::{Context, Found, index_columns, is_selective, loops, rows_read, table};
use crate::plan::finding::Unit;
use crate::plan::format;
use crate::plan::kind::Kind;
use crate::plan::model::{Actual, Node, Relationship};

/// Reading a small table this often costs as much as a large one once.
const LOOPS_MIN: f64 = 10.0;
/// A smaller table fits into few blocks, and an index on it is no shorter way.
const LOOP_ROWS_MIN: f64 = 100.0;
const ROWS_MIN: f64 = 10_000.0;
/// What the planner counts for a table of about a hundred blocks.
const COST_MIN: f64 = 100.0;

pub(super) fn selective_filter(context: &Context<'_>) -> Vec<Found> {
    let selective = context.nodes().filter(|node| is_selective(node) && !is_in_loop(context, node));
    selective.map(|node| selective_found(context, node)).collect()
}

fn selective_found(context: &Context<'_>, node: &Node) -> Found {
    let columns = index_columns(node);
    let relation = table(node).unwrap_or_default();
    let statement = (!columns.is_empty() && !relation.is_empty())
        .then(|| format!("CREATE INDEX CONCURRENTLY ON {relation} ({});", columns.join(", ")));
    let advice = match columns.as_slice() {
        [] => "An index on what the filter compares would find the rows directly; see whether the condition can be \
               written so that an index serves it."
            .to_owned(),
        columns => format!(
            "An index on {} would find the rows directly. If there is one, see why it was not used: estimates, or types \
             that differ.",
            columns.join(", ")
        ),
    };
    let found = match node.actual {
        Some(actual) => {
            let (kept, removed) = (actual.rows_total(), node.rows_removed.filter * actual.loops);
            let text = format!(
                "reads {} rows of {relation} to keep {}",
                format::number(kept + removed),
                format::number(kept)
            );
            Found::at(context, node, text).number("rows_kept", kept, Unit::Rows).number(
                "rows_removed",
                removed,
                Unit::Rows,
            )
        }
        None => {
            let estimate = node.estimate.map_or((0.0, 0.0), |estimate| (estimate.total_cost, estimate.rows));
            let text =
                format!("is expected to read all of {relation} for {} rows", format::number(estimate.1));
            Found::at(context, node, text).number("cost", estimate.0, Unit::Cost).number(
                "rows_expected",
                estimate.1,
                Unit::Rows,
            )
        }
    };
    found.number("share", node.figures.total_share, Unit::Share).advise(advice).statement(statement)
}

pub(super) fn in_loop(context: &Context<'_>) -> Vec<Found> {
    let scans = context.nodes().filter(|node| node.kind == Kind::SeqScan && is_in_loop(context, node));
    scans
        .map(|node| {
            let times = match node.actual {
                Some(_) => loops(node),
                None => loops_expected(context, node),
            };
            let relation = table(node).unwrap_or_default();
            let columns = index_columns(node);
            let statement = (!columns.is_empty())
                .then(|| format!("CREATE INDEX CONCURRENTLY ON {relation} ({});", columns.join(", ")));
            let rows = node.executed().map_or(0.0, |actual| rows_read(node, actual));
            let found = Found::at(context, node, format!("reads all of {relation} {} times", format::number(times)))
                .number("loops", times, Unit::Loops)
                .number("share", node.figures.total_share, Unit::Share);
            let found = if rows > 0.0 { found.number("rows_read", rows, Unit::Rows) } else { found };
            found
                .advise(
                    "An index on the column that the inner side is looked up by lets each turn read its rows only; or \
                     join by hash, which reads the table once.",
                )
                .statement(statement)
        })
        .collect()
}

pub(super) fn is_in_loop(context: &Context<'_>, node: &Node) -> bool {
    match node.executed() {
        Some(actual) => {
            let rows = rows_read(node, actual);
            loops(node) >= LOOPS_MIN && rows >= ROWS_MIN && rows >= LOOP_ROWS_MIN * actual.loops
        }
        None if node.actual.is_some() => false,
        None => {
            let cost = node.estimate.map_or(0.0, |estimate| estimate.total_cost);
            cost >= COST_MIN && loops_expected(context, node) >= LOOPS_MIN
        }
    }
}

/// How often the planner expects a scan right below a nested loop to run.
fn loops_expected(context: &Context<'_>, node: &Node) -> f64 {
    let above = context.parent(node).filter(|above| above.kind == Kind::NestedLoop);
    let outer = above.and_then(Node::outer).filter(|_| node.relationship == Some(Relationship::Inner));
    outer.and_then(|outer| outer.estimate).map_or(1.0, |estimate| estimate.rows)
}

pub(super) fn dead_rows(context: &Context<'_>) -> Vec<Found> {
    context.executed().filter_map(|(node, actual)| dead_rows_at(context, node, actual)).collect()
}

fn dead_rows_at(context: &Context<'_>, node: &Node, actual: &Actual) -> Option<Found> {
    const BLOCKS_MIN: f64 = 100.0;
    /// Larger values are stored apart, so that a block holds at least four rows; a quarter of that is suspect.
    const BLOCKS_PER_ROW_OF_TABLE: f64 = 1.0;
    /// A row found by an index is one block of the table and part of one of the index.
    const BLOCKS_PER_ROW_OF_INDEX: f64 = 2.0;
    /// From the root of an index to its leaf.
    const DESCENT_BLOCKS: f64 = 4.0;
    #[allow(clippy::cast_precision_loss, reason = "a number of blocks for people")]
    let blocks = node.figures.self_buffers?.accessed() as f64;
    let (spare, per_row) = match node.kind {
        Kind::SeqScan => (0.0, BLOCKS_PER_ROW_OF_TABLE),
        Kind::IndexScan | Kind::IndexOnlyScan => {
            (DESCENT_BLOCKS * node.index_searches.unwrap_or(actual.loops).max(1.0), BLOCKS_PER_ROW_OF_INDEX)
        }
        _ => return None,
    };
    let rows = rows_read(node, actual);
    if blocks - spare < BLOCKS_MIN || blocks - spare < per_row * rows {
        return None;
    }
    let relation = table(node)?;
    let text = format!("reads {} blocks for {} rows", format::number(blocks), format::number(rows));
    Some(
        Found::at(context, node, text)
            .number("blocks", blocks, Unit::Blocks)
            .number("rows_read", rows, Unit::Rows)
            .advise(
                "Dead rows are suspected: vacuum the table, and see why autovacuum has not (long transactions, \
                 thresholds). Where much space stays empty, only a rewrite gives it back.",
            )
            .statement(Some(format!("VACUUM (ANALYZE) {relation};"))),
    )
}
