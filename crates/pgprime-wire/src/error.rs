//! What can be wrong with a message from a peer.

/// A message does not follow the protocol. It says what was expected and what came.
///
/// The sender of the message is at fault, the stream cannot be trusted from there on, and nothing is worth
/// retrying on the same connection. No variant carries a byte of the message's content.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum WireError {
    /// A length or a count is outside its bounds.
    #[error("{message}: expected {field} of {min} to {max}, received {found}")]
    OutOfBounds {
        /// The message or packet.
        message: &'static str,
        /// The length or count within it.
        field: &'static str,
        /// Smallest allowed value.
        min: i64,
        /// Largest allowed value.
        max: i64,
        /// What the peer sent.
        found: i64,
    },
    /// The message ends before the field does.
    #[error("{message}: expected {needed} bytes of {field}, received {left}")]
    Cut {
        /// The message or packet.
        message: &'static str,
        /// The field that is not complete.
        field: &'static str,
        /// Bytes that the field needs.
        needed: usize,
        /// Bytes that were left.
        left: usize,
    },
    /// A text has no NUL at its end.
    #[error("{message}: expected a NUL after {field}, received the end of the message")]
    Unterminated {
        /// The message or packet.
        message: &'static str,
        /// The text without an end.
        field: &'static str,
    },
    /// A text that must be UTF-8 is not.
    #[error("{message}: expected UTF-8 in {field}, received other bytes")]
    NotUtf8 {
        /// The message or packet.
        message: &'static str,
        /// The text.
        field: &'static str,
    },
    /// A byte that selects between alternatives selects none.
    #[error("{message}: expected {field} to be {expected}, received byte 0x{found:02x}")]
    UnknownByte {
        /// The message or packet.
        message: &'static str,
        /// The byte's meaning.
        field: &'static str,
        /// The allowed bytes.
        expected: &'static str,
        /// What the peer sent.
        found: u8,
    },
    /// The message is longer than its fields.
    #[error("{message}: expected the end of the message, received {bytes} more bytes")]
    Trailing {
        /// The message or packet.
        message: &'static str,
        /// Bytes after the last field.
        bytes: usize,
    },
}
