//! The three roles and their pools: who gets a connection from where, and what has to be said to it first.

use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::TryFutureExt as _;

use crate::connection::Connection;
use crate::connector::Connector;
use crate::counters::Meter;
use crate::error::Error;
use crate::lease::PooledConnection;
use crate::pool::Pool;
use crate::replica::Replica;
use crate::retry::RetryPolicy;
use crate::session::{Path, Role};
use crate::transaction::{TransactionOptions, Writes};
use crate::yielding::Gate;

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
    /// What holds back statements of the admin role while the service waits; `None` where nothing does.
    pub(crate) gate: Option<Gate>,
    /// Of main, read and admin.
    pub(crate) meters: [Arc<Meter>; 3],
}

impl Roles {
    pub(crate) fn meter(&self, role: Role) -> &Arc<Meter> {
        match role {
            Role::Main => &self.meters[0],
            Role::Read => &self.meters[1],
            Role::Admin => &self.meters[2],
        }
    }

    /// The pool of a role. Reads use the main one when there is no replica, when it lags too far behind, or cannot be
    /// reached.
    pub(crate) fn pool(&self, role: Role) -> (&Pool<Connector>, Side) {
        match role {
            Role::Main => (&self.main, Side::Own),
            Role::Admin => (&self.admin, Side::Own),
            // Only here: the question takes a lock.
            Role::Read => match self.replica.as_deref().filter(|replica| replica.is_usable()) {
                Some(replica) => (&replica.pool, Side::Own),
                None => (&self.main, Side::StandIn),
            },
        }
    }

    /// A connection for the role.
    ///
    /// Every task that waits carries this future, so it is kept small: no argument is held twice, as in an `async fn`, and
    /// what only reads from a replica need is in a box.
    #[expect(clippy::manual_async_fn, reason = "it would hold its arguments twice")]
    pub(crate) fn lease(
        &self,
        role: Role,
        wait: Option<Duration>,
        at: &'static Location<'static>,
    ) -> impl Future<Output = Result<(PooledConnection, Side), Error>> + Send + '_ {
        async move {
            if let (Role::Admin, Some(gate)) = (role, &self.gate) {
                return Box::pin(self.lease_behind(gate, wait, at)).await;
            }
            let (pool, side) = self.pool(role);
            let replica = self.replica.as_deref().filter(|_| (role, side) == (Role::Read, Side::Own));
            match replica {
                None => Ok((acquire(pool, wait, at).await?, side)),
                Some(replica) => Box::pin(self.lease_from(replica, wait, at)).await,
            }
        }
    }

    /// A connection for the role if one idles, and nothing holds it back.
    #[track_caller]
    pub(crate) fn try_lease(&self, role: Role) -> Option<PooledConnection> {
        let is_held = role == Role::Admin && self.gate.is_some() && self.main.waiting() > 0;
        if is_held { None } else { self.pool(role).0.try_acquire().map(PooledConnection::new) }
    }

    /// A connection of the admin pool, once the service does not wait. It is taken first, so that what is asked last
    /// before a statement begins is how the service is.
    async fn lease_behind(
        &self,
        gate: &Gate,
        wait: Option<Duration>,
        at: &'static Location<'static>,
    ) -> Result<(PooledConnection, Side), Error> {
        let began = Instant::now();
        let connection = acquire(&self.admin, wait, at).await?;
        gate.pass(&self.main, began, wait.unwrap_or(self.admin.wait())).await?;
        Ok((connection, Side::Own))
    }

    /// A connection to the replica, or to the main database when the replica fails meanwhile.
    async fn lease_from(
        &self,
        replica: &Replica,
        wait: Option<Duration>,
        at: &'static Location<'static>,
    ) -> Result<(PooledConnection, Side), Error> {
        match from_replica(replica, wait, at).await? {
            Some(connection) => Ok((connection, Side::Own)),
            None => Ok((acquire(&self.main, wait, at).await?, Side::StandIn)),
        }
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
    pub(crate) fn begin(
        &self,
        role: Role,
        mut options: TransactionOptions,
        connection: &Connection,
    ) -> String {
        if role == Role::Read {
            options.writes = Writes::Refused;
        }
        match (connection.path(), connection.settings().in_transaction()) {
            (Path::TransactionPooler { .. }, Some(settings)) => format!("{};{settings}", options.begin()),
            _ => options.begin(),
        }
    }
}

/// A connection to the replica; `None` when it cannot be reached, or is given up while this waits.
async fn from_replica(
    replica: &Replica,
    wait: Option<Duration>,
    at: &'static Location<'static>,
) -> Result<Option<PooledConnection>, Error> {
    let outcome = tokio::select! {
        biased;
        outcome = acquire(&replica.pool, wait, at) => outcome,
        () = replica.given_up() => return Ok(None),
    };
    match outcome {
        Err(Error::Down { cause, .. }) => {
            tracing::debug!(%cause, "the replica is out of reach: reading from the main database");
            Ok(None)
        }
        outcome => outcome.map(Some),
    }
}

fn acquire(
    pool: &Pool<Connector>,
    wait: Option<Duration>,
    at: &'static Location<'static>,
) -> impl Future<Output = Result<PooledConnection, Error>> + Send + use<> {
    pool.acquire_at(wait, at).map_ok(PooledConnection::new)
}
