//! Each check below, at and above its thresholds, and where it cannot tell.

mod fixture;
mod replicas;
mod sources;
mod statements;

use super::*;
use crate::health::observe::{
    Counters, DatabaseIds, DiskPlace, IndexSeen, Indexes, LockWait, PreparedTransaction, SessionSeen,
    SlowStatement, Statements, States, TableSeen,
};
use crate::health::past::Remembered;
use crate::health::report::{HealthReport, Thresholds};
use fixture::{GB, check, checked, failed, observation, status, with};

use Status::{Critical, Ok as Well, Unknown, Warning};

/// A change to what was seen.
type Change = Box<dyn Fn(&mut Observation)>;

/// What changing the look, or the earlier one, does to a check.
fn table(id: &str, cases: &[(Change, Status)]) {
    for (index, (change, expected)) in cases.iter().enumerate() {
        let mut now = observation(100.0);
        change(&mut now);
        let check = check(id, &now, None);
        assert_eq!(check.status, *expected, "{id}, case {index}: {check:?}");
    }
}

fn boxed(change: impl Fn(&mut Observation) + 'static) -> Change {
    Box::new(change)
}

#[test]
fn a_healthy_database_is_well_in_every_check() {
    let (before, now) = (observation(100.0), observation(110.0));
    let checks = checks(&now, Some(&before), &Settings::default());
    assert!(checks.len() > 30, "{}", checks.len());
    for check in &checks {
        assert_eq!(check.status, Well, "{check:?}");
        assert!(check.action.is_none() && check.text.ends_with('.'), "{check:?}");
    }
}

#[test]
fn connections_in_use() {
    // 100 connections, 3 of them reserved: 97 are for services.
    let used = |used| boxed(move |now| with(&mut now.states, |states: &mut States| states.used = used));
    let hidden = boxed(|now| now.states = failed());
    table(
        "connections.used",
        &[
            (used(77), Well),
            (used(78), Warning),
            (used(87), Warning),
            (used(88), Critical),
            (hidden, Unknown),
        ],
    );
    let mut now = observation(100.0);
    with(&mut now.states, |states| (states.used, states.idle, states.active) = (90, 80, 10));
    let check = check("connections.used", &now, None);
    assert!(check.text.starts_with("90 of 97 (3 more are reserved): 10 active, 80 idle"), "{}", check.text);
    assert!(check.action.unwrap().starts_with("Most are idle"));
}

#[test]
fn idle_in_transactions() {
    let idle = |count| {
        boxed(move |now| with(&mut now.states, |states: &mut States| states.idle_in_transaction_long = count))
    };
    let blind = boxed(|now| {
        now.server.sees_all = false;
        with(&mut now.states, |states| states.hidden = 5);
    });
    table(
        "connections.idle_in_transaction",
        &[(idle(9), Well), (idle(10), Warning), (idle(25), Critical), (blind, Unknown)],
    );
}

#[test]
fn what_takes_long() {
    let session = |state: &'static str, seconds: f64| {
        boxed(move |now| {
            let age = Some(seconds);
            let session = SessionSeen {
                pid: 7,
                user: Some("app".to_owned()),
                state: Some(state.to_owned()),
                query_s: age,
                transaction_s: age,
                state_s: age,
                ..SessionSeen::default()
            };
            now.sessions = Ok(vec![session]);
        })
    };
    let idle = "idle in transaction";
    let failing = || boxed(|now| now.sessions = failed());
    table(
        "queries.longest_running",
        &[
            (session("active", 299.0), Well),
            (session("active", 300.0), Warning),
            (session("active", 3_600.0), Critical),
            (session(idle, 9_000.0), Well),
            (failing(), Unknown),
        ],
    );
    table(
        "transactions.longest",
        &[
            (session(idle, 599.0), Well),
            (session("active", 600.0), Warning),
            (session(idle, 3_600.0), Critical),
            (failing(), Unknown),
        ],
    );
    table(
        "transactions.idle_longest",
        &[
            (session("active", 9_000.0), Well),
            (session(idle, 60.0), Warning),
            (session(idle, 600.0), Critical),
            (failing(), Unknown),
        ],
    );
    let prepared = |age_s| {
        boxed(move |now| {
            let (id, database, owner) = ("'a'".to_owned(), "app".to_owned(), "app".to_owned());
            now.prepared = Ok(vec![PreparedTransaction { id, database, owner, age_s }]);
        })
    };
    table(
        "transactions.prepared_oldest",
        &[(prepared(299.0), Well), (prepared(300.0), Warning), (prepared(3_600.0), Critical)],
    );
}

#[test]
fn statements_since_the_last_look() {
    let statements = |calls, exec_ms, slow: &[(f64, f64)]| Statements {
        calls,
        exec_ms,
        slow: slow
            .iter()
            .enumerate()
            .map(|(id, (calls, exec_ms))| SlowStatement {
                user_oid: 10,
                query_id: id as i64,
                calls: *calls,
                exec_ms: *exec_ms,
                exec_ms_max: 2_000.0,
            })
            .collect(),
        ..Statements::default()
    };
    let before = statements(1_000.0, 10_000.0, &[(10.0, 5_000.0)]);
    for (now, slow, mean) in [
        // Too few to tell.
        (statements(1_199.0, 90_000.0, &[(50.0, 85_000.0)]), Well, Well),
        // 200 calls of 5 ms, nothing slow.
        (statements(1_200.0, 11_000.0, &[(10.0, 5_000.0)]), Well, Well),
        // 1,000 of 10,000 ms of new time in one slow statement; the mean is 50 ms.
        (statements(1_200.0, 20_000.0, &[(11.0, 6_000.0)]), Well, Well),
        // 3,000 of 20,000 ms would be 15 %; 6,000 are 30 %, and 100 ms in the mean.
        (statements(1_200.0, 30_000.0, &[(12.0, 8_000.0)]), Well, Warning),
        (statements(1_200.0, 30_000.0, &[(14.0, 11_000.0)]), Warning, Warning),
        (statements(1_200.0, 110_000.0, &[(50.0, 65_000.0)]), Critical, Critical),
        // One that was never slow before: its longest execution is what is sure, 2,000 of 10,000 ms.
        (statements(1_200.0, 20_000.0, &[(10.0, 5_000.0), (9_999.0, 99_999.0)]), Well, Well),
        // Counters began anew.
        (statements(10.0, 100.0, &[]), Well, Well),
    ] {
        let (mut first, mut second) = (observation(100.0), observation(110.0));
        (first.statements, second.statements) = (Ok(before.clone()), Ok(now.clone()));
        let checks = checks(&second, Some(&first), &Settings::default());
        assert_eq!(
            (status(&checks, "queries.slow_share"), status(&checks, "queries.mean_ms")),
            (slow, mean),
            "{now:?}"
        );
    }
    table("queries.mean_ms", &[(boxed(|now| now.statements = failed()), Unknown)]);
}

#[test]
fn blocks_in_memory_since_the_last_look() {
    for (hit, read, expected, has_value) in [
        (9_999, 0, Well, false),
        (9_500, 500, Well, true),
        (9_499, 501, Warning, true),
        (8_000, 2_000, Warning, true),
        (7_999, 2_001, Critical, true),
    ] {
        let (before, mut now) = (observation(100.0), observation(110.0));
        with(&mut now.counters, |counters: &mut Counters| {
            (counters.blocks_hit, counters.blocks_read) =
                (counters.blocks_hit + hit, counters.blocks_read + read);
        });
        let check = checked("cache.buffers_hit", &now, Some(&before));
        assert_eq!((check.status, check.value.is_some()), (expected, has_value), "{hit} {read}");
    }
    table("cache.buffers_hit", &[(boxed(|now| now.counters = failed()), Unknown)]);
}

#[test]
fn counters_of_another_run_are_not_compared() {
    let mut before = observation(100.0);
    with(&mut before.counters, |counters| counters.blocks_hit = 0);
    let mut now = observation(110.0);
    with(&mut now.counters, |counters| counters.blocks_hit = 1_000_000);
    assert!(checked("cache.buffers_hit", &now, Some(&before)).value.is_some());
    let restarted = Observation {
        server: crate::health::observe::Server { started_s: 105.0, ..now.server.clone() },
        ..now.clone()
    };
    assert_eq!(checked("cache.buffers_hit", &restarted, Some(&before)).value, None);
    with(&mut now.counters, |counters| counters.reset_s = Some(105.0));
    assert_eq!(checked("cache.buffers_hit", &now, Some(&before)).value, None);
}

#[test]
fn indexes_and_scans() {
    let unused = |bytes: u64, days: f64| {
        boxed(move |now| {
            let index =
                IndexSeen { name: "public.i".to_owned(), is_valid: true, bytes, ..IndexSeen::default() };
            let indexes = Indexes { list: vec![index], unused: 1, unused_bytes: bytes };
            fixture::catalog(now).indexes = Ok(indexes);
            now.server.started_s = now.server.at_s - days * 86_400.0;
        })
    };
    table(
        "indexes.unused_bytes",
        &[
            (unused(GB - 1, 8.0), Well),
            (unused(GB, 8.0), Warning),
            (unused(GB, 6.0), Well),
            (unused(1_000 * GB, 8.0), Warning),
        ],
    );
    let invalid = |is_built: bool| {
        boxed(move |now| {
            let index = IndexSeen { name: "public.i".to_owned(), is_built, ..IndexSeen::default() };
            fixture::catalog(now).indexes = Ok(Indexes { list: vec![index], ..Indexes::default() });
        })
    };
    let unseen = || boxed(|now| fixture::catalog(now).indexes = failed());
    table("indexes.invalid", &[(invalid(true), Well), (invalid(false), Warning), (unseen(), Unknown)]);
    for (rows, live, expected) in [
        (9_999_999, 100_000, Well),
        (10_000_000, 100_000, Warning),
        (100_000_000, 100_000, Critical),
        (100_000_000, 99_999, Well),
    ] {
        let table = |scanned| TableSeen {
            name: "public.t".to_owned(),
            oid: 1,
            live,
            rows_scanned: scanned,
            ..TableSeen::default()
        };
        let (mut before, mut now) = (observation(100.0), observation(110.0));
        fixture::catalog(&mut before).tables = Ok(vec![table(0)]);
        fixture::catalog(&mut now).tables = Ok(vec![table(rows)]);
        now.catalog_before = Some(before.catalog.clone());
        assert_eq!(checked("indexes.seq_scans", &now, Some(&before)).status, expected, "{rows} {live}");
    }
}

/// A waits for B, who waits for C, who is idle in a transaction; D waits for a prepared transaction.
fn chain(waited_s: f64) -> Vec<LockWait> {
    let wait = |pid, blocked_by: &[i32], wait_s| LockWait {
        session: SessionSeen {
            pid,
            user: Some("app".to_owned()),
            state: Some("active".to_owned()),
            ..SessionSeen::default()
        },
        blocked_by: blocked_by.to_vec(),
        lock_on: Some("public.t".to_owned()),
        wait_s,
        ..LockWait::default()
    };
    vec![wait(1, &[2], Some(waited_s)), wait(2, &[3], Some(waited_s + 1.0)), wait(3, &[], None)]
}

#[test]
fn locks_and_their_tree() {
    let waits = |waited_s: f64| boxed(move |now| now.waits = Ok(chain(waited_s)));
    let unseen = || boxed(|now| now.waits = failed());
    table(
        "locks.blocked_longest",
        &[(waits(8.9), Well), (waits(9.0), Warning), (waits(59.0), Critical), (unseen(), Unknown)],
    );
    let many = |count: i32| {
        boxed(move |now| {
            let one = |pid| LockWait {
                session: SessionSeen { pid, ..SessionSeen::default() },
                blocked_by: vec![1],
                wait_s: Some(1.0),
                ..LockWait::default()
            };
            now.waits = Ok((2..2 + count).map(one).collect());
        })
    };
    table("locks.waiting", &[(many(4), Well), (many(5), Warning), (many(20), Critical), (unseen(), Unknown)]);

    let mut now = observation(100.0);
    now.waits = Ok(chain(70.0));
    let check = check("locks.blocked_longest", &now, None);
    assert_eq!(check.statement.as_deref(), Some("SELECT pg_terminate_backend(3);"));
    assert_eq!(check.text, "Process 2 has waited for public.t for 71 s, behind process 3 of app (active).");
    let tree = &check.details[0];
    assert_eq!((tree["pid"].as_i64(), tree["waits_s"].as_f64()), (Some(3), None));
    let path = ["/blocks/0/pid", "/blocks/0/blocks/0/pid", "/blocks/0/blocks/0/blocks/0"];
    let found = path.map(|path| tree.pointer(path).and_then(serde_json::Value::as_i64));
    assert_eq!(found, [Some(2), Some(1), None]);
}

#[test]
fn a_circle_of_locks_ends() {
    let mut waits = chain(5.0);
    waits[2].blocked_by = vec![1];
    assert!(blocking(&waits).is_empty());
    waits.push(LockWait { blocked_by: vec![3, 9], ..chain(1.0).remove(0) });
    waits[3].session.pid = 4;
    assert_eq!(blocking(&waits).len(), 1);
}

#[test]
fn ids_dead_rows_and_workers() {
    let age = |transaction_age| {
        boxed(move |now| now.ids = Ok(vec![DatabaseIds { transaction_age, ..fixture::ids() }]))
    };
    let late = |transaction_age| {
        boxed(move |now| {
            now.server.freeze_age_max = 1_000_000_000;
            now.ids = Ok(vec![DatabaseIds { transaction_age, ..fixture::ids() }]);
        })
    };
    table(
        "vacuum.wraparound",
        &[
            (age(536_000_000), Well),
            (age(537_000_000), Warning),
            (age(1_074_000_000), Critical),
            // Told to begin at a billion, it is late at 1.2.
            (late(1_190_000_000), Well),
            (late(1_201_000_000), Critical),
            (boxed(|now| now.ids = failed()), Unknown),
        ],
    );
    let multixacts =
        |age| boxed(move |now| now.ids = Ok(vec![DatabaseIds { multixact_age: age, ..fixture::ids() }]));
    table(
        "vacuum.multixact",
        &[
            (multixacts(800_000_000), Well),
            (multixacts(806_000_000), Warning),
            (multixacts(1_300_000_000), Critical),
        ],
    );
    let dead = |live, dead| {
        boxed(move |now| {
            fixture::catalog(now).tables =
                Ok(vec![TableSeen { name: "public.t".to_owned(), live, dead, ..TableSeen::default() }]);
        })
    };
    let off = boxed(|now| now.server.has_autovacuum = false);
    table(
        "vacuum.dead_rows",
        &[
            (dead(61_000, 39_000), Well),
            (dead(60_000, 40_000), Warning),
            (dead(40_000, 60_000), Critical),
            (dead(0, 9_999), Well),
            (off, Warning),
        ],
    );
    let busy = |now: &mut Observation, workers| {
        with(&mut now.states, |states: &mut States| states.autovacuum_workers = workers)
    };
    for (before_workers, now_workers, expected) in [(3, 3, Warning), (2, 3, Well), (3, 2, Well)] {
        let (mut before, mut now) = (observation(100.0), observation(110.0));
        busy(&mut before, before_workers);
        busy(&mut now, now_workers);
        assert_eq!(checked("vacuum.workers_busy", &now, Some(&before)).status, expected);
    }
}

#[test]
fn checkpoints_disk_and_errors() {
    // What was counted before the first look tells of other settings, maybe.
    table("checkpoints.requested_share", &[(boxed(|now| now.checkpoints = failed()), Unknown)]);
    for (timed, requested, expected, has_value) in
        [(0, 4, Well, false), (6, 5, Well, true), (5, 5, Warning, true), (0, 5, Warning, true)]
    {
        let mut before = observation(100.0);
        with(&mut before.checkpoints, |counts| counts.requested = 1_000);
        assert_eq!(check("checkpoints.requested_share", &before, None).status, Well);
        let mut now = fixture::following(&before, 110.0);
        with(&mut now.checkpoints, |counts| (counts.timed, counts.requested) = (timed, 1_000 + requested));
        let check = check("checkpoints.requested_share", &now, Some(&before));
        assert_eq!((check.status, check.value.is_some()), (expected, has_value), "{check:?}");
        assert_eq!(check.statement.as_deref(), (expected == Warning).then_some("pgprime checklist"));
    }
    let free = |free_bytes| {
        boxed(move |now| {
            now.disk = Ok(vec![DiskPlace { path: "/data".to_owned(), total_bytes: 1_000, free_bytes }])
        })
    };
    table(
        "disk.free",
        &[(free(200), Well), (free(199), Warning), (free(100), Warning), (free(99), Critical)],
    );
    let mut elsewhere = observation(100.0);
    elsewhere.disk = failed();
    assert!(!checks(&elsewhere, None, &Settings::default()).iter().any(|check| check.id == "disk.free"));

    let damaged = |failures| {
        boxed(move |now| with(&mut now.counters, |counters| counters.checksum_failures = failures))
    };
    table(
        "errors.checksum_failures",
        &[(damaged(None), Well), (damaged(Some(0)), Well), (damaged(Some(1)), Critical)],
    );
    // Without checksums nothing is checked, which is said.
    let mut blind = observation(100.0);
    blind.server.has_checksums = false;
    assert!(
        !checks(&blind, None, &Settings::default())
            .iter()
            .any(|check| check.id == "errors.checksum_failures")
    );
    assert!(blind.missing().iter().any(|missing| missing.why.contains("pg_checksums --enable")));

    for (deadlocks, temp_gb, rolled_back, expected) in [
        (0, 9, 9, [Well, Well, Well]),
        (1, 10, 10, [Warning, Warning, Warning]),
        (20, 100, 50, [Critical, Critical, Critical]),
    ] {
        let before = observation(100.0);
        let mut now = fixture::following(&before, 110.0);
        with(&mut now.counters, |counters: &mut Counters| {
            counters.deadlocks += deadlocks;
            counters.temp_bytes += temp_gb * GB;
            (counters.commits, counters.rollbacks) =
                (counters.commits + 100 - rolled_back, counters.rollbacks + rolled_back);
        });
        let checks = checks(&now, Some(&before), &Settings::default());
        let found =
            ["errors.deadlocks", "errors.temp_bytes", "errors.rollback_share"].map(|id| status(&checks, id));
        assert_eq!(found, expected);
    }
}

#[test]
fn what_cannot_be_seen_is_said_once_with_what_helps() {
    let mut now = observation(100.0);
    (now.counters, now.states, now.server.sees_all) = (failed(), failed(), false);
    let missing = now.missing();
    assert_eq!(missing.iter().filter(|missing| missing.what == "this").count(), 1);
    assert_eq!(missing.last().unwrap().statement.as_deref(), Some("GRANT pg_monitor TO app;"));
}

#[test]
fn settings_change_thresholds_and_leave_checks_out() {
    let mut now = observation(100.0);
    with(&mut now.states, |states| states.used = 50);
    let settings =
        Settings::default().with_thresholds("connections.used", Thresholds { warning: 40.0, critical: 60.0 });
    assert_eq!(status(&checks(&now, None, &settings), "connections.used"), Warning);
    let settings = Settings::from_toml("[health]\noff = [\"connections.used\"]").unwrap();
    assert!(!checks(&now, None, &settings).iter().any(|check| check.id == "connections.used"));
}

#[test]
fn the_past_gives_a_trend() {
    let mut past = Remembered::default();
    let report = |second: i64, used: u64| {
        let mut now = observation(second as f64);
        with(&mut now.states, |states| states.used = used);
        HealthReport {
            taken_at: jiff::Timestamp::from_second(second).unwrap(),
            status: Well,
            server_version: None,
            in_recovery: None,
            took_ms: 1.0,
            checks: checks(&now, None, &Settings::default()),
            missing: Vec::new(),
        }
    };
    (0..=10).for_each(|minute| past.remember(&report(1_000 + minute * 60, 10 + minute as u64)));
    let now = report(1_600, 20);
    let mut observed = observation(1_600.0);
    with(&mut observed.states, |states| states.used = 20);
    let evidence = Evidence { past: Some(&past), ..Evidence::of(Ok(&observed), None) };
    let checks = judge(&evidence, &Settings::default());
    let trend = checks.iter().find(|check| check.id == "connections.used").unwrap().trend.unwrap();
    assert_eq!(trend.seconds, 600.0);
    // One connection a minute; critical is at 90 % of 97.
    assert!((trend.seconds_until_critical.unwrap() - (87.3 - 20.0) * 60.0).abs() < 1.0, "{trend:?}");
    assert!(now.checks.iter().all(|check| check.trend.is_none()));
}
