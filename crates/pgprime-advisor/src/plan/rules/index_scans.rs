//! Scans that use an index and still work too much.

use super::context::{Context, Found, index_columns, table};
use super::limits::is_order_by_limit;
use crate::plan::finding::{Severity, Unit};
use crate::plan::format;
use crate::plan::kind::Kind;

/// Fewer rows are no trouble.
const ROWS_MIN: f64 = 1000.0;

pub(super) fn filters_most(context: &Context<'_>) -> Vec<Found> {
    /// Nine of ten rows read in vain.
    const REMOVED_PER_KEPT_MIN: f64 = 9.0;
    let mut found = Vec::new();
    for (node, actual) in context.executed() {
        let is_scan = node.kind.is_index_scan() || node.kind == Kind::BitmapHeapScan;
        let (kept, removed) = (actual.rows_total(), node.rows_removed.filter * actual.loops);
        let is_much = removed >= ROWS_MIN && removed >= REMOVED_PER_KEPT_MIN * kept;
        if !is_scan || !is_much || is_order_by_limit(context, node) {
            continue;
        }
        let (columns, relation) = (index_columns(node), table(node).unwrap_or_default());
        let text = format!(
            "finds {} rows of {relation} by the index and keeps {}",
            format::number(kept + removed),
            format::number(kept)
        );
        let statement = (!columns.is_empty())
            .then(|| format!("CREATE INDEX CONCURRENTLY ON {relation} ({});", columns.join(", ")));
        found.push(
            Found::at(context, node, text)
                .number("rows_kept", kept, Unit::Rows)
                .number("rows_removed", removed, Unit::Rows)
                .number("share", node.figures.total_share, Unit::Share)
                .advise(
                    "Put the filter's columns into the index, those compared for equality first, so that only the rows \
                     wanted are visited.",
                )
                .statement(statement),
        );
    }
    found
}

pub(super) fn heap_fetches(context: &Context<'_>) -> Vec<Found> {
    const SHARE_MIN: f64 = 0.1;
    let mut found = Vec::new();
    for (node, actual) in context.executed() {
        let (fetches, rows) = (node.heap_fetches.unwrap_or(0.0), actual.rows_total().max(1.0));
        if node.kind != Kind::IndexOnlyScan || fetches < ROWS_MIN || fetches < SHARE_MIN * rows {
            continue;
        }
        let text = format!(
            "looks {} rows up in the table, for {} handed out",
            format::number(fetches),
            format::number(rows)
        );
        found.push(
            Found::at(context, node, text)
                .number("heap_fetches", fetches, Unit::Rows)
                .number("rows", rows, Unit::Rows)
                .advise(
                    "Vacuum the table: it marks the blocks whose rows all can see. On a table \
                    with many writes let autovacuum come more often.",
                )
                .statement(table(node).map(|relation| format!("VACUUM (ANALYZE) {relation};"))),
        );
    }
    found
}

pub(super) fn lossy_bitmap(context: &Context<'_>) -> Vec<Found> {
    const BLOCKS_MIN: f64 = 100.0;
    /// What one block takes in a bitmap, with room to spare.
    const BLOCK_BYTES: f64 = 96.0;
    let mut found = Vec::new();
    for (node, actual) in context.executed() {
        let Some(blocks) = node.heap_blocks else { continue };
        #[allow(clippy::cast_precision_loss, reason = "numbers of blocks for people")]
        let (exact, lossy) = (blocks.exact as f64, blocks.lossy as f64);
        if lossy < BLOCKS_MIN {
            continue;
        }
        let removed = node.rows_removed.index_recheck * actual.loops;
        let needed_kib = ((exact + lossy) * BLOCK_BYTES / 1024.0).ceil().max(64.0);
        let text = format!(
            "{} of {} blocks are known as a whole only; {} rows were checked in vain",
            format::number(lossy),
            format::number(exact + lossy),
            format::number(removed)
        );
        found.push(
            Found::at(context, node, text)
                .severity(Severity::of_share(node.figures.self_share))
                .number("lossy_blocks", lossy, Unit::Blocks)
                .number("exact_blocks", exact, Unit::Blocks)
                .number("rows_rechecked", removed, Unit::Rows)
                .number("work_mem_needed", needed_kib, Unit::Kibibytes)
                .advise("A larger work_mem for this statement keeps the bitmap exact.")
                .statement(Some(format!("SET LOCAL work_mem = '{needed_kib:.0}kB';"))),
        );
    }
    found
}
