//! The pooler between applications and PostgreSQL: many client connections share few server connections.
//!
//! A client logs in on the cold side (tokio, one thread: [`Pooler::run`]) and is handed to a worker (one thread with one
//! event loop), which owns it from then on. All decisions of a worker are made by [`core::Core`], a state machine
//! that knows no socket and no clock.
//!
//! It never parses SQL beyond the first words of a text, never rebuilds a message it can pass on, and never gives a
//! server to a client unless the server is known to be clean.
//!
//! Main types: [`Pooler`] and its [`Handle`], [`settings::Config`], [`core::Core`].

mod connect;
mod console;
mod context;
pub mod core;
mod directory;
mod error;
mod listener;
mod login;
mod mail;
mod pooler;
mod random;
mod reload;
mod rights;
pub mod settings;
mod slots;
mod statistics;
mod status;
mod stream;
mod tls;
mod transport;
pub mod userlist;
mod worker;

pub use error::PoolerError;
pub use pooler::{Handle, Pooler};
pub use status::{PoolStatus, Repeats, Sessions, Statements, Status};
pub use tls::TlsError;
