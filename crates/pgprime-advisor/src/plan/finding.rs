//! A problem found in a plan.

use serde::Serialize;

use super::format;
use super::model::NodeId;

/// How much of the whole a problem concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Below 10 % of time or cost, or something good to know.
    Note,
    /// 10 % and more.
    Minor,
    /// 40 % and more.
    Major,
    /// 90 % and more.
    Critical,
}

impl Severity {
    /// The severity of what takes this part (0 to 1) of the whole.
    #[must_use]
    pub fn of_share(share: f64) -> Self {
        match share {
            share if share >= 0.9 => Self::Critical,
            share if share >= 0.4 => Self::Major,
            share if share >= 0.1 => Self::Minor,
            _ => Self::Note,
        }
    }

    /// The word for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Minor => "minor",
            Self::Major => "major",
            Self::Critical => "critical",
        }
    }
}

/// What a number of the evidence counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Unit {
    Rows,
    Loops,
    Milliseconds,
    /// 0 to 1.
    Share,
    /// How many times as much.
    Factor,
    /// Of 8 KiB.
    Blocks,
    Kibibytes,
    /// In the planner's units.
    Cost,
    Count,
}

/// One number that a finding rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// What is counted: `rows_removed`.
    pub name: &'static str,
    /// How much.
    pub value: f64,
    /// In what.
    pub unit: Unit,
}

impl Evidence {
    /// The number for people, such as `rows removed 99,900`.
    #[must_use]
    pub fn text(&self) -> String {
        let value = match self.unit {
            Unit::Milliseconds => format::milliseconds(self.value),
            Unit::Share => format::percent(self.value),
            Unit::Factor => format!("{}×", format::number(self.value)),
            Unit::Kibibytes => format::kibibytes(self.value),
            Unit::Rows | Unit::Loops | Unit::Blocks | Unit::Cost | Unit::Count => format::number(self.value),
        };
        format!("{} {value}", self.name.replace('_', " "))
    }
}

/// A problem at a node, or of the plan as a whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The rule's id: `seq_scan_filter`.
    pub rule: &'static str,
    /// What it is, in few words.
    pub title: &'static str,
    /// How much of the whole it concerns.
    pub severity: Severity,
    /// Where; nothing where it concerns the whole.
    pub node: Option<NodeId>,
    /// The node for people: `Seq Scan on orders`.
    pub place: String,
    /// Whether it rests on the planner's estimates, because nothing was executed.
    pub is_estimate: bool,
    /// What was seen, as a sentence.
    pub explanation: String,
    /// The numbers it rests on.
    pub evidence: Vec<Evidence>,
    /// What to do.
    pub advice: String,
    /// The statement that does it, where there is one.
    pub statement: Option<String>,
}
