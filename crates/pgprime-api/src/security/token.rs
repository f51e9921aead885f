//! Tokens: 256 random bits, kept as their hash.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::config::TokenEntry;
use crate::security::Role;

/// What a token begins with, so that people and scanners know one when they see it.
const PREFIX: &str = "pgprime_";
/// Longer ones are none of ours.
const CHARS_MAX: usize = 256;

/// A new token and what is kept of it. Its text is shown once.
#[derive(Clone)]
pub struct NewToken {
    /// The token itself: for the caller only.
    pub text: String,
    /// Its SHA-256 in hexadecimal, for the configuration.
    pub sha256: String,
}

impl NewToken {
    /// A token of 256 random bits.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes)?;
        let text = format!("{PREFIX}{}", hexadecimal(&bytes));
        Ok(Self { sha256: hash(&text), text })
    }
}

/// The tokens of the configuration.
#[derive(Debug)]
pub(crate) struct Tokens(Vec<(String, Role, String)>);

impl Tokens {
    pub(crate) fn new(entries: &[TokenEntry]) -> Self {
        let kept = |entry: &TokenEntry| (entry.name.clone(), entry.role, entry.sha256.to_ascii_lowercase());
        Self(entries.iter().map(kept).collect())
    }

    /// Whose token it is. Takes as long for one that is nearly right as for one that is all wrong.
    pub(crate) fn find(&self, token: &str) -> Option<(&str, Role)> {
        if token.len() > CHARS_MAX {
            return None;
        }
        let hash = hash(token);
        let mut found = None;
        for (name, role, known) in &self.0 {
            if bool::from(known.as_bytes().ct_eq(hash.as_bytes())) {
                found = Some((name.as_str(), *role));
            }
        }
        found
    }
}

fn hash(text: &str) -> String {
    hexadecimal(&Sha256::digest(text.as_bytes()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash() {
        let token = NewToken::random().unwrap();
        let entry = |name: &str, sha256: &str| TokenEntry {
            name: name.into(),
            role: Role::Read,
            sha256: sha256.into(),
        };
        let tokens =
            Tokens::new(&[entry("other", &"0".repeat(64)), entry("mine", &token.sha256.to_uppercase())]);
        assert_eq!(tokens.find(&token.text), Some(("mine", Role::Read)));
        for wrong in ["", "pgprime_", &token.sha256, &token.text[1..], &"x".repeat(10_000)] {
            assert_eq!(tokens.find(wrong), None);
        }
        assert_ne!(NewToken::random().unwrap().text, token.text);
    }
}
