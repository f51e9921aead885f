//! Why statements could not be read.

use tokio_postgres::error::SqlState;

use crate::Missing;

/// Why statements could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SlowError {
    /// The connection was lost or the server refused.
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
    /// The server does not count statements, or this role may not read what it counts.
    #[error("statements are not measured: {}", reasons(missing))]
    NotMeasured {
        /// What has to be done, in this order.
        missing: Vec<Missing>,
    },
}

fn reasons(missing: &[Missing]) -> String {
    missing.iter().map(|missing| missing.why.as_str()).collect::<Vec<_>>().join("; ")
}

impl SlowError {
    pub(super) fn query(step: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Query { step, source }
    }

    pub(super) fn answer(step: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Answer { step, reason: source.to_string() }
    }

    /// Whether the connection itself was lost, rather than the server refusing something.
    #[must_use]
    pub fn is_disconnect(&self) -> bool {
        match self {
            Self::Query { source, .. } => match source.code() {
                None => true,
                Some(state) => state.code().starts_with("57P") || state.code().starts_with("08"),
            },
            _ => false,
        }
    }

    /// Whether trying again may help: the connection was lost, or the server was too busy.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        let Self::Query { source, .. } = self else { return false };
        let is_temporary = |state: &SqlState| {
            state.code().starts_with("53")
                || [SqlState::QUERY_CANCELED, SqlState::LOCK_NOT_AVAILABLE].contains(state)
        };
        self.is_disconnect() || source.code().is_some_and(is_temporary)
    }
}
