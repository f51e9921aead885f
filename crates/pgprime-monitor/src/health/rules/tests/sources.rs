//! What comes from elsewhere than the database's own tables: poolers, space, the result cache, an outage.

use jiff::Timestamp;

use super::fixture::{GB, observation};
use super::*;
use crate::health::down::DownKind;
use crate::health::space::{FullSequence, SequenceSummary, WasteSummary, Wasteful};
use crate::pooler::{PoolerKind, PoolerPool, PoolerReport, PoolerTotals};
use pgprime_readonly::Missing;

fn pooler(change: impl Fn(&mut PoolerPool)) -> PoolerReport {
    let mut pool = PoolerPool {
        database: "app".to_owned(),
        user: "app".to_owned(),
        mode: "transaction".to_owned(),
        clients_active: 10,
        clients_waiting: 0,
        servers_active: 5,
        servers_idle: 5,
        servers_other: 0,
        wait_s_max: 0.0,
        size_max: Some(20),
        paused: false,
    };
    change(&mut pool);
    PoolerReport {
        latency: None,
        taken_at: Timestamp::UNIX_EPOCH,
        kind: PoolerKind::Pgbouncer,
        version: "PgBouncer 1.18.0".to_owned(),
        pools: vec![pool],
        databases: Vec::new(),
        totals: PoolerTotals::default(),
        clients: 10,
        clients_max: Some(100),
        servers: 10,
    }
}

fn judged(poolers: &[PoolerSeen]) -> Vec<Check> {
    let now = observation(100.0);
    judge(&Evidence { poolers, ..Evidence::of(Ok(&now), None) }, &Settings::default())
}

fn seen(report: PoolerReport) -> PoolerSeen {
    PoolerSeen { name: "pooler".to_owned(), seen: Ok(report) }
}

#[test]
fn pools_at_their_limits() {
    type Pool = fn(&mut PoolerPool);
    let cases: &[(&str, Pool, Status)] = &[
        ("pooler.clients_waiting", |pool| pool.clients_waiting = 4, Well),
        ("pooler.clients_waiting", |pool| pool.clients_waiting = 5, Warning),
        ("pooler.clients_waiting", |pool| pool.clients_waiting = 50, Critical),
        ("pooler.longest_wait", |pool| pool.wait_s_max = 0.9, Well),
        ("pooler.longest_wait", |pool| pool.wait_s_max = 1.0, Warning),
        ("pooler.longest_wait", |pool| pool.wait_s_max = 10.0, Critical),
        ("pooler.servers_busy", |pool| pool.servers_active = 15, Well),
        ("pooler.servers_busy", |pool| pool.servers_active = 16, Warning),
        ("pooler.servers_busy", |pool| pool.servers_active = 19, Critical),
        ("pooler.servers_busy", |pool| (pool.servers_active, pool.size_max) = (19, None), Well),
    ];
    for (id, change, expected) in cases {
        let checks = judged(&[seen(pooler(change))]);
        assert_eq!(status(&checks, id), *expected, "{id}");
    }
    for (clients, expected) in [(79, Well), (80, Warning), (90, Critical)] {
        let report = PoolerReport { clients, ..pooler(|_| {}) };
        assert_eq!(status(&judged(&[seen(report)]), "pooler.clients_used"), expected);
    }
    let checks = judged(&[seen(pooler(|pool| {
        (pool.clients_waiting, pool.paused, pool.database) = (9, true, "my \"app\"".to_owned());
    }))]);
    let waiting = checks.iter().find(|check| check.id == "pooler.clients_waiting").unwrap();
    assert_eq!(waiting.statement.as_deref(), Some("RESUME \"my \"\"app\"\"\";"));
}

#[test]
fn a_pooler_that_gives_no_answer() {
    let trouble = |is_down| PoolerSeen {
        name: "pgbouncer".to_owned(),
        seen: Err(PoolerTrouble { is_down, text: "refused".to_owned() }),
    };
    assert_eq!(status(&judged(&[trouble(true)]), "pooler.up"), Critical);
    assert_eq!(status(&judged(&[trouble(false)]), "pooler.up"), Unknown);
    assert_eq!(status(&judged(&[seen(pooler(|_| {})), trouble(true)]), "pooler.up"), Critical);
    assert_eq!(status(&judged(&[seen(pooler(|_| {}))]), "pooler.up"), Well);
    let ours = PoolerReport { kind: PoolerKind::Pgprime, version: "0.1.0".to_owned(), ..pooler(|_| {}) };
    let up = judged(&[seen(ours), seen(pooler(|_| {}))]).into_iter().find(|check| check.id == "pooler.up");
    assert_eq!(up.unwrap().text, "pgprime 0.1.0, PgBouncer 1.18.0 answer.");
    assert!(!judged(&[]).iter().any(|check| check.id.starts_with("pooler.")));
}

#[test]
fn waste() {
    let summary = |wasted_bytes| WasteSummary {
        total_bytes: 10 * GB,
        wasted_bytes,
        worst: vec![Wasteful {
            name: "public.t".to_owned(),
            wasted_bytes,
            summary: String::new(),
            statement: None,
        }],
        ..WasteSummary::default()
    };
    let judged = |wasted, total| {
        let tables = WasteSummary { total_bytes: total, ..summary(wasted) };
        let checks = judged_space(&space(tables, summary(wasted)));
        (status(&checks, "bloat.tables"), status(&checks, "bloat.indexes"))
    };
    assert_eq!(judged(2 * GB - 1, 10 * GB), (Well, Well));
    assert_eq!(judged(2 * GB, 10 * GB), (Warning, Well));
    assert_eq!(judged(5 * GB, 10 * GB), (Critical, Warning));
    assert_eq!(judged(6 * GB, 10 * GB), (Critical, Critical));
    // All of a small database is waste, and not worth a word.
    assert_eq!(judged(99 << 20, 100 << 20).0, Well);
}

fn space(tables: WasteSummary, indexes: WasteSummary) -> SpaceSummary {
    SpaceSummary { taken_at: Timestamp::UNIX_EPOCH, tables, indexes, sequences: SequenceSummary::default() }
}

fn judged_space(space: &SpaceSummary) -> Vec<Check> {
    let now = observation(100.0);
    judge(&Evidence { space: Some(space), ..Evidence::of(Ok(&now), None) }, &Settings::default())
}

fn grant() -> Missing {
    let statement = Some("GRANT pg_read_all_data TO watcher;".to_owned());
    Missing { what: "the waste of 3 tables".to_owned(), why: "it is hidden".to_owned(), statement }
}

/// What is not seen is not well, unless it is too little to matter.
#[test]
fn waste_that_cannot_be_seen() {
    let tables = |wasted_bytes, unseen_bytes| WasteSummary {
        total_bytes: 10 * GB,
        wasted_bytes,
        unseen_bytes,
        unseen: Some(grant()),
        ..WasteSummary::default()
    };
    for (wasted, unseen, expected) in [
        (0, 10 * GB, Unknown),
        (GB, GB - 1, Well),
        (GB, GB, Unknown),
        (2 * GB, 8 * GB, Warning),
        (5 * GB, 5 * GB, Critical),
    ] {
        let checks = judged_space(&space(tables(wasted, unseen), WasteSummary::default()));
        let check = checks.iter().find(|check| check.id == "bloat.tables").unwrap();
        assert_eq!(check.status, expected, "{wasted} {unseen}");
        if expected == Unknown {
            assert_eq!((check.value, check.statement.clone()), (None, grant().statement), "{check:?}");
        }
    }
    let small = WasteSummary { total_bytes: 99 << 20, ..tables(0, 99 << 20) };
    assert_eq!(status(&judged_space(&space(small, WasteSummary::default())), "bloat.tables"), Well);
}

#[test]
fn sequences_that_end() {
    let full = |used_percent| FullSequence {
        name: "public.s".to_owned(),
        used_percent,
        end_value: 2_147_483_647,
        summary: None,
        statement: None,
    };
    let judged = |fullest: Vec<FullSequence>, unseen| {
        let sequences = SequenceSummary { fullest, unseen };
        let space = SpaceSummary { sequences, ..space(WasteSummary::default(), WasteSummary::default()) };
        let check =
            judged_space(&space).into_iter().find(|check| check.id == "database.sequences_used").unwrap();
        (check.status, check.statement)
    };
    let bloat = || Some("pgprime bloat".to_owned());
    assert_eq!(judged(vec![], None), (Well, None));
    assert_eq!(judged(vec![full(74.9)], None), (Well, None));
    assert_eq!(judged(vec![full(75.0)], None), (Warning, bloat()));
    assert_eq!(judged(vec![full(90.0), full(80.0)], Some(grant())), (Critical, bloat()));
    assert_eq!(judged(vec![full(10.0)], Some(grant())), (Unknown, grant().statement));
}

#[test]
fn the_result_cache() {
    use pgprime_cache::{LabelReport, Report};
    for (hits, misses, expected) in
        [(999, 0, Well), (700, 300, Well), (699, 301, Warning), (400, 600, Warning), (399, 601, Critical)]
    {
        let total = LabelReport { hits_memory: hits, misses, ..LabelReport::default() };
        let report = Report {
            total,
            labels: Vec::new(),
            memory_bytes: 0,
            memory_bytes_max: 0,
            memory_entries: 0,
            flights: 0,
            invalidations: 0,
            redis: None,
        };
        let now = observation(100.0);
        let checks =
            judge(&Evidence { cache: Some(&report), ..Evidence::of(Ok(&now), None) }, &Settings::default());
        assert_eq!(status(&checks, "result_cache.worth"), expected, "{hits} {misses}");
    }
}

#[test]
fn a_database_that_is_down_says_so_and_poolers_are_still_seen() {
    for (kind, expected) in [
        (DownKind::Unreachable, Critical),
        (DownKind::Silent, Critical),
        (DownKind::Full, Critical),
        (DownKind::Starting, Critical),
        (DownKind::Rejected, Critical),
        (DownKind::Lost, Critical),
        (DownKind::Foreign, Critical),
        (DownKind::Busy, Unknown),
    ] {
        let down = Down { kind, sqlstate: None, text: "what happened".to_owned() };
        let poolers = [seen(pooler(|_| {}))];
        let checks =
            judge(&Evidence { poolers: &poolers, ..Evidence::of(Err(&down), None) }, &Settings::default());
        assert_eq!(status(&checks, "database.up"), expected, "{kind:?}");
        assert!(checks[0].text.contains("what happened") && checks[0].action.is_some(), "{:?}", checks[0]);
        assert_eq!(checks.len(), 6);
    }
}
