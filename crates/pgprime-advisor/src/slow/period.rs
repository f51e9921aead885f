//! What statements did over a stretch of time, whichever way it is known.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use serde::Serialize;

use super::delta::{compare, delta, extremes_since_beginning};
use super::snapshot::Snapshot;
use crate::history::{
    Coverage, Events, History, HistoryError, Identity, Interval, SourceKey, StatementKey, StatementTotals,
    Totals,
};

/// Where the figures of a report come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Intervals that were recorded.
    History,
    /// Two snapshots that were taken for it.
    Interval,
    /// All that the extension has counted since its reset.
    Totals,
    /// All that the extension has counted, since nobody knows when: before version 14 it does not say when it was reset,
    /// and it keeps its counts over restarts.
    TotalsOfUnknownAge,
}

/// What statements did over a stretch of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Period {
    /// Where it comes from.
    pub basis: Basis,
    /// What they did.
    pub totals: Totals,
    /// What they did in as long a time before, where that is recorded.
    pub previous: Option<Totals>,
}

/// All that the extension has counted.
#[must_use]
pub fn since_reset(snapshot: &Snapshot) -> Period {
    let reading = &snapshot.reading;
    let basis = if reading.reset_at.is_some() { Basis::Totals } else { Basis::TotalsOfUnknownAge };
    let start = reading.reset_at.unwrap_or(reading.started_at);
    let totals = |identity: &Identity| {
        let entry = reading.entries.get(&identity.key)?;
        Some(StatementTotals {
            identity: identity.clone(),
            first_seen: entry.stats_since.unwrap_or(start),
            last_seen: reading.taken_at,
            counters: entry.counters,
            extremes: extremes_since_beginning(entry),
        })
    };
    let events = Events { evictions: reading.deallocations.unwrap_or(0), ..Events::default() };
    let coverage = Coverage { start, end: reading.taken_at, recordings: 1, events };
    let statements = snapshot.identities.iter().filter_map(totals).collect();
    Period { basis, totals: Totals { coverage, statements }, previous: None }
}

/// What happened between two snapshots of the same server.
#[must_use]
pub fn between(before: &Snapshot, after: &Snapshot) -> Period {
    let interval = delta(before, after);
    // Texts that were known are with the earlier one.
    let mut identities: HashMap<StatementKey, &Identity> = HashMap::new();
    for identity in before.identities.iter().chain(&after.identities) {
        let known = identities.entry(identity.key).or_insert(identity);
        if identity.text.is_some() || known.text.is_none() {
            *known = identity;
        }
    }
    let totals = |usage: &crate::history::Usage| {
        Some(StatementTotals {
            identity: (*identities.get(&usage.key)?).clone(),
            first_seen: interval.start,
            last_seen: interval.end,
            counters: usage.counters,
            extremes: usage.extremes,
        })
    };
    let coverage =
        Coverage { start: interval.start, end: interval.end, recordings: 1, events: interval.events };
    let statements = interval.usages.iter().filter_map(totals).collect();
    Period { basis: Basis::Interval, totals: Totals { coverage, statements }, previous: None }
}

/// What is recorded between two moments, with as long a time before; None when nothing is. A recorded interval longer than
/// what was asked for is taken whole rather than nothing: [`Coverage`] says so.
///
/// # Errors
/// [`HistoryError`].
pub fn recorded(
    history: &History,
    source: &SourceKey,
    from: Timestamp,
    to: Timestamp,
) -> Result<Option<Period>, HistoryError> {
    let (mut from, mut to) = (from, to);
    let mut totals = history.totals(source, from, to)?;
    if totals.is_none() {
        let Some(around) = history.coverage_around(source, from, to)? else { return Ok(None) };
        from = around.start;
        to = to.max(around.end);
        totals = history.totals(source, from, to)?;
    }
    let Some(totals) = totals else { return Ok(None) };
    let length = to.duration_since(from);
    let previous = match from.checked_sub(length) {
        Ok(earlier) => history.totals(source, earlier, from)?,
        Err(_) => None,
    };
    Ok(Some(Period { basis: Basis::History, totals, previous }))
}

/// Keeps what happened since the last snapshot that was recorded, and prunes the history. The label is the server's
/// host and port. Returns the interval; None for the first snapshot of a server.
///
/// # Errors
/// [`HistoryError`].
pub fn record(
    history: &mut History,
    snapshot: &Snapshot,
    label: &str,
) -> Result<Option<Interval>, HistoryError> {
    let source = snapshot.source(label);
    let interval = history.record(&source, &snapshot.reading, &snapshot.identities, compare)?;
    history.prune(snapshot.reading.taken_at)?;
    Ok(interval)
}

/// The statements whose texts a history has already, for [`super::snapshot_except`].
///
/// # Errors
/// [`HistoryError`].
pub fn known(history: &History, source: &SourceKey) -> Result<HashSet<StatementKey>, HistoryError> {
    Ok(history.known(source)?.into_iter().collect())
}
