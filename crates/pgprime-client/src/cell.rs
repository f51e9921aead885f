//! What is wrong with reading a column of a kept result, in the driver's words.

use std::error::Error as StdError;
use std::fmt;

/// A column of a kept result cannot be read: the same cases, texts and sources as with the driver's rows.
#[derive(Debug)]
pub struct CellError {
    kind: Kind,
    source: Option<Box<dyn StdError + Sync + Send>>,
}

#[derive(Debug)]
enum Kind {
    Unknown(String),
    Value(usize),
}

impl CellError {
    /// There is no such column.
    pub(crate) fn unknown(column: String) -> Self {
        Self { kind: Kind::Unknown(column), source: None }
    }

    /// Another type, NULL, or bytes that are none of its type.
    pub(crate) fn value(column: usize, source: Box<dyn StdError + Sync + Send>) -> Self {
        Self { kind: Kind::Value(column), source: Some(source) }
    }
}

impl fmt::Display for CellError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Unknown(column) => write!(f, "invalid column `{column}`"),
            Kind::Value(column) => write!(f, "error deserializing column {column}"),
        }
    }
}

impl StdError for CellError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}
