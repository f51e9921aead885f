//! Connection pools inside a Rust application: main, read and admin.
//!
//! It never retries what may have had an effect, never hands out a connection in an unknown state, and never opens more
//! connections than its budget.

mod access;
mod config;
mod connect;
mod connection;
mod connector;
mod consistency;
mod counters;
mod database;
mod endpoint;
mod error;
mod keyset;
mod lag;
mod lease;
mod loggable;
mod pool;
mod probe;
mod replica;
mod retry;
mod roles;
mod session;
mod statements;
mod tls;
mod transaction;

pub use access::{Access, Rows};
pub use config::{AdminConfig, ConfigError, DatabaseConfig, LiveLimits, PoolSize, Sizes};
pub use connect::{Connected, connect};
pub use connection::{Connection, Named, RowStream, StatementRef};
pub use consistency::{Freshness, Session};
pub use counters::QueryCounts;
pub use database::{Database, DatabaseReport, RoleReport};
pub use error::{ConnectError, Error, Exhausted, Holder, QueryError, Step};
pub use keyset::{Direction, Keyset, Page};
pub use lease::PooledConnection;
pub use pool::{ClosedTotals, HolderReport, Percentiles, PoolOptions, PoolReport};
pub use replica::ReplicaReport;
pub use retry::RetryPolicy;
pub use session::{Path, Pooling, Role, SessionSettings};
/// Rows and parameters are the driver's.
pub use tokio_postgres::{Row, types};
pub use transaction::{Isolation, Transaction, TransactionOptions, Writes};
