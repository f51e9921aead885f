//! What is put into a history and taken out of it.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;

use super::counters::{Counters, Extremes};

/// A server whose statements are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct SourceKey {
    /// The identifier of the cluster's data; a replica has that of its primary.
    pub system: String,
    /// Which server of the cluster: host and port, as it was connected to.
    pub label: String,
}

/// What pg_stat_statements counts separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct StatementKey {
    /// The role's oid.
    pub user_oid: u32,
    /// The database's oid.
    pub database_oid: u32,
    /// PostgreSQL's hash of the statement.
    pub query_id: i64,
    /// Whether a client sent it, rather than a function run it. Always true before version 14.
    pub toplevel: bool,
}

/// Who a statement belongs to, and its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// What it is counted under.
    pub key: StatementKey,
    /// The role's name; None when it was dropped.
    pub role: Option<String>,
    /// The database's name; None when it was dropped.
    pub database: Option<String>,
    /// The text; None when it was not read.
    pub text: Option<String>,
}

/// What has been counted of one statement since it was first met.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Entry {
    /// The counters.
    pub counters: Counters,
    /// The shortest execution, in milliseconds.
    pub min_ms: f64,
    /// The longest execution, in milliseconds.
    pub max_ms: f64,
    /// Since when it is counted; since version 17.
    pub stats_since: Option<Timestamp>,
    /// Since when the shortest and the longest execution are kept; since version 17.
    pub minmax_since: Option<Timestamp>,
}

/// All counters at one moment, and what tells whether they can be compared with those of another.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// When they were read, by the server's clock.
    pub taken_at: Timestamp,
    /// When the server was started.
    pub started_at: Timestamp,
    /// When all counters were last reset; None before version 14.
    pub reset_at: Option<Timestamp>,
    /// Times that entries were dropped for want of room since then; None before version 14.
    pub deallocations: Option<u64>,
    /// Who read them.
    pub role: String,
    /// Whether that role sees the statements of all roles.
    pub sees_all: bool,
    /// The statements that it sees.
    pub entries: HashMap<StatementKey, Entry>,
}

/// What happened to the counters in an interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Events {
    /// Starts of the server.
    pub restarts: u64,
    /// Resets of all counters.
    pub resets: u64,
    /// Times that entries were dropped for want of room; those since the reset where there was one.
    pub evictions: u64,
    /// Statements that were dropped: what they did last is not counted.
    pub vanished: u64,
    /// Statements that were dropped and met again: what they did in between is not counted.
    pub begun_anew: u64,
}

impl Events {
    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            restarts: self.restarts + other.restarts,
            resets: self.resets + other.resets,
            evictions: self.evictions + other.evictions,
            vanished: self.vanished + other.vanished,
            begun_anew: self.begun_anew + other.begun_anew,
        }
    }
}

/// What one statement did in an interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Usage {
    /// Which statement.
    pub key: StatementKey,
    /// What was counted in the interval.
    pub counters: Counters,
    /// Its shortest and longest execution.
    pub extremes: Extremes,
    /// Whether counting began anew within the interval, so that some of it is missing.
    pub is_partial: bool,
}

/// What all statements did between two readings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Interval {
    /// Its beginning, by the server's clock.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
    /// What happened to the counters.
    pub events: Events,
    /// The statements that did anything.
    pub usages: Vec<Usage>,
}

/// A stretch of time that was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Its beginning.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
    /// Intervals that were recorded in it.
    pub recordings: u64,
    /// What happened to the counters.
    pub events: Events,
}

/// What a statement did over a stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatementTotals {
    /// Who it belongs to, and its text.
    pub identity: Identity,
    /// When the history first met it.
    pub first_seen: Timestamp,
    /// When it last did anything.
    pub last_seen: Timestamp,
    /// What was counted.
    pub counters: Counters,
    /// Its shortest and longest execution.
    pub extremes: Extremes,
}

/// What all statements did over a stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Totals {
    /// What was recorded, which may be less or a little more than what was asked for.
    pub coverage: Coverage,
    /// The statements that did anything.
    pub statements: Vec<StatementTotals>,
}

/// What a statement did in one recorded interval.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UsagePoint {
    /// Its beginning.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
    /// What was counted.
    pub counters: Counters,
    /// The shortest and longest execution.
    pub extremes: Extremes,
}
