//! What could not be seen.

use serde::Serialize;

/// Something that could not be seen, why, and what would show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// What is not known: `"execution times"`.
    pub what: String,
    /// Why not, and what that means.
    pub why: String,
    /// The statement that makes it visible, where there is one.
    pub statement: Option<String>,
}

impl Missing {
    /// Something that no statement makes visible.
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), statement: None }
    }

    /// The statement that makes it visible.
    #[must_use]
    pub fn with_statement(self, statement: impl Into<String>) -> Self {
        Self { statement: Some(statement.into()), ..self }
    }
}
