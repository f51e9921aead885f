//! Private clusters, run for real: the life of a node, replication, and that nothing is left behind.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod cleanup;
mod life;
mod processes;
mod replication;
