//! Keys: what a result depends on besides the tables' contents, as 32 bytes.

use std::fmt;

use sha2::{Digest, Sha256};

/// A result's key: equal if and only if everything that was put into its [`KeyBuilder`] is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key([u8; 32]);

impl Key {
    /// The bytes of the key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Key({self})")
    }
}

/// The kinds of fields; the numbers are part of every key and must not change their meaning.
#[derive(Clone, Copy)]
enum Field {
    Database = 1,
    Role = 2,
    SearchPath = 3,
    Setting = 4,
    Text = 5,
    Parameter = 6,
    Null = 7,
    Other = 8,
}

/// Gathers everything that changes a result, and makes a [`Key`] of it.
///
/// Each field is hashed with its kind and length ahead of it, so that no two different inputs are one by concatenation.
/// The hash is SHA-256: parameters come from users, who must not be able to make two statements share a key.
///
/// ```
/// # use pgprime_cache::KeyBuilder;
/// let key = |role| KeyBuilder::new().database("shop").role(role).text("SELECT 1").build();
/// assert_ne!(key("alice"), key("bob"));
/// ```
#[derive(Clone, Debug)]
pub struct KeyBuilder(Sha256);

impl Default for KeyBuilder {
    fn default() -> KeyBuilder {
        KeyBuilder::new()
    }
}

impl KeyBuilder {
    /// A key without any field yet.
    pub fn new() -> KeyBuilder {
        // Keys of another version of this layout are other keys.
        KeyBuilder(Sha256::new_with_prefix(b"pgprime-cache key 1\0"))
    }

    /// The database, with its server where there are several.
    pub fn database(self, name: impl AsRef<[u8]>) -> KeyBuilder {
        self.field(Field::Database, name.as_ref())
    }

    /// The role that runs the statement.
    pub fn role(self, name: impl AsRef<[u8]>) -> KeyBuilder {
        self.field(Field::Role, name.as_ref())
    }

    /// The `search_path` in force.
    pub fn search_path(self, path: impl AsRef<[u8]>) -> KeyBuilder {
        self.field(Field::SearchPath, path.as_ref())
    }

    /// A setting that changes results (`TimeZone`, `DateStyle`, one that row security reads, …) and its value.
    pub fn setting(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> KeyBuilder {
        self.field(Field::Setting, name.as_ref()).field(Field::Setting, value.as_ref())
    }

    /// The statement's text.
    pub fn text(self, text: impl AsRef<[u8]>) -> KeyBuilder {
        self.field(Field::Text, text.as_ref())
    }

    /// The statement's next parameter: its type, its value as sent, `None` for NULL.
    pub fn parameter(self, type_oid: u32, value: Option<&[u8]>) -> KeyBuilder {
        let typed = self.field(Field::Parameter, &type_oid.to_be_bytes());
        match value {
            Some(value) => typed.field(Field::Parameter, value),
            None => typed.field(Field::Null, &[]),
        }
    }

    /// Anything else that changes the result: the format of rows, the version of what the caller makes of them.
    pub fn other(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> KeyBuilder {
        self.field(Field::Other, name.as_ref()).field(Field::Other, value.as_ref())
    }

    /// The key of all fields given.
    pub fn build(self) -> Key {
        Key(self.0.finalize().into())
    }

    fn field(mut self, kind: Field, value: &[u8]) -> KeyBuilder {
        self.0.update([kind as u8]);
        self.0.update((value.len() as u64).to_be_bytes());
        self.0.update(value);
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_differs_has_another_key() {
        let new = KeyBuilder::new;
        let keys = [
            new(),
            new().text(""),
            new().database(""),
            new().text("ab"),
            new().text("a").text("b"),
            new().role("ab"),
            new().database("a").role("b"),
            new().database("ab").role(""),
            new().setting("a", "b"),
            new().setting("ab", ""),
            new().other("a", "b"),
            new().parameter(23, None),
            new().parameter(23, Some(b"")),
            new().parameter(20, None),
            new().parameter(23, None).parameter(23, None),
            new().parameter(23, Some(b"1")).parameter(23, Some(b"2")),
            new().parameter(23, Some(b"12")).parameter(23, Some(b"")),
            new().search_path("a, b"),
        ];
        let count = keys.len();
        let distinct: HashSet<Key> = keys.into_iter().map(KeyBuilder::build).collect();
        assert_eq!(distinct.len(), count);
    }

    #[test]
    fn the_same_has_the_same_key() {
        let key = || KeyBuilder::new().database("d").text("SELECT $1").parameter(25, Some(b"x")).build();
        assert_eq!(key(), key());
        assert_eq!(key().to_string().len(), 64);
    }

    fn build(fields: &[(u8, Vec<u8>)]) -> Key {
        let add = |builder: KeyBuilder, (kind, value): &(u8, Vec<u8>)| match kind {
            0 => builder.database(value),
            1 => builder.role(value),
            2 => builder.search_path(value),
            3 => builder.text(value),
            _ => builder.parameter(u32::from(*kind), Some(value)),
        };
        fields.iter().fold(KeyBuilder::new(), add).build()
    }

    proptest! {
        #[test]
        fn keys_are_equal_only_for_equal_fields(
            one in prop::collection::vec((0u8..6, prop::collection::vec(0u8..8, 0..12)), 0..6),
            other in prop::collection::vec((0u8..6, prop::collection::vec(0u8..8, 0..12)), 0..6),
        ) {
            prop_assert_eq!(build(&one) == build(&other), one == other);
        }
    }
}
