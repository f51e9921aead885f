//! What is asked of a history.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::columns::{Columns, count, counters, extremes, micros, moment};
use super::counters::Counters;
use super::reading::{
    Coverage, Entry, Events, Identity, Reading, SourceKey, StatementKey, StatementTotals, Totals, UsagePoint,
};

/// The middle of an interval decides where it belongs.
const WITHIN: &str =
    "c.source_id = ?1 AND (c.start_at + c.end_at) / 2 >= ?2 AND (c.start_at + c.end_at) / 2 < ?3";

pub(super) fn find_source(connection: &Connection, source: &SourceKey) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT id FROM source WHERE system = ?1 AND label = ?2";
    connection.query_row(sql, params![source.system, source.label], |row| row.get(0)).optional()
}

pub(super) fn sources(connection: &Connection) -> rusqlite::Result<Vec<SourceKey>> {
    let mut statement = connection.prepare("SELECT system, label FROM source ORDER BY id")?;
    let source = |row: &Row<'_>| Ok(SourceKey { system: row.get(0)?, label: row.get(1)? });
    statement.query_map([], source)?.collect()
}

pub(super) fn known(connection: &Connection, source: &SourceKey) -> rusqlite::Result<Vec<StatementKey>> {
    let Some(id) = find_source(connection, source)? else { return Ok(Vec::new()) };
    let sql = "SELECT user_oid, database_oid, query_id, toplevel FROM statement \
               WHERE source_id = ?1 AND text_id IS NOT NULL";
    connection.prepare(sql)?.query_map([id], key)?.collect()
}

fn key(row: &Row<'_>) -> rusqlite::Result<StatementKey> {
    Ok(StatementKey {
        user_oid: row.get("user_oid")?,
        database_oid: row.get("database_oid")?,
        query_id: row.get("query_id")?,
        toplevel: row.get("toplevel")?,
    })
}

pub(super) fn last_reading(connection: &Connection, source: &SourceKey) -> rusqlite::Result<Option<Reading>> {
    let Some(id) = find_source(connection, source)? else { return Ok(None) };
    let sql = "SELECT taken_at, started_at, reset_at, deallocations, role, sees_all FROM baseline WHERE source_id = ?1";
    let head = |row: &Row<'_>| -> rusqlite::Result<Reading> {
        let deallocations: Option<i64> = row.get("deallocations")?;
        Ok(Reading {
            taken_at: moment(row.get("taken_at")?),
            started_at: moment(row.get("started_at")?),
            reset_at: row.get::<_, Option<i64>>("reset_at")?.map(moment),
            deallocations: deallocations.map(|number| u64::try_from(number).unwrap_or(0)),
            role: row.get("role")?,
            sees_all: row.get("sees_all")?,
            entries: HashMap::new(),
        })
    };
    let Some(mut reading) = connection.query_row(sql, [id], head).optional()? else { return Ok(None) };
    let sql = "SELECT s.user_oid, s.database_oid, s.query_id, s.toplevel, b.* \
               FROM baseline_entry b JOIN statement s ON s.id = b.statement_id WHERE b.source_id = ?1";
    let mut statement = connection.prepare(sql)?;
    let entries = statement.query_map([id], |row| Ok((key(row)?, entry(row)?)))?;
    reading.entries = entries.collect::<rusqlite::Result<_>>()?;
    Ok(Some(reading))
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        counters: counters(row)?,
        min_ms: row.get("min_ms")?,
        max_ms: row.get("max_ms")?,
        stats_since: row.get::<_, Option<i64>>("stats_since")?.map(moment),
        minmax_since: row.get::<_, Option<i64>>("minmax_since")?.map(moment),
    })
}

pub(super) fn coverage(
    connection: &Connection,
    source: &SourceKey,
    from: Timestamp,
    to: Timestamp,
) -> rusqlite::Result<Option<Coverage>> {
    let Some(id) = find_source(connection, source)? else { return Ok(None) };
    let aggregates = Columns::of_coverage().aggregates("c.");
    let sql = format!("SELECT {aggregates} FROM coverage c WHERE {WITHIN} HAVING count(*) > 0");
    connection.query_row(&sql, params![id, micros(from), micros(to)], covered).optional()
}

fn covered(row: &Row<'_>) -> rusqlite::Result<Coverage> {
    let events = Events {
        restarts: count(row, "restarts")?,
        resets: count(row, "resets")?,
        evictions: count(row, "evictions")?,
        vanished: count(row, "vanished")?,
        begun_anew: count(row, "begun_anew")?,
    };
    Ok(Coverage {
        start: moment(row.get("start_at")?),
        end: moment(row.get("end_at")?),
        recordings: count(row, "recordings")?,
        events,
    })
}

pub(super) fn coverage_around(
    connection: &Connection,
    source: &SourceKey,
    from: Timestamp,
    to: Timestamp,
) -> rusqlite::Result<Option<Coverage>> {
    let Some(id) = find_source(connection, source)? else { return Ok(None) };
    let sql = "SELECT * FROM coverage WHERE source_id = ?1 AND end_at > ?2 AND start_at < ?3 \
               ORDER BY end_at DESC LIMIT 1";
    connection.query_row(sql, params![id, micros(from), micros(to)], covered).optional()
}

pub(super) fn totals(
    connection: &Connection,
    source: &SourceKey,
    from: Timestamp,
    to: Timestamp,
) -> rusqlite::Result<Option<Totals>> {
    let Some(coverage) = coverage(connection, source, from, to)? else { return Ok(None) };
    let Some(id) = find_source(connection, source)? else { return Ok(None) };
    let sums = sums();
    let sql = format!(
        "WITH sums AS (
            SELECT u.statement_id, {sums}
            FROM usage u JOIN statement s ON s.id = u.statement_id
            JOIN coverage c ON c.source_id = s.source_id AND c.level = u.level AND c.slot = u.slot
            WHERE {WITHIN} GROUP BY u.statement_id
        )
        SELECT sums.*, s.user_oid, s.database_oid, s.query_id, s.toplevel, s.role, s.database, t.text,
            s.first_seen, s.last_seen
        FROM sums JOIN statement s ON s.id = sums.statement_id LEFT JOIN text t ON t.id = s.text_id
        ORDER BY s.id"
    );
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map(params![id, micros(from), micros(to)], |row| {
        let identity = Identity {
            key: key(row)?,
            role: row.get("role")?,
            database: row.get("database")?,
            text: row.get("text")?,
        };
        Ok(StatementTotals {
            identity,
            first_seen: moment(row.get("first_seen")?),
            last_seen: moment(row.get("last_seen")?),
            counters: counters(row)?,
            extremes: extremes(row)?,
        })
    })?;
    Ok(Some(Totals { coverage, statements: rows.collect::<rusqlite::Result<_>>()? }))
}

/// Counters and extremes over rows of `usage u`.
fn sums() -> String {
    let extremes = "min(u.min_seen_ms) AS min_seen_ms, min(u.min_bound_ms) AS min_bound_ms, \
                    max(u.max_seen_ms) AS max_seen_ms, max(u.max_bound_ms) AS max_bound_ms";
    let sum = |name: &&str| format!(", sum(u.{name}) AS {name}");
    extremes.to_owned() + &Counters::NAMES.iter().map(sum).collect::<String>()
}

pub(super) fn statement_series(
    connection: &Connection,
    source: &SourceKey,
    wanted: StatementKey,
    from: Timestamp,
    to: Timestamp,
) -> rusqlite::Result<Vec<UsagePoint>> {
    let Some(id) = find_source(connection, source)? else { return Ok(Vec::new()) };
    let sql = "SELECT u.* FROM usage u JOIN statement s ON s.id = u.statement_id \
               WHERE s.source_id = ?1 AND s.query_id = ?2 AND s.user_oid = ?3 AND s.database_oid = ?4 \
               AND s.toplevel = ?5 AND u.end_at > ?6 AND u.start_at < ?7 ORDER BY u.end_at";
    let StatementKey { user_oid, database_oid, query_id, toplevel } = wanted;
    let values = params![id, query_id, user_oid, database_oid, toplevel, micros(from), micros(to)];
    let mut statement = connection.prepare(sql)?;
    let point = |row: &Row<'_>| -> rusqlite::Result<UsagePoint> {
        Ok(UsagePoint {
            start: moment(row.get("start_at")?),
            end: moment(row.get("end_at")?),
            counters: counters(row)?,
            extremes: extremes(row)?,
        })
    };
    statement.query_map(values, point)?.collect()
}
