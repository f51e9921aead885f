//! The interface over HTTP, against a real database.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod answers;
mod bad_input;
mod documented;
mod live;
mod metrics;
mod outage;
mod security;
mod support;
mod tls;
mod values;
mod whole;
