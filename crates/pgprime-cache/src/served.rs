//! What a reader gets.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

/// A result and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The bytes as the fill gave them.
    pub bytes: Bytes,
    /// Where they came from.
    pub source: Source,
    /// Since its fill began.
    pub age: Duration,
}

/// Where a result came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// This process's memory.
    Memory,
    /// Redis.
    Redis,
    /// This call's own fill.
    Filled,
    /// The fill of another call that was under way.
    Shared,
    /// An entry past its time to live, but not older than any known change; it is being filled anew.
    Stale,
}
