//! Who waits for a lock, and behind whom.

use serde::Serialize;
use tokio_postgres::{Error, Row};

use super::activity::{SessionSeen, States, session_of};
use super::section::Section;
use super::session::{Session, get};
use crate::health::down::Down;

/// A session that waits for a lock, or one that others wait for.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LockWait {
    /// The session.
    pub session: SessionSeen,
    /// Whom it waits for, 0 for a prepared transaction; empty where it does not wait.
    pub blocked_by: Vec<i32>,
    /// The lock that it waits for, as `ShareLock`.
    pub lock_mode: Option<String>,
    /// On what, as `public.orders` or `transactionid`.
    pub lock_on: Option<String>,
    /// Since when it waits, in seconds; before version 14 since its statement began.
    pub wait_s: Option<f64>,
}

/// Asking who blocks whom holds up the lock manager for a moment, so it is asked only where somebody waits.
pub(super) async fn read(
    session: &Session<'_>,
    states: Option<&States>,
) -> Result<Section<Vec<LockWait>>, Down> {
    if states.is_some_and(|states| states.lock_waiting == 0 && states.hidden == 0) {
        return Ok(Ok(Vec::new()));
    }
    let sql = include_str!("../../../sql/health_locks.sql");
    let parse = |rows: &[Row]| rows.iter().map(wait).collect();
    session.section("who waits for whom", sql, &[], parse).await
}

fn wait(row: &Row) -> Result<LockWait, Error> {
    Ok(LockWait {
        session: session_of(row)?,
        blocked_by: get(row, "blocked_by")?,
        lock_mode: get(row, "lock_mode")?,
        lock_on: get(row, "lock_on")?,
        wait_s: get(row, "wait_s")?,
    })
}
