//! Rows as bytes: compact, with a version, and checked when they are read.
//!
//! | what | bytes |
//! |---|---|
//! | version | 1 |
//! | length of the header | 4 |
//! | header: number of columns (2); of each its name and type | |
//! | number of rows | 4 |
//! | cells, row by row: length (4; -1 is NULL) and value | |
//!
//! Numbers are big-endian; names and labels are UTF-8 with their length (4) ahead. Values are as PostgreSQL sent them.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Kind, Type};

/// Entries of another version are no entries.
const VERSION: u8 = 1;
/// Domains over arrays over domains …: nobody goes deeper.
const DEPTH_MAX: u8 = 16;

const BUILT_IN: u8 = 0;
const ENUM: u8 = 1;
const DOMAIN: u8 = 2;
const ARRAY: u8 = 3;

/// After the version and the header's length.
const HEADER_START: usize = 5;
/// The length of a NULL.
const NULL: i32 = -1;
/// `SELECT FROM t` gives rows without columns. Their number is all there is to them.
const ROWS_WITHOUT_COLUMNS_MAX: usize = 1 << 20;

/// A column of a kept result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedColumn {
    name: String,
    type_: Type,
}

impl CachedColumn {
    pub(crate) fn new(name: &str, type_: &Type) -> Self {
        Self { name: name.to_owned(), type_: type_.clone() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its type.
    pub fn type_(&self) -> &Type {
        &self.type_
    }
}

/// What the database says of a statement before it is run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Described {
    /// Types of its parameters.
    pub(crate) parameters: Vec<Type>,
    /// Its columns, as far as they are known.
    pub(crate) columns: Vec<CachedColumn>,
}

/// The rows of a result, in one piece.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) columns: Arc<[CachedColumn]>,
    pub(crate) bytes: Bytes,
    /// Where each row's cells begin.
    pub(crate) starts: Arc<[usize]>,
    /// The part of the bytes that the columns were read from.
    header: Range<usize>,
}

/// Columns that were read before, and the bytes they were read from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Header {
    bytes: Bytes,
    columns: Arc<[CachedColumn]>,
}

/// Bytes that are no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Garbage;

/// A result that cannot be kept as bytes; it says why.
pub(crate) struct NotKept {
    pub(crate) body: Body,
    pub(crate) reason: String,
}

impl Body {
    /// The rows as they came; `described` are the columns of a result without rows, as far as they are known.
    pub(crate) fn of(rows: &[Row], described: &[CachedColumn]) -> Result<Self, Box<NotKept>> {
        let columns: Arc<[CachedColumn]> = match rows.first() {
            Some(row) => row.columns().iter().map(|it| CachedColumn::new(it.name(), it.type_())).collect(),
            None => described.into(),
        };
        let mut writer = Writer(Vec::new());
        let outcome = writer.header(&columns);
        let header = HEADER_START..writer.0.len();
        let starts = writer.rows(rows, columns.len()).into();
        let body = Self { columns, bytes: writer.0.into(), starts, header };
        match outcome {
            Ok(()) => Ok(body),
            Err(reason) => Err(Box::new(NotKept { body, reason })),
        }
    }

    /// The rows in these bytes. Columns are not read again when their bytes are those of `known`.
    pub(crate) fn read(bytes: Bytes, known: &Header) -> Result<Self, Garbage> {
        let mut reader = Reader { bytes: &bytes, at: 0 };
        if reader.u8()? != VERSION {
            return Err(Garbage);
        }
        let length = reader.length()?;
        let header = reader.at..reader.at.checked_add(length).ok_or(Garbage)?;
        let header_bytes = bytes.get(header.clone()).ok_or(Garbage)?;
        let columns = match !known.bytes.is_empty() && header_bytes == &known.bytes[..] {
            true => {
                reader.at = header.end;
                Arc::clone(&known.columns)
            }
            false => reader.columns()?.into(),
        };
        if reader.at != header.end {
            return Err(Garbage);
        }
        let starts = reader.starts(columns.len())?;
        Ok(Self { columns, starts, header, bytes })
    }

    /// What spares reading the columns of the next result of the same statement.
    pub(crate) fn header(&self) -> Header {
        Header {
            bytes: Bytes::copy_from_slice(&self.bytes[self.header.clone()]),
            columns: Arc::clone(&self.columns),
        }
    }

    /// Whether its columns were read from, or are those of, this header.
    pub(crate) fn is_of(&self, header: &Header) -> bool {
        Arc::ptr_eq(&self.columns, &header.columns)
    }
}

/// The value of a cell of the row that begins at `start`; what was read or written here is whole.
pub(crate) fn cell(bytes: &[u8], start: usize, column: usize) -> Option<&[u8]> {
    let mut reader = Reader { bytes, at: start };
    for _ in 0..column {
        reader.cell().ok()?;
    }
    reader.cell().ok().flatten()
}

/// A value as it was sent, whatever its type.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

struct Writer(Vec<u8>);

impl Writer {
    /// Longer values do not come over PostgreSQL's protocol, and bytes with a wrong length are garbage when they are read.
    fn length(&mut self, value: usize) {
        let value = i32::try_from(value).unwrap_or(i32::MAX);
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Version, length and columns; or why they cannot be written down.
    fn header(&mut self, columns: &[CachedColumn]) -> Result<(), String> {
        self.0.push(VERSION);
        self.0.extend_from_slice(&[0; 4]);
        let count = u16::try_from(columns.len()).map_err(|_| "it has too many columns".to_owned())?;
        self.0.extend_from_slice(&count.to_be_bytes());
        for column in columns {
            self.text(&column.name);
            self.type_(&column.type_).map_err(|Foreign| {
                let (name, schema, type_) = (&column.name, column.type_.schema(), column.type_.name());
                format!(
                    "its column {name:?} has the type {schema}.{type_}; cast it to text, or select its parts"
                )
            })?;
        }
        let length = u32::try_from(self.0.len() - HEADER_START).unwrap_or(u32::MAX);
        self.0[1..HEADER_START].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    fn type_(&mut self, type_: &Type) -> Result<(), Foreign> {
        if Type::from_oid(type_.oid()).as_ref() == Some(type_) {
            self.0.push(BUILT_IN);
            self.0.extend_from_slice(&type_.oid().to_be_bytes());
            return Ok(());
        }
        let mut named = |kind| {
            self.0.push(kind);
            self.0.extend_from_slice(&type_.oid().to_be_bytes());
            self.text(type_.name());
            self.text(type_.schema());
        };
        match type_.kind() {
            Kind::Enum(labels) => {
                named(ENUM);
                self.length(labels.len());
                labels.iter().for_each(|label| self.text(label));
                Ok(())
            }
            Kind::Domain(inner) => {
                named(DOMAIN);
                self.type_(inner)
            }
            Kind::Array(inner) => {
                named(ARRAY);
                self.type_(inner)
            }
            _ => Err(Foreign),
        }
    }

    fn rows(&mut self, rows: &[Row], columns: usize) -> Vec<usize> {
        self.length(rows.len());
        let mut starts = Vec::with_capacity(rows.len());
        for row in rows {
            starts.push(self.0.len());
            for column in 0..columns {
                // All types are accepted, so there is no error.
                let value = row.try_get::<_, Option<Raw<'_>>>(column).ok().flatten();
                self.cell(value.map(|Raw(bytes)| bytes));
            }
        }
        starts
    }

    fn cell(&mut self, value: Option<&[u8]>) {
        match value {
            Some(value) => {
                self.length(value.len());
                self.0.extend_from_slice(value);
            }
            None => self.0.extend_from_slice(&NULL.to_be_bytes()),
        }
    }
}

/// A type that is made of parts which a name and labels do not say.
struct Foreign;

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Garbage> {
        let end = self.at.checked_add(length).ok_or(Garbage)?;
        let taken = self.bytes.get(self.at..end).ok_or(Garbage)?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Garbage> {
        self.take(N)?.try_into().map_err(|_| Garbage)
    }

    fn u8(&mut self) -> Result<u8, Garbage> {
        Ok(self.array::<1>()?[0])
    }

    fn length(&mut self) -> Result<usize, Garbage> {
        usize::try_from(u32::from_be_bytes(self.array()?)).map_err(|_| Garbage)
    }

    fn text(&mut self) -> Result<String, Garbage> {
        let length = self.length()?;
        Ok(std::str::from_utf8(self.take(length)?).map_err(|_| Garbage)?.to_owned())
    }

    fn columns(&mut self) -> Result<Vec<CachedColumn>, Garbage> {
        let count = u16::from_be_bytes(self.array()?);
        (0..count).map(|_| Ok(CachedColumn { name: self.text()?, type_: self.type_(DEPTH_MAX)? })).collect()
    }

    fn type_(&mut self, depth_left: u8) -> Result<Type, Garbage> {
        let depth_left = depth_left.checked_sub(1).ok_or(Garbage)?;
        let (kind, oid) = (self.u8()?, u32::from_be_bytes(self.array()?));
        if kind == BUILT_IN {
            return Type::from_oid(oid).ok_or(Garbage);
        }
        let (name, schema) = (self.text()?, self.text()?);
        let kind = match kind {
            ENUM => {
                let count = self.length()?;
                Kind::Enum((0..count).map(|_| self.text()).collect::<Result<_, _>>()?)
            }
            DOMAIN => Kind::Domain(self.type_(depth_left)?),
            ARRAY => Kind::Array(self.type_(depth_left)?),
            _ => return Err(Garbage),
        };
        Ok(Type::new(name, oid, kind, schema))
    }

    fn cell(&mut self) -> Result<Option<&'a [u8]>, Garbage> {
        match i32::from_be_bytes(self.array()?) {
            NULL => Ok(None),
            length => self.take(usize::try_from(length).map_err(|_| Garbage)?).map(Some),
        }
    }

    /// Where the rows begin; all cells are there, and nothing else.
    fn starts(&mut self, columns: usize) -> Result<Arc<[usize]>, Garbage> {
        let count = self.length()?;
        // So many as the bytes can hold, so that a wrong number takes no memory.
        let left = self.bytes.len() - self.at;
        let count_max = left.checked_div(columns * 4).unwrap_or(ROWS_WITHOUT_COLUMNS_MAX);
        if count > count_max {
            return Err(Garbage);
        }
        let mut starts = Vec::with_capacity(count);
        for _ in 0..count {
            starts.push(self.at);
            for _ in 0..columns {
                self.cell()?;
            }
        }
        if self.at == self.bytes.len() { Ok(starts.into()) } else { Err(Garbage) }
    }
}

#[cfg(test)]
mod tests;
