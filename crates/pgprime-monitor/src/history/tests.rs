use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::health::{HealthReport, PoolerSeen, Status, Unit};
use crate::pooler::{PoolerKind, PoolerPool, PoolerReport, PoolerTotals};
use crate::watch::{self, RoundSink};

const START: i64 = 1_763_888_400;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(START + seconds).unwrap()
}

fn figure(name: &str, value: f64) -> Figure {
    let about =
        About { title: name.to_uppercase(), unit: Unit::Percent, group: "g".into(), kind: SeriesKind::Gauge };
    Figure { name: SeriesName::new(name), about, value }
}

struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("deep/history.db")
    }

    fn open(&self, retention: Retention) -> SeriesStore {
        SeriesStore::open(&self.path(), retention, at(0)).unwrap()
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path().parent().unwrap()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn fill(store: &SeriesStore, seconds: std::ops::Range<i64>, step: usize, value: impl Fn(i64) -> f64) {
    for second in seconds.step_by(step) {
        store.append(at(second), &[figure("a", value(second)), figure("b", 7.0)]).unwrap();
    }
}

fn means(store: &SeriesStore, from: i64, to: i64, points: usize) -> Vec<(i64, Option<f64>)> {
    let found = store.range(&[SeriesName::new("a")], at(from), at(to), points).unwrap();
    found[0].buckets.iter().map(|bucket| (bucket.at - START, bucket.mean)).collect()
}

#[test]
fn rounds_are_read_as_they_came_and_gaps_are_empty() {
    let scratch = Scratch::new();
    let store = scratch.open(Retention::default());
    fill(&store, 0..60, 10, |second| second as f64);
    fill(&store, 120..150, 10, |second| second as f64);
    let found = means(&store, 0, 149, 100);
    let expected: Vec<(i64, Option<f64>)> = (0..15)
        .map(|slot| slot * 10)
        // A missing round or two is no gap.
        .map(|second| {
            (
                second,
                match second {
                    60 | 70 => Some(50.0),
                    80..120 => None,
                    _ => Some(second as f64),
                },
            )
        })
        .collect();
    assert_eq!(found, expected);
    assert_eq!(store.latest(&SeriesName::new("a")).unwrap(), Some((at(140), 140.0)));
    assert_eq!(store.latest(&SeriesName::new("unknown")).unwrap(), None);
    assert!(store.range(&[SeriesName::new("unknown")], at(0), at(10), 5).unwrap().is_empty());
}

#[test]
fn coarser_tiers_keep_mean_and_maximum() {
    let scratch = Scratch::new();
    let store = scratch.open(Retention::default());
    fill(&store, 0..3 * 3_600, 10, |second| if second == 4_000 { 600.0 } else { 6.0 });
    let series = store.range(&[SeriesName::new("a")], at(0), at(3 * 3_600), 180).unwrap();
    assert_eq!((series[0].bucket_s, series[0].buckets.len()), (120, 91), "minutes, two by two");
    let bucket = series[0].buckets.iter().find(|bucket| bucket.at - START == 3_960).unwrap();
    assert_eq!(bucket.max, Some(600.0));
    assert!((bucket.mean.unwrap() - (11.0 * 6.0 + 600.0) / 12.0).abs() < 1e-6, "{bucket:?}");
    let quarters = store.range(&[SeriesName::new("a")], at(0), at(3 * 3_600), 12).unwrap();
    assert_eq!(quarters[0].bucket_s, 1_800);
    assert!(quarters[0].buckets[..6].iter().all(|bucket| bucket.mean.is_some()));
    assert_eq!(quarters[0].buckets[2].max, Some(600.0));
}

#[test]
fn what_is_old_is_kept_coarser_and_then_not_at_all() {
    let scratch = Scratch::new();
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    let retention = Retention {
        rounds_for: hours(2),
        minutes_for: hours(6),
        quarters_for: hours(48),
        bytes_max: u64::MAX,
    };
    let store = scratch.open(retention);
    fill(&store, 0..10 * 3_600, 10, |second| second as f64);
    let young = means(&store, 9 * 3_600, 10 * 3_600, 400);
    assert_eq!(young.iter().filter(|(_, mean)| mean.is_some()).count(), 360, "every round");
    // Fine enough for rounds, but only quarters are left: each stands for its whole time.
    let old = means(&store, 3_600, 3_600 + 1_800, 200);
    assert!(old[..old.len() - 1].iter().all(|(_, mean)| mean.is_some()), "{old:?}");
    assert_eq!(old[0].1, old[80].1);
    let bytes = store.bytes().unwrap();
    // Two days later all of that is gone.
    fill(&store, 70 * 3_600..70 * 3_600 + 400, 10, |second| second as f64);
    fill(&store, 71 * 3_600..71 * 3_600 + 10, 10, |second| second as f64);
    assert!(means(&store, 0, 10 * 3_600, 300).iter().all(|(_, mean)| mean.is_none()));
    assert!(store.bytes().unwrap() <= bytes);
}

#[test]
fn the_file_stays_below_its_limit() {
    let scratch = Scratch::new();
    let store = scratch.open(Retention { bytes_max: 300_000, ..Retention::default() });
    for second in (0..12 * 3_600).step_by(30) {
        let noise = f64::from((second as u32).wrapping_mul(2_654_435_761)) * 1.000_1;
        let figures: Vec<Figure> = (0..20).map(|n| figure(&format!("s{n}"), noise + f64::from(n))).collect();
        store.append(at(second), &figures).unwrap();
    }
    let bytes = store.bytes().unwrap();
    assert!(bytes < 300_000 + 60_000, "{bytes} bytes with the hour that is open");
    let found = store.range(&[SeriesName::new("s3")], at(0), at(12 * 3_600), 40).unwrap();
    assert!(
        found[0].buckets.iter().take(24).all(|bucket| bucket.mean.is_some()),
        "quarters stay the longest"
    );
}

#[test]
fn trends_find_a_value_some_time_before() {
    let scratch = Scratch::new();
    let store = scratch.open(Retention::default());
    fill(&store, 0..2 * 3_600, 10, |second| second as f64);
    let before = |seconds| store.before(&SeriesName::new("a"), Duration::from_secs(seconds)).unwrap();
    assert_eq!(before(600), Some((6_590.0, 600.0)), "not sealed yet");
    assert_eq!(before(5_400), Some((1_790.0, 5_400.0)), "of a sealed hour");
    assert_eq!(before(3 * 3_600), None, "not that far back");
    assert_eq!(store.before(&SeriesName::new("unknown"), Duration::from_secs(60)).unwrap(), None);
}

#[test]
fn the_catalog_tells_what_there_is() {
    let scratch = Scratch::new();
    let store = scratch.open(Retention::default());
    fill(&store, 0..100, 10, |_| f64::NAN);
    let catalog = store.catalog().unwrap();
    assert_eq!(catalog.len(), 1, "what is not finite is not kept");
    let about = About { title: "B".into(), unit: Unit::Percent, group: "g".into(), kind: SeriesKind::Gauge };
    let expected = SeriesEntry { name: SeriesName::new("b"), about, first_at: at(0), last_at: at(90) };
    assert_eq!(catalog, [expected]);
}

#[test]
fn a_clock_set_back_or_ahead_loses_nothing() {
    let scratch = Scratch::new();
    let store = scratch.open(Retention::default());
    fill(&store, 0..7_200, 10, |_| 1.0);
    // Back by an hour and a bit, between the rounds that are there.
    fill(&store, 3_005..3_605, 10, |_| 3.0);
    assert_eq!(store.latest(&SeriesName::new("a")).unwrap(), Some((at(3_595), 3.0)));
    // Two years ahead for some rounds, then as it was.
    let years = 2 * 365 * 86_400;
    fill(&store, years..years + 50, 10, |_| 9.0);
    fill(&store, 7_200..10_900, 10, |_| 1.0);
    let series = store.range(&[SeriesName::new("a")], at(0), at(7_190), 120).unwrap();
    assert_eq!(series[0].buckets.iter().filter(|bucket| bucket.mean.is_none()).count(), 0);
    let mixed = series[0].buckets.iter().find(|bucket| bucket.at - START == 3_060).unwrap();
    assert_eq!((mixed.mean, mixed.max), (Some(2.0), Some(3.0)), "both are kept");
}

#[test]
fn a_new_process_goes_on_where_the_old_one_ended() {
    let scratch = Scratch::new();
    let store = scratch.open(Retention::default());
    fill(&store, 0..4_000, 10, |second| second as f64);
    let in_use = SeriesStore::open(&scratch.path(), Retention::default(), at(0)).unwrap_err();
    assert!(matches!(in_use, StoreError::InUse { .. }), "{in_use}");
    drop(store);
    let store = scratch.open(Retention::default());
    assert_eq!(store.latest(&SeriesName::new("a")).unwrap(), Some((at(3_990), 3_990.0)));
    fill(&store, 4_000..4_010, 10, |second| second as f64);
    assert_eq!(means(&store, 3_980, 4_000, 10).len(), 3);
}

#[test]
fn a_damaged_file_is_moved_aside() {
    for damage in ["head", "pages", "cut"] {
        let scratch = Scratch::new();
        let store = scratch.open(Retention::default());
        fill(&store, 0..8_000, 10, |second| second as f64);
        drop(store);
        let mut bytes = std::fs::read(scratch.path()).unwrap();
        match damage {
            "head" => bytes[..10].fill(7),
            "pages" => bytes[4_096..20_000].fill(0xa5),
            _ => bytes.truncate(5_000),
        }
        std::fs::write(scratch.path(), &bytes).unwrap();
        let store = scratch.open(Retention::default());
        assert!(store.catalog().unwrap().is_empty(), "{damage}");
        fill(&store, 0..10, 10, |_| 1.0);
        let aside: Vec<String> =
            scratch.files().into_iter().filter(|name| name.contains(".damaged-")).collect();
        assert_eq!(aside, ["history.db.damaged-20251123T090000Z"], "{damage}: {:?}", scratch.files());
    }
}

#[test]
fn damage_under_way_is_noticed_and_begun_anew() {
    let scratch = Scratch::new();
    let store = scratch.open(Retention::default());
    fill(&store, 0..3_590, 10, |second| second as f64);
    store.catalog().unwrap();
    // Everything to the file, then over it, as a failing disk would.
    rusqlite::Connection::open(scratch.path())
        .unwrap()
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    let length = std::fs::metadata(scratch.path()).unwrap().len();
    std::fs::write(scratch.path(), vec![0xa5; usize::try_from(length).unwrap()]).unwrap();
    let outcomes: Vec<bool> = (3_600..3_700)
        .step_by(10)
        .map(|second| store.append(at(second), &[figure("a", 1.0)]).is_ok())
        .collect();
    assert_eq!(outcomes.last(), Some(&true), "{outcomes:?}");
    assert!(store.latest(&SeriesName::new("a")).unwrap().is_some());
    assert!(scratch.files().iter().any(|name| name.contains(".damaged-")), "{:?}", scratch.files());
}

#[test]
fn the_file_of_another_program_is_left_alone() {
    let scratch = Scratch::new();
    std::fs::create_dir_all(scratch.path().parent().unwrap()).unwrap();
    let other = rusqlite::Connection::open(scratch.path()).unwrap();
    other.execute_batch("CREATE TABLE theirs (x)").unwrap();
    let error = SeriesStore::open(&scratch.path(), Retention::default(), at(0)).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
    other.query_row("SELECT count(*) FROM theirs", [], |_| Ok(())).unwrap();
}

#[test]
fn readers_and_the_writer_do_not_wait_for_one_another() {
    let scratch = Scratch::new();
    let store = scratch.open(Retention::default());
    fill(&store, 0..100, 10, |second| second as f64);
    let outside = SeriesStore::open_reader(&scratch.path()).unwrap();
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| fill(&store, 100..12_000, 10, |second| second as f64));
        for reader in [&store, &outside] {
            scope.spawn(move || {
                for _ in 0..200 {
                    let found = means(reader, 0, 90, 100);
                    assert!(found.iter().take(10).all(|(at, mean)| *mean == Some(*at as f64)), "{found:?}");
                }
            });
        }
        writing.join().unwrap();
    });
    assert!(outside.append(at(0), &[]).is_err());
}

#[test]
fn a_full_disk_is_said_and_survived() {
    let scratch = Scratch::new();
    let store = scratch.open(Retention::default());
    fill(&store, 0..100, 10, |second| second as f64);
    store.limit_pages(12);
    let wide: Vec<Figure> = (0..500).map(|n| figure(&format!("wide{n}"), f64::from(n))).collect();
    let error = (100..2_000).step_by(10).find_map(|second| store.append(at(second), &wide).err()).unwrap();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert_eq!(means(&store, 0, 90, 100)[9].1, Some(90.0), "what was kept can be read");
    store.limit_pages(100_000);
    store.append(at(3_000), &wide).unwrap();
}

#[test]
fn a_recorder_keeps_what_it_was_given() {
    let scratch = Scratch::new();
    let store = std::sync::Arc::new(scratch.open(Retention::default()));
    let recorder = Recorder::start(std::sync::Arc::clone(&store)).unwrap();
    assert!(recorder.record(at(10), vec![figure("a", 5.0)]));
    drop(recorder);
    assert_eq!(store.latest(&SeriesName::new("a")).unwrap(), Some((at(10), 5.0)));
}

fn pooler(seconds: i64, transactions: u64) -> PoolerReport {
    PoolerReport {
        latency: None,
        taken_at: at(seconds),
        kind: PoolerKind::Pgbouncer,
        version: "PgBouncer 1.25.0".to_owned(),
        pools: vec![PoolerPool {
            database: "insurance".to_owned(),
            user: "app".to_owned(),
            mode: "transaction".to_owned(),
            clients_active: 5,
            clients_waiting: 2,
            servers_active: 4,
            servers_idle: 1,
            servers_other: 0,
            wait_s_max: 0.5,
            size_max: None,
            paused: false,
        }],
        databases: Vec::new(),
        totals: PoolerTotals { transactions, queries: transactions, ..PoolerTotals::default() },
        clients: 7,
        clients_max: None,
        servers: 5,
    }
}

#[test]
fn rounds_become_series() {
    let scratch = Scratch::new();
    let store = std::sync::Arc::new(scratch.open(Retention::default()));
    let mut sink = HistorySink::start(std::sync::Arc::clone(&store), Box::new(|| None)).unwrap();
    for (number, transactions) in [(0, 1_000), (1, 1_500), (2, 30)] {
        let seconds = i64::try_from(number).unwrap() * 10;
        let report = HealthReport {
            taken_at: at(seconds),
            status: Status::Ok,
            server_version: None,
            in_recovery: None,
            took_ms: 4.0,
            checks: Vec::new(),
            missing: Vec::new(),
        };
        let seen = PoolerSeen { name: "PgBouncer".to_owned(), seen: Ok(pooler(seconds, transactions)) };
        sink.on_round(&watch::Round {
            number,
            ended_at: std::time::Instant::now(),
            report: std::sync::Arc::new(report),
            observation: None,
            poolers: std::sync::Arc::new(vec![seen]),
            space: None,
            views: None,
        });
    }
    drop(sink);
    let names = [
        "pgbouncer.clients_waiting",
        "pgbouncer.transactions_per_s",
        "pgbouncer.pool.insurance.app.clients_waiting",
        "health.took_ms",
    ];
    let found = store.range(&names.map(SeriesName::new), at(0), at(20), 3).unwrap();
    let values: Vec<Vec<Option<f64>>> =
        found.iter().map(|series| series.buckets.iter().map(|bucket| bucket.mean).collect()).collect();
    let same = |value| vec![Some(value); 3];
    // After a restart of the pooler counters begin anew: no rate, as if the round were missing.
    assert_eq!(values, [same(2.0), vec![None, Some(50.0), None], same(2.0), same(4.0)]);
    assert_eq!((found[1].about.kind, found[1].about.group.as_str()), (SeriesKind::Rate, "pgbouncer"));
}

/// The child of the test below: appends until it is killed, and says what is kept.
#[test]
#[ignore = "run by another test"]
fn append_until_killed() {
    let Some(path) = std::env::var_os("HISTORY_TO_BE_KILLED") else { return };
    let store = SeriesStore::open(std::path::Path::new(&path), Retention::default(), at(0)).unwrap();
    for second in (0..).step_by(600) {
        store.append(at(second), &[figure("a", second as f64)]).unwrap();
        println!("kept {second}");
    }
}

#[test]
fn what_was_kept_survives_a_kill() {
    use std::io::BufRead;
    let scratch = Scratch::new();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "history::tests::append_until_killed", "--ignored", "--nocapture"])
        .env("HISTORY_TO_BE_KILLED", scratch.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let kept: Vec<i64> =
        lines.filter_map(|line| line.unwrap().split("kept ").nth(1)?.parse().ok()).take(200).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    let store = scratch.open(Retention::default());
    let last = *kept.last().unwrap();
    let (latest, _) = store.latest(&SeriesName::new("a")).unwrap().unwrap();
    assert!(latest >= at(last), "{latest} {last}");
    let found = means(&store, 0, last, 10_000);
    for second in kept {
        assert!(found.contains(&(second, Some(second as f64))), "{second}");
    }
    assert!(!scratch.files().iter().any(|name| name.contains("damaged")), "{:?}", scratch.files());
}

/// Says what keeping and asking costs, of 300 series over two days.
#[test]
#[ignore = "measures"]
fn what_it_costs() {
    let scratch = Scratch::new();
    let store = scratch.open(Retention::default());
    let names: Vec<String> = (0..300).map(|n| format!("s{n}")).collect();
    let (mut total, mut worst) = (Duration::ZERO, Duration::ZERO);
    let mut random = 7_u64;
    for round in 0..2 * 8_640_i64 {
        let figures: Vec<Figure> = names
            .iter()
            .enumerate()
            .map(|(n, name)| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let noise = (random >> 40) as f64;
                figure(
                    name,
                    match n % 3 {
                        0 => (noise / 1e6).floor(),
                        1 => noise / 1e5,
                        _ => 5.0,
                    },
                )
            })
            .collect();
        let began = std::time::Instant::now();
        store.append(at(round * 10), &figures).unwrap();
        total += began.elapsed();
        worst = worst.max(began.elapsed());
    }
    println!("append mean {:?} worst {worst:?}, bytes {}", total / 17_280, store.bytes().unwrap());
    for (hours, points) in [(1, 300), (6, 300), (24, 300), (47, 300), (47, 10_000)] {
        let began = std::time::Instant::now();
        let names: Vec<SeriesName> = names[..5].iter().map(|name| SeriesName::new(name)).collect();
        let found = store.range(&names, at(172_800 - hours * 3_600), at(172_800), points).unwrap();
        println!(
            "{hours} h, {points} points, 5 series: {:?}, {} buckets",
            began.elapsed(),
            found[0].buckets.len()
        );
    }
    let began = std::time::Instant::now();
    store.before(&SeriesName::new("s1"), Duration::from_secs(3_600)).unwrap();
    println!("before {:?}", began.elapsed());
}
