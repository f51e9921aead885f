//! The library against real servers.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod admin;
mod announce;
mod announce_proof;
mod batches;
mod cached;
mod cached_dropped;
mod cached_random;
mod cached_schema;
mod cached_shared;
mod cached_truth;
mod cached_values;
mod connect;
mod database;
mod faults;
mod outside;
mod outside_publication;
mod outside_trouble;
mod paging;
#[path = "../../src/connector/tests/pgbouncer.rs"]
mod pgbouncer;
mod replica;
mod retries;
mod sessions;
mod streams;
mod support;
mod transactions;
