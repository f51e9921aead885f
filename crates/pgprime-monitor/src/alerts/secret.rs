//! What is never shown.

use std::fmt;

/// A URL or key that gives whoever has it the right to send. It is shown nowhere: not in logs, errors or JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Parts of a secret that are shorter say nothing, and would be found everywhere.
const HIDDEN_LENGTH_MIN: usize = 6;

impl Secret {
    /// Takes it.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// What it is, for sending alone.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// The text without the secret and without its parts, in case somebody sent them back.
    pub(super) fn hide_in(&self, text: &str) -> String {
        let parts = self.0.split(['/', '?', '&', '=', ' ']);
        let mut parts: Vec<&str> = std::iter::once(self.0.as_str()).chain(parts).collect();
        parts.retain(|part| part.len() >= HIDDEN_LENGTH_MIN);
        parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
        parts.iter().fold(text.to_owned(), |text, part| text.replace(part, "(hidden)"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}
