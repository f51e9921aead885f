//! Why a database could not be read.

use tokio_postgres::error::SqlState;

/// Why a database could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The connection was lost, or the server refused what every role may do.
    #[error("{step}: {source}")]
    Query {
        /// What was being done.
        step: &'static str,
        /// What the server or the connection said.
        source: tokio_postgres::Error,
    },
    /// The answer is not one that PostgreSQL gives.
    #[error(
        "{step}: the answer is not PostgreSQL's: {reason}; connect to the database itself, not to a console"
    )]
    Answer {
        /// What was being done.
        step: &'static str,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The server is older than what is supported.
    #[error("PostgreSQL {version} is too old: version 13 or newer is needed")]
    TooOld {
        /// Its version.
        version: String,
    },
}

impl ReadError {
    /// Names the step for what the server or the connection said.
    pub fn query(step: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Query { step, source }
    }

    /// Names the step for an answer that cannot be read.
    pub fn answer(step: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Answer { step, reason: source.to_string() }
    }

    /// Whether the connection was lost; nothing the caller asked for causes that.
    #[must_use]
    pub fn is_connection_lost(&self) -> bool {
        match self {
            Self::Query { source, .. } => {
                source.code().is_none_or(|state| ["57P", "08"].iter().any(|of| state.code().starts_with(of)))
            }
            Self::Answer { .. } | Self::TooOld { .. } => false,
        }
    }

    /// Whether trying again may help: the connection was lost, or the server was starting, ending or too busy.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        let Self::Query { source, .. } = self else { return false };
        let temporary = [SqlState::QUERY_CANCELED, SqlState::LOCK_NOT_AVAILABLE];
        let is_temporary = |state: &SqlState| state.code().starts_with("53") || temporary.contains(state);
        self.is_connection_lost() || source.code().is_some_and(is_temporary)
    }
}
