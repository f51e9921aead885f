//! Who is connected, and who follows.

use serde::Serialize;
use tokio_postgres::Row;

use super::server::Server;
use pgprime_readonly::Missing;
use pgprime_readonly::ReadError;
use pgprime_readonly::{Session, column, count};

/// More than a person reads; the totals count all.
const GROUPS_MAX: usize = 50;

/// Client connections at the moment of asking, without the one that asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Connections {
    /// All of them.
    pub total: u64,
    /// Executing.
    pub active: u64,
    /// Waiting for their client, outside a transaction.
    pub idle: u64,
    /// Waiting for their client, within a transaction.
    pub idle_in_transaction: u64,
    /// In a state that this role may not see or that the server does not track.
    pub unknown: u64,
    /// Those to another database or of another role than the one that asked: the part of the budget that the
    /// application does not have, if it logs in with this role.
    pub others: u64,
    /// Who holds how many, most first, the 50 largest.
    pub groups: Vec<ConnectionGroup>,
}

/// The connections of one role to one database with one name of the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectionGroup {
    /// The database.
    pub database: String,
    /// The role.
    pub role: String,
    /// What the client calls itself.
    pub application: String,
    /// How many.
    pub connections: u64,
}

/// A server or a subscriber that follows this one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replica {
    /// What it calls itself; None, as the rest, when this role may not see it.
    pub name: Option<String>,
    /// Its address; None also over a Unix socket.
    pub address: Option<String>,
    /// As `streaming` or `catchup`.
    pub state: Option<String>,
    /// As `async` or `sync`.
    pub sync_state: Option<String>,
    /// Whether it takes part of the changes as a subscriber, so that it cannot serve reads of everything. Known by its
    /// slot.
    pub is_logical: bool,
    /// Bytes of the log that it has not replayed.
    pub lag_bytes: Option<i64>,
    /// Seconds that it takes to replay what is written; None when it has caught up.
    pub lag_seconds: Option<f64>,
}

pub(super) async fn connections(
    session: &Session<'_>,
    server: &Server,
    missing: &mut Vec<Missing>,
) -> Result<Connections, ReadError> {
    let step = "count connections";
    let rows = session.rows(step, include_str!("../../sql/activity.sql"), &[]).await?;
    let mut sums = Connections::default();
    for row in &rows {
        let connections = count(row, step, "connections")?;
        sums.total += connections;
        sums.active += count(row, step, "active")?;
        sums.idle += count(row, step, "idle")?;
        sums.idle_in_transaction += count(row, step, "idle_in_transaction")?;
        if !column::<Option<bool>>(row, step, "is_own")?.unwrap_or(false) {
            sums.others += connections;
        }
        if sums.groups.len() < GROUPS_MAX {
            sums.groups.push(group(row, step, connections)?);
        }
    }
    sums.unknown = sums.total.saturating_sub(sums.active + sums.idle + sums.idle_in_transaction);
    if sums.unknown > 0 && !server.sees_statistics {
        let why = format!(
            "this role may not see what {} connections of other roles are doing; some of them may be the server's own",
            sums.unknown
        );
        let missing_state = Missing::new("the state of other roles' connections", why);
        missing.push(missing_state.with_statement(server.grant_monitor()));
    }
    Ok(sums)
}

fn group(row: &Row, step: &'static str, connections: u64) -> Result<ConnectionGroup, ReadError> {
    let text = |name| column::<Option<String>>(row, step, name).map(Option::unwrap_or_default);
    Ok(ConnectionGroup {
        database: text("database")?,
        role: text("role")?,
        application: text("application")?,
        connections,
    })
}

pub(super) async fn replicas(
    session: &Session<'_>,
    server: &Server,
    missing: &mut Vec<Missing>,
) -> Result<Vec<Replica>, ReadError> {
    let step = "look for replicas";
    let rows = session.rows(step, include_str!("../../sql/replicas.sql"), &[]).await?;
    let replica = |row| -> Result<Replica, ReadError> {
        Ok(Replica {
            name: column(row, step, "name")?,
            address: column(row, step, "address")?,
            state: column(row, step, "state")?,
            sync_state: column(row, step, "sync_state")?,
            is_logical: column(row, step, "is_logical")?,
            lag_bytes: column(row, step, "lag_bytes")?,
            lag_seconds: column(row, step, "lag_seconds")?,
        })
    };
    let replicas: Vec<Replica> = rows.iter().map(replica).collect::<Result<_, _>>()?;
    if !server.sees_statistics && replicas.iter().any(|replica| replica.state.is_none()) {
        let why = "this role sees that there are replicas, not which and how far behind";
        missing.push(Missing::new("the state of replicas", why).with_statement(server.grant_monitor()));
    }
    Ok(replicas)
}
