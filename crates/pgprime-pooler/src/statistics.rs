//! Averages over the last `stats_period`, by database, from counters that only grow.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::core::{Counters, WorkerSnapshot};

/// Counters of each database at the last two turns.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: BTreeMap<String, Counters>,
    gained: BTreeMap<String, Counters>,
    period: Duration,
}

impl Statistics {
    /// Ends a period: what was gained in it is what averages are made of until the next.
    pub(crate) fn turn(&self, now: BTreeMap<String, Counters>, period: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = |name: &String| state.last.get(name).copied().unwrap_or_default();
        state.gained = now.iter().map(|(name, counters)| (name.clone(), *counters - before(name))).collect();
        state.period = period;
        state.last = now;
    }

    /// What a database gained in the last period, and how long that was.
    pub(crate) fn gained(&self, database: &str) -> (Counters, Duration) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.gained.get(database).copied().unwrap_or_default(), state.period)
    }
}

/// The counters of each database, added up over pools and workers.
pub(crate) fn by_database(snapshots: &[WorkerSnapshot]) -> BTreeMap<String, Counters> {
    let mut totals: BTreeMap<String, Counters> = BTreeMap::new();
    for row in snapshots.iter().flat_map(|snapshot| &snapshot.pools) {
        let total = totals.entry(row.database.clone()).or_default();
        *total = *total + row.counters;
    }
    totals
}
