//! Tables, indexes and sizes: what changes slowly and is much to look at.

use pgprime_advisor::index_review::duplicates;
use serde::Serialize;
use tokio_postgres::{Error, Row};

use super::section::Section;
use super::server::Server;
use super::session::{Session, count, get, known_count};
use crate::health::down::Down;
use pgprime_readonly::Missing;

/// Tables, indexes and sizes at one moment.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// When, by the server's clock, in seconds since 1970.
    pub at_s: f64,
    /// Tables with many rows or many dead rows.
    pub tables: Section<Vec<TableSeen>>,
    /// Those with the oldest transaction ids.
    pub oldest: Section<Vec<OldTable>>,
    /// Blocks of all indexes.
    pub index_blocks: Section<IndexBlocks>,
    /// Indexes that were never read or are not valid.
    pub indexes: Section<Indexes>,
    /// How large the database is.
    pub sizes: Section<Sizes>,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TableSeen {
    /// As SQL writes it.
    pub name: String,
    /// Its number.
    pub oid: u32,
    /// Rows.
    pub live: u64,
    /// Rows that take space until a vacuum.
    pub dead: u64,
    /// Times that it was read from its first row on.
    pub scans: u64,
    /// Rows that came of that.
    pub rows_scanned: u64,
    /// Its size at the last vacuum or analyze, without indexes.
    pub bytes: u64,
    /// Since when it was last vacuumed; `None` for never.
    pub vacuumed_s_ago: Option<f64>,
    /// Whether autovacuum leaves it alone.
    pub is_vacuum_off: bool,
}

/// A table with old ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OldTable {
    /// As SQL writes it.
    pub name: String,
    /// The age of its oldest transaction id.
    pub transaction_age: u64,
    /// The age of its oldest multixact id.
    pub multixact_age: u64,
}

/// Blocks of indexes since statistics began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IndexBlocks {
    /// Found in memory.
    pub hit: u64,
    /// Asked of the operating system.
    pub read: u64,
}

/// An index that was never read, or is not valid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IndexSeen {
    /// As SQL writes it.
    pub name: String,
    /// Its table.
    pub table: String,
    /// Its size.
    pub bytes: u64,
    /// Whether it is valid.
    pub is_valid: bool,
    /// Whether it is being built, as far as can be seen.
    pub is_built: bool,
    /// Whether writes keep it up.
    pub is_ready: bool,
    /// Finds the rows that keep it from being built, where it is unique and not valid.
    #[serde(skip)]
    pub duplicates: Option<String>,
}

/// Indexes that were never read or are not valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indexes {
    /// Those that are not valid first, then the largest.
    pub list: Vec<IndexSeen>,
    /// Valid ones that were never read.
    pub unused: u64,
    /// The size of those.
    pub unused_bytes: u64,
}

/// How large the database is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes.
    pub database_bytes: u64,
    /// Folders of tablespaces beside the data directory.
    pub places: Vec<String>,
}

impl Catalog {
    pub(super) fn missing(&self) -> impl Iterator<Item = &Missing> {
        let parts = [
            self.tables.as_ref().err(),
            self.oldest.as_ref().err(),
            self.index_blocks.as_ref().err(),
            self.indexes.as_ref().err(),
            self.sizes.as_ref().err(),
        ];
        parts.into_iter().flatten()
    }
}

pub(super) async fn read(session: &Session<'_>, server: &Server) -> Result<Catalog, Down> {
    let sql = include_str!("../../../sql/health_tables.sql");
    let tables = session.section("rows of tables", sql, &[], |rows| rows.iter().map(table).collect()).await?;
    let sql = include_str!("../../../sql/health_oldest.sql");
    let oldest = session.section("ages of tables", sql, &[], |rows| rows.iter().map(old).collect()).await?;
    let sql = include_str!("../../../sql/health_index_blocks.sql");
    let blocks = |row: &Row| {
        let (hit, fetched) = (count(row, "blocks_hit")?, count(row, "blocks_fetched")?);
        Ok(IndexBlocks { hit, read: fetched.saturating_sub(hit) })
    };
    let parse = |rows: &[Row]| rows.first().map(blocks).transpose().map(Option::unwrap_or_default);
    let index_blocks = session.section("blocks of indexes", sql, &[], parse).await?;
    let sql = include_str!("../../../sql/health_indexes.sql");
    let indexes = session.section("use of indexes", sql, &[], indexes).await?;
    let sql = include_str!("../../../sql/health_size.sql");
    let size = |row: &Row| Ok(Sizes { database_bytes: count(row, "bytes")?, places: get(row, "places")? });
    let parse = |rows: &[Row]| rows.first().map(size).transpose().map(Option::unwrap_or_default);
    let sizes = session.section("the size of the database", sql, &[], parse).await?;
    Ok(Catalog { at_s: server.at_s, tables, oldest, index_blocks, indexes, sizes })
}

fn table(row: &Row) -> Result<TableSeen, Error> {
    Ok(TableSeen {
        name: get(row, "name")?,
        oid: get(row, "oid")?,
        live: count(row, "live")?,
        dead: count(row, "dead")?,
        scans: count(row, "scans")?,
        rows_scanned: count(row, "rows_scanned")?,
        bytes: count(row, "bytes")?,
        vacuumed_s_ago: get(row, "vacuumed_s_ago")?,
        is_vacuum_off: get(row, "is_vacuum_off")?,
    })
}

fn old(row: &Row) -> Result<OldTable, Error> {
    let (transaction_age, multixact_age) = (count(row, "transaction_age")?, count(row, "multixact_age")?);
    Ok(OldTable { name: get(row, "name")?, transaction_age, multixact_age })
}

fn indexes(rows: &[Row]) -> Result<Indexes, Error> {
    let one = |row: &Row| {
        let table: String = get(row, "on_table")?;
        let (keys, predicate): (Option<Vec<String>>, Option<String>) =
            (get(row, "keys")?, get(row, "predicate")?);
        let nulls_not_distinct: bool = get(row, "nulls_not_distinct")?;
        let find = |keys: Vec<String>| duplicates(&table, &keys, predicate.as_deref(), nulls_not_distinct);
        Ok(IndexSeen {
            name: get(row, "name")?,
            duplicates: keys.map(find),
            table,
            is_ready: get(row, "is_ready")?,
            bytes: count(row, "bytes")?,
            is_valid: get(row, "is_valid")?,
            is_built: get(row, "is_built")?,
        })
    };
    let total = |name: &str| rows.first().map_or(Ok(0), |row| Ok(known_count(row, name)?.unwrap_or(0)));
    Ok(Indexes {
        list: rows.iter().map(one).collect::<Result<_, Error>>()?,
        unused: total("unused")?,
        unused_bytes: total("unused_bytes")?,
    })
}
