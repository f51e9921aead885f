//! What came of a suggestion that was applied.

use serde::Serialize;

/// What came of one suggestion.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Applied {
    /// The suggestion's name, which is the index's, without quotes.
    pub name: String,
    /// Its table, as SQL writes it.
    pub table: String,
    /// What was executed, or would have been.
    pub statements: Vec<String>,
    /// What takes it away again.
    pub undo: String,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: ApplyOutcome,
    /// How long creating it took, in milliseconds; None if it was not created.
    pub build_ms: Option<f64>,
    /// Its size on disk as it was built, in bytes; None if it was not.
    pub size_bytes: Option<u64>,
    /// The share that the measured statements gained, each with its weight in the workload; below 0 they became dearer. None
    /// where nothing could be measured.
    pub gained_share: Option<f64>,
    /// Whether that is as much as was asked for, and at least one of them uses the index. None where nothing could be measured.
    pub has_gained: Option<bool>,
    /// The statements that were to gain, those with the greatest gain first.
    pub measurements: Vec<Measurement>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ApplyOutcome {
    /// The index is there and valid.
    Created,
    /// It was created, and dropped again as it brought nothing.
    Reverted {
        /// Why.
        reason: String,
    },
    /// It is not there.
    Failed {
        /// What happened and what to do.
        reason: String,
        /// The server's code for it, where the server said it.
        sqlstate: Option<String>,
        /// Whether nothing was left behind. If not, the reason says what is, and how it goes away.
        is_clean: bool,
    },
}

/// A statement before and after.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measurement {
    /// Its id in the workload.
    pub query_id: String,
    /// Its executions in the workload.
    pub weight: f64,
    /// Whether it was executed.
    #[serde(flatten)]
    pub how: MeasuredBy,
    /// Its best time without the index, in milliseconds; None if it was not executed.
    pub before_ms: Option<f64>,
    /// Its best time with the index, in milliseconds; None if it was not executed.
    pub after_ms: Option<f64>,
    /// The planner's cost without the index; None if it could not be planned.
    pub before_cost: Option<f64>,
    /// The planner's cost with it.
    pub after_cost: Option<f64>,
    /// Whether its plan uses the index.
    pub uses_index: bool,
}

/// Whether a statement was executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum MeasuredBy {
    /// In a read-only transaction that was rolled back: its time is known.
    Executed,
    /// It was planned: only the planner's cost is known.
    PlannedOnly {
        /// Why it was not executed.
        reason: String,
    },
}
