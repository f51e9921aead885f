//! What was read of a figure, and its rows as the database wrote it: the columns in the query's order, numbers digit by digit.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use pgprime_client::CachedSource;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// What is kept of a figure that was read.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) rows: Arc<[FigureRow]>,
    pub(super) is_cut: bool,
    pub(super) source: CachedSource,
    /// When its rows were asked of the database, at the latest.
    pub(super) asked: Instant,
    pub(super) not_kept: Option<String>,
}

/// One row of a figure: an object with its columns, in the order in which the query names them. A value is what the
/// database wrote, so that no number is rounded.
#[derive(Clone, Debug, Default)]
pub struct FigureRow(Vec<(String, Box<RawValue>)>);

impl FigureRow {
    /// Reads a JSON object.
    pub(super) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Its columns: their names and their values as JSON.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.get()))
    }

    /// The value of a column as JSON.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.columns().find_map(|(known, value)| (known == name).then_some(value))
    }
}

impl Serialize for FigureRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for FigureRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Columns)
    }
}

struct Columns;

impl<'de> Visitor<'de> for Columns {
    type Value = FigureRow;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with the columns of a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FigureRow, A::Error> {
        let mut columns: Vec<(String, Box<RawValue>)> = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
            // Of two columns with one name a reader of JSON sees the last.
            columns.retain(|(known, _)| *known != name);
            columns.push((name, value));
        }
        Ok(FigureRow(columns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_stays_as_it_was_written() {
        let text =
            r#"{"z":1e400,"a":350.50,"n":99999999999999999999999,"doc":{"b":[1, 2],"a":null},"t":"é\n"}"#;
        let row = FigureRow::parse(text).unwrap();
        assert_eq!(serde_json::to_string(&row).unwrap(), text);
        assert_eq!((row.get("a"), row.get("doc")), (Some("350.50"), Some(r#"{"b":[1, 2],"a":null}"#)));
        assert_eq!((row.get("b"), row.columns().count()), (None, 5));
        let twice = FigureRow::parse(r#"{"a":1,"b":2,"a":3}"#).unwrap();
        assert_eq!(serde_json::to_string(&twice).unwrap(), r#"{"b":2,"a":3}"#);
        let deep = format!("{{\"deep\":{}{}}}", "[".repeat(1_000), "]".repeat(1_000));
        assert_eq!(serde_json::to_string(&FigureRow::parse(&deep).unwrap()).unwrap(), deep);
        assert!(FigureRow::parse("1").is_err() && FigureRow::parse("{").is_err());
    }
}
