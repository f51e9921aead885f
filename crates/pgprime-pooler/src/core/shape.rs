//! What the result of a statement is like.

use std::hash::{DefaultHasher, Hash, Hasher};

use pgprime_wire::WireError;
use pgprime_wire::backend;

/// Types from this number on were made by users. They are not told apart: the servers behind one pool may number them
/// differently.
const USER_TYPE_OID_MIN: u32 = 16_384;

/// What a result is like: a digest of its columns' names and types. Values of equal shape can be read alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape(u32);

impl Shape {
    /// No result at all.
    pub(crate) const NOTHING: Self = Self(0);

    /// The shape that the body of a RowDescription tells.
    ///
    /// # Errors
    /// A body that cannot be read.
    pub(crate) fn of(row_description: &[u8]) -> Result<Self, WireError> {
        let mut hasher = DefaultHasher::new();
        for column in backend::row_description(row_description)? {
            let column = column?;
            column.name.hash(&mut hasher);
            column.type_oid.min(USER_TYPE_OID_MIN).hash(&mut hasher);
            column.type_modifier.hash(&mut hasher);
        }
        let digest = hasher.finish();
        Ok(Self((digest ^ (digest >> 32)) as u32 | 1))
    }
}

#[cfg(test)]
mod tests {
    use pgprime_wire::backend::encode::{Column, row_description};

    use super::*;

    fn shape(columns: &[(&str, u32)]) -> Shape {
        let columns: Vec<_> =
            columns.iter().map(|&(name, type_oid)| Column { name, type_oid, type_len: -1 }).collect();
        let mut message = Vec::new();
        row_description(&mut message, &columns);
        Shape::of(&message[5..]).unwrap()
    }

    #[test]
    fn shapes_are_equal_where_values_can_be_read_alike() {
        let (integer, bigint, text) = (23, 20, 25);
        let before = shape(&[("id", integer), ("note", text)]);
        assert_eq!(before, shape(&[("id", integer), ("note", text)]));
        for other in [
            shape(&[("id", bigint), ("note", text)]),
            shape(&[("id", integer)]),
            shape(&[("note", text), ("id", integer)]),
            shape(&[("id", integer), ("remark", text)]),
            shape(&[]),
            Shape::NOTHING,
        ] {
            assert_ne!(before, other);
        }
        assert_eq!(shape(&[("state", 16_390)]), shape(&[("state", 20_001)]));
        assert!(Shape::of(b"\0\x01id\0").is_err());
    }
}
