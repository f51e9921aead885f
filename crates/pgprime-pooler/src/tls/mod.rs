//! TLS: what the settings ask for, made ready, and sessions apart from sockets.
//!
//! Nothing of the process is touched: no crypto provider is installed, none is expected. No private key appears in a
//! message.

mod session;
mod setup;
#[cfg(test)]
pub(crate) mod tests;
mod versions;

pub use pgprime_tls::TlsError;
pub(crate) use pgprime_tls::server_name;
pub(crate) use session::{Received, TlsSession};
pub(crate) use setup::{ClientTls, ServerTls, Tls};

/// The protocol's name in ALPN, by which PostgreSQL's protocol is told from others.
pub(crate) const ALPN: &[u8] = b"postgresql";
/// The first byte of a TLS handshake; no startup packet of PostgreSQL is long enough to begin with it.
pub(crate) const HANDSHAKE_BYTE: u8 = 0x16;
