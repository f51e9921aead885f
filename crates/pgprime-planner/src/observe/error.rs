//! Why a database could not be observed.

use tokio_postgres::error::SqlState;

/// Why a database could not be observed.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
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
    /// The role lacks a privilege without which there is nothing to report.
    #[error("the role {role} may not {what}: connect as a superuser, or let one run: {statement}")]
    NotAllowed {
        /// Who asked, as an SQL name.
        role: String,
        /// What it may not do.
        what: &'static str,
        /// The SQL that grants it.
        statement: String,
    },
}

impl ObserveError {
    pub(super) fn query(step: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Query { step, source }
    }

    pub(super) fn answer(step: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Answer { step, reason: source.to_string() }
    }

    /// Whether trying again may help: the connection was lost, or the server was starting, ending or too busy. The
    /// caller's own input never causes that.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        let Self::Query { source, .. } = self else { return false };
        match source.code() {
            None => true,
            Some(state) => {
                let temporary = [SqlState::QUERY_CANCELED, SqlState::LOCK_NOT_AVAILABLE];
                let class = state.code().get(..2).unwrap_or_default();
                matches!(class, "08" | "53") || state.code().starts_with("57P") || temporary.contains(state)
            }
        }
    }
}
