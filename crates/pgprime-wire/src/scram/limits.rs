//! Bounds on what a peer may send.

/// Bytes of the longest accepted message. Those of real clients and servers stay below 300.
pub const MESSAGE_BYTES_MAX: usize = 2048;

/// Most iterations that are accepted: seconds of computing. PostgreSQL's default is 4096.
pub const ITERATIONS_MAX: u32 = 10_000_000;
