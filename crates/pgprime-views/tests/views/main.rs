//! Materialized views on a real PostgreSQL; each test has a database of its own.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod apply;
mod cached;
mod harness;
mod metrics;
mod privileges;
mod refresh;
mod scheduling;
mod shadowed;
mod swap;
