//! What is advised.

use serde::Serialize;

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
