//! A store for results of queries: bytes in memory, in Redis or Valkey, or in both as two tiers.
//!
//! It knows no SQL: the caller says under which [`Key`] a result is kept, which [`Tables`] it was made from, and how to make
//! it. Many readers of a missing result cause one fill. Every table has an epoch, a value that is never used twice; an
//! entry is served only while the epochs noted before its fill are those of now. A writer holds an [`Intent`] around its
//! COMMIT, so that after [`Intent::committed`] nobody is served what is older.
//!
//! It never stores an error, never lets a reader wait for Redis longer than a limit, and never trusts what Redis holds
//! without checking it. Main types: [`Cache`], [`Request`], [`Policy`], [`Served`], [`Intent`].

mod breaker;
mod cache;
mod codec;
mod config;
mod epochs;
mod fill;
mod filling;
mod flight;
mod inner;
mod intent;
mod key;
mod memory;

mod served;
mod shared;
mod stamp;
mod stats;
mod tables;

pub use cache::{Cache, Request};
pub use config::{CacheConfig, ConfigError, Consistency, Policy, RedisConfig};
pub use fill::Filled;
pub use intent::Intent;
pub use key::{Key, KeyBuilder};
pub use served::{Served, Source};
pub use shared::{Reach, RedisReport, RedisState};
pub use stats::{LabelReport, Report, Worth};
pub use tables::{Table, Tables};
