//! What a report on space says of waste and of sequences, for as long as it holds: making one reads statistics of all columns.

use jiff::Timestamp;
use pgprime_advisor::space::{Finding, FindingKind, NoEstimate, Remedy, SpaceReport, Waste};
use serde::Serialize;

use pgprime_readonly::Missing;

/// The largest pieces of waste, and the fullest sequences, that are kept.
const WORST_MAX: usize = 20;
/// A sequence that ends beyond this does not come to its end: at a million values a second it takes 30 years.
const SEQUENCE_END_MIN: u64 = 1_000_000_000_000_000;

/// Waste in tables and indexes, and how full sequences are, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpaceSummary {
    /// When it was looked for.
    pub taken_at: Timestamp,
    /// In tables, with what they keep out of line.
    pub tables: WasteSummary,
    /// In indexes.
    pub indexes: WasteSummary,
    /// How near to their ends sequences are.
    pub sequences: SequenceSummary,
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
    /// The whole of those of which nothing is known, though it could be.
    pub unseen_bytes: u64,
    /// Why nothing is known of them, and what would change that.
    pub unseen: Option<Missing>,
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
    /// What to run, where reads and writes go on meanwhile.
    pub statement: Option<String>,
}

/// How near to their ends sequences are.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SequenceSummary {
    /// The fullest first; those that begin again at their end are left out.
    pub fullest: Vec<FullSequence>,
    /// Sequences that may be near their end and cannot be seen, and what would show them.
    pub unseen: Option<Missing>,
}

/// A sequence, and how near to its end it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FullSequence {
    /// As SQL writes it.
    pub name: String,
    /// What is used of all values, 0 to 100.
    pub used_percent: f64,
    /// The last value that it can give.
    pub end_value: i64,
    /// A sentence with the figures, where it is near its end.
    pub summary: Option<String>,
    /// What to run, where reads and writes go on meanwhile.
    pub statement: Option<String>,
}

impl SpaceSummary {
    /// Of a report made at this moment.
    #[must_use]
    pub fn of(report: &SpaceReport, taken_at: Timestamp) -> Self {
        let tables = report.tables.iter().map(|table| {
            (&*table.qualified, &*table.qualified, &table.waste, table.heap_bytes + table.toast_bytes)
        });
        let indexes =
            report.indexes.iter().map(|index| (&*index.qualified, &*index.table, &index.waste, index.bytes));
        Self {
            taken_at,
            tables: waste(report, FindingKind::TableBloat, &tables.collect::<Vec<_>>()),
            indexes: waste(report, FindingKind::IndexBloat, &indexes.collect::<Vec<_>>()),
            sequences: sequences(report),
        }
    }
}

/// A table or index, its table, what is known of its waste, and its size.
type Relation<'a> = (&'a str, &'a str, &'a Waste, u64);

fn waste(report: &SpaceReport, kind: FindingKind, relations: &[Relation<'_>]) -> WasteSummary {
    let mut worst: Vec<Wasteful> = Vec::new();
    for finding in report.findings.iter().filter(|finding| finding.kind == kind) {
        worst.push(Wasteful {
            name: finding.object.clone(),
            wasted_bytes: finding.wasted_bytes.unwrap_or(0),
            summary: finding.summary.clone(),
            statement: gentle(finding),
        });
    }
    let wasted_bytes = worst.iter().map(|wasteful| wasteful.wasted_bytes).sum();
    worst.sort_by_key(|wasteful| std::cmp::Reverse(wasteful.wasted_bytes));
    worst.truncate(WORST_MAX);
    let unseen: Vec<&Relation<'_>> = relations.iter().filter(|(_, _, waste, _)| is_unseen(waste)).collect();
    WasteSummary {
        total_bytes: relations.iter().map(|(.., bytes)| bytes).sum(),
        wasted_bytes,
        worst,
        unseen_bytes: unseen.iter().map(|(.., bytes)| bytes).sum(),
        unseen: why_unseen(report, &unseen),
    }
}

/// The first thing to run while the service is at work.
fn gentle(finding: &Finding) -> Option<String> {
    finding.remedies.iter().find(|remedy| remedy.is_gentle()).map(said)
}

fn said(remedy: &Remedy) -> String {
    remedy.statement.clone()
}

/// Whether nothing is known of it and could be. Of what is small, locked or no B-tree nothing ever is.
fn is_unseen(waste: &Waste) -> bool {
    waste.best().is_none()
        && matches!(
            waste.not_estimated,
            Some(
                NoEstimate::NotPermitted
                    | NoEstimate::RowSecurity
                    | NoEstimate::NeverAnalyzed
                    | NoEstimate::ColumnsWithoutStatistics { .. }
            )
        )
}

/// What the role may not see comes first: a GRANT shows all of it at once.
fn why_unseen(report: &SpaceReport, unseen: &[&Relation<'_>]) -> Option<Missing> {
    let is_hidden = |waste: &Waste| {
        matches!(waste.not_estimated, Some(NoEstimate::NotPermitted | NoEstimate::RowSecurity))
    };
    let hidden = unseen.iter().any(|(_, _, waste, _)| is_hidden(waste)).then(|| report.hidden_waste());
    if let Some(hidden) = hidden.flatten() {
        return Some(of_advisor(hidden));
    }
    let (name, table, waste, _) = unseen.iter().max_by_key(|(.., bytes)| *bytes)?;
    Some(Missing {
        what: format!("the waste of {}, {name} first", super::words::plural(unseen.len(), "relation")),
        why: waste.not_estimated.as_ref().map(NoEstimate::words).unwrap_or_default(),
        statement: Some(format!("ANALYZE {table};")),
    })
}

fn sequences(report: &SpaceReport) -> SequenceSummary {
    let all = || report.sequences.iter().filter(|sequence| !sequence.cycles);
    let full = all().filter(|sequence| !sequence.is_hidden()).take(WORST_MAX).map(|sequence| {
        let finding = report
            .findings
            .iter()
            .find(|finding| finding.kind == FindingKind::SequenceEnd && finding.object == sequence.qualified);
        FullSequence {
            name: sequence.qualified.clone(),
            used_percent: sequence.used_percent,
            end_value: sequence.end_value,
            summary: finding.map(|finding| finding.summary.clone()),
            // What comes after a wider column is of no use without it.
            statement: finding
                .and_then(|finding| finding.remedies.first())
                .filter(|first| first.is_gentle())
                .map(said),
        }
    });
    let may_end =
        all().any(|sequence| sequence.is_hidden() && sequence.end_value.unsigned_abs() < SEQUENCE_END_MIN);
    SequenceSummary {
        fullest: full.collect(),
        unseen: may_end.then(|| report.hidden_sequences().map(of_advisor)).flatten(),
    }
}

fn of_advisor(missing: pgprime_advisor::Missing) -> Missing {
    Missing { what: missing.what, why: missing.why, statement: missing.statement }
}
