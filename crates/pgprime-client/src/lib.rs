//! Connection pools inside a Rust application: main, read and admin.
//!
//! It never retries what may have had an effect, never hands out a connection in an unknown state, and never opens more
//! connections than its budget.

mod access;
#[cfg(feature = "cache")]
mod cached;
#[cfg(feature = "cache")]
mod cell;
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
pub mod outside;
mod pool;
mod probe;
mod replica;
#[cfg(feature = "cache")]
mod results;
mod retry;
mod roles;
mod session;
mod slowest;
mod statements;
mod target;
mod tls;
mod transaction;
mod yielding;

pub use access::{Access, Rows};
#[cfg(feature = "cache")]
pub use cached::{Cached, CachedRow, CachedRows, CachedSource, ColumnIndex};
#[cfg(feature = "cache")]
pub use cell::CellError;
pub use config::{AdminConfig, ConfigError, DatabaseConfig, LiveLimits, PoolSize, Sizes};
#[cfg(feature = "cache")]
pub use config::{ResultCacheConfig, WhileDeaf};
pub use connect::{Connected, connect};
#[cfg(feature = "cache")]
pub use connection::WriteReport;
pub use connection::{Connection, Named, RowStream, StatementRef};
pub use consistency::{Freshness, Session};
pub use counters::QueryCounts;
pub use database::{Database, DatabaseReport, RoleReport};
pub use error::{ConnectError, Error, Exhausted, Holder, QueryError, Step};
pub use keyset::{Direction, Keyset, Page};
pub use lease::PooledConnection;
/// The store behind cached reads: its settings and what it says of itself.
#[cfg(feature = "cache")]
pub use pgprime_cache as cache;
pub use pool::{ClosedTotals, HolderReport, Percentiles, PoolOptions, PoolReport};
pub use replica::ReplicaReport;
#[cfg(feature = "cache")]
pub use results::{CachedColumn, HearingReport, RefusalReport, RefusedReason, ResultCacheReport};
pub use retry::RetryPolicy;
pub use session::{Path, Pooling, Role, SessionSettings};
pub use slowest::SlowStatement;
pub use target::{Target, TargetTls};
/// Rows and parameters are the driver's.
pub use tokio_postgres::{Row, types};
pub use transaction::{Isolation, Transaction, TransactionOptions, Writes};
pub use yielding::HeldCounts;
