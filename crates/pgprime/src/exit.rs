//! Exit codes.

/// A finding at or above the level that was asked for.
pub(crate) const FINDING: u8 = 1;
/// Wrong usage or configuration.
pub(crate) const USAGE: u8 = 2;
