//! The pools, each with its settings. What is set for which is said in [`notes`].

mod bb8;
mod deadpool;
mod pgprime;
mod semaphore;
mod sqlx;

use std::time::Duration;

pub(crate) use bb8::Bb8;
pub(crate) use deadpool::Deadpool;
pub(crate) use pgprime::Pgprime;
pub(crate) use semaphore::Semaphore;
pub(crate) use sqlx::Sqlx;

use crate::arguments::{PoolName, Settings};

/// How long a task waits for a connection when all pools are set up alike: pgprime-client's default.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The versions that were built in, as the manifest asks for them, and how `SELECT 1` is prepared.
pub(crate) fn version(pool: PoolName) -> &'static str {
    match pool {
        PoolName::Pgprime => {
            "pgprime-client; database.main().acquire(), query(\"SELECT 1\"), prepared by the pool"
        }
        PoolName::Deadpool => "deadpool-postgres 0.14; pool.get(), prepare_cached and query",
        PoolName::Bb8 => {
            "bb8-postgres 0.9; pool.get(), query of a statement prepared as the connection opened"
        }
        PoolName::Sqlx => "sqlx 0.8 PgPool; pool.acquire(), query(\"SELECT 1\").fetch_all, its own driver",
    }
}

/// What is set besides the size.
pub(crate) fn notes(pool: PoolName, settings: Settings) -> &'static str {
    match (settings, pool) {
        (Settings::Alike, PoolName::Pgprime) => "timeout 10 s, check_after_idle 0 (never)",
        (Settings::Alike, PoolName::Deadpool) => "wait_timeout 10 s, RecyclingMethod::Fast",
        (Settings::Alike, PoolName::Bb8) => "connection_timeout 10 s, test_on_check_out(false)",
        (Settings::Alike, PoolName::Sqlx) => "acquire_timeout 10 s, test_before_acquire(false)",
        (Settings::Own, PoolName::Pgprime) => "timeout 10 s, checked after 30 s of idleness",
        (Settings::Own, PoolName::Deadpool) => "no timeout, RecyclingMethod::Fast",
        (Settings::Own, PoolName::Bb8) => "connection_timeout 30 s, a query before each check-out",
        (Settings::Own, PoolName::Sqlx) => "acquire_timeout 30 s, a ping before each check-out",
    }
}
