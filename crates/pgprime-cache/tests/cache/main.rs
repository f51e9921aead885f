//! The cache against a real Redis: what it promises, and what it does when Redis fails.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod cluster;
mod failover;
mod faults;
mod guarantee;
mod oddities;
mod reads;
mod ring;
mod shared;
mod stress;
mod support;
mod tls;
mod ways_in;
