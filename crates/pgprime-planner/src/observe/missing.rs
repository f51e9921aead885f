//! What could not be seen.

use serde::Serialize;

/// Something that could not be seen, and how it can be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// What is not known.
    pub what: String,
    /// Why, and what that means for the plan.
    pub why: String,
    /// The SQL that makes it visible, where SQL can.
    pub statement: Option<String>,
}

impl Missing {
    pub(super) fn new(what: &str, why: impl Into<String>) -> Self {
        Self { what: what.to_owned(), why: why.into(), statement: None }
    }

    pub(super) fn with_statement(mut self, statement: impl Into<String>) -> Self {
        self.statement = Some(statement.into());
        self
    }
}
