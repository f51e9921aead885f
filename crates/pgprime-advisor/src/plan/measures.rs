//! What is counted at nodes and elsewhere: blocks, time for them, log.

use serde::Serialize;

/// Blocks of (usually) 8 KiB, over all loops and with those of the nodes below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names say it: hit is found in memory, read is not")]
pub struct Buffers {
    pub shared_hit: u64,
    pub shared_read: u64,
    pub shared_dirtied: u64,
    pub shared_written: u64,
    pub local_hit: u64,
    pub local_read: u64,
    pub local_dirtied: u64,
    pub local_written: u64,
    pub temp_read: u64,
    pub temp_written: u64,
}

/// Time spent in reading and writing blocks, in milliseconds (with track_io_timing).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct IoTiming {
    pub read_ms: f64,
    pub write_ms: f64,
    pub temp_read_ms: f64,
    pub temp_write_ms: f64,
}

/// Write-ahead log made (with WAL).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Wal {
    pub records: u64,
    pub full_page_images: u64,
    pub bytes: u64,
}

impl Buffers {
    /// Shared and local blocks asked for, in memory or not.
    #[must_use]
    pub fn accessed(&self) -> u64 {
        [self.shared_hit, self.shared_read, self.local_hit, self.local_read]
            .iter()
            .fold(0, |sum, blocks| sum.saturating_add(*blocks))
    }

    /// Temporary blocks read and written.
    #[must_use]
    pub fn temp(&self) -> u64 {
        self.temp_read.saturating_add(self.temp_written)
    }

    /// These and `other`.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.combined(other, u64::saturating_add)
    }

    /// What is left without `other`.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.combined(other, u64::saturating_sub)
    }

    fn combined(&self, other: &Self, combine: fn(u64, u64) -> u64) -> Self {
        Self {
            shared_hit: combine(self.shared_hit, other.shared_hit),
            shared_read: combine(self.shared_read, other.shared_read),
            shared_dirtied: combine(self.shared_dirtied, other.shared_dirtied),
            shared_written: combine(self.shared_written, other.shared_written),
            local_hit: combine(self.local_hit, other.local_hit),
            local_read: combine(self.local_read, other.local_read),
            local_dirtied: combine(self.local_dirtied, other.local_dirtied),
            local_written: combine(self.local_written, other.local_written),
            temp_read: combine(self.temp_read, other.temp_read),
            temp_written: combine(self.temp_written, other.temp_written),
        }
    }
}
