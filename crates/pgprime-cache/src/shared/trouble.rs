//! Why an operation on Redis came to nothing. Nobody outside sees it: the service goes on without Redis.

use redis::{ErrorKind, RedisError};

use crate::breaker::Failure;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("Redis is left alone after failures")]
    Open,
    #[error("{0} took too long")]
    Slow(&'static str),
    #[error("{0} failed: {1}")]
    Failed(&'static str, #[source] RedisError),
    #[error("{0} was answered by something unexpected")]
    Unexpected(&'static str),
}

impl Trouble {
    /// How bad it is; none if nothing was tried.
    pub(crate) fn failure(&self) -> Option<Failure> {
        match self {
            Trouble::Open => None,
            Trouble::Failed(_, error) if is_lost(error) => Some(Failure::Lost),
            Trouble::Slow(_) | Trouble::Failed(..) | Trouble::Unexpected(_) => Some(Failure::Passing),
        }
    }
}

/// Whether another connection is needed; so it is when the primary has become a replica.
fn is_lost(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_connection_dropped()
        || error.is_unrecoverable_error()
        || error.kind() == ErrorKind::ClusterConnectionNotFound
        || error.code() == Some("READONLY")
}
