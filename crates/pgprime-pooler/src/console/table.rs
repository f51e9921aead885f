//! Results of the console as rows of the wire protocol.

use pgprime_wire::backend::encode::{self, Column};

/// The type of a column, as drivers read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Int,
    Big,
}

impl Type {
    /// The type's number and length in PostgreSQL.
    fn oid(self) -> (u32, i16) {
        match self {
            Self::Text => (25, -1),
            Self::Int => (23, 4),
            Self::Big => (20, 8),
        }
    }
}

/// One value; everything goes over the wire as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell(Option<String>);

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self(Some(text.to_string()))
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self(Some(text))
    }
}

impl From<Option<String>> for Cell {
    fn from(text: Option<String>) -> Self {
        Self(text)
    }
}

macro_rules! number_cell {
    ($($number:ty),+) => {
        $(impl From<$number> for Cell {
            fn from(number: $number) -> Self {
                Self(Some(number.to_string()))
            }
        })+
    };
}
number_cell!(u16, u32, u64, usize);

/// A row of values of any kind.
macro_rules! row {
    ($($value:expr),+ $(,)?) => { vec![$($crate::console::table::Cell::from($value)),+] };
}
pub(super) use row;

/// A result: columns and rows.
#[derive(Clone, Debug)]
pub(super) struct Table {
    columns: Vec<(&'static str, Type)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(super) fn new(columns: &[(&'static str, Type)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(super) fn push(&mut self, row: Vec<Cell>) {
        debug_assert_eq!(row.len(), self.columns.len(), "a row has a value for every column");
        self.rows.push(row);
    }

    /// Row description, rows and the command's end.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let columns: Vec<Column<'_>> = self
            .columns
            .iter()
            .map(|(name, kind)| Column { name, type_oid: kind.oid().0, type_len: kind.oid().1 })
            .collect();
        encode::row_description(out, &columns);
        for row in &self.rows {
            let values: Vec<Option<&[u8]>> =
                row.iter().map(|cell| cell.0.as_deref().map(str::as_bytes)).collect();
            encode::data_row(out, &values);
        }
        encode::command_complete(out, "SHOW");
    }
}
