//! Numbers over time by name and labels.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::Serialize;

use super::columns::{Columns, count, micros, moment};
use super::retention::{Level, slot};

/// The values of a series in one stretch of time: one value when it is young, many when it is old.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// The moment of the first value.
    pub start: Timestamp,
    /// The moment of the last value.
    pub end: Timestamp,
    /// How many values there were.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
    /// The last.
    pub last: f64,
}

impl Point {
    /// Their mean.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }
}

pub(super) fn append(
    transaction: &Transaction<'_>,
    name: &str,
    labels: &[(&str, &str)],
    at: Timestamp,
    value: f64,
) -> rusqlite::Result<()> {
    let id = match find(transaction, name, labels)? {
        Some(id) => id,
        None => {
            let sql = "INSERT INTO series (name, labels) VALUES (?1, ?2)";
            transaction.execute(sql, params![name, written(labels)])?;
            transaction.last_insert_rowid()
        }
    };
    let columns = Columns::of_point();
    // In the order of the columns: start, last, end, count, sum, min, max.
    let sql = format!(
        "INSERT INTO point (series_id, level, slot, {}) VALUES (?1, ?2, ?3, ?4, ?5, ?4, 1, ?5, ?5, ?5) \
         ON CONFLICT (series_id, level, slot) DO UPDATE SET {}",
        columns.names(),
        columns.additions("point")
    );
    transaction
        .execute(&sql, params![id, Level::FINEST, slot(Level::FINEST, at), micros(at), value])
        .map(drop)
}

pub(super) fn points(
    connection: &Connection,
    name: &str,
    labels: &[(&str, &str)],
    from: Timestamp,
    to: Timestamp,
) -> rusqlite::Result<Vec<Point>> {
    let Some(id) = find(connection, name, labels)? else { return Ok(Vec::new()) };
    let sql = "SELECT * FROM point WHERE series_id = ?1 AND end_at >= ?2 AND start_at < ?3 ORDER BY end_at";
    let point = |row: &Row<'_>| -> rusqlite::Result<Point> {
        Ok(Point {
            start: moment(row.get("start_at")?),
            end: moment(row.get("end_at")?),
            count: count(row, "count")?,
            sum: row.get("sum")?,
            min: row.get("min")?,
            max: row.get("max")?,
            last: row.get("last")?,
        })
    };
    connection.prepare(sql)?.query_map(params![id, micros(from), micros(to)], point)?.collect()
}

fn find(connection: &Connection, name: &str, labels: &[(&str, &str)]) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT id FROM series WHERE name = ?1 AND labels = ?2";
    connection.query_row(sql, params![name, written(labels)], |row| row.get(0)).optional()
}

/// Labels as text, in one order.
fn written(labels: &[(&str, &str)]) -> String {
    let labels: std::collections::BTreeMap<&str, &str> = labels.iter().copied().collect();
    serde_json::json!(labels).to_string()
}
