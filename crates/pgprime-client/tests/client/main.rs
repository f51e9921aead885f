//! The library against real servers.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod batches;
mod connect;
mod database;
mod faults;
mod paging;
mod replica;
mod retries;
mod sessions;
mod streams;
mod support;
mod transactions;
