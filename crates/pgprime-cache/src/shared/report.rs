//! What is said of the tier in Redis.

use serde::Serialize;

/// How far the word of a change has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[must_use = "where a change did not reach other instances, they may serve what is older until its time to live ends"]
pub enum Reach {
    /// Every instance that reaches Redis sees it from now on; so it is, too, where there is no Redis to tell.
    Everywhere,
    /// This instance sees it. Redis could not be told yet; it will be before this instance trusts it again.
    Here,
}

/// Whether Redis is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RedisState {
    /// It is.
    Up,
    /// It failed, and is left alone for a while.
    Down,
    /// It failed, and is being tried.
    Probing,
}

/// The tier in Redis and what became of its operations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RedisReport {
    /// Whether it is used.
    pub state: RedisState,
    /// What went wrong last, and what to do about it where that is known; none if nothing has.
    pub trouble: Option<String>,
    /// Operations that were too slow.
    pub timeouts: u64,
    /// Operations and attempts to connect that failed otherwise.
    pub failures: u64,
    /// How often it was given up for a while.
    pub outages: u64,
    /// Connections made.
    pub connections: u64,
    /// Changed tables that it has not been told yet.
    pub debts: u64,
    /// How often there were too many of those, so that everything in it was given up instead.
    pub debts_overflowed: u64,
}
