//! The interface over HTTP, against a real database.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod answers;
mod bad_input;
mod connections;
mod documented;
mod http;
mod live;
mod metrics;
mod outage;
mod own;
mod security;
mod signals;
mod stale;
mod statements;
mod support;
mod tls;
mod values;
mod watched;
mod whole;
