//! An interval, the statements in it and the next baseline, written together.

use std::collections::HashMap;

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Statement, Transaction, params, params_from_iter};
use sha2::{Digest, Sha256};

use super::columns::{Columns, micros, usage_values};
use super::counters::Counters;
use super::query::{find_source, last_reading};
use super::reading::{Coverage, Entry, Identity, Interval, Reading, SourceKey, StatementKey, Usage};
use super::retention::{Level, slot};

/// See `History::record`.
pub(super) fn record(
    transaction: &Transaction<'_>,
    source: &SourceKey,
    reading: &Reading,
    identities: &[Identity],
    compare: impl FnOnce(&Reading, &Reading) -> Interval,
) -> rusqlite::Result<Option<Interval>> {
    let source_id = ensure_source(transaction, source)?;
    let before = last_reading(transaction, source)?;
    if before.as_ref().is_some_and(|before| before.taken_at >= reading.taken_at) {
        return Ok(None);
    }
    let interval = before.as_ref().map(|before| compare(before, reading));
    let mut writer = Writer::new(transaction, source_id, reading, identities)?;
    writer.entries(before.as_ref(), interval.as_ref())?;
    drop(writer);
    put_baseline(transaction, source_id, reading)?;
    if let Some(interval) = &interval {
        put_coverage(transaction, source_id, interval)?;
    }
    Ok(interval)
}

fn ensure_source(transaction: &Transaction<'_>, source: &SourceKey) -> rusqlite::Result<i64> {
    if let Some(id) = find_source(transaction, source)? {
        return Ok(id);
    }
    transaction.execute(
        "INSERT INTO source (system, label) VALUES (?1, ?2)",
        params![source.system, source.label],
    )?;
    Ok(transaction.last_insert_rowid())
}

fn put_baseline(transaction: &Transaction<'_>, source_id: i64, reading: &Reading) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO baseline \
        (source_id, taken_at, started_at, reset_at, deallocations, role, sees_all) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let values = params![
        source_id,
        micros(reading.taken_at),
        micros(reading.started_at),
        reading.reset_at.map(micros),
        reading.deallocations.map(|count| i64::try_from(count).unwrap_or(i64::MAX)),
        reading.role,
        reading.sees_all,
    ];
    transaction.execute(sql, values).map(drop)
}

fn put_coverage(transaction: &Transaction<'_>, source_id: i64, interval: &Interval) -> rusqlite::Result<()> {
    let Interval { start, end, events, .. } = interval;
    let coverage = Coverage { start: *start, end: *end, recordings: 1, events: *events };
    let columns = Columns::of_coverage();
    let sql = format!(
        "INSERT INTO coverage (source_id, level, slot, {}) VALUES (?1, ?2, ?3, {}) \
         ON CONFLICT (source_id, level, slot) DO UPDATE SET {}",
        columns.names(),
        columns.placeholders(4),
        columns.additions("coverage")
    );
    let counts = [
        coverage.recordings,
        events.restarts,
        events.resets,
        events.evictions,
        events.vanished,
        events.begun_anew,
    ];
    let head = [source_id, Level::FINEST, slot(Level::FINEST, coverage.end)];
    let span = [micros(coverage.start), micros(coverage.end)];
    let counts = counts.map(|count| i64::try_from(count).unwrap_or(i64::MAX));
    transaction.execute(&sql, params_from_iter(head.into_iter().chain(span).chain(counts))).map(drop)
}

/// Writes what changed of the statements.
struct Writer<'t> {
    source_id: i64,
    reading: &'t Reading,
    identities: HashMap<StatementKey, &'t Identity>,
    put_statement: Statement<'t>,
    put_text: Statement<'t>,
    put_entry: Statement<'t>,
    put_usage: Statement<'t>,
    drop_entry: Statement<'t>,
}

impl<'t> Writer<'t> {
    fn new(
        transaction: &'t Transaction<'_>,
        source_id: i64,
        reading: &'t Reading,
        identities: &'t [Identity],
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            source_id,
            reading,
            identities: identities.iter().map(|identity| (identity.key, identity)).collect(),
            put_statement: transaction.prepare(PUT_STATEMENT)?,
            put_text: transaction.prepare(PUT_TEXT)?,
            put_entry: transaction.prepare(&put_entry())?,
            put_usage: transaction.prepare(&put_usage())?,
            drop_entry: transaction.prepare(DROP_ENTRY)?,
        })
    }

    fn entries(&mut self, before: Option<&Reading>, interval: Option<&Interval>) -> rusqlite::Result<()> {
        let reading = self.reading;
        let mut usages: HashMap<StatementKey, &Usage> = interval
            .map(|interval| interval.usages.iter().map(|usage| (usage.key, usage)).collect())
            .unwrap_or_default();
        for (key, entry) in &reading.entries {
            let usage = usages.remove(key);
            if before.and_then(|before| before.entries.get(key)) == Some(entry) {
                continue;
            }
            let id = self.statement(key)?;
            self.put_entry.execute(params_from_iter(entry_values(id, self.source_id, entry)))?;
            if let (Some(usage), Some(interval)) = (usage, interval) {
                let head = [id, Level::FINEST, slot(Level::FINEST, interval.end)].map(Value::Integer);
                let values = usage_values(interval.start, interval.end, &usage.extremes, &usage.counters);
                self.put_usage.execute(params_from_iter(head.into_iter().chain(values)))?;
            }
        }
        let gone = |key: &&StatementKey| !reading.entries.contains_key(key);
        for key in before.iter().flat_map(|before| before.entries.keys()).filter(gone) {
            let StatementKey { user_oid, database_oid, query_id, toplevel } = key;
            self.drop_entry.execute(params![self.source_id, query_id, user_oid, database_oid, toplevel])?;
        }
        Ok(())
    }

    /// The statement's number; it is put in, or seen again.
    fn statement(&mut self, key: &StatementKey) -> rusqlite::Result<i64> {
        let identity = self.identities.get(key).copied();
        let text = identity.and_then(|identity| identity.text.as_deref());
        let text_id = text.map(|text| self.text(text)).transpose()?;
        let StatementKey { user_oid, database_oid, query_id, toplevel } = key;
        let values = params![
            self.source_id,
            query_id,
            user_oid,
            database_oid,
            toplevel,
            identity.and_then(|identity| identity.role.as_deref()),
            identity.and_then(|identity| identity.database.as_deref()),
            text_id,
            micros(self.reading.taken_at),
        ];
        self.put_statement.query_row(values, |row| row.get(0))
    }

    fn text(&mut self, text: &str) -> rusqlite::Result<i64> {
        let hash = Sha256::digest(text.as_bytes());
        let found = self.put_text.query_row(params![hash.as_slice(), text], |row| row.get(0)).optional()?;
        found.ok_or(rusqlite::Error::QueryReturnedNoRows)
    }
}

/// The change that changes nothing makes the row be returned.
const PUT_TEXT: &str = "INSERT INTO text (hash, text) VALUES (?1, ?2) \
    ON CONFLICT (hash) DO UPDATE SET hash = hash RETURNING id";
const PUT_STATEMENT: &str = "INSERT INTO statement \
    (source_id, query_id, user_oid, database_oid, toplevel, role, database, text_id, first_seen, last_seen) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9) \
    ON CONFLICT (source_id, query_id, user_oid, database_oid, toplevel) DO UPDATE SET \
    role = coalesce(excluded.role, role), database = coalesce(excluded.database, database), \
    text_id = coalesce(excluded.text_id, text_id), last_seen = max(last_seen, excluded.last_seen) RETURNING id";
const DROP_ENTRY: &str = "DELETE FROM baseline_entry WHERE statement_id = (SELECT id FROM statement \
    WHERE source_id = ?1 AND query_id = ?2 AND user_oid = ?3 AND database_oid = ?4 AND toplevel = ?5)";

fn put_entry() -> String {
    let names = Counters::NAMES.join(", ");
    let placeholders: Vec<String> =
        (7..7 + Counters::NAMES.len()).map(|number| format!("?{number}")).collect();
    format!(
        "INSERT OR REPLACE INTO baseline_entry \
         (statement_id, source_id, stats_since, minmax_since, min_ms, max_ms, {names}) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, {})",
        placeholders.join(", ")
    )
}

fn entry_values(id: i64, source_id: i64, entry: &Entry) -> impl Iterator<Item = Value> {
    let since =
        |moment: Option<jiff::Timestamp>| moment.map_or(Value::Null, |moment| Value::Integer(micros(moment)));
    let head = [
        Value::Integer(id),
        Value::Integer(source_id),
        since(entry.stats_since),
        since(entry.minmax_since),
        Value::Real(entry.min_ms),
        Value::Real(entry.max_ms),
    ];
    head.into_iter().chain(entry.counters.values().map(Value::Real))
}

fn put_usage() -> String {
    let columns = Columns::of_usage();
    format!(
        "INSERT INTO usage (statement_id, level, slot, {}) VALUES (?1, ?2, ?3, {}) \
         ON CONFLICT (statement_id, level, slot) DO UPDATE SET {}",
        columns.names(),
        columns.placeholders(4),
        columns.additions("usage")
    )
}
