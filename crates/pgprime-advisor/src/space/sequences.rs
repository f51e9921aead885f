//! Sequences, and how near to their end they are.

use serde::Serialize;
use tokio_postgres::Row;

use super::locked::Locked;
use pgprime_readonly::ReadError;
use pgprime_readonly::{Session, column};

/// A sequence, and how near to its end it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SequenceSpace {
    /// Schema and name as SQL writes them.
    pub qualified: String,
    /// The type it was made with, as `bigint`.
    pub sequence_type: String,
    /// The last value given out; `None`: none yet, or not readable.
    pub last_value: Option<i64>,
    /// The last value that it can give: its own end, or that of the column that takes its values.
    pub end_value: i64,
    /// What is used of all values, 0 to 100.
    pub used_percent: f64,
    /// Whether it begins again at its end.
    pub cycles: bool,
    /// The column that takes its values; of several the narrowest.
    pub column: Option<SequenceColumn>,
    #[serde(skip)]
    pub(crate) is_readable: bool,
}

/// The column that takes a sequence's values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SequenceColumn {
    /// The table, as SQL writes it.
    pub table: String,
    /// The column, as SQL writes it.
    pub name: String,
    /// Its type, as `integer`.
    pub column_type: String,
    /// Whether it is an identity column, whose sequence changes its type with it.
    pub is_identity: bool,
    /// Whether the column ends before the sequence does.
    pub is_narrower: bool,
}

impl SequenceSpace {
    /// Whether this role may not see how far it is.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        !self.is_readable
    }
}

/// What a sequence gives.
#[derive(Clone, Copy, Debug)]
struct Range {
    increment: i64,
    minimum: i64,
    maximum: i64,
}

impl Range {
    /// The last value that is given and that a column of this type takes.
    fn end(&self, column_type: Option<&str>) -> i64 {
        let (low, high) = match column_type {
            Some("smallint") => (i64::from(i16::MIN), i64::from(i16::MAX)),
            Some("integer") => (i64::from(i32::MIN), i64::from(i32::MAX)),
            _ => (i64::MIN, i64::MAX),
        };
        if self.increment > 0 { self.maximum.min(high) } else { self.minimum.max(low) }
    }

    fn used_percent(&self, last_value: Option<i64>, end: i64) -> f64 {
        let Some(last) = last_value else { return 0.0 };
        let begin = if self.increment > 0 { self.minimum } else { self.maximum };
        let whole = (i128::from(end) - i128::from(begin)).unsigned_abs();
        let used = (i128::from(last) - i128::from(begin)).unsigned_abs();
        if whole == 0 { 100.0 } else { (used as f64 / whole as f64 * 100.0).min(100.0) }
    }
}

/// Reads the sequences, the fullest first.
pub(crate) async fn read(
    session: &Session<'_>,
    locked: &mut Locked,
) -> Result<Vec<SequenceSpace>, ReadError> {
    let step = "read the sequences";
    let sql = include_str!("../../sql/space_sequences.sql");
    let rows = locked.attempt(session, step, sql, &[]).await?;
    let mut sequences: Vec<SequenceSpace> =
        rows.iter().map(|row| sequence(row, step)).collect::<Result<_, _>>()?;
    sequences.sort_by(|a, b| b.used_percent.total_cmp(&a.used_percent));
    Ok(sequences)
}

fn sequence(row: &Row, step: &'static str) -> Result<SequenceSpace, ReadError> {
    let range = Range {
        increment: column(row, step, "increment")?,
        minimum: column(row, step, "minimum")?,
        maximum: column(row, step, "maximum")?,
    };
    let column_type: Option<String> = column(row, step, "column_type")?;
    let end_value = range.end(column_type.as_deref());
    let last_value: Option<i64> = column(row, step, "last_value")?;
    let table: Option<String> = column(row, step, "table_name")?;
    let name: Option<String> = column(row, step, "column_name")?;
    let is_identity: bool = column(row, step, "is_identity")?;
    let user = table.zip(name).zip(column_type).map(|((table, name), column_type)| SequenceColumn {
        table,
        name,
        column_type,
        is_identity,
        is_narrower: end_value != range.end(None),
    });
    Ok(SequenceSpace {
        qualified: column(row, step, "qualified")?,
        sequence_type: column(row, step, "sequence_type")?,
        last_value,
        end_value,
        used_percent: range.used_percent(last_value, end_value),
        cycles: column(row, step, "cycles")?,
        column: user,
        is_readable: column(row, step, "is_readable")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrower_of_sequence_and_column_ends_it() {
        let big = Range { increment: 1, minimum: 1, maximum: i64::MAX };
        for (column_type, end) in [
            (None, i64::MAX),
            (Some("bigint"), i64::MAX),
            (Some("integer"), 2_147_483_647),
            (Some("smallint"), 32_767),
        ] {
            assert_eq!(big.end(column_type), end);
        }
        let down = Range { increment: -1, minimum: i64::MIN, maximum: -1 };
        assert_eq!(down.end(Some("integer")), -2_147_483_648);
        assert_eq!(Range { maximum: 100, ..big }.end(Some("integer")), 100);
    }

    #[test]
    fn what_is_used() {
        let up = Range { increment: 1, minimum: 1, maximum: 101 };
        assert_eq!(up.used_percent(None, 101), 0.0);
        assert_eq!(up.used_percent(Some(76), 101), 75.0);
        let down = Range { increment: -1, minimum: -101, maximum: -1 };
        assert_eq!(down.used_percent(Some(-51), -101), 50.0);
        let all = Range { increment: 1, minimum: i64::MIN, maximum: i64::MAX };
        assert!((all.used_percent(Some(0), i64::MAX) - 50.0).abs() < 1e-9);
        assert_eq!(up.used_percent(Some(500), 101), 100.0, "the column was narrowed");
    }
}
