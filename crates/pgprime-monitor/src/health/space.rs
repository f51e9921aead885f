//! What a report on space says of waste, for as long as it holds: making one reads statistics of all columns.

use jiff::Timestamp;
use pgprime_advisor::space::{FindingKind, SpaceReport};
use serde::Serialize;

/// The largest pieces of waste that are kept.
const WORST_MAX: usize = 20;

/// Waste in tables and indexes at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpaceSummary {
    /// When it was looked for.
    pub taken_at: Timestamp,
    /// In tables, with what they keep out of line.
    pub tables: WasteSummary,
    /// In indexes.
    pub indexes: WasteSummary,
}

/// Waste of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WasteSummary {
    /// All of them together.
    pub total_bytes: u64,
    /// What those waste that are worth a rewrite.
    pub wasted_bytes: u64,
    /// Those, the worst first.
    pub worst: Vec<Wasteful>,
}

/// A table or index that is worth a rewrite.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Wasteful {
    /// As SQL writes it.
    pub name: String,
    /// What can be had back.
    pub wasted_bytes: u64,
    /// A sentence with the figures.
    pub summary: String,
    /// What to run.
    pub statement: Option<String>,
}

impl SpaceSummary {
    /// Of a report made at this moment.
    #[must_use]
    pub fn of(report: &SpaceReport, taken_at: Timestamp) -> Self {
        let tables = report.tables.iter().map(|table| table.heap_bytes + table.toast_bytes).sum();
        let indexes = report.indexes.iter().map(|index| index.bytes).sum();
        Self {
            taken_at,
            tables: waste(report, FindingKind::TableBloat, tables),
            indexes: waste(report, FindingKind::IndexBloat, indexes),
        }
    }
}

fn waste(report: &SpaceReport, kind: FindingKind, total_bytes: u64) -> WasteSummary {
    let mut worst: Vec<Wasteful> = Vec::new();
    for finding in report.findings.iter().filter(|finding| finding.kind == kind) {
        worst.push(Wasteful {
            name: finding.object.clone(),
            wasted_bytes: finding.wasted_bytes.unwrap_or(0),
            summary: finding.summary.clone(),
            statement: finding.remedies.first().map(|remedy| remedy.statement.clone()),
        });
    }
    let wasted_bytes = worst.iter().map(|wasteful| wasteful.wasted_bytes).sum();
    worst.sort_by_key(|wasteful| std::cmp::Reverse(wasteful.wasted_bytes));
    worst.truncate(WORST_MAX);
    WasteSummary { total_bytes, wasted_bytes, worst }
}
