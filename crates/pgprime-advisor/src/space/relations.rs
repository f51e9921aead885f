//! Tables and indexes as they are read.

use std::collections::HashMap;

use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::autovacuum::{Autovacuum, Counts};
use super::locked::Locked;
use super::options::SpaceOptions;
use super::reloptions::RelOptions;
use super::server::{Server, Settings};
use super::waste::Waste;
use pgprime_readonly::ReadError;
use pgprime_readonly::{Session, column, count};

/// A table or a materialized view.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableSpace {
    /// Its schema, not quoted.
    pub schema: String,
    /// Its name, not quoted.
    pub name: String,
    /// Schema and name as SQL writes them.
    pub qualified: String,
    /// Whether it is a materialized view.
    pub is_materialized_view: bool,
    /// Whether its contents are lost in a crash and absent on replicas.
    pub is_unlogged: bool,
    /// The partitioned table that it is a part of, at the top, as SQL writes it.
    pub partition_of: Option<String>,
    /// Whether another session has locked it, so that sizes are those of the last vacuum or analyze.
    pub is_locked: bool,
    /// Of the rows.
    pub heap_bytes: u64,
    /// Of values stored out of line.
    pub toast_bytes: u64,
    /// Of all indexes.
    pub indexes_bytes: u64,
    /// All of it.
    pub total_bytes: u64,
    /// Since it was first recorded; `None` where it was not, see [`remember`](super::remember).
    pub growth: Option<Growth>,
    /// Rows, as the server counts them.
    pub live_rows: u64,
    /// Rows that were deleted or replaced and take space until a vacuum.
    pub dead_rows: u64,
    /// Changes since the last analyze, in rows.
    pub changes_since_analyze: u64,
    /// Of rows and values out of line.
    pub waste: Waste,
    /// When it was last looked after.
    pub maintained: Maintained,
    /// What autovacuum goes by.
    pub autovacuum: Autovacuum,
    /// The age of its oldest transaction id.
    pub transaction_age: Option<u64>,
    /// The age of its oldest multixact id.
    pub multixact_age: Option<u64>,
    #[serde(skip)]
    pub(crate) oid: u32,
    #[serde(skip)]
    pub(crate) is_heap: bool,
    #[serde(skip)]
    pub(crate) hides_rows: bool,
    /// At the last vacuum or analyze; −1 for never.
    #[serde(skip)]
    pub(crate) reltuples: f64,
    #[serde(skip)]
    pub(crate) toast_oid: Option<u32>,
    #[serde(skip)]
    pub(crate) toast_pieces: f64,
    #[serde(skip)]
    pub(crate) options: Vec<String>,
    /// The share of a full page that is rows, where it is known.
    #[serde(skip)]
    pub(crate) full_share: Option<f64>,
}

/// When a table was last looked after, in seconds before the report; `None`: not since statistics are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Maintained {
    /// By a person.
    pub vacuum_seconds_ago: Option<f64>,
    /// By autovacuum.
    pub autovacuum_seconds_ago: Option<f64>,
    /// By a person.
    pub analyze_seconds_ago: Option<f64>,
    /// By autovacuum.
    pub autoanalyze_seconds_ago: Option<f64>,
}

impl Maintained {
    /// The last vacuum, whoever it was by.
    #[must_use]
    pub fn last_vacuum_seconds_ago(&self) -> Option<f64> {
        least(self.vacuum_seconds_ago, self.autovacuum_seconds_ago)
    }

    /// The last analyze, whoever it was by.
    #[must_use]
    pub fn last_analyze_seconds_ago(&self) -> Option<f64> {
        least(self.analyze_seconds_ago, self.autoanalyze_seconds_ago)
    }
}

fn least(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    [one, other].into_iter().flatten().min_by(f64::total_cmp)
}

/// An index.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IndexSpace {
    /// Schema and name as SQL writes them.
    pub qualified: String,
    /// Its table, as SQL writes it.
    pub table: String,
    /// As `btree`.
    pub method: String,
    /// Whether another session has locked it, so that its size is that of the last vacuum or analyze.
    pub is_locked: bool,
    /// Its size.
    pub bytes: u64,
    /// Of its pages.
    pub waste: Waste,
    #[serde(skip)]
    pub(crate) oid: u32,
    #[serde(skip)]
    pub(crate) table_oid: u32,
    #[serde(skip)]
    pub(crate) is_valid: bool,
    #[serde(skip)]
    pub(crate) is_exclusion: bool,
    #[serde(skip)]
    pub(crate) is_partial: bool,
    #[serde(skip)]
    pub(crate) may_share_keys: bool,
    #[serde(skip)]
    pub(crate) reltuples: f64,
    #[serde(skip)]
    pub(crate) options: Vec<String>,
}

/// Tables and indexes without their waste.
pub(crate) struct Relations {
    pub(crate) tables: Vec<TableSpace>,
    pub(crate) indexes: Vec<IndexSpace>,
}

impl Relations {
    pub(crate) async fn read(
        session: &Session<'_>,
        server: &Server,
        settings: &Settings,
        options: &SpaceOptions,
        locked: &mut Locked,
    ) -> Result<Self, ReadError> {
        let step = "read the sizes of tables";
        let sql = include_str!("../../sql/space_tables.sql");
        let limit = i64::from(options.tables_max);
        let rows = locked.attempt(session, step, sql, &[(&limit, Type::INT8)]).await?;
        let table = |row: &Row| read_table(row, step, server, settings);
        let mut tables: Vec<TableSpace> = rows.iter().map(table).collect::<Result<_, _>>()?;

        let step = "read the sizes of indexes";
        let sql = include_str!("../../sql/space_indexes.sql");
        let oids: Vec<u32> = tables.iter().map(|table| table.oid).collect();
        let rows = locked.attempt(session, step, sql, &[(&oids, Type::OID_ARRAY)]).await?;
        let index = |row: &Row| read_index(row, step, server);
        let mut indexes: Vec<IndexSpace> = rows.iter().map(index).collect::<Result<_, _>>()?;
        add_up(&mut tables, &mut indexes);
        Ok(Self { tables, indexes })
    }
}

/// How much a table has grown.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Growth {
    /// By so many bytes; below 0 it has become smaller.
    pub bytes: i64,
    /// In so many seconds.
    pub seconds: f64,
}

/// What is known of a table only together with its indexes.
fn add_up(tables: &mut [TableSpace], indexes: &mut [IndexSpace]) {
    let mut by_table: HashMap<u32, u64> = HashMap::new();
    for index in indexes.iter() {
        *by_table.entry(index.table_oid).or_default() += index.bytes;
    }
    let names: HashMap<u32, &str> = tables.iter().map(|table| (table.oid, &*table.qualified)).collect();
    for index in indexes.iter_mut() {
        index.table = names.get(&index.table_oid).copied().unwrap_or_default().to_owned();
    }
    for table in tables.iter_mut() {
        table.indexes_bytes = by_table.get(&table.oid).copied().unwrap_or(0);
        table.total_bytes = table.heap_bytes + table.toast_bytes + table.indexes_bytes;
    }
    tables.sort_by(|a, b| b.total_bytes.cmp(&a.total_bytes).then_with(|| a.qualified.cmp(&b.qualified)));
    indexes.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.qualified.cmp(&b.qualified)));
}

fn read_table(
    row: &Row,
    step: &'static str,
    server: &Server,
    settings: &Settings,
) -> Result<TableSpace, ReadError> {
    let block_bytes = u64::from(server.block_bytes);
    let heap_bytes: Option<i64> = column(row, step, "heap_bytes")?;
    let toast_bytes: Option<i64> = column(row, step, "toast_bytes")?;
    let toast_oid: Option<u32> = column(row, step, "toast_oid")?;
    let options: Vec<String> = column(row, step, "options")?;
    let maintained = Maintained {
        vacuum_seconds_ago: column(row, step, "last_vacuum")?,
        autovacuum_seconds_ago: column(row, step, "last_autovacuum")?,
        analyze_seconds_ago: column(row, step, "last_analyze")?,
        autoanalyze_seconds_ago: column(row, step, "last_autoanalyze")?,
    };
    let was_counted =
        maintained.last_vacuum_seconds_ago().or(maintained.last_analyze_seconds_ago()).is_some();
    let reltuples: f64 = column(row, step, "reltuples")?;
    let counts = Counts {
        reltuples,
        dead: count(row, step, "dead_tuples")?,
        changes_since_analyze: count(row, step, "changes_since_analyze")?,
        inserts_since_vacuum: count(row, step, "inserts_since_vacuum")?,
    };
    let toast_reltuples: Option<f64> = column(row, step, "toast_reltuples")?;
    let toast_live = count(row, step, "toast_live_tuples")?;
    let persistence: &str = column(row, step, "persistence")?;
    let kind: &str = column(row, step, "kind")?;
    Ok(TableSpace {
        schema: column(row, step, "schema")?,
        name: column(row, step, "name")?,
        qualified: column(row, step, "qualified")?,
        is_materialized_view: kind == "m",
        is_unlogged: persistence == "u",
        partition_of: column(row, step, "partition_root")?,
        is_locked: heap_bytes.is_none(),
        heap_bytes: bytes(heap_bytes).unwrap_or(count(row, step, "relpages")? * block_bytes),
        toast_bytes: bytes(toast_bytes).unwrap_or(count(row, step, "toast_pages")? * block_bytes),
        indexes_bytes: 0,
        total_bytes: 0,
        growth: None,
        live_rows: live_rows(count(row, step, "live_tuples")?, reltuples, was_counted) as u64,
        dead_rows: counts.dead,
        changes_since_analyze: counts.changes_since_analyze,
        waste: Waste::default(),
        maintained,
        autovacuum: Autovacuum::new(settings, RelOptions(&options), &counts),
        transaction_age: age(row, step, "transaction_age")?,
        multixact_age: age(row, step, "multixact_age")?,
        oid: column(row, step, "oid")?,
        is_heap: column(row, step, "is_heap")?,
        hides_rows: column(row, step, "hides_rows")?,
        reltuples,
        toast_oid,
        toast_pieces: live_rows(
            toast_live,
            toast_reltuples.unwrap_or(-1.0),
            column::<Option<bool>>(row, step, "toast_is_counted")?.unwrap_or(false),
        ),
        options,
        full_share: None,
    })
}

fn age(row: &Row, step: &'static str, name: &str) -> Result<Option<u64>, ReadError> {
    Ok(column::<Option<i64>>(row, step, name)?.and_then(|age| u64::try_from(age).ok()))
}

fn bytes(size: Option<i64>) -> Option<u64> {
    size.and_then(|bytes| u64::try_from(bytes).ok())
}

/// What is counted with every change is the better figure once a vacuum or analyze has set it right: after a loss of
/// statistics it counts from nothing.
fn live_rows(counted: u64, at_last_look: f64, was_counted: bool) -> f64 {
    if was_counted || at_last_look <= 0.0 { counted as f64 } else { at_last_look }
}

fn read_index(row: &Row, step: &'static str, server: &Server) -> Result<IndexSpace, ReadError> {
    let size: Option<i64> = column(row, step, "bytes")?;
    let pages = count(row, step, "relpages")?;
    Ok(IndexSpace {
        qualified: column(row, step, "qualified")?,
        table: String::new(),
        method: column(row, step, "method")?,
        is_locked: size.is_none(),
        bytes: bytes(size).unwrap_or(pages * u64::from(server.block_bytes)),
        waste: Waste::default(),
        oid: column(row, step, "oid")?,
        table_oid: column(row, step, "table_oid")?,
        is_valid: column(row, step, "is_valid")?,
        is_exclusion: column(row, step, "is_exclusion")?,
        is_partial: column(row, step, "is_partial")?,
        may_share_keys: column(row, step, "may_share_keys")?,
        reltuples: column(row, step, "reltuples")?,
        options: column(row, step, "options")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_count_of_rows_holds() {
        for (counted, at_last_look, was_counted, expected) in [
            (500, 1_000.0, true, 500.0),
            (5, 1_000.0, false, 1_000.0),
            (7, -1.0, false, 7.0),
            (0, 1_000.0, true, 0.0),
        ] {
            assert_eq!(live_rows(counted, at_last_look, was_counted), expected);
        }
    }
}
