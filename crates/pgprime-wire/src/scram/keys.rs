//! Keys made from passwords, and the stored form of them.

use std::borrow::Cow;
use std::fmt;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::error::ScramError;
use super::message::{digest_from_base64, from_base64, iterations, to_base64};

/// What stands before the parts of a stored verifier.
const VERIFIER_PREFIX: &str = "SCRAM-SHA-256$";

/// The password with salt, stretched: SASLprep, then PBKDF2 with HMAC-SHA-256.
///
/// This is the expensive step, milliseconds at PostgreSQL's 4096 iterations: never on a thread that serves others. As in PostgreSQL, a password that SASLprep does not allow, or leaves nothing of, or that is not UTF-8, is
/// taken as it is. 0 iterations count as 1.
#[must_use]
pub fn salted_password(password: &[u8], salt: &[u8], iterations: u32) -> [u8; 32] {
    let keyed = keyed(&prepared(password));
    let first_block = 1_u32.to_be_bytes();
    let mut block = keyed.clone().chain_update(salt).chain_update(first_block).finalize().into_bytes();
    let mut salted: [u8; 32] = block.into();
    for _ in 1..iterations {
        block = keyed.clone().chain_update(block).finalize().into_bytes();
        salted.iter_mut().zip(block).for_each(|(sum, byte)| *sum ^= byte);
    }
    salted
}

fn prepared(password: &[u8]) -> Cow<'_, [u8]> {
    let prepared = std::str::from_utf8(password).ok().and_then(|text| stringprep::saslprep(text).ok());
    match prepared {
        Some(Cow::Owned(text)) if !text.is_empty() => Cow::Owned(text.into_bytes()),
        _ => Cow::Borrowed(password),
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

pub(super) fn hmac(key: &[u8], data: &[u8]) -> [u8; 32] {
    keyed(key).chain_update(data).finalize().into_bytes().into()
}

pub(super) fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

pub(super) fn xor(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut result = *left;
    result.iter_mut().zip(right).for_each(|(sum, byte)| *sum ^= byte);
    result
}

/// What a client needs to log in, in place of a password. As secret as the password: `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    /// Proves that the client knows the password.
    pub client_key: [u8; 32],
    /// Checks that the server knows the verifier.
    pub server_key: [u8; 32],
}

impl ScramKeys {
    /// The keys that belong to a [`salted_password`].
    #[must_use]
    pub fn from_salted_password(salted: &[u8; 32]) -> Self {
        Self { client_key: hmac(salted, b"Client Key"), server_key: hmac(salted, b"Server Key") }
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ScramKeys").finish_non_exhaustive()
    }
}

/// What a server stores of a password: enough to check a login, not enough to log in elsewhere.
///
/// `Display` gives the stored form. `Debug` does not show the keys.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramVerifier {
    /// Rounds of the key's derivation, 1 to [`super::ITERATIONS_MAX`].
    pub iterations: u32,
    /// Random bytes, 16 in PostgreSQL.
    pub salt: Vec<u8>,
    /// SHA-256 of the client key.
    pub stored_key: [u8; 32],
    /// Signs the server's last message.
    pub server_key: [u8; 32],
}

impl ScramVerifier {
    /// Reads the stored form, `SCRAM-SHA-256$iterations:salt$stored key:server key`, as in `pg_authid`.
    ///
    /// # Errors
    /// [`ScramError::Verifier`] for any other text, [`ScramError::Iterations`] for a number out of bounds.
    pub fn parse(stored: &str) -> Result<Self, ScramError> {
        let parts = stored.strip_prefix(VERIFIER_PREFIX).and_then(|parts| parts.split_once('$'));
        let (derivation, keys) = parts.ok_or(ScramError::Verifier)?;
        let (count, salt) = derivation.split_once(':').ok_or(ScramError::Verifier)?;
        let (stored_key, server_key) = keys.split_once(':').ok_or(ScramError::Verifier)?;
        Ok(Self {
            iterations: iterations(count).ok_or(ScramError::Iterations)?,
            salt: from_base64(salt).filter(|salt| !salt.is_empty()).ok_or(ScramError::Verifier)?,
            stored_key: digest_from_base64(stored_key).ok_or(ScramError::Verifier)?,
            server_key: digest_from_base64(server_key).ok_or(ScramError::Verifier)?,
        })
    }

    /// The verifier of a password. As expensive as [`salted_password`].
    #[must_use]
    pub fn derive(password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let iterations = iterations.max(1);
        let keys = ScramKeys::from_salted_password(&salted_password(password, salt, iterations));
        let stored_key = sha256(&keys.client_key);
        Self { iterations, salt: salt.to_vec(), stored_key, server_key: keys.server_key }
    }

    /// Whether this is the verifier of a password that came in clear text. As expensive as [`salted_password`].
    #[must_use]
    pub fn verify_password(&self, password: &[u8]) -> bool {
        let derived = Self::derive(password, &self.salt, self.iterations);
        bool::from(derived.stored_key.ct_eq(&self.stored_key))
    }
}

impl fmt::Display for ScramVerifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (salt, iterations) = (to_base64(&self.salt), self.iterations);
        let (stored_key, server_key) = (to_base64(&self.stored_key), to_base64(&self.server_key));
        write!(formatter, "{VERIFIER_PREFIX}{iterations}:{salt}${stored_key}:{server_key}")
    }
}

impl fmt::Debug for ScramVerifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("ScramVerifier");
        shown.field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The password `pencil` with the salt of RFC 7677.
    const PENCIL: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    #[test]
    fn passwords_are_stretched_by_pbkdf2() {
        let hex = |digest: [u8; 32]| digest.map(|byte| format!("{byte:02x}")).concat();
        assert_eq!(
            hex(salted_password(b"passwd", b"salt", 1)),
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc",
            "RFC 7914, section 11"
        );
        let by_zero = salted_password(b"passwd", b"salt", 0);
        assert_eq!(by_zero, salted_password(b"passwd", b"salt", 1));
    }

    #[test]
    fn passwords_are_prepared_where_that_is_allowed() {
        let check = |password: &[u8], expected: &[u8]| assert_eq!(*prepared(password), *expected);
        // RFC 4013, section 3.
        check("I\u{ad}X".as_bytes(), b"IX");
        check(b"user", b"user");
        check(b"USER", b"USER");
        check("\u{aa}".as_bytes(), b"a");
        check("\u{2168}".as_bytes(), b"IX");
        check("a\u{a0}b".as_bytes(), b"a b");
        // What is prohibited, not UTF-8, or would be empty, stays as it is.
        for raw in
            [&b"\x07"[..], "\u{627}1".as_bytes(), b"\xff\xfe", "\u{ad}".as_bytes(), b"", "\u{221}".as_bytes()]
        {
            check(raw, raw);
        }
    }

    #[test]
    fn a_verifier_is_derived_stored_and_read_back() {
        let verifier = ScramVerifier::parse(PENCIL).unwrap();
        assert_eq!(verifier.to_string(), PENCIL);
        assert_eq!(ScramVerifier::derive(b"pencil", &verifier.salt, 4096), verifier);
        assert!(verifier.verify_password(b"pencil"));
        assert!(!verifier.verify_password(b"Pencil"));
    }

    #[test]
    fn other_texts_are_no_verifiers() {
        let cases = [
            ("", ScramError::Verifier),
            ("pencil", ScramError::Verifier),
            ("md53175bce1d3201d16594cebf9d7eb3f9d", ScramError::Verifier),
            ("SCRAM-SHA-256", ScramError::Verifier),
            ("SCRAM-SHA-256$", ScramError::Verifier),
            ("SCRAM-SHA-256$4096", ScramError::Verifier),
            ("SCRAM-SHA-256$4096:c2FsdA==$AAAA", ScramError::Verifier),
            ("SCRAM-SHA-256$4096:c2FsdA==$AAAA:AAAA", ScramError::Verifier),
        ];
        for (stored, expected) in cases {
            assert_eq!(ScramVerifier::parse(stored), Err(expected), "{stored}");
        }
        let changed = |from: &str, to: &str| ScramVerifier::parse(&PENCIL.replacen(from, to, 1));
        assert_eq!(changed("4096", "0"), Err(ScramError::Iterations));
        assert_eq!(changed("4096", "99999999999"), Err(ScramError::Iterations));
        assert_eq!(changed("4096", ""), Err(ScramError::Iterations));
        assert_eq!(changed("W22ZaJ0SNY7soEsUEjb6gQ==", ""), Err(ScramError::Verifier));
        assert_eq!(changed("gQ==", "gQ="), Err(ScramError::Verifier));
        assert_eq!(changed("4qY=", "4qY"), Err(ScramError::Verifier));
        assert_eq!(changed("2dU=", "2dU=\n"), Err(ScramError::Verifier));
        assert_eq!(changed("SCRAM-SHA-256", "SCRAM-SHA-1"), Err(ScramError::Verifier));
    }

    #[test]
    fn secrets_are_not_shown() {
        let verifier = ScramVerifier::parse(PENCIL).unwrap();
        assert_eq!(format!("{verifier:?}"), "ScramVerifier { iterations: 4096, .. }");
        let keys = ScramKeys { client_key: [7; 32], server_key: [7; 32] };
        assert_eq!(format!("{keys:?}"), "ScramKeys { .. }");
    }
}
