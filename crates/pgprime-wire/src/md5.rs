//! MD5 password authentication. Broken as cryptography and kept because servers and clients still ask for it.

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

const PREFIX: &str = "md5";
const HEX_BYTES: usize = 32;

/// The stored form of a password: `md5` and the hexadecimal MD5 of password and user name.
#[must_use]
pub fn md5_secret(password: &[u8], user: &[u8]) -> String {
    prefixed_digest(password, user)
}

/// The answer to a server's salt, from the stored form: `md5` and the hexadecimal MD5 of the stored form's hexadecimal
/// part and the salt.
///
/// `None` where the stored form is not `md5` and 32 lower-case hexadecimal digits.
#[must_use]
pub fn md5_response(stored_md5: &str, salt: [u8; 4]) -> Option<String> {
    let digits = stored_md5.strip_prefix(PREFIX)?;
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let well_formed = digits.len() == HEX_BYTES && digits.bytes().all(is_digit);
    well_formed.then(|| prefixed_digest(digits.as_bytes(), &salt))
}

/// Whether a client's answer to the salt is the right one. Takes as long for a wrong answer as for the right one.
#[must_use]
pub fn md5_verify(stored_md5: &str, salt: [u8; 4], answer: &[u8]) -> bool {
    md5_response(stored_md5, salt).is_some_and(|expected| bool::from(expected.as_bytes().ct_eq(answer)))
}

fn prefixed_digest(first: &[u8], second: &[u8]) -> String {
    let digest = Md5::new().chain_update(first).chain_update(second).finalize();
    let mut text = String::with_capacity(PREFIX.len() + HEX_BYTES);
    text.push_str(PREFIX);
    for byte in digest {
        text.extend(
            [byte >> 4, byte & 0xf].into_iter().filter_map(|digit| char::from_digit(digit.into(), 16)),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_the_digest_of_password_and_user() {
        let check = |password: &[u8], user: &[u8], expected: &str| {
            assert_eq!(md5_secret(password, user), expected);
        };
        check(b"", b"", "md5d41d8cd98f00b204e9800998ecf8427e");
        check(b"a", b"bc", "md5900150983cd24fb0d6963f7d28e17f72");
        check(b"postgres", b"postgres", "md53175bce1d3201d16594cebf9d7eb3f9d");
    }

    #[test]
    fn an_answer_belongs_to_its_salt() {
        let stored = "md53175bce1d3201d16594cebf9d7eb3f9d";
        let salt = [1, 2, 3, 4];
        let answer = "md568be9ed08db75f318087ab337aaea044";
        assert_eq!(md5_response(stored, salt).as_deref(), Some(answer));
        assert!(md5_verify(stored, salt, answer.as_bytes()));
        assert!(!md5_verify(stored, [1, 2, 3, 5], answer.as_bytes()));
        for wrong in [&b""[..], b"md5", answer.to_uppercase().as_bytes(), stored.as_bytes()] {
            assert!(!md5_verify(stored, salt, wrong), "{wrong:?}");
        }
    }

    #[test]
    fn only_a_well_formed_secret_has_answers() {
        for stored in [
            "",
            "md5",
            "postgres",
            "3175bce1d3201d16594cebf9d7eb3f9d",
            "md53175bce1d3201d16594cebf9d7eb3f9",
            "md53175bce1d3201d16594cebf9d7eb3f9d0",
            "md53175BCE1D3201D16594CEBF9D7EB3F9D",
            "md5é175bce1d3201d16594cebf9d7eb3f9",
            "SCRAM-SHA-256$4096:AAAA$AAAA:AAAA",
        ] {
            assert_eq!(md5_response(stored, [0; 4]), None, "{stored}");
            assert!(!md5_verify(stored, [0; 4], b""), "{stored}");
        }
    }
}
