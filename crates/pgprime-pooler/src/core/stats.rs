//! Counters of one pool on one worker.

use std::ops::{Add, Sub};
use std::time::Duration;

/// What SHOW STATS adds up. Everything only ever grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Transactions finished.
    pub transactions: u64,
    /// Requests answered.
    pub queries: u64,
    /// Times a server was given to a client.
    pub assignments: u64,
    /// Bytes from clients.
    pub received_bytes: u64,
    /// Bytes to clients.
    pub sent_bytes: u64,
    /// Microseconds spent in transactions, idle ones included.
    pub transaction_us: u64,
    /// Microseconds spent by servers on requests.
    pub query_us: u64,
    /// Microseconds clients waited for a server.
    pub wait_us: u64,
    /// Parse messages from clients.
    pub client_parses: u64,
    /// Parse messages to servers.
    pub server_parses: u64,
    /// Bind messages from clients.
    pub binds: u64,
}

impl Counters {
    fn combine(self, other: Self, with: fn(u64, u64) -> u64) -> Self {
        Self {
            transactions: with(self.transactions, other.transactions),
            queries: with(self.queries, other.queries),
            assignments: with(self.assignments, other.assignments),
            received_bytes: with(self.received_bytes, other.received_bytes),
            sent_bytes: with(self.sent_bytes, other.sent_bytes),
            transaction_us: with(self.transaction_us, other.transaction_us),
            query_us: with(self.query_us, other.query_us),
            wait_us: with(self.wait_us, other.wait_us),
            client_parses: with(self.client_parses, other.client_parses),
            server_parses: with(self.server_parses, other.server_parses),
            binds: with(self.binds, other.binds),
        }
    }
}

impl Add for Counters {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.combine(other, u64::saturating_add)
    }
}

impl Sub for Counters {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.combine(other, u64::saturating_sub)
    }
}

/// Whole microseconds, for counters.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
