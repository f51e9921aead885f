//! Randomness for keys and nonces, from the operating system.

use std::fmt::Write as _;

/// Random bytes.
///
/// # Panics
/// When the operating system has no randomness: nothing that needs a secret may go on then.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A nonce for SCRAM: visible ASCII.
pub(crate) fn nonce() -> String {
    bytes::<18>().iter().fold(String::with_capacity(36), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String does not fail");
        text
    })
}
