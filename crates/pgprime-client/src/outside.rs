//! Writers outside: programs that change tables without this library, and without a word to its cache.
//!
//! A trigger on each table says in which one something has changed, when the change is committed. [`triggers_sql`] is what
//! it takes, [`install`] does it, and where [`ResultCacheConfig::listen_url`](crate::ResultCacheConfig) is set the cache
//! listens.
//!
//! What no trigger sees: rows applied by logical replication, tables (and partitions) that came after the triggers, and DDL.

#[cfg(feature = "cache")]
mod listener;
#[cfg(feature = "cache")]
mod message;
mod tables;
mod triggers;

pub use tables::{families, tables_of};
pub use triggers::{Watched, install, installed, remove, triggers_sql};

#[cfg(feature = "cache")]
pub(crate) use listener::{Listener, listen};
