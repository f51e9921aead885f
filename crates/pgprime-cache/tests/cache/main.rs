//! The cache against a real Redis: what it promises, and what it does when Redis fails.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod faults;
mod guarantee;
mod reads;
mod shared;
mod stress;
mod support;
mod tls;
