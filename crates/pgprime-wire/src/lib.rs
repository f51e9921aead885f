//! PostgreSQL's wire protocol, version 3: message framing, the messages a pooler has to read or write, and the
//! MD5 and SCRAM-SHA-256 exchanges.
//!
//! The crate knows no socket, no clock and no randomness: bytes and nonces come in, values and bytes go out.
//! It never panics on input, never allocates by a length that only a peer has claimed, and never holds a body it
//! does not have to understand: a pooler reads [`frame::Header`]s and decodes only what it must know.
//!
//! * [`frame`]: the five bytes before every message; [`tag`]: their first byte by name.
//! * [`startup`]: the untagged packets that open a connection, and [`startup::CancelKey`].
//! * [`frontend`]: messages of clients ([`frontend::Parse`], [`frontend::Bind`] …) and [`frontend::encode`].
//! * [`backend`]: messages of servers ([`backend::ErrorFields`], [`backend::TransactionStatus`] …) and
//!   [`backend::encode`].
//! * [`scram`] and [`md5`]: both sides of password authentication.
//!
//! Decoders take a *body*, the bytes after the header, and borrow from it. They are as strict as PostgreSQL itself:
//! a body with bytes missing or left over is an error. [`backend::ErrorFields`] is the one lenient decoder, because
//! an error must be reportable even when it is malformed. Encoders append one whole message to a `Vec<u8>`. Two
//! rules hold for all of them, so that no value can forge a second field or message:
//!
//! * A text is cut at its first NUL, which ends a text in the protocol.
//! * A message longer than the length field can say gets a length that every receiver refuses.
#![warn(clippy::indexing_slicing)]

pub mod backend;
mod error;
pub mod frame;
pub mod frontend;
pub mod md5;
mod read;
pub mod scram;
pub mod startup;
pub mod tag;
mod write;

pub use error::WireError;
