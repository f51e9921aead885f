//! What pg_stat_statements says at one moment.

use serde::Serialize;

use crate::Missing;
use crate::history::{Identity, Reading, SourceKey};

/// The server, and who asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Server {
    /// As the server writes it, as `15.8 (Debian 15.8-0+deb12u1)`.
    pub version: String,
    /// The major version, as 15.
    pub version_major: u32,
    /// The database that was connected to.
    pub database: String,
    /// Its oid.
    pub database_oid: u32,
    /// The role that asked.
    pub role: String,
    /// Whether it follows another server.
    pub in_recovery: bool,
    /// The size of a block in bytes, usually 8192.
    pub block_bytes: u64,
    /// The identifier of the cluster's data; None where the role may not see it.
    pub system: Option<String>,
}

/// What pg_stat_statements and the server are set to measure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tracking {
    /// Statements that it has room for.
    pub entries_max: Option<u64>,
    /// `pg_stat_statements.track`: `top`, `all` or `none`.
    pub track: Option<String>,
    /// Whether planning is measured.
    pub has_planning: bool,
    /// Whether the time of reading and writing is measured.
    pub has_io_timing: bool,
}

/// Statements whose identity and text this role may not see, all together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Hidden {
    /// How many there are.
    pub statements: u64,
    /// Their executions since they were first met.
    pub calls: f64,
    /// The time of these, in milliseconds.
    pub exec_ms: f64,
}

/// What pg_stat_statements says at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The server, and who asked.
    pub server: Server,
    /// What is measured.
    pub tracking: Tracking,
    /// All counters.
    pub reading: Reading,
    /// Whose the statements are, and their texts without secrets. Texts of known statements are left out.
    pub identities: Vec<Identity>,
    /// What this role may not see.
    pub hidden: Hidden,
    /// What could not be seen, and how it can be.
    pub missing: Vec<Missing>,
}

impl Snapshot {
    /// Under which name a history keeps this server; the label is its host and port.
    #[must_use]
    pub fn source(&self, label: &str) -> SourceKey {
        let system = self.server.system.clone().unwrap_or_else(|| "unknown".to_owned());
        SourceKey { system, label: label.to_owned() }
    }
}
