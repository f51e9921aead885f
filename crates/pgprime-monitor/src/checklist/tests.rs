//! Each item, at its borders: the evidence is that of a server in good order, with one thing changed.

mod application;
mod database;
mod query;
mod texts;
mod watching;

use jiff::Timestamp;
use pgprime_capacity::postgres::{LiveSetting, Storage};
use pgprime_planner::hardware::Hardware;
use pgprime_planner::observe::{Connections, RoleSetting};

use super::evidence::{
    Alerting, Caching, Counters, Evidence, IndexAdvice, IndexReview, Pooling, Recorded, Running, ServerSeen,
    Statement, StatementKind, Table, Views, Workload,
};
use super::list::check;
use super::report::{FixKind, Item, Verdict};
use crate::health::Missing;
use crate::pooler::{PoolerDatabase, PoolerKind, PoolerPool, PoolerReport, PoolerTotals};

fn setting(name: &str, value: &str, unit: Option<&str>) -> LiveSetting {
    let restart = ["shared_buffers", "shared_preload_libraries", "max_connections", "max_worker_processes"];
    let is_fixed =
        restart.contains(&name) || name == "pg_stat_statements.max" || name == "autovacuum_max_workers";
    LiveSetting {
        name: name.to_owned(),
        setting: value.to_owned(),
        unit: unit.map(str::to_owned),
        source: "configuration file".to_owned(),
        context: if is_fixed { "postmaster" } else { "sighup" }.to_owned(),
        pending_restart: false,
    }
}

/// 8 cores, 16 GB and an SSD, all as it is to be.
fn well() -> Evidence {
    let settings = [
        ("shared_preload_libraries", "pg_stat_statements", None),
        ("pg_stat_statements.max", "5000", None),
        ("pg_stat_statements.track", "top", None),
        ("compute_query_id", "auto", None),
        ("shared_buffers", "524288", Some("8kB")),
        ("effective_cache_size", "1572864", Some("8kB")),
        ("work_mem", "8192", Some("kB")),
        ("max_connections", "100", None),
        ("superuser_reserved_connections", "3", None),
        ("max_worker_processes", "8", None),
        ("max_parallel_workers", "8", None),
        ("max_parallel_workers_per_gather", "2", None),
        ("max_parallel_maintenance_workers", "2", None),
        ("autovacuum", "on", None),
        ("track_counts", "on", None),
        ("autovacuum_max_workers", "3", None),
        ("autovacuum_naptime", "30", Some("s")),
        ("autovacuum_vacuum_scale_factor", "0.05", None),
        ("autovacuum_vacuum_insert_scale_factor", "0.05", None),
        ("autovacuum_analyze_scale_factor", "0.02", None),
        ("autovacuum_vacuum_cost_delay", "2", Some("ms")),
        ("autovacuum_vacuum_cost_limit", "1000", None),
        ("random_page_cost", "1.1", None),
        ("max_wal_size", "4096", Some("MB")),
        ("checkpoint_timeout", "900", Some("s")),
        ("checkpoint_completion_target", "0.9", None),
    ];
    Evidence {
        taken_at: now(),
        server: ServerSeen {
            version: "15.18".to_owned(),
            version_major: 15,
            database: "app".to_owned(),
            role: "monitor".to_owned(),
            in_recovery: false,
        },
        machine: Hardware { cores: Some(8), memory_bytes: Some(16 << 30), storage: Some(Storage::Ssd) },
        settings: settings.into_iter().map(|(name, value, unit)| setting(name, value, unit)).collect(),
        beneath: Vec::new(),
        role_settings: Vec::new(),
        has_statements_extension: Ok(true),
        workload: Ok(workload()),
        sessions: Connections { total: 20, active: 4, idle: 16, ..Connections::default() },
        replicas: 0,
        counters: Ok(Counters { checkpoints_timed: 100, checkpoints_requested: 5, ..Counters::default() }),
        tables: Ok(vec![Table {
            qualified: "public.orders".to_owned(),
            live_rows: 1_000_000,
            dead_rows: 50_100,
            vacuum_dead_rows: 50_050,
            is_vacuum_due: true,
            is_off: false,
        }]),
        advice: Ok(IndexAdvice { suggestions: Vec::new(), statements: 1 }),
        review: Ok(IndexReview::default()),
        views: Ok(Views::default()),
        pooling: Some(Ok(pooling())),
        running: Some(running()),
        missing: Vec::new(),
    }
}

fn now() -> Timestamp {
    "2026-01-31T12:00:00Z".parse().expect("a moment")
}

fn before(seconds: i64) -> Timestamp {
    now() - jiff::SignedDuration::from_secs(seconds)
}

fn workload() -> Workload {
    Workload {
        seconds: 3_600.0,
        statements: vec![Statement {
            query_id: "42".to_owned(),
            text: "SELECT * FROM orders WHERE id = $1".to_owned(),
            kind: StatementKind::Read,
            calls: 10_000.0,
            plans: 10.0,
            exec_ms: 1_000.0,
            rows: 10_000.0,
            blocks: 40_000.0,
            temp_bytes: 0.0,
        }],
        hidden: 0,
        counts_planning: true,
        read_time_share: Some(0.5),
        busy_connections_mean: 0.5,
        repeated: None,
    }
}

fn pooling() -> Pooling {
    let pool = PoolerPool {
        database: "app".to_owned(),
        user: "app".to_owned(),
        mode: "transaction".to_owned(),
        clients_active: 500,
        clients_waiting: 0,
        servers_active: 5,
        servers_idle: 15,
        servers_other: 0,
        wait_s_max: 0.0,
        size_max: Some(20),
        paused: false,
    };
    let database = PoolerDatabase {
        name: "app".to_owned(),
        pool_size: Some(20),
        reserve_pool: None,
        connections_max: None,
        connections: 20,
        paused: false,
        disabled: false,
    };
    let report = PoolerReport {
        latency: None,
        taken_at: now(),
        kind: PoolerKind::Pgprime,
        version: "pgprime".to_owned(),
        pools: vec![pool],
        databases: vec![database],
        totals: PoolerTotals::default(),
        clients: 500,
        clients_max: Some(10_000),
        servers: 20,
    };
    Pooling { report, parses: Some(500), binds: Some(100_000), repeats: Some(Vec::new()) }
}

fn running() -> Running {
    let checks = || vec!["connections.used".to_owned(), "replication.lag_s".to_owned()];
    Running {
        server: "db:5432".to_owned(),
        health_at: Some(before(10)),
        checks: checks(),
        alerting: Some(Alerting { checks: checks(), channels: vec!["team".to_owned()] }),
        statements: Some(Recorded { first_at: before(7 * 86_400), last_at: before(60) }),
        indexes_reviewed_at: Some(before(86_400)),
        caching: Some(Caching { requests: 1_000, hits: 800 }),
    }
}

fn missing() -> Missing {
    Missing { what: "this".to_owned(), why: "it is hidden".to_owned(), statement: None }
}

/// What is found of an item when one thing is not as it is to be.
fn found(id: &str, change: impl FnOnce(&mut Evidence)) -> Item {
    let mut evidence = well();
    change(&mut evidence);
    let report = check(&evidence);
    report.items.into_iter().find(|item| item.id == id).expect("the list has it")
}

/// The verdict and a part of the evidence.
#[track_caller]
fn expect(item: &Item, verdict: Verdict, said: &str) {
    assert!(item.verdict == verdict && item.evidence.contains(said), "{item:?}");
}

/// The fix, of this kind and with this in it.
#[track_caller]
fn expect_fix(item: &Item, kind: FixKind, said: &str) {
    assert!(item.fix.as_ref().is_some_and(|fix| fix.kind == kind && fix.text.contains(said)), "{item:?}");
}

fn set(evidence: &mut Evidence, name: &str, value: &str) {
    let setting = evidence.settings.iter_mut().find(|setting| setting.name == name);
    setting.expect("it is there").setting = value.to_owned();
}

fn unset(evidence: &mut Evidence, name: &str) {
    evidence.settings.retain(|setting| setting.name != name);
}

fn change_workload(evidence: &mut Evidence, change: impl FnOnce(&mut Workload)) {
    change(evidence.workload.as_mut().expect("it is there"));
}

fn add(evidence: &mut Evidence, statement: Statement) {
    change_workload(evidence, |workload| workload.statements.insert(0, statement));
}

#[test]
fn a_server_in_good_order_meets_all() {
    let report = check(&well());
    let others: Vec<_> = report.items.iter().filter(|item| item.verdict != Verdict::Met).collect();
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(
        (report.counts.met, report.counts.not_met, report.counts.cannot_tell),
        (report.items.len(), 0, 0)
    );
}

#[test]
fn nothing_seen_is_nothing_told() {
    let report = check(&Evidence {
        settings: Vec::new(),
        machine: Hardware::default(),
        has_statements_extension: Err(missing()),
        workload: Err(missing()),
        counters: Err(missing()),
        tables: Err(missing()),
        advice: Err(missing()),
        review: Err(missing()),
        views: Err(missing()),
        pooling: Some(Err(missing())),
        running: None,
        ..well()
    });
    let others: Vec<_> = report.items.iter().filter(|item| item.verdict != Verdict::CannotTell).collect();
    let ids: Vec<_> = others.iter().map(|item| item.id).collect();
    // That no server follows this one is known.
    assert_eq!(ids, ["monitoring.replication"], "{others:?}");
}
