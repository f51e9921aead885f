//! An hour that is over becomes chunks: each series in one row for each tier.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::codec::{Point, decode, decode_round, encode};
use super::tier::{Retention, Tier};

/// Chunks that go at once when the file is too large.
const DROPPED_AT_ONCE: i64 = 2_000;

/// The hours of rounds that are not sealed, but for the one that a moment is in.
pub(super) fn open_hours(connection: &Connection, at: i64) -> rusqlite::Result<Vec<i64>> {
    let sql = "SELECT DISTINCT at - ((at % 3600) + 3600) % 3600 AS hour FROM recent \
               WHERE at < ?1 OR at >= ?1 + 3600 ORDER BY hour";
    let hour = Tier::Rounds.chunk_start(at);
    connection.prepare_cached(sql)?.query_map([hour], |row| row.get(0))?.collect()
}

/// Seals an hour, all or nothing. What was sealed of it before stays, as after a clock that was set back.
pub(super) fn seal(transaction: &Transaction<'_>, hour: i64) -> rusqlite::Result<()> {
    for (series, points) in rounds(transaction, hour)? {
        let before = chunk(transaction, Tier::Rounds, hour, series)?;
        let joining = if before.is_some() { Joining::Replace } else { Joining::Add };
        let points = merge(before.unwrap_or_default(), points, Joining::Replace);
        write(transaction, Tier::Rounds, hour, series, &points)?;
        for tier in [Tier::Minutes, Tier::Quarters] {
            let before = chunk(transaction, tier, hour, series)?.unwrap_or_default();
            let points = merge(before, coarser(&points, tier, hour), joining);
            write(transaction, tier, hour, series, &points)?;
        }
        transaction
            .prepare_cached("UPDATE series SET last_at = max(last_at, ?2) WHERE id = ?1")?
            .execute(params![series, hour + i64::from(points.last().map_or(0, |point| point.slot))])?;
    }
    transaction.execute("DELETE FROM recent WHERE at >= ?1 AND at < ?1 + 3600", [hour]).map(drop)
}

/// What a point does to one of the same slot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joining {
    /// It knows everything that the other knows.
    Replace,
    /// It knows other values.
    Add,
}

fn merge(before: Vec<Point>, added: Vec<Point>, joining: Joining) -> Vec<Point> {
    let mut slots: BTreeMap<u32, Point> = before.into_iter().map(|point| (point.slot, point)).collect();
    for point in added {
        let joined = match (slots.get(&point.slot), joining) {
            (Some(known), Joining::Add) => known.joined(point),
            _ => point,
        };
        slots.insert(point.slot, joined);
    }
    slots.into_values().collect()
}

/// Points of an hour of rounds as points of a coarser tier.
fn coarser(rounds: &[Point], tier: Tier, hour: i64) -> Vec<Point> {
    let offset = hour - tier.chunk_start(hour);
    let mut points: Vec<Point> = Vec::new();
    for round in rounds {
        let slot = (offset + i64::from(round.slot)) / tier.slot_s();
        let point = Point { slot: u32::try_from(slot).unwrap_or(0), ..*round };
        match points.last_mut() {
            Some(last) if last.slot == point.slot => *last = last.joined(point),
            _ => points.push(point),
        }
    }
    points
}

fn rounds(transaction: &Transaction<'_>, hour: i64) -> rusqlite::Result<BTreeMap<u32, Vec<Point>>> {
    let mut all: BTreeMap<u32, Vec<Point>> = BTreeMap::new();
    let sql = "SELECT at, figures FROM recent WHERE at >= ?1 AND at < ?1 + 3600 ORDER BY at";
    let mut statement = transaction.prepare_cached(sql)?;
    let mut rows = statement.query([hour])?;
    while let Some(row) = rows.next()? {
        let at: i64 = row.get(0)?;
        let slot = u32::try_from(at - hour).unwrap_or(0);
        let figures = decode_round(row.get_ref(1)?.as_blob().unwrap_or_default()).unwrap_or_default();
        for (series, value) in figures {
            all.entry(series).or_default().push(Point::single(slot, value));
        }
    }
    Ok(all)
}

/// The chunk of a series that holds a moment.
pub(super) fn chunk(
    connection: &Connection,
    tier: Tier,
    at: i64,
    series: u32,
) -> rusqlite::Result<Option<Vec<Point>>> {
    let mut statement = connection.prepare_cached("SELECT points FROM chunk WHERE key = ?1")?;
    let bytes: Option<Vec<u8>> = statement.query_row([tier.key(at, series)], |row| row.get(0)).optional()?;
    Ok(bytes.and_then(|bytes| decode(&bytes)))
}

fn write(
    transaction: &Transaction<'_>,
    tier: Tier,
    at: i64,
    series: u32,
    points: &[Point],
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO chunk (key, points) VALUES (?1, ?2) \
               ON CONFLICT (key) DO UPDATE SET points = excluded.points";
    transaction.prepare_cached(sql)?.execute(params![tier.key(at, series), encode(points)]).map(drop)
}

/// Drops what is older than it is kept for.
pub(super) fn drop_old(
    transaction: &Transaction<'_>,
    retention: &Retention,
    now: i64,
) -> rusqlite::Result<()> {
    for tier in Tier::ALL {
        let horizon = now.saturating_sub(tier.kept_s(retention));
        let range = params![tier.lowest_key(), tier.first_key(horizon)];
        transaction.execute("DELETE FROM chunk WHERE key >= ?1 AND key < ?2", range)?;
    }
    let horizon = now.saturating_sub(Tier::Quarters.kept_s(retention));
    transaction.execute("DELETE FROM series WHERE last_at < ?1", [horizon]).map(drop)
}

/// Drops the oldest chunks of the finest tier that has any; returns whether there were any.
pub(super) fn drop_oldest(transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
    for tier in Tier::ALL {
        let sql = "DELETE FROM chunk WHERE key IN \
                   (SELECT key FROM chunk WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3)";
        let dropped =
            transaction.execute(sql, params![tier.lowest_key(), tier.end_key(), DROPPED_AT_ONCE])?;
        if dropped > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}
