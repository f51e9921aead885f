//! The replica: its pool, how far it is behind, and whether reads go there.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::watch;
use tokio_postgres::types::PgLsn;

use crate::connector::Connector;
use crate::error::{Error, QueryError};
use crate::lag::LagMeter;
use crate::lease::PooledConnection;
use crate::pool::Pool;

/// Where the server is in the WAL: what it has replayed as a replica, else what it has flushed. A replica gets no more than
/// that; what open transactions have written beyond is nobody's data yet.
const POSITION: &str = "SELECT /* pgprime */ CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() \
                        ELSE pg_catalog.pg_current_wal_flush_lsn() END";

/// Where the server's WAL ends. A commit that does not wait for the disk lies before it, too.
const END: &str = "SELECT /* pgprime */ CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() \
                   ELSE pg_catalog.pg_current_wal_insert_lsn() END";

/// Bytes of a page of the WAL, and of the header it begins with (PostgreSQL's `XLOG_BLCKSZ` as it is built everywhere, and
/// `SizeOfXLogShortPHD`; only a segment's first page has a longer header).
const PAGE_BYTES: u64 = 8_192;
const PAGE_HEADER_BYTES: u64 = 24;

/// How long a look at a server may wait for a connection and an answer: a pool under load must not blind the watch for long.
const LOOK_MAX: Duration = Duration::from_secs(2);

/// How often sessions that have just written ask how far the replica is: replicas that keep up are milliseconds behind.
const ASK_EVERY: Duration = Duration::from_millis(5);

/// How long the lag may be unknown, as while all connections are busy or hang, before it counts as too large; a longer limit
/// of the lag applies instead. Longer than one look may take.
const UNKNOWN_MAX: Duration = Duration::from_secs(3);

/// The replica's pool and its state.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) pool: Pool<Connector>,
    lag_max: Duration,
    state: Mutex<State>,
    /// Whether reads may go there, as last seen: for those who wait for it.
    is_used: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    meter: LagMeter,
    /// When it last said where it is.
    answered_at: Option<Instant>,
    /// How far it had replayed when it was last looked at.
    replayed: Option<PgLsn>,
    lag: Option<Duration>,
    /// When a session last asked for its position.
    asked_at: Option<Instant>,
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
        Self { pool, lag_max, state: Mutex::new(State::default()), is_used: watch::Sender::new(true) }
    }

    /// Whether reads may go there.
    pub(crate) fn is_usable(&self) -> bool {
        self.lock().problem(self.lag_max).is_none()
    }

    /// Ends when reads do not go there any more.
    pub(crate) async fn given_up(&self) {
        // The sender lives as long as `self`.
        let _ = self.is_used.subscribe().wait_for(|is_used| !is_used).await;
    }

    /// Whether it is known to have replayed up to here.
    pub(crate) fn has(&self, position: PgLsn) -> bool {
        self.lock().replayed.is_some_and(|replayed| replayed >= position)
    }

    /// Whether it has replayed up to here; it is asked when that is not known, at most once in [`ASK_EVERY`] for all.
    pub(crate) async fn has_now(&self, position: PgLsn) -> bool {
        if self.has(position) || !self.is_usable() || !self.lock().may_ask(Instant::now()) {
            return self.has(position);
        }
        if let Ok(replayed) = self::position(&self.pool).await {
            self.lock().replayed = Some(replayed);
        }
        self.has(position)
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
        self.is_used.send_replace(after.is_used);
        match (before.is_used, after.is_used) {
            (true, false) => {
                tracing::warn!(
                    lag_ms = after.lag_ms,
                    reason = after.reason,
                    "reading from the main database"
                );
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
    fn may_ask(&mut self, now: Instant) -> bool {
        let may = self.asked_at.is_none_or(|at| now.saturating_duration_since(at) >= ASK_EVERY);
        if may {
            self.asked_at = Some(now);
        }
        may
    }

    /// Why reads do not go there.
    fn problem(&self, lag_max: Duration) -> Option<String> {
        if let Some(failed) = &self.failed {
            return Some(failed.clone());
        }
        let silent =
            self.answered_at.map(|at| at.elapsed()).filter(|silent| *silent > lag_max.max(UNKNOWN_MAX));
        match (self.lag, silent) {
            (Some(lag), _) if lag > lag_max => {
                Some(format!("{} ms behind, more than {} ms", lag.as_millis(), lag_max.as_millis()))
            }
            (_, Some(silent)) => {
                Some(format!("how far it is behind has not been known for {} ms", silent.as_millis()))
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
                self.answered_at = Some(now);
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
async fn position(pool: &Pool<Connector>) -> Result<PgLsn, Error> {
    let connection = PooledConnection::new(pool.acquire_within(LOOK_MAX).await?);
    ask(&connection, POSITION).await
}

/// A position at or behind all that has been committed on the server that this connection leads to.
pub(crate) async fn end_on(connection: &PooledConnection) -> Result<PgLsn, Error> {
    let next = ask(connection, END).await?;
    Ok(end_of_record(next.into()).into())
}

async fn ask(connection: &PooledConnection, sql: &str) -> Result<PgLsn, Error> {
    let answer = tokio::time::timeout(LOOK_MAX, connection.query_one(sql, &[])).await;
    let row = answer.map_err(|_| Error::Query { source: QueryError::Silent { after: LOOK_MAX } })??;
    Ok(row.try_get(0)?)
}

/// Where the record ends that was written last. PostgreSQL says where the next one begins, which at the end of a page is
/// behind the next page's header: a replica that has replayed all would seem not to have.
fn end_of_record(next: u64) -> u64 {
    if next % PAGE_BYTES == PAGE_HEADER_BYTES { next - PAGE_HEADER_BYTES } else { next }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_the_next_page_is_not_part_of_a_record() {
        for (next, expected) in
            [(8_192 * 7 + 24, 8_192 * 7), (8_192 * 7 + 32, 8_192 * 7 + 32), (8_192, 8_192), (24, 0)]
        {
            assert_eq!(end_of_record(next), expected);
        }
    }

    #[test]
    fn a_lag_that_is_not_known_any_more_is_too_large() {
        let mut state = State::default();
        let lag_max = Duration::from_millis(300);
        assert_eq!(state.problem(lag_max), None);
        let before =
            |ago| Instant::now().checked_sub(Duration::from_secs(ago)).expect("the machine runs for longer");
        state.saw(before(2), Some(5.into()), Ok(5.into()));
        assert_eq!(state.problem(lag_max), None);
        state.saw(before(4), Some(5.into()), Ok(5.into()));
        assert!(state.problem(lag_max).is_some_and(|problem| problem.contains("has not been known for 4")));
        assert_eq!(state.problem(Duration::from_secs(5)), None);
    }
}
