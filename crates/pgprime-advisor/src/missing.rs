//! What could not be seen.

use serde::Serialize;

/// Something that could not be seen, why, and what would show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// What is not known: `"execution times"`.
    pub what: String,
    /// Why not.
    pub why: String,
    /// The statement that makes it visible, where there is one.
    pub statement: Option<String>,
}
