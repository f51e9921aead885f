//! The estimate for every table and B-tree that is large enough, and why it does not apply to the others.

use std::collections::HashMap;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::estimate::{Column, HeapShape, IndexShape, SharedKeys, toast_pages};
use super::options::SpaceOptions;
use super::relations::{IndexSpace, Relations, TableSpace};
use super::reloptions::RelOptions;
use super::server::Server;
use super::waste::{NoEstimate, Waste, WasteFigure};
use pgprime_readonly::ReadError;
use pgprime_readonly::{Session, column};

/// Percent of a page that inserts fill, unless said otherwise.
const TABLE_FILL_PERCENT: f64 = 100.0;
const INDEX_FILL_PERCENT: f64 = 90.0;

/// A column as the server describes it.
struct Described {
    name: String,
    is_readable: bool,
    /// `None` where there are no statistics.
    known: Option<Column>,
    /// As pg_stats has it: negative is a share of the rows.
    distinct: Option<f64>,
}

/// Estimates the waste of all relations.
pub(crate) async fn estimate(
    session: &Session<'_>,
    server: &Server,
    options: &SpaceOptions,
    relations: &mut Relations,
) -> Result<(), ReadError> {
    let large = |bytes: u64| bytes >= options.estimate_bytes_min;
    let is_table = |table: &&TableSpace| large(table.heap_bytes + table.toast_bytes);
    let oids: Vec<u32> = relations.tables.iter().filter(is_table).map(|table| table.oid).collect();
    let step = "read the widths of columns";
    let columns = describe(session, step, include_str!("../../sql/space_columns.sql"), &oids).await?;
    for table in &mut relations.tables {
        let described = columns.get(&table.oid);
        let estimate = table_estimate(table, described.map(Vec::as_slice), server);
        table.waste = Waste::of_estimate(estimate);
    }

    let oids: Vec<u32> =
        relations.indexes.iter().filter(|index| large(index.bytes)).map(|index| index.oid).collect();
    let step = "read the widths of indexed columns";
    let columns = describe(session, step, include_str!("../../sql/space_index_columns.sql"), &oids).await?;
    let tables: HashMap<u32, &TableSpace> = relations.tables.iter().map(|table| (table.oid, table)).collect();
    for index in &mut relations.indexes {
        let Some(table) = tables.get(&index.table_oid) else { continue };
        let described = columns.get(&index.oid).map(Vec::as_slice);
        index.waste = Waste::of_estimate(index_estimate(index, table, described, server));
    }
    Ok(())
}

async fn describe(
    session: &Session<'_>,
    step: &'static str,
    sql: &str,
    oids: &[u32],
) -> Result<HashMap<u32, Vec<Described>>, ReadError> {
    let mut columns: HashMap<u32, Vec<Described>> = HashMap::new();
    if oids.is_empty() {
        return Ok(columns);
    }
    for row in session.rows(step, sql, &[(&oids, Type::OID_ARRAY)]).await? {
        let relation: u32 = column(&row, step, "relation_oid")?;
        columns.entry(relation).or_default().push(described(&row, step)?);
    }
    Ok(columns)
}

fn described(row: &Row, step: &'static str) -> Result<Described, ReadError> {
    let length: i16 = column(row, step, "length")?;
    let alignment: &str = column(row, step, "alignment")?;
    let is_dropped: bool = column(row, step, "is_dropped")?;
    let width: Option<i32> = column(row, step, "width_bytes")?;
    let null_share: Option<f64> = column(row, step, "null_share")?;
    let fixed_bytes = (length > 0).then(|| f64::from(length));
    let width = fixed_bytes.or(width.map(f64::from));
    let known = match (null_share, width) {
        _ if is_dropped => Some((0.0, 0.0)),
        (Some(null_share), Some(width)) => Some((null_share.clamp(0.0, 1.0), width.max(0.0))),
        _ => None,
    };
    let alignment = match alignment {
        "c" => 1,
        "s" => 2,
        "i" => 4,
        _double => 8,
    };
    let column_of =
        |(null_share, width_bytes)| Column { fixed_bytes, alignment, null_share, width_bytes, is_dropped };
    Ok(Described {
        name: column(row, step, "name")?,
        is_readable: column(row, step, "is_readable")?,
        known: known.map(column_of),
        // Tables are read without it.
        distinct: row.try_get("distinct_values").ok().flatten(),
    })
}

/// The columns if all are known.
fn known(described: &[Described], reltuples: f64, hides_rows: bool) -> Result<Vec<Column>, NoEstimate> {
    let unknown: Vec<&Described> = described.iter().filter(|column| column.known.is_none()).collect();
    if unknown.is_empty() {
        return Ok(described.iter().filter_map(|column| column.known.clone()).collect());
    }
    if unknown.iter().any(|column| !column.is_readable) {
        return Err(NoEstimate::NotPermitted);
    }
    if hides_rows {
        return Err(NoEstimate::RowSecurity);
    }
    if reltuples < 0.0 || described.iter().all(|column| column.distinct.is_none() && column.known.is_none()) {
        return Err(NoEstimate::NeverAnalyzed);
    }
    let columns = unknown.iter().map(|column| column.name.clone()).collect();
    Err(NoEstimate::ColumnsWithoutStatistics { columns })
}

fn table_estimate(
    table: &mut TableSpace,
    described: Option<&[Described]>,
    server: &Server,
) -> Result<WasteFigure, NoEstimate> {
    if table.is_locked {
        return Err(NoEstimate::Locked);
    }
    if !table.is_heap {
        return Err(NoEstimate::NotHeap);
    }
    // A table without columns has none to describe, and is hardly large.
    let described = described.ok_or(NoEstimate::Small)?;
    let columns = known(described, table.reltuples, table.hides_rows)?;
    let block_bytes = server.block_bytes();
    let fill_percent = RelOptions(&table.options).number("fillfactor").unwrap_or(TABLE_FILL_PERCENT);
    let shape = HeapShape { block_bytes, fill_percent, rows: table.live_rows as f64 };
    table.full_share = Some(shape.full_share(&columns));
    let heap = WasteFigure::beyond(table.heap_bytes, shape.pages(&columns) * block_bytes);
    let toast = WasteFigure::beyond(table.toast_bytes, toast_pages(table.toast_pieces) * block_bytes);
    let whole = table.heap_bytes + table.toast_bytes;
    let wasted = heap.bytes + toast.bytes;
    Ok(WasteFigure::beyond(whole, whole.saturating_sub(wasted) as f64))
}

fn index_estimate(
    index: &IndexSpace,
    table: &TableSpace,
    described: Option<&[Described]>,
    server: &Server,
) -> Result<WasteFigure, NoEstimate> {
    if index.is_locked || table.is_locked {
        return Err(NoEstimate::Locked);
    }
    if index.method != "btree" {
        return Err(NoEstimate::NotBTree { method: index.method.clone() });
    }
    if !index.is_valid {
        return Err(NoEstimate::Invalid);
    }
    let described = described.ok_or(NoEstimate::Small)?;
    let columns = known(described, table.reltuples, table.hides_rows)?;
    let rows = index_rows(index, table).ok_or(NoEstimate::NeverAnalyzed)?;
    let options = RelOptions(&index.options);
    let shares = index.may_share_keys && options.switch("deduplicate_items").unwrap_or(true);
    let shape = IndexShape {
        block_bytes: server.block_bytes(),
        fill_percent: options.number("fillfactor").unwrap_or(INDEX_FILL_PERCENT),
        rows,
        shared: shares.then(|| shared_keys(described, rows)).flatten(),
    };
    Ok(WasteFigure::beyond(index.bytes, shape.pages(&columns) * server.block_bytes()))
}

/// Rows that the index should hold: a partial one as many of the table's as it had of them at the last look.
fn index_rows(index: &IndexSpace, table: &TableSpace) -> Option<f64> {
    let live = table.live_rows as f64;
    if !index.is_partial {
        return Some(live);
    }
    (index.reltuples >= 0.0 && table.reltuples > 0.0).then(|| index.reltuples / table.reltuples * live)
}

/// Different keys at most: columns are taken as independent, so that several may have fewer.
fn shared_keys(columns: &[Described], rows: f64) -> Option<SharedKeys> {
    let nulls = |column: &Described| column.known.as_ref().map_or(0.0, |known| known.null_share);
    let mut keys = 1.0;
    for column in columns {
        let distinct = column.distinct?;
        let values = if distinct < 0.0 { -distinct * rows } else { distinct };
        // Beside others all nulls are one more value.
        let null = f64::from(columns.len() > 1 && nulls(column) > 0.0);
        keys *= (values + null).max(1.0);
    }
    let null_share = if let [only] = columns { nulls(only) } else { 0.0 };
    Some(SharedKeys { keys: f64::min(keys, rows), null_share })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(name: &str, is_readable: bool, is_known: bool) -> Described {
        let known = Column {
            fixed_bytes: Some(4.0),
            alignment: 4,
            null_share: 0.0,
            width_bytes: 4.0,
            is_dropped: false,
        };
        let distinct = is_known.then_some(-1.0);
        Described { name: name.to_owned(), is_readable, known: is_known.then_some(known), distinct }
    }

    #[test]
    fn why_an_estimate_does_not_apply() {
        let (a, b) = (|known| described("a", true, known), |known| described("b", true, known));
        let hidden = described("b", false, false);
        let without_b = NoEstimate::ColumnsWithoutStatistics { columns: vec!["b".to_owned()] };
        for (columns, reltuples, hides_rows, expected) in [
            (vec![a(false), b(false)], -1.0, false, NoEstimate::NeverAnalyzed),
            (vec![a(false), b(false)], 10.0, false, NoEstimate::NeverAnalyzed),
            (vec![a(true), b(false)], 10.0, false, without_b),
            (vec![a(true), hidden], 10.0, false, NoEstimate::NotPermitted),
            (vec![a(false), b(false)], 10.0, true, NoEstimate::RowSecurity),
        ] {
            assert_eq!(known(&columns, reltuples, hides_rows), Err(expected));
        }
        assert_eq!(known(&[a(true), b(true)], 10.0, true).map(|columns| columns.len()), Ok(2));
    }

    #[test]
    fn different_keys_are_at_most_the_rows() {
        let column = |distinct| Described { distinct: Some(distinct), ..described("a", true, true) };
        let keys = |columns: &[Described]| shared_keys(columns, 1_000.0).map(|shared| shared.keys);
        assert_eq!(keys(&[column(10.0), column(-0.5)]), Some(1_000.0));
        assert_eq!(keys(&[column(10.0), column(3.0)]), Some(30.0));
        assert_eq!(keys(&[Described { distinct: None, ..column(1.0) }]), None);
    }
}
