//! Writers outside: programs that change tables without this library, and without a word to its cache.
//!
//! There are two ways, and both may be used at once. A trigger on each table says in which one something has changed, when the
//! change is committed: [`triggers_sql`] is what it takes, [`install`] does it. Or the server says it itself, by logical
//! decoding: [`publish`] makes the publication that this takes, where `wal_level` allows. Where
//! [`ResultCacheConfig::listen_url`](crate::ResultCacheConfig) is set, the cache listens.
//!
//! What no trigger sees: rows applied by logical replication, tables (and partitions) that came after the triggers. What no
//! publication says: changes of unlogged tables and of those that came after it, unless they are partitions. What neither
//! says: DDL.

#[cfg(feature = "cache")]
mod listener;
#[cfg(feature = "cache")]
mod listening;
#[cfg(feature = "cache")]
mod message;
mod publication;
#[cfg(feature = "cache")]
mod replication;
mod tables;
mod triggers;

pub use publication::{
    Columns, Need, Published, Unfit, publication_needs, publication_sql, publish, published, unpublish,
};
pub use tables::{families, tables_of};
pub use triggers::{Watched, install, installed, remove, triggers_sql};

#[cfg(feature = "cache")]
pub(crate) use listener::{Listener, listen};
