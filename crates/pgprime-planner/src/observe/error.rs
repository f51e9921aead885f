//! Why a database could not be observed.

use pgprime_readonly::ReadError;

/// Why a database could not be observed.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The database could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
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
    /// Whether the connection was lost; nothing the caller asked for causes that.
    #[must_use]
    pub fn is_connection_lost(&self) -> bool {
        matches!(self, Self::Read(error) if error.is_connection_lost())
    }

    /// Whether trying again may help: the connection was lost, or the server was starting, ending or too busy. The
    /// caller's own input never causes that.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Read(error) if error.is_transient())
    }
}
