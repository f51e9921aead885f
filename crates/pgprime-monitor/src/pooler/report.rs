//! What is known of a pooler at one moment.

use jiff::Timestamp;
use serde::Serialize;

/// Which pooler it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolerKind {
    /// The built-in one.
    Pgprime,
    /// PgBouncer.
    Pgbouncer,
}

impl PoolerKind {
    /// Which one says that it is of this version: pgprime names itself beside the version it is compatible with.
    #[must_use]
    pub fn of_version(version: &str) -> Self {
        if version.contains("pgprime") { Self::Pgprime } else { Self::Pgbouncer }
    }
}

/// One pool: a user on a database.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PoolerPool {
    /// Database as clients ask for it.
    pub database: String,
    /// User.
    pub user: String,
    /// `session`, `transaction` or `statement`.
    pub mode: String,
    /// Clients with a server, or idle.
    pub clients_active: u64,
    /// Clients that wait for a server.
    pub clients_waiting: u64,
    /// Servers with a client.
    pub servers_active: u64,
    /// Servers at rest.
    pub servers_idle: u64,
    /// Servers that are in none of these states: logging in, tested, being cancelled.
    pub servers_other: u64,
    /// How long the first in the queue has waited, in seconds.
    pub wait_s_max: f64,
    /// The most servers it may have, where it is known.
    pub size_max: Option<u64>,
    /// Whether PAUSE is in force.
    pub paused: bool,
}

/// What a pooler did since its start, over all databases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PoolerTotals {
    /// Transactions.
    pub transactions: u64,
    /// Requests or statements.
    pub queries: u64,
    /// Bytes from clients.
    pub received_bytes: u64,
    /// Bytes to clients.
    pub sent_bytes: u64,
    /// Time that servers were at work, in microseconds.
    pub query_us: u64,
    /// Time that servers were in transactions, in microseconds.
    pub transaction_us: u64,
    /// Time that clients waited for servers, in microseconds.
    pub wait_us: u64,
}

/// A database as the pooler's configuration has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PoolerDatabase {
    /// As clients ask for it.
    pub name: String,
    /// The most servers of a user, without the reserve.
    pub pool_size: Option<u64>,
    /// Further servers for clients that have waited long.
    pub reserve_pool: Option<u64>,
    /// The most servers of all users together; `None` for no limit.
    pub connections_max: Option<u64>,
    /// Servers that there are.
    pub connections: u64,
    /// Whether PAUSE is in force.
    pub paused: bool,
    /// Whether new clients are refused.
    pub disabled: bool,
}

/// How long executions took on servers: what 50, 95 and 99 of 100 did not exceed, give or take 6 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PoolerLatency {
    /// Half of them, in milliseconds.
    pub p50_ms: f64,
    /// 95 of 100.
    pub p95_ms: f64,
    /// 99 of 100.
    pub p99_ms: f64,
}

/// A pooler at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PoolerReport {
    /// When.
    pub taken_at: Timestamp,
    /// Which.
    pub kind: PoolerKind,
    /// Its version, as it says.
    pub version: String,
    /// Its pools, without the console's own.
    pub pools: Vec<PoolerPool>,
    /// Its databases; empty where only pools are known.
    pub databases: Vec<PoolerDatabase>,
    /// What it did since its start.
    pub totals: PoolerTotals,
    /// How long executions took since the look before, where it is known.
    pub latency: Option<PoolerLatency>,
    /// Client connections, those logging in included.
    pub clients: u64,
    /// `max_client_conn`.
    pub clients_max: Option<u64>,
    /// Server connections.
    pub servers: u64,
}
