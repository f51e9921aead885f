//! SCRAM-SHA-256 (RFC 5802, RFC 7677) as PostgreSQL speaks it: both sides, without channel binding.
//!
//! A machine takes each message of its peer once, in order, and ends at the first that is wrong. Nonces are the
//! caller's: at least 18 random bytes in base64, new for every exchange.
//!
//! | client | | server |
//! |---|---|---|
//! | [`ScramClient::first_message`] | → | [`ScramServer::client_first`] |
//! | [`ScramClient::server_first`] | ← | |
//! | [`ScramClient::final_message`] | → | [`ScramServer::client_final`] |
//! | [`ScramClient::server_final`] | ← | |
//!
//! The one slow step, [`salted_password`], is apart from the machines: it costs milliseconds, and it is not needed
//! by a server that has a [`ScramVerifier`], nor by a client that has [`ScramKeys`]. A pooler gets them without any
//! password: [`ScramSuccess::client_key`] of a login and the verifier's server key log in to every server that
//! stores the same verifier.

mod client;
mod error;
mod keys;
mod limits;
mod message;
mod server;

pub use client::{ScramClient, ServerFirst};
pub use error::ScramError;
pub use keys::{ScramKeys, ScramVerifier, salted_password};
pub use limits::{ITERATIONS_MAX, MESSAGE_BYTES_MAX};
pub use server::{ScramServer, ScramSuccess};

/// The mechanism's name, as servers offer it and clients choose it.
pub const MECHANISM: &str = "SCRAM-SHA-256";
