//! A connection of a pool in the hands of the application.

use std::fmt;
use std::ops::Deref;

use crate::connection::Connection;
use crate::connector::Connector;
use crate::pool::Lease;

/// A connection of a pool; dropping it gives it back.
///
/// It goes back as it is when it is clean; else, as after a dropped query or after SQL whose effect on the session cannot be
/// known, it is brought back to its first state before anybody gets it.
pub struct PooledConnection(Lease<Connector>);

impl PooledConnection {
    pub(crate) fn new(lease: Lease<Connector>) -> Self {
        Self(lease)
    }

    /// Closes the connection instead of giving it back.
    pub fn discard(self) {
        self.0.discard();
    }
}

impl Deref for PooledConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl fmt::Debug for PooledConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PooledConnection").field(&**self).finish()
    }
}
