//! The replica: its pool, how far it is behind, and whether reads go there.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio_postgres::types::PgLsn;

use crate::connector::Connector;
use crate::error::Error;
use crate::lag::LagMeter;
use crate::lease::PooledConnection;
use crate::pool::Pool;

/// Where the server is in the WAL: what it has replayed as a replica, else what it has written.
const POSITION: &str = "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() \
                        ELSE pg_catalog.pg_current_wal_insert_lsn() END";

/// How long a look at a server may wait for a connection and an answer: a pool under load must not blind the watch for long.
const LOOK_MAX: Duration = Duration::from_secs(2);

/// The replica's pool and its state.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) pool: Pool<Connector>,
    lag_max: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    meter: LagMeter,
    /// How far it had replayed when it was last looked at.
    replayed: Option<PgLsn>,
    lag: Option<Duration>,
    failed: Option<String>,
}

/// How reads are routed, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplicaReport {
    /// Whether reads go to the replica; else they go to the main database.
    pub is_used: bool,
    /// How old its data is; `null` while it is not known.
    pub lag_ms: Option<u64>,
    /// From this lag on reads go to the main database.
    pub lag_ms_max: u64,
    /// Why it is not used, if so.
    pub reason: Option<String>,
}

impl Replica {
    pub(crate) fn new(pool: Pool<Connector>, lag_max: Duration) -> Self {
        Self { pool, lag_max, state: Mutex::new(State::default()) }
    }

    /// Whether reads may go there.
    pub(crate) fn is_usable(&self) -> bool {
        self.lock().problem(self.lag_max).is_none()
    }

    /// Whether it is known to have replayed up to here.
    pub(crate) fn has(&self, position: PgLsn) -> bool {
        self.lock().replayed.is_some_and(|replayed| replayed >= position)
    }

    pub(crate) fn report(&self) -> ReplicaReport {
        let state = self.lock();
        let reason = state.problem(self.lag_max);
        ReplicaReport {
            is_used: reason.is_none(),
            lag_ms: state.lag.map(milliseconds),
            lag_ms_max: milliseconds(self.lag_max),
            reason,
        }
    }

    /// Looks at both servers once.
    pub(crate) async fn look(&self, main: &Pool<Connector>) {
        // The primary first: what the replica has by then and has not replayed is its lag.
        let primary = position(main).await;
        let primary_at = Instant::now();
        let replica = position(&self.pool).await;
        let before = self.report();
        self.lock().saw(primary_at, primary.ok(), replica);
        let after = self.report();
        match (before.is_used, after.is_used) {
            (true, false) => {
                tracing::warn!(lag_ms = after.lag_ms, reason = after.reason, "reading from the main database");
            }
            (false, true) => tracing::info!(lag_ms = after.lag_ms, "reading from the replica"),
            _ => {}
        }
    }

    /// Asks the replica until it has replayed up to here, or the time is over.
    pub(crate) async fn wait_for(&self, position: PgLsn, wait_max: Duration) -> bool {
        let caught_up = async {
            let mut pause = Duration::from_millis(2);
            while !self.has(position) {
                let replayed = self::position(&self.pool).await.ok()?;
                // No guard in a variable: the future must be `Send`.
                self.lock().replayed = Some(replayed);
                if replayed < position {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(50));
                }
            }
            Some(())
        };
        matches!(tokio::time::timeout(wait_max, caught_up).await, Ok(Some(())))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Why reads do not go there.
    fn problem(&self, lag_max: Duration) -> Option<String> {
        if let Some(failed) = &self.failed {
            return Some(failed.clone());
        }
        match self.lag {
            Some(lag) if lag > lag_max => {
                Some(format!("{} ms behind, more than {} ms", lag.as_millis(), lag_max.as_millis()))
            }
            _ => None,
        }
    }

    fn saw(&mut self, now: Instant, primary: Option<PgLsn>, replica: Result<PgLsn, Error>) {
        if let Some(position) = primary {
            self.meter.saw_primary(now, position);
        }
        match replica {
            Ok(replayed) => {
                self.replayed = Some(replayed);
                self.failed = None;
                // With the primary out of sight the replica's age is not known, but there is nowhere else to read.
                self.lag = primary.and_then(|_| self.meter.lag(now, replayed));
            }
            // All its connections are in use: that says nothing about its state.
            Err(Error::Exhausted(_)) => {}
            Err(error) => {
                self.failed = Some(error.to_string());
                self.lag = None;
            }
        }
    }
}

/// The position of the server behind a pool.
pub(crate) async fn position(pool: &Pool<Connector>) -> Result<PgLsn, Error> {
    let connection = PooledConnection::new(pool.acquire_within(LOOK_MAX).await?);
    position_on(&connection).await
}

/// The position of the server that this connection leads to.
pub(crate) async fn position_on(connection: &PooledConnection) -> Result<PgLsn, Error> {
    let row = connection.query_one(POSITION, &[]);
    let row = tokio::time::timeout(LOOK_MAX, row).await;
    let row = row.map_err(|_| Error::Usage(format!("no answer within {} s", LOOK_MAX.as_secs())))??;
    Ok(row.try_get(0)?)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
