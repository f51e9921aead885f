//! Why a SCRAM exchange ended.

use super::limits::{ITERATIONS_MAX, MESSAGE_BYTES_MAX};

/// A SCRAM exchange that cannot go on. No variant carries a key, a proof or a password.
///
/// [`ScramError::ProofMismatch`] is the wrong password, [`ScramError::OutOfOrder`] the caller's mistake,
/// [`ScramError::Verifier`] one of the configuration; all others are the peer's.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum ScramError {
    /// A message is longer than [`MESSAGE_BYTES_MAX`].
    #[error("SCRAM message: expected at most {MESSAGE_BYTES_MAX} bytes, received {bytes}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A message is not built as it must be.
    #[error("SCRAM {message}: expected {expected}")]
    Malformed {
        /// Which of the four messages.
        message: &'static str,
        /// What is missing or wrong.
        expected: &'static str,
    },
    /// The client asks for channel binding, which was not offered.
    #[error("SCRAM channel binding is not supported")]
    ChannelBinding,
    /// The client asks to act as another user.
    #[error("SCRAM authorization identities are not supported")]
    AuthorizationIdentity,
    /// The peer uses an extension that must be understood, and is not.
    #[error("SCRAM mandatory extensions are not supported")]
    Extension,
    /// The message repeats another nonce than the one of this exchange.
    #[error("SCRAM nonce is not the one of this exchange")]
    Nonce,
    /// The number of iterations is outside its bounds.
    #[error("SCRAM iterations: expected 1 to {ITERATIONS_MAX}")]
    Iterations,
    /// The client does not know the password.
    #[error("SCRAM proof does not match: the password is wrong")]
    ProofMismatch,
    /// The server does not know the password's verifier: it may be an impostor.
    #[error("SCRAM signature of the server does not match")]
    SignatureMismatch,
    /// The server ended the exchange, with this reason.
    #[error("server refused the SCRAM exchange: {0}")]
    Refused(String),
    /// The machine was called out of order, or again after it ended.
    #[error("SCRAM exchange is not at the point of its {message}")]
    OutOfOrder {
        /// The message that was handed in.
        message: &'static str,
    },
    /// A stored verifier is not `SCRAM-SHA-256$iterations:salt$stored key:server key`.
    #[error("stored SCRAM verifier: expected SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>")]
    Verifier,
}
