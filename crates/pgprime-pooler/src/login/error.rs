//! Why a client is not let in.

use std::io;

/// Why a client is not let in: what it is told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    #[error("{message}")]
    Refused { sqlstate: &'static str, message: String },
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("client_login_timeout")]
    Timeout,
    /// No handshake: there is no way to tell the client more than its alert does.
    #[error("TLS handshake failed: {0}")]
    Tls(io::Error),
    /// It asked nothing of us, or was a cancel request.
    #[error("nothing to log in")]
    Done,
}

pub(crate) fn refuse(sqlstate: &'static str, message: impl Into<String>) -> LoginError {
    LoginError::Refused { sqlstate, message: message.into() }
}
