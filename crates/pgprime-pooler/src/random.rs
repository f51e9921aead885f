//! Randomness for keys and nonces, from the operating system.

use std::cell::RefCell;
use std::fmt::Write as _;

/// So much is asked for at once: a system call for each key would weigh on logins.
const STORE_BYTES: usize = 4096;

thread_local! {
    static STORE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Random bytes, each given out once.
///
/// # Panics
/// When the operating system has no randomness: nothing that needs a secret may go on then.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    STORE.with_borrow_mut(|store| {
        if store.len() < N {
            store.resize(STORE_BYTES.max(N), 0);
            getrandom::fill(store).expect("the operating system gives random bytes");
        }
        let taken = store.split_off(store.len() - N);
        taken.try_into().expect("so many were split off")
    })
}

/// A nonce for SCRAM: visible ASCII.
pub(crate) fn nonce() -> String {
    bytes::<18>().iter().fold(String::with_capacity(36), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String does not fail");
        text
    })
}
