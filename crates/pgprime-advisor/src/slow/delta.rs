//! What happened between two readings.

use super::snapshot::Snapshot;
use crate::history::{Counters, Entry, Events, Extremes, Interval, Reading, StatementKey, Usage};

/// What happened between two snapshots of the same server: see [`compare`].
#[must_use]
pub fn delta(before: &Snapshot, after: &Snapshot) -> Interval {
    compare(&before.reading, &after.reading)
}

/// What happened between two readings of the same server.
///
/// * A statement that was not there before began within the interval: all of it counts.
/// * One whose counting began anew, as `stats_since` tells since version 17 and otherwise a reset of everything or
///   a counter that went down, counts from that beginning on: what it did before that within the interval is
///   lost, and [`Usage::is_partial`] says so. Before version 17 one that is dropped and has done more since than ever
///   before cannot be told from one that went on.
/// * A restart alone changes nothing: the counters are kept over it. After a crash they begin anew.
/// * Of a role that did not see the statements of other roles before, only what it certainly did not see counts.
///
/// Nothing is ever negative.
#[must_use]
pub fn compare(before: &Reading, after: &Reading) -> Interval {
    let mut events = Events {
        restarts: u64::from(before.started_at != after.started_at),
        resets: u64::from(was_reset(before, after)),
        evictions: evictions(before, after),
        ..Events::default()
    };
    let is_reset = events.resets > 0;
    // One that this role no longer sees has not vanished.
    if !is_reset && (after.sees_all || !before.sees_all && before.role == after.role) {
        let is_gone = |key: &&StatementKey| !after.entries.contains_key(key);
        events.vanished = before.entries.keys().filter(is_gone).count() as u64;
    }
    let mut usages = Vec::new();
    for (key, entry) in &after.entries {
        let past = match before.entries.get(key) {
            None if may_have_been_hidden(before, after, entry) => continue,
            None => Past::None,
            Some(earlier) if begins_anew(earlier, entry, is_reset) => Past::Lost,
            Some(earlier) => Past::Known(earlier),
        };
        events.begun_anew += u64::from(matches!(past, Past::Lost) && !is_reset);
        usages.extend(usage(*key, past, entry));
    }
    usages.sort_unstable_by_key(|usage| usage.key);
    Interval { start: before.taken_at, end: after.taken_at, events, usages }
}

/// What is known of a statement from before the interval.
enum Past<'a> {
    /// It did not exist.
    None,
    /// It existed, and was counted anew within the interval.
    Lost,
    /// It went on from here.
    Known(&'a Entry),
}

fn was_reset(before: &Reading, after: &Reading) -> bool {
    matches!((before.reset_at, after.reset_at), (Some(then), Some(now)) if then != now)
}

fn evictions(before: &Reading, after: &Reading) -> u64 {
    let now = after.deallocations.unwrap_or(0);
    if was_reset(before, after) { now } else { now.saturating_sub(before.deallocations.unwrap_or(now)) }
}

/// Whether a statement that is new to us may be an old one that the earlier role did not see.
fn may_have_been_hidden(before: &Reading, after: &Reading, entry: &Entry) -> bool {
    let saw_the_same = before.sees_all || (!after.sees_all && before.role == after.role);
    let is_younger = entry.stats_since.is_some_and(|since| since > before.taken_at);
    !saw_the_same && !is_younger
}

fn begins_anew(before: &Entry, after: &Entry, is_reset: bool) -> bool {
    match (before.stats_since, after.stats_since) {
        (Some(then), Some(now)) => then != now,
        _ => is_reset || after.counters.went_down_since(&before.counters),
    }
}

/// None for a statement that did nothing.
fn usage(key: StatementKey, past: Past<'_>, after: &Entry) -> Option<Usage> {
    let counters = match past {
        Past::Known(before) => after.counters.since(&before.counters),
        Past::None | Past::Lost => after.counters,
    };
    if counters.calls <= 0.0 && counters.plans <= 0.0 {
        return None;
    }
    let extremes = match past {
        Past::Known(before) => extremes(before, after, &counters),
        Past::None => extremes_since_beginning(after),
        // What came before the new beginning may have been longer.
        Past::Lost => extremes_since_beginning(after).union(&Extremes::UNKNOWN),
    };
    Some(Usage { key, counters, extremes, is_partial: matches!(past, Past::Lost) })
}

/// Of all that an entry has counted.
pub(super) fn extremes_since_beginning(entry: &Entry) -> Extremes {
    if entry.counters.calls <= 0.0 {
        return Extremes::NONE;
    }
    if entry.counters.calls == 1.0 {
        return Extremes::exact(entry.counters.exec_ms, entry.counters.exec_ms);
    }
    if entry.minmax_since != entry.stats_since {
        // They were reset later than the rest; zero means that nothing ran since.
        let seen = Extremes::exact(entry.min_ms, entry.max_ms);
        let seen = if entry.max_ms > 0.0 { seen } else { Extremes::NONE };
        return seen.union(&Extremes::UNKNOWN);
    }
    Extremes::exact(entry.min_ms, entry.max_ms)
}

/// PostgreSQL keeps extremes since the beginning: one that moved, moved in the interval.
fn extremes(before: &Entry, after: &Entry, counters: &Counters) -> Extremes {
    if counters.calls <= 0.0 {
        return Extremes::NONE;
    }
    if counters.calls == 1.0 {
        return Extremes::exact(counters.exec_ms, counters.exec_ms);
    }
    if before.minmax_since != after.minmax_since {
        let seen = Extremes::exact(after.min_ms, after.max_ms);
        let seen = if after.max_ms > 0.0 { seen } else { Extremes::NONE };
        return seen.union(&Extremes::UNKNOWN);
    }
    // A statement that was planned only has neither.
    let is_first = before.counters.calls <= 0.0;
    let (max_ms, min_ms) = (after.max_ms, after.min_ms);
    Extremes {
        max_seen_ms: (is_first || max_ms > before.max_ms).then_some(max_ms),
        max_bound_ms: max_ms,
        min_seen_ms: (is_first || min_ms < before.min_ms).then_some(min_ms),
        min_bound_ms: min_ms,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn key(query_id: i64) -> StatementKey {
        StatementKey { user_oid: 10, database_oid: 5, query_id, toplevel: true }
    }

    /// An entry of executions that took these times.
    fn entry(times_ms: &[f64]) -> Entry {
        let fold = |choose: fn(f64, f64) -> f64, first| times_ms.iter().copied().fold(first, choose);
        let counters = Counters {
            calls: times_ms.len() as f64,
            exec_ms: times_ms.iter().sum(),
            exec_ms_squares: times_ms.iter().map(|ms| ms * ms).sum(),
            rows: times_ms.len() as f64,
            ..Counters::default()
        };
        let min_ms = if times_ms.is_empty() { 0.0 } else { fold(f64::min, f64::INFINITY) };
        Entry { counters, min_ms, max_ms: fold(f64::max, 0.0), stats_since: None, minmax_since: None }
    }

    fn since(second: i64, minmax_second: i64, entry: Entry) -> Entry {
        Entry { stats_since: Some(at(second)), minmax_since: Some(at(minmax_second)), ..entry }
    }

    fn reading(second: i64, entries: &[(i64, Entry)]) -> Reading {
        Reading {
            taken_at: at(second),
            started_at: at(0),
            reset_at: Some(at(0)),
            deallocations: Some(0),
            role: "app".to_owned(),
            sees_all: true,
            entries: entries.iter().map(|(query_id, entry)| (key(*query_id), *entry)).collect(),
        }
    }

    /// What one statement did: calls, time, whether some is missing, minimum and maximum. None: nothing.
    type Expected = Option<(f64, f64, bool, Option<f64>, Option<f64>)>;

    #[track_caller]
    fn check(what: &str, before: Option<Entry>, after: Option<Entry>, is_reset: bool, expected: Expected) {
        let list = |entry: Option<Entry>| entry.map(|entry| (1, entry)).into_iter().collect::<Vec<_>>();
        let before = reading(100, &list(before));
        let mut after = reading(200, &list(after));
        if is_reset {
            after.reset_at = Some(at(150));
        }
        let interval = compare(&before, &after);
        let found = interval.usages.first().map(|usage| {
            let (counters, extremes) = (usage.counters, usage.extremes);
            (counters.calls, counters.exec_ms, usage.is_partial, extremes.min_ms(), extremes.max_ms())
        });
        assert_eq!(found, expected, "{what}");
    }

    #[test]
    fn one_statement() {
        let (short, long) = (entry(&[2.0, 4.0]), entry(&[2.0, 4.0, 3.0, 3.5]));
        let grown = entry(&[2.0, 4.0, 9.0, 1.0]);
        let once = entry(&[2.0, 4.0, 3.0]);
        check(
            "went on within its extremes",
            Some(short),
            Some(long),
            false,
            Some((2.0, 6.5, false, None, None)),
        );
        check(
            "went beyond its extremes",
            Some(short),
            Some(grown),
            false,
            Some((2.0, 10.0, false, Some(1.0), Some(9.0))),
        );
        check("once", Some(short), Some(once), false, Some((1.0, 3.0, false, Some(3.0), Some(3.0))));
        check("did nothing", Some(short), Some(short), false, None);
        check("new", None, Some(short), false, Some((2.0, 6.0, false, Some(2.0), Some(4.0))));
        check("gone", Some(short), None, false, None);
        check("fewer calls than before", Some(long), Some(short), false, Some((2.0, 6.0, true, None, None)));
        check(
            "reset, and more calls than before",
            Some(short),
            Some(long),
            true,
            Some((4.0, 12.5, true, None, None)),
        );
        check("new after a reset", None, Some(short), true, Some((2.0, 6.0, false, Some(2.0), Some(4.0))));
    }

    #[test]
    fn one_statement_that_says_since_when() {
        let (short, long) = (entry(&[2.0, 4.0]), entry(&[2.0, 4.0, 9.0, 3.5]));
        check(
            "went on over a reset of others",
            Some(since(1, 1, short)),
            Some(since(1, 1, long)),
            true,
            Some((2.0, 12.5, false, None, Some(9.0))),
        );
        check(
            "dropped, and more calls than before",
            Some(since(1, 1, short)),
            Some(since(150, 150, long)),
            false,
            Some((4.0, 18.5, true, None, None)),
        );
        check(
            "extremes reset meanwhile",
            Some(since(1, 1, short)),
            Some(since(1, 150, long)),
            false,
            Some((2.0, 12.5, false, None, None)),
        );
        check(
            "new, extremes reset since",
            None,
            Some(since(120, 150, short)),
            false,
            Some((2.0, 6.0, false, None, None)),
        );
    }

    #[test]
    fn the_spread_of_an_interval_comes_from_the_sums() {
        let before = reading(100, &[(1, entry(&[1.0, 100.0]))]);
        let after = reading(200, &[(1, entry(&[1.0, 100.0, 10.0, 14.0]))]);
        let usage = compare(&before, &after).usages[0];
        assert_eq!(usage.counters.exec_ms_mean(), Some(12.0));
        assert!((usage.counters.exec_ms_stddev().unwrap() - 2.0).abs() < 1e-9);
    }

    #[test]
    fn events() {
        let before = reading(100, &[(1, entry(&[1.0, 1.0])), (2, entry(&[1.0]))]);
        let after = |change: fn(&mut Reading)| {
            let mut after = reading(200, &[(1, entry(&[1.0])), (3, entry(&[1.0]))]);
            change(&mut after);
            compare(&before, &after).events
        };
        let quiet = Events { vanished: 1, begun_anew: 1, ..Events::default() };
        assert_eq!(after(|_| {}), quiet);
        assert_eq!(after(|after| after.started_at = at(150)), Events { restarts: 1, ..quiet });
        assert_eq!(after(|after| after.deallocations = Some(3)), Events { evictions: 3, ..quiet });
        assert_eq!(after(|after| after.deallocations = None), quiet);
        let reset = |after: &mut Reading| {
            after.reset_at = Some(at(150));
            after.deallocations = Some(2);
        };
        assert_eq!(after(reset), Events { resets: 1, evictions: 2, ..Events::default() });
        // Another role, which sees less: what it does not see has not vanished.
        let less = |after: &mut Reading| {
            after.sees_all = false;
            after.role = "plain".to_owned();
        };
        assert_eq!(after(less), Events { begun_anew: 1, ..Events::default() });
    }

    #[test]
    fn a_role_that_saw_less() {
        let mut before = reading(100, &[]);
        before.sees_all = false;
        before.role = "plain".to_owned();
        let old = since(50, 50, entry(&[1.0]));
        let young = since(150, 150, entry(&[2.0]));
        let after = reading(200, &[(1, entry(&[1.0])), (2, old), (3, young)]);
        let usages = compare(&before, &after).usages;
        assert_eq!(usages.iter().map(|usage| usage.key.query_id).collect::<Vec<_>>(), [3]);
        // The same role sees the same statements.
        let mut same = after.clone();
        same.sees_all = false;
        same.role = "plain".to_owned();
        assert_eq!(compare(&before, &same).usages.len(), 3);
    }

    #[test]
    fn nothing_is_ever_negative() {
        let mut random = 7_u64;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 60) as f64
        };
        for _ in 0..10_000 {
            let mut any = || {
                let counters = Counters::from_names(|_| Ok::<_, std::convert::Infallible>(next())).unwrap();
                Entry { counters, min_ms: next(), max_ms: next(), stats_since: None, minmax_since: None }
            };
            let (before, after) = (reading(100, &[(1, any())]), reading(200, &[(1, any())]));
            for usage in compare(&before, &after).usages {
                assert!(usage.counters.values().iter().all(|value| *value >= 0.0), "{usage:?}");
                assert!(usage.counters.exec_ms_stddev().is_none_or(|stddev| stddev >= 0.0));
            }
        }
    }
}
