//! What is asked for, and what comes of it.

use std::time::Duration;

use serde::{Serialize, Serializer, ser};
use serde_json::value::RawValue;

use super::parameters::Parameters;
use crate::Missing;
use crate::sql::Statement;

/// A statement to be explained.
#[derive(Clone, Debug)]
pub struct ExplainRequest {
    /// The statement.
    pub statement: Statement,
    /// Values for its parameters as PostgreSQL reads them, None for NULL; empty if none are given.
    pub parameters: Vec<Option<String>>,
    /// Sets of values that it has been executed with; the first that fits is taken if none are given.
    pub captured: Vec<Vec<Option<String>>>,
    /// Whether to execute it.
    pub execution: Execution,
    /// Whether a superuser may execute it.
    pub superuser: Superuser,
    /// How long it may take.
    pub limits: Limits,
}

impl ExplainRequest {
    /// The plan alone, with no values for its parameters.
    #[must_use]
    pub fn new(statement: Statement) -> Self {
        Self {
            statement,
            parameters: Vec::new(),
            captured: Vec::new(),
            execution: Execution::PlanOnly,
            superuser: Superuser::Refused,
            limits: Limits::default(),
        }
    }
}

/// Whether a statement is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execution {
    /// It is planned: what the planner expects.
    PlanOnly,
    /// It is executed, if that is safe: what really happens.
    Execute,
}

/// Whether a superuser may execute a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Superuser {
    /// No: what keeps others from harm does not hold for it.
    Refused,
    /// Yes.
    Allowed,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For each statement that is sent. 30 s by default: long enough to see a slow statement to its end.
    pub statement_timeout: Duration,
    /// For each lock that has to be waited for. 1 s by default: nobody is to wait behind a plan.
    pub lock_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { statement_timeout: Duration::from_secs(30), lock_timeout: Duration::from_secs(1) }
    }
}

/// The plan of a statement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explained {
    /// The statement that was planned.
    pub statement: String,
    /// What EXPLAIN (FORMAT JSON) answered, as it is: [`crate::plan::PlanReport::of`] reads it.
    #[serde(serialize_with = "as_json")]
    pub document: String,
    /// Whether it was executed: then the document holds measured times and rows.
    pub is_executed: bool,
    /// Where the values of its parameters are from.
    pub parameters: Parameters,
    /// What has to be known to read the plan.
    pub notes: Vec<String>,
    /// What could not be seen.
    pub missing: Vec<Missing>,
    /// The server's version as a number: 150004 for 15.4.
    pub server_version_number: i32,
}

/// A text that is JSON as a part of a document, however deep it is.
fn as_json<S: Serializer>(document: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let raw: &RawValue = serde_json::from_str(document).map_err(ser::Error::custom)?;
    raw.serialize(serializer)
}
