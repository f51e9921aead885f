//! What a pool must know about its connections.

use std::future::Future;

use crate::error::ConnectError;

/// Opens connections and looks after them.
///
/// `is_closed` is called while the pool is locked, so both questions without I/O must be answered from memory.
pub(crate) trait Connector: Send + Sync + 'static {
    /// A connection.
    type Connection: Send + 'static;

    /// Where connections lead to, for errors: host, port, database and user, without the password.
    fn target(&self) -> String;

    /// Opens a connection. It is dropped when it takes longer than [`connect_timeout`](super::PoolOptions::connect_timeout).
    fn connect(&self) -> impl Future<Output = Result<Self::Connection, ConnectError>> + Send;

    /// Without I/O: whether the connection is known to be gone.
    fn is_closed(&self, connection: &Self::Connection) -> bool;

    /// Without I/O: whether it is well, and nevertheless to be replaced by a new one before its next use.
    fn is_outdated(&self, _connection: &Self::Connection) -> bool {
        false
    }

    /// Without I/O: whether it came back so that it can be used again at once: no request in flight, no transaction, no
    /// changed session.
    fn is_clean(&self, connection: &Self::Connection) -> bool;

    /// A round trip: whether it still answers.
    fn check(&self, connection: &mut Self::Connection) -> impl Future<Output = bool> + Send;

    /// Brings an unclean connection back to a known state (cancel, rollback, reset); it is closed on `false`.
    fn clean(&self, connection: &mut Self::Connection) -> impl Future<Output = bool> + Send;
}
