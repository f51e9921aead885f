//! One thing that is worth a word.

use std::fmt;

use serde::Serialize;

use super::remedy::Remedy;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Worth acting on.
    Warning,
    /// The service ends if nobody acts.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        })
    }
}

/// What kind of thing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A table takes more than its rows need.
    TableBloat,
    /// An index takes more than its entries need.
    IndexBloat,
    /// Dead rows that autovacuum does not keep up with.
    DeadRows,
    /// Autovacuum is switched off.
    AutovacuumOff,
    /// A table was never analyzed, or not since much of it changed.
    StaleStatistics,
    /// Transaction ids of a table or database grow old.
    TransactionAge,
    /// Multixact ids of a table or database grow old.
    MultixactAge,
    /// A sequence is near its end.
    SequenceEnd,
    /// A table that a crash empties.
    Unlogged,
    /// Temporary tables whose session is gone.
    OrphanedTemporary,
}

/// One thing that is worth a word.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What kind of thing it is.
    pub kind: FindingKind,
    /// What it is about, as SQL writes it.
    pub object: String,
    /// A sentence or two with the numbers.
    pub summary: String,
    /// Bytes that can be had back.
    pub wasted_bytes: Option<u64>,
    /// What to run: the first is the one to begin with, the others are alternatives or follow it.
    pub remedies: Vec<Remedy>,
}
