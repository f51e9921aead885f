//! A kept result as its reader has it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio_postgres::types::{FromSql, WrongType};

use crate::cell::CellError;
use crate::error::{Error, QueryError};
use crate::results::{Body, CachedColumn, cell};

/// Where a result came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CachedSource {
    /// This process's memory.
    Memory,
    /// Redis.
    Redis,
    /// The database, asked by another task or instance at the same time.
    Shared,
    /// The database, asked by this call; the result may have been kept.
    Filled,
    /// The cache, past its time to live: it is being read anew. No known change of its tables is missing in it.
    Stale,
    /// The database, as without a cache; [`CachedRows::not_kept`] says why.
    NotKept,
}

impl From<pgprime_cache::Source> for CachedSource {
    fn from(source: pgprime_cache::Source) -> Self {
        match source {
            pgprime_cache::Source::Memory => Self::Memory,
            pgprime_cache::Source::Redis => Self::Redis,
            pgprime_cache::Source::Filled => Self::Filled,
            pgprime_cache::Source::Shared => Self::Shared,
            pgprime_cache::Source::Stale => Self::Stale,
        }
    }
}

/// The rows of a cached read.
#[derive(Clone, Debug)]
pub struct CachedRows {
    body: Body,
    source: CachedSource,
    age: Duration,
    not_kept: Option<Arc<str>>,
}

impl CachedRows {
    pub(super) fn kept(body: Body, source: CachedSource, age: Duration) -> Self {
        Self { body, source, age, not_kept: None }
    }

    pub(super) fn not_kept_because(body: Body, reason: Arc<str>) -> Self {
        Self { body, source: CachedSource::NotKept, age: Duration::ZERO, not_kept: Some(reason) }
    }

    /// Where they came from.
    pub fn source(&self) -> CachedSource {
        self.source
    }

    /// How long ago the database was asked for them, at most.
    pub fn age(&self) -> Duration {
        self.age
    }

    /// Why the result is not kept, if it is not: all reasons, as a sentence.
    pub fn not_kept(&self) -> Option<&str> {
        self.not_kept.as_deref()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.body.starts.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.body.starts.is_empty()
    }

    /// The columns.
    pub fn columns(&self) -> &[CachedColumn] {
        &self.body.columns
    }

    /// The row at this position, from 0.
    pub fn row(&self, index: usize) -> Option<CachedRow> {
        self.body.starts.get(index).map(|start| self.at(*start))
    }

    /// All rows in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = CachedRow> + '_ {
        self.body.starts.iter().map(|start| self.at(*start))
    }

    /// The bytes of columns and values; rows of [`CachedSource::NotKept`] may have none of the columns in them.
    pub fn size_bytes(&self) -> usize {
        self.body.bytes.len()
    }

    /// The one row, if there is one.
    pub(super) fn at_most_one(&self) -> Result<Option<CachedRow>, Error> {
        match self.len() {
            0 | 1 => Ok(self.row(0)),
            _ => Err(Error::Rows { expected: "one row", found: "several rows" }),
        }
    }

    fn at(&self, start: usize) -> CachedRow {
        CachedRow { columns: Arc::clone(&self.body.columns), bytes: self.body.bytes.clone(), start }
    }
}

/// A row of a cached read. Its values are read where they lie; it keeps the whole result in memory.
#[derive(Clone)]
pub struct CachedRow {
    columns: Arc<[CachedColumn]>,
    bytes: Bytes,
    start: usize,
}

impl CachedRow {
    /// The columns.
    pub fn columns(&self) -> &[CachedColumn] {
        &self.columns
    }

    /// How many columns it has.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether it has no column.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The value of a column, by its position from 0 or its name.
    ///
    /// # Panics
    /// Where [`CachedRow::try_get`] gives an error.
    #[track_caller]
    pub fn get<'a, I, T>(&'a self, column: I) -> T
    where
        I: ColumnIndex,
        T: FromSql<'a>,
    {
        match self.read(&column) {
            Ok(value) => value,
            Err(error) => panic!("error retrieving column {column}: {error}"),
        }
    }

    /// As [`CachedRow::get`], without a panic.
    ///
    /// # Errors
    /// [`Error::Query`] in the same cases as with a row of the database: no such column, another type, NULL where `T` is
    /// no `Option`.
    pub fn try_get<'a, I, T>(&'a self, column: I) -> Result<T, Error>
    where
        I: ColumnIndex,
        T: FromSql<'a>,
    {
        self.read(&column).map_err(|error| Error::Query { source: QueryError::Cell(error) })
    }

    fn read<'a, T: FromSql<'a>>(&'a self, column: &impl ColumnIndex) -> Result<T, CellError> {
        let position = column.position(&self.columns);
        let known = position.and_then(|position| Some((position, self.columns.get(position)?)));
        let (position, found) = known.ok_or_else(|| CellError::unknown(column.to_string()))?;
        let type_ = found.type_();
        if !T::accepts(type_) {
            return Err(CellError::value(position, Box::new(WrongType::new::<T>(type_.clone()))));
        }
        let value = cell(&self.bytes, self.start, position);
        T::from_sql_nullable(type_, value).map_err(|error| CellError::value(position, error))
    }
}

impl fmt::Debug for CachedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedRow").field("columns", &self.columns).finish_non_exhaustive()
    }
}

/// What names a column: its position from 0, or its name.
pub trait ColumnIndex: fmt::Display {
    /// Its position among these.
    fn position(&self, columns: &[CachedColumn]) -> Option<usize>;
}

impl ColumnIndex for usize {
    fn position(&self, columns: &[CachedColumn]) -> Option<usize> {
        (*self < columns.len()).then_some(*self)
    }
}

/// The exact name, or else the first that differs in nothing but upper and lower case, as the driver has it.
impl ColumnIndex for &str {
    fn position(&self, columns: &[CachedColumn]) -> Option<usize> {
        let exact = columns.iter().position(|column| column.name() == *self);
        exact.or_else(|| columns.iter().position(|column| column.name().eq_ignore_ascii_case(self)))
    }
}
