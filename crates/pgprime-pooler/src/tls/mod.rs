//! TLS: what the settings ask for, made ready, and sessions apart from sockets.
//!
//! Nothing of the process is touched: no crypto provider is installed, none is expected. No private key appears in a
//! message.

mod files;
mod session;
mod setup;
#[cfg(test)]
pub(crate) mod tests;
mod trust;
mod versions;

pub(crate) use session::{Received, TlsSession};
pub(crate) use setup::{ClientTls, ServerTls, Tls};
pub(crate) use trust::server_name;

/// The protocol's name in ALPN, by which PostgreSQL's protocol is told from others.
pub(crate) const ALPN: &[u8] = b"postgresql";
/// The first byte of a TLS handshake; no startup packet of PostgreSQL is long enough to begin with it.
pub(crate) const HANDSHAKE_BYTE: u8 = 0x16;

/// Why TLS cannot be set up as the settings ask: one sentence that begins with the setting's name.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct TlsError {
    /// The setting's name.
    pub setting: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl TlsError {
    fn new(setting: &'static str, reason: impl Into<String>) -> Self {
        Self { setting, reason: reason.into() }
    }
}
