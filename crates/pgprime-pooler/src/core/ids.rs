//! Names for the things a worker holds.

use std::fmt;

slotmap::new_key_type! {
    /// A client connection on one worker. Never used twice.
    pub struct ClientId;
    /// A server connection on one worker. Never used twice.
    pub struct ServerId;
}

/// A pool's number, the same on every worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolIndex(pub u32);

impl fmt::Display for PoolIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
