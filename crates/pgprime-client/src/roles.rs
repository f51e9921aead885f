//! The three roles and their pools: who gets a connection from where, and what has to be said to it first.

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crate::connection::Connection;
use crate::connector::Connector;
use crate::counters::Counters;
use crate::error::Error;
use crate::lease::PooledConnection;
use crate::pool::Pool;
use crate::replica::Replica;
use crate::retry::RetryPolicy;
use crate::session::{Path, Role};
use crate::transaction::{TransactionOptions, Writes};

/// Where a connection leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// To the server that is the role's own.
    Own,
    /// To the main database, which stands in for the replica.
    StandIn,
}

/// The pools and what they share.
#[derive(Debug)]
pub(crate) struct Roles {
    pub(crate) main: Pool<Connector>,
    pub(crate) admin: Pool<Connector>,
    /// The replica, where one is configured.
    pub(crate) replica: Option<Arc<Replica>>,
    pub(crate) retry: RetryPolicy,
    /// From here on a statement is slow.
    pub(crate) slow: Duration,
    pub(crate) counters: [Counters; 3],
}

impl Roles {
    pub(crate) fn counters(&self, role: Role) -> &Counters {
        match role {
            Role::Main => &self.counters[0],
            Role::Read => &self.counters[1],
            Role::Admin => &self.counters[2],
        }
    }

    /// The pool of a role. Reads use the main one when there is no replica, when it lags too far behind, or cannot be
    /// reached.
    pub(crate) fn pool(&self, role: Role) -> (&Pool<Connector>, Side) {
        let replica = self.replica.as_ref().filter(|replica| replica.is_usable());
        match (role, replica) {
            (Role::Main, _) => (&self.main, Side::Own),
            (Role::Admin, _) => (&self.admin, Side::Own),
            (Role::Read, Some(replica)) => (&replica.pool, Side::Own),
            (Role::Read, None) => (&self.main, Side::StandIn),
        }
    }

    /// A connection for the role.
    pub(crate) async fn lease(
        &self,
        role: Role,
        wait: Option<Duration>,
        at: &'static Location<'static>,
    ) -> Result<(PooledConnection, Side), Error> {
        let (pool, side) = self.pool(role);
        let outcome = match acquire(pool, wait, at).await {
            Err(Error::Down { cause, .. }) if (role, side) == (Role::Read, Side::Own) => {
                tracing::debug!(%cause, "the replica is out of reach: reading from the main database");
                return Ok((acquire(&self.main, wait, at).await?, Side::StandIn));
            }
            outcome => outcome,
        };
        outcome.map(|connection| (connection, side))
    }

    /// What a single statement has to be preceded by, so that it runs with the role's settings; `None` when the session has
    /// them already. A COMMIT has to follow.
    pub(crate) fn preamble(&self, role: Role, side: Side, connection: &Connection) -> Option<String> {
        let needed = match (role, connection.path()) {
            (Role::Main, _) | (Role::Admin, Path::Direct) => false,
            (Role::Read, Path::Direct) => side == Side::StandIn,
            (Role::Read | Role::Admin, Path::TransactionPooler { .. }) => true,
        };
        needed.then(|| self.begin(role, TransactionOptions::default(), connection))
    }

    /// What begins a transaction of the role.
    pub(crate) fn begin(&self, role: Role, mut options: TransactionOptions, connection: &Connection) -> String {
        if role == Role::Read {
            options.writes = Writes::Refused;
        }
        match (connection.path(), connection.settings().in_transaction()) {
            (Path::TransactionPooler { .. }, Some(settings)) => format!("{};{settings}", options.begin()),
            _ => options.begin(),
        }
    }
}

async fn acquire(
    pool: &Pool<Connector>,
    wait: Option<Duration>,
    at: &'static Location<'static>,
) -> Result<PooledConnection, Error> {
    pool.acquire_at(wait, at).await.map(PooledConnection::new)
}
