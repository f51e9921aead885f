//! What is old becomes coarser and is then dropped; the file's size is bounded.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, params};

use super::columns::{Columns, micros};
use super::file::pragma;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// Times that the ages are halved to get below the size. 400 days become two hours.
const HALVINGS_MAX: u32 = 12;
/// Times that the older half of what is left is dropped after that.
const DROPS_MAX: u32 = 32;

/// For how long intervals are kept, and how large the file may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Intervals of a minute are kept for this long, then become hours. Default 2 days.
    pub minutes_for: Duration,
    /// Intervals of an hour are kept for this long, then become days. Default 31 days.
    pub hours_for: Duration,
    /// Intervals of a day are kept for this long, then are dropped. Default 400 days: a year can be compared with the
    /// one before.
    pub days_for: Duration,
    /// Bytes in use at most: when there are more, all of this happens earlier. Default 256 MiB. What was read last of
    /// each server stays in any case.
    pub bytes_max: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { minutes_for: 2 * DAY, hours_for: 31 * DAY, days_for: 400 * DAY, bytes_max: 256 << 20 }
    }
}

/// The length of the intervals that a row belongs to.
pub(super) struct Level {
    length: Duration,
}

impl Level {
    /// The level at which everything is recorded.
    pub(super) const FINEST: i64 = 0;
    /// Each length is a multiple of the one before, so that a slot lies within one of the next level.
    const ALL: [Self; 3] =
        [Self { length: Duration::from_secs(60) }, Self { length: HOUR }, Self { length: DAY }];

    fn micros(&self) -> i64 {
        // No level is longer than a day.
        self.length.as_micros() as i64
    }
}

/// The slot of a level that a moment ends.
pub(super) fn slot(level: i64, end: Timestamp) -> i64 {
    let level = usize::try_from(level).ok().and_then(|level| Level::ALL.get(level));
    let length = level.map_or(1, Level::micros);
    (micros(end) - 1).div_euclid(length)
}

struct Table {
    name: &'static str,
    key: &'static str,
    columns: Columns,
}

fn tables() -> [Table; 3] {
    [
        Table { name: "usage", key: "statement_id", columns: Columns::of_usage() },
        Table { name: "coverage", key: "source_id", columns: Columns::of_coverage() },
        Table { name: "point", key: "series_id", columns: Columns::of_point() },
    ]
}

pub(super) fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pages = pragma(connection, "page_count")? - pragma(connection, "freelist_count")?;
    Ok(u64::try_from(pages * pragma(connection, "page_size")?).unwrap_or(0))
}

/// Returns freed pages to the system, outside a transaction.
pub(super) fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    if pragma(connection, "freelist_count")? > 0 {
        // One row for each page, none of which says anything.
        let mut statement = connection.prepare("PRAGMA incremental_vacuum")?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(())
}

pub(super) fn prune(
    transaction: &Transaction<'_>,
    retention: &Retention,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let dropped = roll_up(transaction, retention, now, 0)?;
    if dropped > 0 {
        drop_unused(transaction)?;
    }
    if used_bytes(transaction)? > retention.bytes_max {
        // A tenth less, so that this is not repeated with each recording.
        shrink(transaction, retention, now, retention.bytes_max / 10 * 9)?;
    }
    Ok(())
}

/// Rolls up and drops earlier than at the usual age, until what is left is small enough.
fn shrink(
    transaction: &Transaction<'_>,
    retention: &Retention,
    now: Timestamp,
    bytes: u64,
) -> rusqlite::Result<()> {
    for halvings in 1..=HALVINGS_MAX {
        roll_up(transaction, retention, now, halvings)?;
        drop_unused(transaction)?;
        if used_bytes(transaction)? <= bytes {
            return Ok(());
        }
    }
    for _ in 0..DROPS_MAX {
        let mut dropped = 0;
        for name in ["usage", "point"] {
            let sql = format!(
                "DELETE FROM {name} WHERE end_at <= (SELECT end_at FROM {name} ORDER BY end_at LIMIT 1 \
                 OFFSET (SELECT count(*) / 2 FROM {name}))"
            );
            dropped += transaction.execute(&sql, [])?;
        }
        drop_unused(transaction)?;
        if dropped == 0 || used_bytes(transaction)? <= bytes {
            break;
        }
    }
    Ok(())
}

/// Moves each level's old rows to the next and drops those of the last; returns how many were dropped.
fn roll_up(
    transaction: &Transaction<'_>,
    retention: &Retention,
    now: Timestamp,
    halvings: u32,
) -> rusqlite::Result<usize> {
    let ages = [retention.minutes_for, retention.hours_for, retention.days_for];
    let mut dropped = 0;
    for (index, (level, age)) in Level::ALL.iter().zip(ages).enumerate() {
        let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX) >> halvings;
        // Slots before this one have ended before the horizon.
        let first_kept = micros(now).saturating_sub(age).div_euclid(level.micros());
        let next = Level::ALL.get(index + 1);
        for table in tables() {
            if let Some(next) = next {
                let sql = table.merge();
                let values = params![index as i64 + 1, next.micros(), index as i64, first_kept];
                transaction.execute(&sql, values)?;
            }
            let sql = format!("DELETE FROM {} WHERE level = ?1 AND slot < ?2", table.name);
            let gone = transaction.execute(&sql, params![index as i64, first_kept])?;
            dropped += if next.is_none() { gone } else { 0 };
        }
    }
    Ok(dropped)
}

impl Table {
    /// ?1 the next level, ?2 its length, ?3 this level, ?4 the first slot that stays.
    fn merge(&self) -> String {
        let Self { name, key, columns } = self;
        format!(
            "INSERT INTO {name} ({key}, level, slot, {names}) \
             SELECT {key}, ?1, (end_at - 1) / ?2 AS next, {aggregates} \
             FROM {name} WHERE level = ?3 AND slot < ?4 \
             GROUP BY {key}, next \
             ON CONFLICT ({key}, level, slot) DO UPDATE SET {additions}",
            names = columns.names(),
            aggregates = columns.aggregates(""),
            additions = columns.additions(name)
        )
    }
}

/// Statements, texts and series that nothing refers to any more. Servers stay: they are few.
fn drop_unused(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "DELETE FROM statement WHERE id NOT IN (SELECT statement_id FROM usage) \
             AND id NOT IN (SELECT statement_id FROM baseline_entry); \
         DELETE FROM text WHERE id NOT IN (SELECT text_id FROM statement WHERE text_id IS NOT NULL); \
         DELETE FROM series WHERE id NOT IN (SELECT series_id FROM point);",
    )
}
