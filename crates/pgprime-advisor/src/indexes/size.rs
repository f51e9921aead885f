//! How large an index will be and what writes pay for it. Pure.
//!
//! A B-tree's entry is a header of 8 bytes, the values with alignment, and a line pointer of 4; pages are 90 % full.
//! Entries with equal keys share theirs, as PostgreSQL 13 and later deduplicate, but for numeric and its like. Upper levels add about half a per cent.

use super::candidate::{Candidate, Method};
use super::inventory::{Inventory, Relation};
use super::selectivity::distinct;

/// Of a page: its header and the special space at its end.
const PAGE_OVERHEAD_BYTES: f64 = 40.0;
const FILL: f64 = 0.9;
const ENTRY_HEADER_BYTES: f64 = 8.0;
const LINE_POINTER_BYTES: f64 = 4.0;
/// A place in the table, in an entry of several.
const TUPLE_ID_BYTES: f64 = 6.0;
/// Places in one entry, at most: a third of a page.
const TUPLE_IDS_MAX: f64 = 400.0;
/// Pages of a table that one range of a BRIN index stands for.
const BRIN_RANGE_PAGES: f64 = 128.0;
/// A row's header, without the values.
const ROW_HEADER_BYTES: f64 = 27.0;
/// Bytes of a GIN index for each byte of values: words or trigrams with their places, compressed.
const GIN_BYTES_PER_BYTE: f64 = 0.8;
/// Entries of a row that an inverted index keeps up, beside the one of a B-tree.
const GIN_ENTRIES: f64 = 10.0;
/// What writing a row costs, in the planner's unit: a page of the table and its log.
const WRITE_COST: f64 = 2.0;

/// The index's size in bytes.
pub(super) fn size_bytes(candidate: &Candidate, inventory: &Inventory) -> u64 {
    let relation = candidate.table(inventory);
    let block = inventory.server.block_bytes.max(1_024.0);
    let rows = relation.figures.rows * candidate.predicate.as_ref().map_or(1.0, |predicate| predicate.share);
    let bytes = match candidate.method {
        Method::Btree => btree_pages(candidate, relation, rows, block) * block,
        Method::Brin => {
            let ranges = (relation.figures.pages / BRIN_RANGE_PAGES).ceil();
            let entry = ENTRY_HEADER_BYTES
                + LINE_POINTER_BYTES
                + TUPLE_ID_BYTES
                + 2.0 * key_width(candidate, relation);
            (3.0 + (ranges * entry / (block - PAGE_OVERHEAD_BYTES)).ceil()) * block
        }
        Method::Gin => {
            ((rows * key_width(candidate, relation) * GIN_BYTES_PER_BYTE / block).ceil() + 2.0) * block
        }
    };
    bytes as u64
}

fn btree_pages(candidate: &Candidate, relation: &Relation, rows: f64, block: f64) -> f64 {
    let width = key_width(candidate, relation) + include_width(candidate, relation);
    let entry = ENTRY_HEADER_BYTES + aligned(width);
    let group = (rows / distinct_keys(candidate, relation, rows)).clamp(1.0, TUPLE_IDS_MAX);
    let each = if shares_entries(candidate, relation) && group > 1.5 {
        TUPLE_ID_BYTES + (entry + LINE_POINTER_BYTES) / group
    } else {
        entry + LINE_POINTER_BYTES
    };
    let leaves = (rows * each / ((block - PAGE_OVERHEAD_BYTES) * FILL)).ceil().max(1.0);
    // One more page that says where the root is, and those above the leaves.
    1.0 + leaves + (leaves * 0.005).ceil()
}

/// Whether entries with equal keys are kept together: where equal means the same bytes, and nothing is included.
fn shares_entries(candidate: &Candidate, relation: &Relation) -> bool {
    let differs = |name: &String| {
        relation.column(name).is_some_and(|column| {
            column.category == "A"
                || matches!(column.type_name.as_str(), "numeric" | "float4" | "float8" | "jsonb" | "interval")
        })
    };
    candidate.include.is_empty() && !candidate.keys.iter().flat_map(|key| &key.item.columns).any(differs)
}

/// How many different keys there are: the product over the columns, at most one for each row.
fn distinct_keys(candidate: &Candidate, relation: &Relation, rows: f64) -> f64 {
    let of_key = |key: &super::candidate::Key| {
        let column = key.item.columns.first().and_then(|name| relation.column(name))?;
        let statistics = column.statistics.as_ref().filter(|_| !key.item.is_expression)?;
        Some(distinct(statistics, relation.figures.rows))
    };
    let product = candidate.keys.iter().map(|key| of_key(key).unwrap_or(rows)).product::<f64>();
    product.clamp(1.0, rows.max(1.0))
}

fn key_width(candidate: &Candidate, relation: &Relation) -> f64 {
    candidate.keys.iter().flat_map(|key| &key.item.columns).map(|name| width(relation, name)).sum()
}

fn include_width(candidate: &Candidate, relation: &Relation) -> f64 {
    candidate.include.iter().flat_map(|item| &item.columns).map(|name| width(relation, name)).sum()
}

fn width(relation: &Relation, name: &str) -> f64 {
    relation.column(name).map_or(8.0, |column| column.width)
}

/// To the next multiple of 8.
fn aligned(width: f64) -> f64 {
    (width / 8.0).ceil() * 8.0
}

/// What each write of a row pays for the index, in the planner's unit.
pub(super) fn write_cost(candidate: &Candidate, inventory: &Inventory) -> f64 {
    write_share(candidate, inventory) * WRITE_COST
}

/// By which share each write of a row becomes dearer: (8 + key widths) / (27 + row width), for the rows that are in it.
pub(super) fn write_share(candidate: &Candidate, inventory: &Inventory) -> f64 {
    let relation = candidate.table(inventory);
    let width = key_width(candidate, relation) + include_width(candidate, relation);
    let share = candidate.predicate.as_ref().map_or(1.0, |predicate| predicate.share);
    let entries = match candidate.method {
        Method::Btree => 1.0,
        Method::Gin => GIN_ENTRIES,
        // A range is only touched when its ends move.
        Method::Brin => 0.05,
    };
    (8.0 + width) / (ROW_HEADER_BYTES + relation.row_width()) * share * entries
}
