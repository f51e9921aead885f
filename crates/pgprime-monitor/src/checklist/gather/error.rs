//! Why there is no evidence.

use pgprime_planner::observe::ObserveError;

/// Why there is no evidence at all.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// The server refused what every role may ask, or the connection was lost at the start.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// The connection was lost on the way.
    #[error("the connection was lost: {reason}")]
    Lost {
        /// What the driver says.
        reason: String,
    },
}

impl GatherError {
    /// Whether the connection was lost, rather than something being refused.
    #[must_use]
    pub fn is_connection_lost(&self) -> bool {
        match self {
            Self::Observe(error) => error.is_connection_lost(),
            Self::Lost { .. } => true,
        }
    }
}
