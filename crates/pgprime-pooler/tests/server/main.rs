//! The pooler in process against a real PostgreSQL: hostile clients and servers, limits and times, and the console.
//!
//! Each test runs a pooler of its own on a free port, with a database of its own where it leaves anything behind.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod cancel;
mod console_commands;
mod console_show;
mod flow;
mod hostile_login;
mod hostile_messages;
mod hostile_servers;
mod hostile_startup;
mod limits;
mod modes;
mod outages;
mod reload;
mod shapes;
mod statements;
mod status;
mod support;
mod timeouts;
mod tls_clients;
mod tls_servers;
