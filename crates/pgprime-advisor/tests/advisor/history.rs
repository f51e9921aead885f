//! Histories in real files: what is kept, for how long, and what harm a file survives.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pgprime_advisor::history::{
    Counters, Entry, Extremes, History, HistoryError, Identity, Interval, Reading, Retention, SourceKey,
    StatementKey,
};
use pgprime_advisor::slow::compare;
use rusqlite::Connection;
use tempfile::TempDir;

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// A midnight.
const BEGIN: i64 = 1_772_323_200;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + second).unwrap()
}

fn source() -> SourceKey {
    SourceKey { system: "7000000000000000001".to_owned(), label: "db:5432".to_owned() }
}

fn key(query_id: i64) -> StatementKey {
    StatementKey { user_oid: 10, database_oid: 5, query_id, toplevel: true }
}

/// A statement that was run so often, each time for 2 ms.
fn entry(calls: u32) -> Entry {
    let calls = f64::from(calls);
    let counters = Counters {
        calls,
        exec_ms: 2.0 * calls,
        exec_ms_squares: 4.0 * calls,
        rows: calls,
        ..Counters::default()
    };
    Entry { counters, min_ms: 2.0, max_ms: 2.0, stats_since: None, minmax_since: None }
}

fn reading(second: i64, entries: &[(i64, u32)]) -> Reading {
    Reading {
        taken_at: at(second),
        started_at: at(-DAY),
        reset_at: Some(at(-DAY)),
        deallocations: Some(0),
        role: "app".to_owned(),
        sees_all: true,
        entries: entries.iter().map(|(query_id, calls)| (key(*query_id), entry(*calls))).collect(),
    }
}

fn identities(reading: &Reading) -> Vec<Identity> {
    let identity = |key: &StatementKey| Identity {
        key: *key,
        role: Some("app".to_owned()),
        database: Some("shop".to_owned()),
        // Two statements share a text.
        text: Some(format!("SELECT {}", key.query_id / 2)),
    };
    reading.entries.keys().map(identity).collect()
}

fn record(history: &mut History, reading: &Reading) -> Option<Interval> {
    history.record(&source(), reading, &identities(reading), compare).unwrap()
}

fn open(path: &Path) -> History {
    History::open(path, Retention::default()).unwrap()
}

/// Calls of a statement between two moments.
fn calls(history: &History, query_id: i64, from: i64, to: i64) -> Option<f64> {
    let totals = history.totals(&source(), at(from), at(to)).unwrap()?;
    let statement = totals.statements.iter().find(|statement| statement.identity.key == key(query_id));
    Some(statement.map_or(0.0, |statement| statement.counters.calls))
}

#[test]
fn intervals_are_kept_and_added_up() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("state/pgprime/history.sqlite");
    let mut history = open(&path);
    assert_eq!(history.last_reading(&source()).unwrap(), None);
    assert_eq!(history.totals(&source(), at(0), at(DAY)).unwrap(), None);

    let first = reading(0, &[(1, 5), (2, 7)]);
    assert_eq!(record(&mut history, &first), None, "what was before the first reading is nobody's");
    assert_eq!(history.last_reading(&source()).unwrap(), Some(first.clone()), "every number exactly");
    assert_eq!(history.coverage(&source()).unwrap(), None);

    let interval = record(&mut history, &reading(5 * MINUTE, &[(1, 8), (2, 7), (3, 1)])).unwrap();
    assert_eq!(interval.usages.len(), 2);
    record(&mut history, &reading(10 * MINUTE, &[(1, 8), (3, 11)])).unwrap();
    // Not newer: not kept, and not the next baseline.
    assert_eq!(record(&mut history, &reading(10 * MINUTE, &[(1, 900)])), None);
    assert_eq!(record(&mut history, &reading(9 * MINUTE, &[(1, 900)])), None);
    drop(history);

    let history = open(&path);
    let totals = history.totals(&source(), at(0), at(10 * MINUTE)).unwrap().unwrap();
    assert_eq!((totals.coverage.start, totals.coverage.end), (at(0), at(10 * MINUTE)));
    assert_eq!((totals.coverage.recordings, totals.coverage.events.vanished), (2, 1));
    let found: Vec<_> = totals
        .statements
        .iter()
        .map(|statement| {
            (statement.identity.key.query_id, statement.counters.calls, statement.counters.exec_ms)
        })
        .collect();
    assert_eq!(found, [(1, 3.0, 6.0), (3, 11.0, 22.0)]);
    let third = &totals.statements[1];
    assert_eq!((third.first_seen, third.last_seen), (at(5 * MINUTE), at(10 * MINUTE)));
    assert_eq!(third.identity.text.as_deref(), Some("SELECT 1"));
    assert_eq!(third.extremes.max_ms(), Some(2.0));

    // An interval belongs to the side where its middle is.
    assert_eq!(calls(&history, 1, 0, 5 * MINUTE), Some(3.0));
    assert_eq!(calls(&history, 1, 3 * MINUTE, 20 * MINUTE), Some(0.0));
    assert_eq!(calls(&history, 3, 3 * MINUTE, 20 * MINUTE), Some(10.0));
    assert_eq!(calls(&history, 1, 20 * MINUTE, DAY), None);
    let series = history.statement_series(&source(), key(3), at(0), at(DAY)).unwrap();
    assert_eq!(series.iter().map(|point| point.counters.calls).collect::<Vec<_>>(), [1.0, 10.0]);
    let elsewhere = SourceKey { label: "replica:5432".to_owned(), ..source() };
    assert_eq!(history.totals(&elsewhere, at(0), at(DAY)).unwrap(), None);
    assert_eq!(history.sources().unwrap(), [source()]);
    assert_eq!(history.known(&source()).unwrap().len(), 3);
    assert_eq!(count(&path, "text"), 2, "each text once");

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for suffix in ["-wal", "-shm"] {
        let beside = dir.path().join(format!("state/pgprime/history.sqlite{suffix}"));
        assert_eq!(mode(&beside), 0o600, "{}", beside.display());
    }
}

fn count(path: &Path, table: &str) -> i64 {
    let connection = Connection::open(path).unwrap();
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

/// The rows of a table at each level.
fn levels(path: &Path, table: &str) -> Vec<(i64, i64)> {
    let connection = Connection::open(path).unwrap();
    let sql = format!("SELECT level, count(*) FROM {table} GROUP BY level ORDER BY level");
    let mut statement = connection.prepare(&sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn what_is_old_becomes_coarser_and_is_dropped() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("history.sqlite");
    let mut history = open(&path);
    // Every 30 s for three hours: twice in each minute, ten calls each time.
    let mut calls_so_far = 0;
    record(&mut history, &reading(0, &[(1, 0)]));
    for turn in 1..=360 {
        calls_so_far += 10;
        record(&mut history, &reading(turn * 30, &[(1, calls_so_far)]));
        history.append("table_bytes", &[("table", "quotes")], at(turn * 30), turn as f64).unwrap();
    }
    assert_eq!(levels(&path, "usage"), [(0, 180)]);
    let series = |history: &History| {
        let points = history.series("table_bytes", &[("table", "quotes")], at(0), at(900 * DAY)).unwrap();
        (points.len(), points.iter().map(|point| point.count).sum::<u64>(), points.last().copied())
    };
    assert_eq!((series(&history).0, series(&history).1), (180, 360));

    // Two days after the first hour it is one row; the rest stays.
    history.prune(at(2 * DAY + HOUR)).unwrap();
    assert_eq!(levels(&path, "usage"), [(0, 120), (1, 1)]);
    assert_eq!(levels(&path, "coverage"), [(0, 120), (1, 1)]);
    assert_eq!(calls(&history, 1, 0, HOUR), Some(1_200.0));
    assert_eq!(calls(&history, 1, HOUR, 3 * HOUR), Some(2_400.0));
    history.prune(at(2 * DAY + HOUR)).unwrap();
    assert_eq!(calls(&history, 1, 0, 3 * HOUR), Some(3_600.0), "nothing is added twice");

    history.prune(at(3 * DAY)).unwrap();
    assert_eq!(levels(&path, "usage"), [(1, 3)]);
    history.prune(at(40 * DAY)).unwrap();
    assert_eq!(levels(&path, "usage"), [(2, 1)]);
    let totals = history.totals(&source(), at(0), at(DAY)).unwrap().unwrap();
    assert_eq!((totals.coverage.start, totals.coverage.end), (at(0), at(3 * HOUR)));
    assert_eq!(totals.coverage.recordings, 360);
    let statement = &totals.statements[0];
    assert_eq!((statement.counters.calls, statement.counters.exec_ms_stddev()), (3_600.0, Some(0.0)));
    let (points, values, last) = series(&history);
    let last = last.unwrap();
    assert_eq!((points, values), (1, 360));
    assert_eq!((last.min, last.max, last.last, last.mean()), (1.0, 360.0, 360.0, 180.5));
    assert_eq!((last.start, last.end), (at(30), at(3 * HOUR)));

    history.prune(at(402 * DAY)).unwrap();
    assert_eq!((levels(&path, "usage"), levels(&path, "point")), (vec![], vec![]));
    assert_eq!((count(&path, "series"), count(&path, "statement")), (0, 1), "the last reading stays");
    assert!(history.last_reading(&source()).unwrap().is_some());
}

#[test]
fn extremes_survive_the_roll_up() {
    let dir = TempDir::new().unwrap();
    let mut history = open(&dir.path().join("history.sqlite"));
    let with_max = |second, calls, max_ms| {
        let mut reading = reading(second, &[(1, calls)]);
        reading.entries.get_mut(&key(1)).unwrap().max_ms = max_ms;
        reading
    };
    for reading in
        [with_max(0, 10, 50.0), with_max(60, 20, 50.0), with_max(120, 30, 70.0), with_max(180, 40, 70.0)]
    {
        record(&mut history, &reading);
    }
    let extremes = |history: &History, from, to| -> Extremes {
        history.totals(&source(), at(from), at(to)).unwrap().unwrap().statements[0].extremes
    };
    for day in [0, 3] {
        history.prune(at(day * DAY)).unwrap();
        assert_eq!(extremes(&history, 0, HOUR).max_ms(), Some(70.0), "the one that moved");
    }
    let mut history = open(&dir.path().join("other.sqlite"));
    record(&mut history, &with_max(0, 10, 50.0));
    record(&mut history, &with_max(60, 20, 50.0));
    let unknown = extremes(&history, 0, HOUR);
    assert_eq!((unknown.max_ms(), unknown.max_bound_ms), (None, 50.0));
}

#[test]
fn the_size_is_bounded() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("history.sqlite");
    let bytes_max = 512 << 10;
    let mut history = History::open(&path, Retention { bytes_max, ..Retention::default() }).unwrap();
    let mut entries: HashMap<i64, u32> = HashMap::new();
    for turn in 0..300_i64 {
        // New statements all the time, each with a text of its own.
        for query_id in turn * 20..turn * 20 + 20 {
            entries.insert(query_id, 1);
        }
        entries.retain(|query_id, calls| {
            *calls += 1;
            *query_id > turn * 20 - 200
        });
        let list: Vec<(i64, u32)> = entries.iter().map(|(query_id, calls)| (*query_id, *calls)).collect();
        let reading = reading(turn * 10 * MINUTE, &list);
        record(&mut history, &reading);
        history.prune(reading.taken_at).unwrap();
        assert!(history.bytes().unwrap() <= bytes_max, "turn {turn}: {} bytes", history.bytes().unwrap());
    }
    let connection = Connection::open(&path).unwrap();
    connection.pragma_query(None, "wal_checkpoint", |_| Ok(())).unwrap();
    assert!(fs::metadata(&path).unwrap().len() <= bytes_max, "free pages are given back");
    // What is recent is still there.
    let last = history.coverage_around(&source(), Timestamp::MIN, Timestamp::MAX).unwrap().unwrap();
    assert_eq!(last.end, at(299 * 10 * MINUTE));
    assert_eq!(count(&path, "baseline_entry"), entries.len() as i64);
}

#[test]
fn two_writers_at_once_count_everything_once() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("history.sqlite");
    const TURNS: u32 = 60;
    // Both see the same counters go up: whoever comes first records the step.
    let write = |offset: i64| {
        let mut history = open(&path);
        for turn in 0..=TURNS {
            let reading = reading(i64::from(turn) * 2 + offset, &[(1, turn * 3), (2, 1)]);
            record(&mut history, &reading);
            history.prune(reading.taken_at).unwrap();
            history.append("beats", &[], reading.taken_at, 1.0).unwrap();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| write(0));
        scope.spawn(|| write(1));
    });
    let history = open(&path);
    let beats = history.series("beats", &[], at(-1), at(DAY)).unwrap();
    assert_eq!(beats.iter().map(|point| point.count).sum::<u64>(), u64::from(TURNS + 1) * 2);
    let last = history.last_reading(&source()).unwrap().unwrap();
    assert_eq!(last.entries[&key(1)].counters.calls, f64::from(TURNS * 3));
    let sum = calls(&history, 1, -DAY, DAY).unwrap();
    assert!(sum <= f64::from(TURNS * 3), "{sum}");
    let first = history.coverage(&source()).unwrap().unwrap().start;
    let missed = if first == at(0) { 0.0 } else { f64::from(TURNS * 3) };
    assert!(sum + missed >= f64::from(TURNS * 3), "{sum} from {first}");
}

/// Not a test of its own: what [`a_killed_writer_leaves_a_readable_file`] kills.
#[test]
#[ignore = "runs until it is killed"]
fn writer() {
    let Some(path) = std::env::var_os("PGPRIME_TEST_HISTORY") else { return };
    let mut history = open(Path::new(&path));
    for turn in 0.. {
        let entries: Vec<(i64, u32)> = (0..500).map(|query_id| (query_id, turn + 1)).collect();
        let reading = reading(i64::from(turn) * 40, &entries);
        record(&mut history, &reading);
        history.prune(reading.taken_at).unwrap();
        println!("recorded {turn}");
    }
}

#[test]
fn a_killed_writer_leaves_a_readable_file() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("history.sqlite");
    for round in 1..=3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "history::writer", "--ignored", "--nocapture", "--test-threads=1"])
            .env("PGPRIME_TEST_HISTORY", &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut lines = output.lines().map(Result::unwrap).filter(|line| line.contains("recorded "));
        // It is always in the middle of something.
        let acknowledged = lines.by_ref().nth(5 * round).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let acknowledged: f64 = acknowledged.rsplit(' ').next().unwrap().parse().unwrap();

        let connection = Connection::open(&path).unwrap();
        let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
        let history = open(&path);
        let last = history.last_reading(&source()).unwrap().unwrap();
        let calls_of: Vec<f64> = last.entries.values().map(|entry| entry.counters.calls).collect();
        assert!(calls_of.iter().all(|calls| *calls == calls_of[0]), "all or nothing");
        assert!(calls_of[0] > acknowledged, "what was acknowledged is there");
    }
}

#[test]
fn an_old_format_is_brought_up_to_date() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("history.sqlite");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../../sql/history_1_statements.sql")).unwrap();
    old.execute_batch(
        "PRAGMA application_id = 1885827176; PRAGMA user_version = 1; \
         INSERT INTO source VALUES (1, '7000000000000000001', 'db:5432');",
    )
    .unwrap();
    drop(old);
    let mut history = open(&path);
    assert_eq!(history.sources().unwrap(), [source()], "what was there stays");
    history.append("table_bytes", &[], at(0), 1.0).unwrap();
    record(&mut history, &reading(0, &[(1, 1)]));
    drop(history);
    let version = |path: &Path| -> i64 {
        Connection::open(path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    };
    assert_eq!(version(&path), 2);

    // One that is newer than this program is left alone.
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 77).unwrap();
    let error = History::open(&path, Retention::default()).unwrap_err();
    assert!(matches!(error, HistoryError::TooNew { found: 77, .. }), "{error}");
    assert_eq!(version(&path), 77);
}

#[test]
fn a_file_that_is_none_is_refused_and_left_alone() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("notes.txt");
    for text in ["milk, butter\n", "x", &"long ".repeat(10_000)] {
        fs::write(&path, text).unwrap();
        let error = History::open(&path, Retention::default()).unwrap_err();
        assert!(matches!(error, HistoryError::Foreign { .. }), "{error}");
        assert!(error.to_string().contains("name another file"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    let other = dir.path().join("other.sqlite");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
    let before = fs::read(&other).unwrap();
    let error = History::open(&other, Retention::default()).unwrap_err();
    assert!(error.to_string().contains("a database of another program"), "{error}");
    assert_eq!(fs::read(&other).unwrap(), before);
    let error = History::open(dir.path(), Retention::default()).unwrap_err();
    assert!(matches!(error, HistoryError::Foreign { .. }), "{error}");
    let below_a_file = path.join("history.sqlite");
    let error = History::open(&below_a_file, Retention::default()).unwrap_err();
    assert!(matches!(error, HistoryError::Io { .. }), "{error}");
    // An empty file is as good as none.
    let empty = dir.path().join("empty");
    fs::write(&empty, "").unwrap();
    record(&mut open(&empty), &reading(0, &[(1, 1)]));
}

#[test]
fn a_damaged_file_says_what_to_do_and_is_left_alone() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("history.sqlite");
    let mut history = open(&path);
    for turn in 0..20 {
        let entries: Vec<(i64, u32)> = (0..300).map(|query_id| (query_id, turn + 1)).collect();
        record(&mut history, &reading(i64::from(turn) * MINUTE, &entries));
    }
    drop(history);
    let whole = fs::read(&path).unwrap();
    let mut overwritten = whole.clone();
    overwritten[100..].iter_mut().for_each(|byte| *byte = 0x5a);
    let cut = whole[..whole.len() / 2 + 100].to_vec();
    let mut header = whole.clone();
    header[16..24].fill(0xff);
    for damaged in [overwritten, cut, header] {
        fs::write(&path, &damaged).unwrap();
        let error = History::open(&path, Retention::default())
            .and_then(|mut history| {
                history.totals(&source(), at(-DAY), at(DAY))?;
                let reading = reading(DAY, &[(1, 99), (2, 99)]);
                history.record(&source(), &reading, &identities(&reading), compare)
            })
            .unwrap_err();
        assert!(matches!(error, HistoryError::Damaged { .. }), "{error:?}");
        assert!(error.to_string().contains("move it away"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), damaged);
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(calls(&open(&path), 5, 0, HOUR), Some(19.0));
}

#[test]
fn a_writer_that_waits_in_vain_may_try_again() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("history.sqlite");
    drop(open(&path));
    let holder = Connection::open(&path).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let started = std::time::Instant::now();
    let mut history = open(&path);
    let error = history.append("beats", &[], at(0), 1.0).unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("in use"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(60));
    // Readers do not wait.
    assert_eq!(history.sources().unwrap(), []);
    holder.execute_batch("ROLLBACK").unwrap();
    history.append("beats", &[], at(0), 1.0).unwrap();
    let later = at(0).checked_add(SignedDuration::from_secs(1)).unwrap();
    assert_eq!(history.series("beats", &[], at(0), later).unwrap().len(), 1);
}
