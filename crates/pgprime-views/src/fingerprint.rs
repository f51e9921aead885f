//! The line in a view's comment that says which definition it was made from.

use sha2::{Digest as _, Sha256};

const START: &str = "pgprime: definition ";
/// Hexadecimal digits of a hash: enough against chance, and a person can compare them.
const HASH_LETTERS: usize = 16;

/// What a view was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// Of the text that was declared.
    declared: String,
    /// Of what the server made of it.
    deparsed: String,
}

impl Fingerprint {
    pub(crate) fn new(declared: &str, deparsed: &str) -> Self {
        Self { declared: hash(declared), deparsed: hash(deparsed) }
    }

    /// That in a comment, if there is one.
    pub(crate) fn read(comment: Option<&str>) -> Option<Self> {
        let line = comment?.lines().find_map(|line| line.strip_prefix(START))?;
        let (declared, deparsed) = line.trim().split_once(' ')?;
        Some(Self { declared: declared.to_owned(), deparsed: deparsed.to_owned() })
    }

    /// The comment with this in place of whatever was there before; what people wrote is kept.
    pub(crate) fn comment(&self, before: Option<&str>) -> String {
        let kept = before.unwrap_or_default().lines().filter(|line| !line.starts_with(START));
        let line = format!("{START}{} {}", self.declared, self.deparsed);
        kept.map(str::to_owned).chain([line]).collect::<Vec<_>>().join("\n")
    }
}

/// The first digits of SHA-256.
pub(crate) fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(HASH_LETTERS / 2).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_is_kept() {
        let first = Fingerprint::new("SELECT 1", " SELECT 1;");
        let comment = first.comment(Some("Sales by day.\nAsk Ann."));
        assert!(comment.starts_with("Sales by day.\nAsk Ann.\npgprime: definition "), "{comment}");
        assert_eq!(Fingerprint::read(Some(&comment)), Some(first.clone()));
        let second = Fingerprint::new("SELECT 2", " SELECT 2;");
        let comment = second.comment(Some(&comment));
        assert_eq!(comment.lines().count(), 3);
        assert_eq!(Fingerprint::read(Some(&comment)), Some(second));
        assert_eq!(Fingerprint::read(Some("Sales by day.")), None);
        assert_eq!(first.comment(None).lines().count(), 1);
    }
}
