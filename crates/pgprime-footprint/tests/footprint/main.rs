//! What statements read and write, against a real database.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod harness;
mod reads;
mod real;
mod session;
mod writes;
