//! One thing about an index.

use std::fmt;

use serde::Serialize;

use crate::space::{Remedy, Severity};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexProblem {
    /// A build that failed left it behind: it takes space, writes may keep it up, no query uses it.
    Invalid,
    /// Another one is the same.
    Duplicate,
    /// Another one begins with the same columns.
    Redundant,
    /// No query uses it, or hardly any.
    Unused,
    /// It takes more than its entries need.
    Bloated,
    /// A foreign key has no index on the side that refers.
    ForeignKeyWithoutIndex,
}

impl fmt::Display for IndexProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Invalid => "invalid",
            Self::Duplicate => "duplicate",
            Self::Redundant => "redundant",
            Self::Unused => "unused",
            Self::Bloated => "bloated",
            Self::ForeignKeyWithoutIndex => "foreign key without index",
        })
    }
}

/// How sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// A hint: look before you act.
    Low,
    /// Likely.
    Medium,
    /// As sure as the catalogs and statistics can make it.
    High,
}

impl Confidence {
    pub(crate) fn lowered(self) -> Self {
        match self {
            Self::High => Self::Medium,
            Self::Medium | Self::Low => Self::Low,
        }
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        })
    }
}

/// One thing about an index.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IndexFinding {
    /// What is wrong.
    pub problem: IndexProblem,
    /// How much it matters.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Confidence,
    /// The index, as SQL writes it; `None` where one is missing.
    pub index: Option<String>,
    /// Its table, as SQL writes it.
    pub table: String,
    /// The index that does its work, where there is one.
    pub covered_by: Option<String>,
    /// Why, with the numbers.
    pub reason: String,
    /// What to run: the first, or one of the alternatives behind it.
    pub remedies: Vec<Remedy>,
    /// What takes the first remedy back; `None` where there is nothing to take back.
    pub undo: Option<Remedy>,
    /// Bytes that become free.
    pub freed_bytes: Option<u64>,
    /// How often it was scanned since the statistics were reset.
    pub scans: Option<u64>,
}
