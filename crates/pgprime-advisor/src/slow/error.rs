//! Why statements could not be read.

use pgprime_readonly::ReadError;

use crate::Missing;

/// Why statements could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SlowError {
    /// The database could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
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
    /// Whether the connection itself was lost, rather than the server refusing something.
    #[must_use]
    pub fn is_connection_lost(&self) -> bool {
        matches!(self, Self::Read(error) if error.is_connection_lost())
    }

    /// Whether trying again may help: the connection was lost, or the server was too busy.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Read(error) if error.is_transient())
    }
}
