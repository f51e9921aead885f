//! Tables: what results are made from and writes change.

use std::fmt;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

/// The name under which writers of anything are kept. A table of a database cannot have it: a name there has no NUL.
const EVERYTHING: &[u8] = b"\0everything";

/// A table, by whatever name or oid the caller knows it: the same bytes are the same table.
///
/// Caches that share a Redis and a namespace share these names, so the name says the database where there are several.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Table(Arc<[u8]>);

impl Table {
    /// The table of this name.
    pub fn new(name: impl AsRef<[u8]>) -> Table {
        Table(name.as_ref().into())
    }

    /// The name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn hash(&self) -> u64 {
        xxh3_64(&self.0)
    }

    /// Whether this stands for all tables; see [`Tables::everything`].
    pub(crate) fn is_everything(&self) -> bool {
        *self.0 == *EVERYTHING
    }
}

impl<T: AsRef<[u8]> + ?Sized> From<&T> for Table {
    fn from(name: &T) -> Table {
        Table::new(name)
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Table({:?})", String::from_utf8_lossy(&self.0))
    }
}

/// A set of tables; cloning it is cheap, so it is made once for each statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables(Arc<[Table]>);

impl Tables {
    /// The tables named, each once, in whatever order they are given.
    pub fn new<T: Into<Table>>(tables: impl IntoIterator<Item = T>) -> Tables {
        let mut tables: Vec<Table> = tables.into_iter().map(Into::into).collect();
        tables.sort_unstable();
        tables.dedup();
        Tables(tables.into())
    }

    /// What stands for all tables there are: every look covers it, so who writes it writes all of them.
    pub(crate) fn everything() -> Tables {
        Tables::new([EVERYTHING])
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tables in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Table> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_one_order_and_no_table_twice() {
        let tables = Tables::new(["quotes", "policies", "quotes"]);
        assert_eq!(tables, Tables::new(["policies", "quotes"]));
        assert_eq!(tables.len(), 2);
        assert!(Tables::default().is_empty());
        assert_eq!(tables.iter().map(Table::as_bytes).collect::<Vec<_>>(), [&b"policies"[..], b"quotes"]);
    }
}
