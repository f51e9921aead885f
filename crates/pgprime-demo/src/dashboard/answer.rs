//! Answers as they came, so that two of them can be compared byte for byte.

use std::error::Error;

use pgprime_client::Row;
use pgprime_client::types::{FromSql, Type};

use super::queries::Compared;

/// A value as the server sent it, whatever its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value(Option<Vec<u8>>);

impl<'a> FromSql<'a> for Value {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Some(raw.to_vec())))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// All rows of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer(Vec<Vec<Value>>);

impl Answer {
    pub(super) fn new(rows: Vec<Vec<Value>>) -> Self {
        Self(rows)
    }

    pub(super) fn of(rows: &[Row]) -> Self {
        let values = |row: &Row| (0..row.len()).map(|column| row.get(column)).collect();
        Self(rows.iter().map(values).collect())
    }

    pub(super) fn rows(&self) -> usize {
        self.0.len()
    }

    /// Whether both say the same. The last column has the figures, those before it their names.
    pub(super) fn says_the_same(&self, other: &Self, compared: Compared) -> bool {
        match compared {
            Compared::Whole => self == other,
            Compared::Names => self.0.iter().map(|row| names(row)).eq(other.0.iter().map(|row| names(row))),
        }
    }
}

fn names(row: &[Value]) -> &[Value] {
    row.split_last().map_or(row, |(_, names)| names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(rows: &[[&str; 2]]) -> Answer {
        let value = |text: &str| Value((!text.is_empty()).then(|| text.as_bytes().to_vec()));
        Answer::new(rows.iter().map(|row| row.iter().map(|text| value(text)).collect()).collect())
    }

    #[test]
    fn figures_may_move_where_only_names_are_compared() {
        let one = answer(&[["sessions", "4"], ["bytes", "10"]]);
        let moved = answer(&[["sessions", "5"], ["bytes", ""]]);
        assert!(one.says_the_same(&one.clone(), Compared::Whole));
        assert!(!one.says_the_same(&moved, Compared::Whole));
        assert!(one.says_the_same(&moved, Compared::Names));
        let fewer = answer(&[["sessions", "4"]]);
        assert!(!one.says_the_same(&fewer, Compared::Names) && fewer.rows() == 1);
    }
}
