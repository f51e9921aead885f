//! The monitor against real databases and poolers.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod checklist;
mod health;
mod memory;
mod overrides;
mod pgbouncer;
