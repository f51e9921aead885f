//! Why something is no plan.

use super::limits;

/// Why a text could not be read as a plan. Each says where, and what was expected there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Nothing but white space.
    #[error("the plan is empty: expected the output of EXPLAIN in text or JSON format")]
    Empty,
    /// More than [`limits::TEXT_BYTES_MAX`].
    #[error("the plan has {bytes} bytes, at most {} are read", limits::TEXT_BYTES_MAX)]
    TooLarge {
        /// The text's size.
        bytes: usize,
    },
    /// More than [`limits::NODE_DEPTH_MAX`] nodes, or what is theirs in JSON, above each other.
    #[error("line {line}: nested deeper than {} nodes", limits::NODE_DEPTH_MAX)]
    TooDeep {
        /// Counted from 1.
        line: usize,
    },
    /// More than [`limits::NODES_MAX`].
    #[error("the plan has more than {} nodes", limits::NODES_MAX)]
    TooManyNodes,
    /// No JSON.
    #[error("line {line}, column {column}: not JSON: {message}")]
    Json {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What the reader of JSON says.
        message: String,
    },
    /// JSON, but not what EXPLAIN prints.
    #[error("{path}: expected {expected}, found {found}")]
    Field {
        /// Where: `Plan.Plans[0]."Actual Rows"`.
        path: String,
        /// What should be there.
        expected: &'static str,
        /// What is there, shortened.
        found: String,
    },
    /// A line of a text plan that does not belong there.
    #[error("line {line}: expected {expected}, found {found:?}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What should be there.
        expected: &'static str,
        /// What is there, shortened.
        found: String,
    },
    /// More than one plan at once.
    #[error("{count} plans were given: expected one")]
    Several {
        /// How many there are.
        count: usize,
    },
    /// Text in which no node was found.
    #[error(
        "no plan found in {lines} lines: expected JSON, or a line such as \"Seq Scan on orders  \
            (cost=0.00..18.10 rows=810 width=36)\""
    )]
    NoPlan {
        /// Lines looked at.
        lines: usize,
    },
}

/// The beginning of what was found, short enough for a message.
pub(super) fn excerpt(found: &str) -> String {
    const CHARACTERS_MAX: usize = 60;
    let found = found.trim();
    match found.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &found[..end]),
        None => found.to_owned(),
    }
}
