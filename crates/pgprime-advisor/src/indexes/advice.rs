//! What is advised.

use serde::Serialize;

use crate::Missing;

/// Indexes that a workload lacks, with what they would save and cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Advice {
    /// The server's version.
    pub server_version: String,
    /// Where the costs come from.
    pub method: CostMethod,
    /// The time in which the workload was counted, in seconds; None for a file.
    pub workload_seconds: Option<f64>,
    /// The cost of the whole workload as it is: the sum of executions × planner's cost.
    pub cost_before: f64,
    /// The same with all suggestions.
    pub cost_after: f64,
    /// What writes pay for all suggestions, in the same unit and over the same time.
    pub write_cost: f64,
    /// The share of `cost_before` that all suggestions save, writes counted.
    pub saved_share: f64,
    /// The size of all suggestions.
    pub size_bytes: u64,
    /// What they may take together; None: no limit.
    pub budget_bytes: Option<u64>,
    /// The candidates that were weighed.
    pub candidates: usize,
    /// How much dearer the workload is than with the best choice among the candidates, at most; None where that is not known.
    pub gap_max: Option<f64>,
    /// What to create, the greatest saving first.
    pub suggestions: Vec<Suggestion>,
    /// The statements that were planned, the dearest first.
    pub queries: Vec<QueryAdvice>,
    /// The statements that were not, and why.
    pub skipped: Vec<SkippedQuery>,
    /// What would help besides.
    pub hints: Vec<Hint>,
    /// What could not be seen.
    pub missing: Vec<Missing>,
}

/// Where costs come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CostMethod {
    /// The planner's, with hypothetical indexes of HypoPG.
    Hypopg,
    /// A formula of our own on the planner's costs without the indexes: the server has no HypoPG.
    Estimated,
}

/// An index to create.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suggestion {
    /// Its name, without quotes; nobody has it yet.
    pub name: String,
    /// The schema that it will be in, without quotes.
    pub schema: String,
    /// Its table, as SQL writes it.
    pub table: String,
    /// What creates it, in this order. One statement, but for partitioned tables: an index of the parent alone, one for each
    /// partition, and their attachment. None of them may run in a transaction block.
    pub statements: Vec<String>,
    /// What takes it away again.
    pub undo: String,
    /// The access method: btree, gin or brin.
    pub access_method: String,
    /// Its keys as SQL writes them.
    pub keys: Vec<String>,
    /// Its size, computed from the widths of its columns.
    pub size_bytes: u64,
    /// What the workload costs more without it, the other suggestions given.
    pub saved_cost: f64,
    /// The same as a share of the workload's cost before.
    pub saved_share: f64,
    /// What writes pay for it over the workload's time, in the unit of `saved_cost`.
    pub write_cost: f64,
    /// Rows that are written and touch it, a second; None where that is not known.
    pub writes_per_second: Option<f64>,
    /// By which share each of these writes becomes dearer.
    pub write_overhead_share: f64,
    /// How sure the saving is.
    pub confidence: Confidence,
    /// Why it is not surer than that.
    pub confidence_reason: String,
    /// The statements that gain, the greatest gain first.
    pub gains: Vec<Gain>,
}

/// How sure a saving is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// An estimate, or from statistics that say little.
    Low,
    /// From the planner, for parameters that are not known.
    Medium,
    /// From the planner, for the statements as they are.
    High,
}

/// A statement that gains from an index.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gain {
    /// The statement's id in the workload.
    pub query_id: String,
    /// Its executions.
    pub weight: f64,
    /// The planner's cost of one, without any suggestion.
    pub cost_before: f64,
    /// The same with all suggestions.
    pub cost_after: f64,
}

/// A statement of the workload that was planned.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QueryAdvice {
    /// Its id in the workload.
    pub id: String,
    /// Its text.
    pub text: String,
    /// Its executions.
    pub weight: f64,
    /// Mean time of an execution in milliseconds, where it was measured.
    pub mean_ms: Option<f64>,
    /// The planner's cost of one execution.
    pub cost_before: f64,
    /// The same with all suggestions.
    pub cost_after: f64,
    /// The names of the suggestions that it uses.
    pub uses: Vec<String>,
}

/// A statement of the workload that was not planned.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SkippedQuery {
    /// Its id in the workload.
    pub id: String,
    /// Its text.
    pub text: String,
    /// Why.
    pub reason: String,
}

/// Something that would help and is not a matter of one index alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hint {
    /// The table, as SQL writes it.
    pub table: String,
    /// What is the matter.
    pub reason: String,
    /// What to do, in this order.
    pub statements: Vec<String>,
}
