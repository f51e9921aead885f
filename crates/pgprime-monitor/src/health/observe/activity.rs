//! Sessions: how many in which state, and those that take long.

use serde::Serialize;
use tokio_postgres::{Error, Row};

use super::section::Section;
use super::server::Server;
use super::session::{Session, count, get};
use crate::health::down::Down;

/// How many sessions of clients are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct States {
    /// All of them, our own included.
    pub used: u64,
    /// At work.
    pub active: u64,
    /// At rest.
    pub idle: u64,
    /// At rest with a transaction open.
    pub idle_in_transaction: u64,
    /// Of those, for 5 s or longer.
    pub idle_in_transaction_long: u64,
    /// Those whose state this role may not see.
    pub hidden: u64,
    /// Waiting for a lock.
    pub lock_waiting: u64,
    /// Autovacuum's, which are none of `used`.
    pub autovacuum_workers: u64,
}

/// One session.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SessionSeen {
    /// Its process id.
    pub pid: i32,
    /// Its role.
    pub user: Option<String>,
    /// Its database.
    pub database: Option<String>,
    /// As it calls itself.
    pub application: Option<String>,
    /// An address, or `local`.
    pub client_address: Option<String>,
    /// `active`, `idle in transaction` and so on.
    pub state: Option<String>,
    /// What it waits for, as `Lock: transactionid`.
    pub wait_event: Option<String>,
    /// The beginning of its statement, with its values; the last one, where it is idle.
    pub query: Option<String>,
    /// Since when its statement began, in seconds.
    pub query_s: Option<f64>,
    /// Since when its transaction began.
    pub transaction_s: Option<f64>,
    /// Since when it is in its state.
    pub state_s: Option<f64>,
}

impl SessionSeen {
    /// Whether a transaction is open and nothing is done in it.
    #[must_use]
    pub fn is_idle_in_transaction(&self) -> bool {
        self.state.as_deref().is_some_and(|state| state.starts_with("idle in transaction"))
    }

    /// Whether a statement is at work.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.state.as_deref() == Some("active")
    }
}

/// A transaction that waits for the second phase of its commit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PreparedTransaction {
    /// Its name, as SQL writes it.
    pub id: String,
    /// Its database.
    pub database: String,
    /// Its role.
    pub owner: String,
    /// Since when, in seconds.
    pub age_s: f64,
}

pub(super) async fn states(session: &Session<'_>) -> Result<Section<States>, Down> {
    let sql = include_str!("../../../sql/health_states.sql");
    let parse = |rows: &[Row]| rows.first().map(parse_states).transpose().map(Option::unwrap_or_default);
    session.section("how many sessions there are", sql, &[], parse).await
}

fn parse_states(row: &Row) -> Result<States, Error> {
    Ok(States {
        used: count(row, "used")?,
        active: count(row, "active")?,
        idle: count(row, "idle")?,
        idle_in_transaction: count(row, "idle_in_transaction")?,
        idle_in_transaction_long: count(row, "idle_in_transaction_long")?,
        hidden: count(row, "hidden")?,
        lock_waiting: count(row, "lock_waiting")?,
        autovacuum_workers: count(row, "autovacuum_workers")?,
    })
}

pub(super) async fn sessions(session: &Session<'_>) -> Result<Section<Vec<SessionSeen>>, Down> {
    let sql = include_str!("../../../sql/health_sessions.sql");
    let parse = |rows: &[Row]| rows.iter().map(session_of).collect();
    session.section("long statements and transactions", sql, &[], parse).await
}

/// The columns of a session, as several statements have them.
pub(super) fn session_of(row: &Row) -> Result<SessionSeen, Error> {
    Ok(SessionSeen {
        pid: get(row, "pid")?,
        user: get(row, "username")?,
        database: get(row, "database")?,
        application: get(row, "application")?,
        client_address: get(row, "client_address")?,
        state: get(row, "state")?,
        wait_event: get(row, "wait_event")?,
        query: get(row, "query")?,
        query_s: get(row, "query_s")?,
        transaction_s: get(row, "transaction_s")?,
        state_s: get(row, "state_s")?,
    })
}

pub(super) async fn prepared(
    session: &Session<'_>,
    server: &Server,
) -> Result<Section<Vec<PreparedTransaction>>, Down> {
    if server.in_recovery {
        return Ok(Ok(Vec::new()));
    }
    let sql = include_str!("../../../sql/health_prepared.sql");
    let one = |row: &Row| {
        Ok(PreparedTransaction {
            id: get(row, "id")?,
            database: get(row, "database")?,
            owner: get(row, "owner")?,
            age_s: get(row, "age_s")?,
        })
    };
    session.section("prepared transactions", sql, &[], |rows| rows.iter().map(one).collect()).await
}
