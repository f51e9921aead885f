//! Why there is no advice.

use thiserror::Error;

use crate::selection::MatrixError;
use pgprime_readonly::ReadError;

/// Why there is no advice.
#[derive(Debug, Error)]
pub enum IndexesError {
    /// The connection was lost, or the server refused a step that has to succeed.
    #[error("cannot {step}: {source}")]
    Query {
        /// What was tried.
        step: &'static str,
        /// What went wrong.
        source: tokio_postgres::Error,
    },
    /// The server's answer is not what it should be.
    #[error("the server's answer to {step} cannot be read: {reason}")]
    Answer {
        /// What was asked.
        step: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The server is older than what is supported.
    #[error("PostgreSQL {version} is too old: version 13 or newer is needed")]
    TooOld {
        /// Its version.
        version: String,
    },
    /// The statement cannot be planned.
    #[error("{reason}")]
    Statement {
        /// Why.
        reason: String,
    },
    /// Costs that are no numbers.
    #[error("the planner's costs cannot be compared: {0}")]
    Costs(#[from] MatrixError),
    /// A suggestion that there is not.
    #[error("there is no suggestion {name:?}; there are: {known}")]
    UnknownSuggestion {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// Nothing can be created here, or something cannot be dropped.
    #[error("{reason}")]
    CannotApply {
        /// Why, and what to do.
        reason: String,
    },
    /// The existing indexes could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl IndexesError {
    pub(super) fn query(step: &'static str) -> impl Fn(tokio_postgres::Error) -> Self {
        move |source| Self::Query { step, source }
    }

    pub(super) fn answer(step: &'static str) -> impl Fn(tokio_postgres::Error) -> Self {
        move |error| Self::Answer { step, reason: error.to_string() }
    }

    /// Whether the connection was lost; nothing the caller asked for causes that.
    #[must_use]
    pub fn is_connection_lost(&self) -> bool {
        match self {
            Self::Query { source, .. } => source.code().is_none_or(|state| state.code().starts_with("57P")),
            Self::Read(error) => error.is_connection_lost(),
            _ => false,
        }
    }

    /// What the server said, for a step that may fail.
    pub(super) fn said(&self) -> String {
        match self {
            Self::Query { source, .. } => {
                source.as_db_error().map_or_else(|| source.to_string(), |said| said.message().to_owned())
            }
            other => other.to_string(),
        }
    }
}

/// Why a file is no workload.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum WorkloadError {
    /// Nothing but white space and comments.
    #[error("there is no statement in it")]
    Empty,
    /// Larger than is read.
    #[error("{bytes} bytes; files up to {bytes_max} bytes are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Something in it.
    #[error("line {line}: {reason}")]
    Text {
        /// Where, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}
