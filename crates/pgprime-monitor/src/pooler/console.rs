//! A pooler's console: PgBouncer's, or pgprime's, which speaks the same.
//!
//! Columns are found by their names, which differ between versions; one that is missing is no error.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use tokio::time::timeout;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::report::{PoolerDatabase, PoolerKind, PoolerPool, PoolerReport, PoolerTotals};

/// A console that does not answer is given up after this.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// The console's own database.
pub(super) const CONSOLE: &str = "pgbouncer";

/// What a console does not tell.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// It refuses, or the connection is lost.
    #[error("the pooler's console does not answer {command}: {source}")]
    Refused {
        /// What was asked.
        command: &'static str,
        /// Why not.
        source: tokio_postgres::Error,
    },
    /// It says nothing.
    #[error("the pooler's console has not answered {command} for {} s", ANSWER_MAX.as_secs())]
    Silent {
        /// What was asked.
        command: &'static str,
    },
}

impl ConsoleError {
    /// Whether the connection is of no more use.
    #[must_use]
    pub fn is_connection_lost(&self) -> bool {
        match self {
            Self::Refused { source, .. } => source.is_closed() || source.as_db_error().is_none(),
            Self::Silent { .. } => true,
        }
    }
}

/// What a pooler says of itself, over a connection to its console (the database `pgbouncer`).
///
/// # Errors
/// [`ConsoleError`]
pub async fn read_console(console: &Client) -> Result<PoolerReport, ConsoleError> {
    let version = read_version(console).await?;
    let databases = show(console, "SHOW DATABASES").await?;
    let databases: Vec<PoolerDatabase> =
        databases.iter().filter(|row| word(row, "name") != CONSOLE).map(database).collect();
    let pools = show(console, "SHOW POOLS").await?;
    let pools = pools.iter().filter(|row| word(row, "database") != CONSOLE);
    let pools: Vec<PoolerPool> = pools.map(|row| pool(row, &databases)).collect();
    let stats = show(console, "SHOW STATS").await?;
    let lists = show(console, "SHOW LISTS").await?;
    let list = |name: &str| {
        let found = lists.iter().find(|row| word(row, "list") == name);
        found.and_then(|row| number(row, "items")).unwrap_or(0)
    };
    let config = settings(console).await?;
    Ok(PoolerReport {
        latency: None,
        taken_at: Timestamp::now(),
        kind: PoolerKind::of_version(&version),
        version,
        totals: totals(&stats),
        clients: list("used_clients") + list("login_clients"),
        clients_max: config.get("max_client_conn").and_then(|value| value.parse().ok()),
        servers: list("used_servers") + list("free_servers"),
        pools,
        databases,
    })
}

/// Its version, as it says.
///
/// # Errors
/// [`ConsoleError`]
pub async fn read_version(console: &Client) -> Result<String, ConsoleError> {
    let rows = show(console, "SHOW VERSION").await?;
    Ok(rows.first().and_then(|row| row.get(0)).unwrap_or_default().to_owned())
}

/// Its settings in force, by their names.
///
/// # Errors
/// [`ConsoleError`]
pub async fn settings(console: &Client) -> Result<BTreeMap<String, String>, ConsoleError> {
    let rows = show(console, "SHOW CONFIG").await?;
    Ok(rows.iter().map(|row| (word(row, "key").to_owned(), word(row, "value").to_owned())).collect())
}

async fn show(console: &Client, command: &'static str) -> Result<Vec<SimpleQueryRow>, ConsoleError> {
    let mut rows = Vec::new();
    each_row(console, command, |row| rows.push(row)).await?;
    Ok(rows)
}

/// Rows as they come, for lists that are too long to be kept.
pub(super) async fn each_row(
    console: &Client,
    command: &'static str,
    mut take: impl FnMut(SimpleQueryRow),
) -> Result<(), ConsoleError> {
    let reading = async {
        let mut messages = pin!(console.simple_query_raw(command).await?);
        while let Some(message) = messages.try_next().await? {
            if let SimpleQueryMessage::Row(row) = message {
                take(row);
            }
        }
        Ok(())
    };
    let ended = timeout(ANSWER_MAX, reading).await.map_err(|_| ConsoleError::Silent { command })?;
    ended.map_err(|source| ConsoleError::Refused { command, source })
}

fn database(row: &SimpleQueryRow) -> PoolerDatabase {
    PoolerDatabase {
        name: word(row, "name").to_owned(),
        pool_size: number(row, "pool_size"),
        reserve_pool: number(row, "reserve_pool_size").or_else(|| number(row, "reserve_pool")),
        connections_max: number(row, "max_connections").filter(|max| *max > 0),
        connections: number(row, "current_connections").unwrap_or(0),
        paused: number(row, "paused").is_some_and(|value| value > 0),
        disabled: number(row, "disabled").is_some_and(|value| value > 0),
    }
}

fn pool(row: &SimpleQueryRow, databases: &[PoolerDatabase]) -> PoolerPool {
    let count = |names: &[&str]| names.iter().filter_map(|name| number(row, name)).sum::<u64>();
    let name = word(row, "database");
    let of = databases.iter().find(|database| database.name == name);
    let wait_us = number(row, "maxwait_us").unwrap_or(0);
    PoolerPool {
        database: name.to_owned(),
        user: word(row, "user").to_owned(),
        mode: word(row, "pool_mode").to_owned(),
        clients_active: count(&["cl_active"]),
        clients_waiting: count(&["cl_waiting"]),
        servers_active: count(&["sv_active"]),
        servers_idle: count(&["sv_idle", "sv_used"]),
        servers_other: count(&["sv_tested", "sv_login", "sv_active_cancel", "sv_being_canceled"]),
        wait_s_max: number(row, "maxwait").unwrap_or(0) as f64 + wait_us as f64 / 1e6,
        size_max: of.and_then(|database| database.pool_size),
        paused: of.is_some_and(|database| database.paused),
    }
}

fn totals(rows: &[SimpleQueryRow]) -> PoolerTotals {
    let sum = |name: &str| rows.iter().filter_map(|row| number(row, name)).sum::<u64>();
    PoolerTotals {
        transactions: sum("total_xact_count"),
        queries: sum("total_query_count"),
        received_bytes: sum("total_received"),
        sent_bytes: sum("total_sent"),
        query_us: sum("total_query_time"),
        transaction_us: sum("total_xact_time"),
        wait_us: sum("total_wait_time"),
    }
}

pub(super) fn word<'a>(row: &'a SimpleQueryRow, column: &str) -> &'a str {
    row.try_get(column).ok().flatten().unwrap_or_default()
}

pub(super) fn number(row: &SimpleQueryRow, column: &str) -> Option<u64> {
    row.try_get(column).ok().flatten()?.parse().ok()
}
