//! One statement of a workload.

use serde::Serialize;

/// A statement and how often it is executed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WorkloadQuery {
    /// Unique in the workload: pg_stat_statements' number, or the line of a file.
    pub id: String,
    /// Its text, with or without `$1`.
    pub text: String,
    /// Executions, at least 0.
    pub weight: f64,
    /// Mean time of an execution, where it was measured.
    pub mean_ms: Option<f64>,
    /// Rows of an execution, where they were counted.
    pub rows: Option<f64>,
    /// Values of its parameters; without them, plans are for any values.
    pub parameters: Vec<Option<String>>,
}
