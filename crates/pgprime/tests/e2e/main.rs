//! The built binary between real clients and a real PostgreSQL.
//!
//! Each test runs a pooler of its own, as a process, with a database of its own on a cluster that all share; tests
//! that stop servers or change how they let clients in start a cluster of their own.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod analyze;
mod auth;
mod bloat;
mod cache;
mod checklist;
mod client;
mod command_line;
mod demo;
mod drivers;
mod faults;
mod harness;
mod health;
mod indexes;
mod isolation;
mod plan;
mod planted;
mod prepared;
mod psql;
mod readme;
mod restart;
mod run;
mod signals;
mod slow_queries;
mod small_commands;
mod statements;
mod tokio_client;
mod tpch;
mod views;
