//! Reasons not to execute a statement, or not even to plan it.

use std::fmt;

use serde::Serialize;

/// Why a statement is not executed, or not even planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// What kind of reason it is.
    pub reason: RefusalReason,
    /// What it is about: the function, the view.
    pub object: String,
    /// Why that is refused, in words that follow the object.
    pub why: String,
}

/// Kinds of reasons to refuse a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// It has no plan.
    NoPlan,
    /// It changes or locks rows.
    NotARead,
    /// A function that does harm wherever it is called.
    HostileFunction,
    /// A function that is not known to be harmless.
    Function,
    /// A part of the language that is not known to be harmless.
    Syntax,
    /// An operator whose function is not known to be harmless.
    Operator,
    /// A cast whose function is not known to be harmless.
    Cast,
    /// A type that runs functions of its own.
    Type,
    /// A relation that is more than stored rows, or one that a view refers to.
    Relation,
    /// The role may do anything.
    Superuser,
}

impl Refusal {
    /// A refusal of something, and why.
    pub fn new(reason: RefusalReason, object: impl Into<String>, why: impl Into<String>) -> Self {
        Self { reason, object: object.into(), why: why.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.object, self.why)
    }
}

impl std::error::Error for Refusal {}
