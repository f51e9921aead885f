//! Certificates and keys as files, and which certificates of servers are trusted: one and the same for the pooler and the
//! library.
//!
//! Nothing of the process is touched: no crypto provider is installed, none is expected. No private key appears in a
//! message.

mod files;
mod trust;

pub use files::{Identity, IdentitySettings, Roots, SYSTEM, roots};
pub use trust::{Trust, Verifier, server_name};

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
    /// What is wrong with a setting.
    pub fn new(setting: &'static str, reason: impl Into<String>) -> Self {
        Self { setting, reason: reason.into() }
    }
}
