//! The planner against files of its own and a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod expected;
mod files;
mod observe;
mod report;
