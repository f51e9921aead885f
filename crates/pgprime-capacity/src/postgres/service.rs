//! Connections, parallel queries, the planner, autovacuum and statistics.

use std::time::Duration;

use super::recommendation::{Accepted, Recommendation, Section, holds};
use super::request::{SettingsRequest, Storage, Workload};
use super::value::Value;

const STATEMENTS: &str = "pg_stat_statements";
/// PostgreSQL's own defaults, below which there is no reason to go.
const WORKER_PROCESSES_MIN: u32 = 8;
/// PostgreSQL takes no more.
const PARALLEL_WORKERS_MAX: u32 = 1_024;
const AUTOVACUUM_WORKERS: std::ops::RangeInclusive<u32> = 3..=8;
/// `autovacuum_vacuum_cost_delay`, PostgreSQL's default.
const COST_DELAY_MS: u32 = 2;
/// `vacuum_cost_page_dirty`, PostgreSQL's default.
const COST_PAGE_DIRTY: u32 = 20;

impl SettingsRequest {
    /// Half of the cores: the other half is the service's.
    pub(super) fn parallel_workers(&self) -> u32 {
        (self.machine.cores / 2).clamp(1, PARALLEL_WORKERS_MAX)
    }

    pub(super) fn autovacuum_workers(&self) -> u32 {
        (self.machine.cores / 4).clamp(*AUTOVACUUM_WORKERS.start(), *AUTOVACUUM_WORKERS.end())
    }
}

fn integer(section: Section, name: &'static str, value: u32, reason: impl Into<String>) -> Recommendation {
    Recommendation::new(section, name, Value::Integer(value.into()), reason)
}

pub(super) fn connections(request: &SettingsRequest) -> Vec<Recommendation> {
    let max = request.max_connections;
    vec![
        integer(
            Section::Connections,
            "max_connections",
            max,
            format!(
                "the budget that the pools are calculated from; {max} is {:.1} for each core, and more would wait \
                 for cores rather than for a connection",
                f64::from(max) / f64::from(request.machine.cores)
            ),
        ),
        integer(
            Section::Connections,
            "superuser_reserved_connections",
            3,
            format!("kept free of {max} so that an administrator gets in when all others are taken"),
        )
        .accepting(Accepted::integers(3, 20)),
        Recommendation::new(
            Section::Connections,
            "idle_in_transaction_session_timeout",
            Value::seconds(60),
            format!(
                "a client that forgets an open transaction keeps one of {max} connections from all others and old \
                 row versions from vacuum; 60 s is far beyond any pause within a request"
            ),
        )
        .accepting(Accepted::seconds(1, 600)),
    ]
}

pub(super) fn parallel_query(request: &SettingsRequest) -> Vec<Recommendation> {
    let cores = request.machine.cores;
    let workers = request.parallel_workers();
    let processes = cores.max(WORKER_PROCESSES_MIN);
    let setting = |name, value, reason: String| integer(Section::ParallelQuery, name, value, reason);
    vec![
        setting(
            "max_worker_processes",
            processes,
            format!(
                "as many as the {cores} cores, {WORKER_PROCESSES_MIN} at least: parallel workers ({workers}) and \
                 those of extensions and replication come from it"
            ),
        )
        .accepting(Accepted::AtLeast(Value::Integer(processes.into()))),
        setting(
            "max_parallel_workers",
            workers,
            format!("half of {cores} cores for parallel queries; the other half stays with the service"),
        )
        .accepting(Accepted::integers(workers.div_ceil(2), workers.saturating_mul(2).max(8))),
        per_gather(request),
        setting(
            "max_parallel_maintenance_workers",
            (cores / 2).min(4),
            format!("half of {cores} cores, 4 at most, for index builds and VACUUM of several indexes"),
        )
        .accepting(Accepted::integers((cores / 4).min(2), (cores / 2).max(2))),
    ]
}

fn per_gather(request: &SettingsRequest) -> Recommendation {
    let cores = request.machine.cores;
    let (workers, accepted, reason) = match request.workload {
        _any if cores == 1 => {
            (0, (0, 0), "one core: a parallel worker would only take turns with its leader".to_owned())
        }
        Workload::Service => {
            let reason = format!(
                "a service's queries are short; at most one worker beside the leader, so that no query takes more \
                 than 2 of {cores} cores from the others"
            );
            (1, (1, 2), reason)
        }
        Workload::ServiceAndReports => {
            let workers = (cores / 2).min(4);
            let reason = format!(
                "a report may use {workers} workers beside its leader, {} of {cores} cores",
                workers + 1
            );
            (workers, (1, workers.max(2)), reason)
        }
    };
    integer(Section::ParallelQuery, "max_parallel_workers_per_gather", workers, reason)
        .accepting(Accepted::integers(accepted.0, accepted.1))
}

pub(super) fn planner(_request: &SettingsRequest) -> Vec<Recommendation> {
    vec![
        integer(
            Section::Planner,
            "default_statistics_target",
            100,
            "a sample of 300 × 100 = 30,000 rows for each table; raise it for single columns with uneven values \
             (ALTER TABLE … ALTER COLUMN … SET STATISTICS 500), since more makes each plan slower to find",
        )
        .accepting(Accepted::integers(100, 1_000)),
        Recommendation::new(
            Section::Planner,
            "jit",
            Value::Bool(false),
            "compiling takes tens to hundreds of milliseconds each time a plan's estimated cost passes 100,000, and \
             an estimate too high does that to a query of 10 ms; a role for reports can turn it on (ALTER ROLE … SET \
             jit = on)",
        ),
    ]
}

pub(super) fn autovacuum(request: &SettingsRequest) -> Vec<Recommendation> {
    let setting = |name, value, reason: String| Recommendation::new(Section::Autovacuum, name, value, reason);
    let factor = |name, factor: f64, reason: &str| {
        setting(name, Value::Float(factor), reason.to_owned()).accepting(Accepted::floats(0.0, factor * 2.0))
    };
    vec![
        setting(
            "autovacuum",
            Value::Bool(true),
            "without it tables grow without bound and statistics age".into(),
        ),
        autovacuum_max_workers(request),
        setting(
            "autovacuum_naptime",
            Value::seconds(30),
            "looks at each database twice a minute instead of once, so a busy small table is cleaned in time"
                .into(),
        )
        .accepting(Accepted::seconds(1, 45)),
        factor(
            "autovacuum_vacuum_scale_factor",
            0.05,
            "cleans a table of 10 million rows after 0.5 million dead ones instead of 2 million (default 0.2)",
        ),
        factor(
            "autovacuum_vacuum_insert_scale_factor",
            0.05,
            "marks pages of growing tables as all visible after 5 % new rows (default 20 %): index-only scans stay so",
        ),
        factor(
            "autovacuum_analyze_scale_factor",
            0.02,
            "renews the statistics of 10 million rows after 0.2 million changes instead of 1 million (default 0.1)",
        ),
        setting(
            "autovacuum_vacuum_cost_delay",
            Value::Duration(Duration::from_millis(COST_DELAY_MS.into())),
            "the pause that the cost limit below is counted by".into(),
        )
        .accepting(Accepted::Between(
            Value::Duration(Duration::ZERO),
            Value::Duration(Duration::from_millis(COST_DELAY_MS.into())),
        )),
        cost_limit(request.machine.storage),
    ]
}

fn autovacuum_max_workers(request: &SettingsRequest) -> Recommendation {
    let workers = request.autovacuum_workers();
    let reason = format!(
        "a quarter of {} cores, {} to {}: a large table must not keep all others waiting; the cost limit is shared \
         among them",
        request.machine.cores,
        AUTOVACUUM_WORKERS.start(),
        AUTOVACUUM_WORKERS.end()
    );
    integer(Section::Autovacuum, "autovacuum_max_workers", workers, reason)
        .accepting(Accepted::integers(workers, 2 * workers))
        // Since version 18 the slots are fixed at start instead, and 16 of them are the default.
        .with_restart(request.version_major < 18)
}

fn cost_limit(storage: Storage) -> Recommendation {
    let limit: u32 = match storage {
        Storage::Nvme => 2_000,
        Storage::Ssd => 1_000,
        Storage::Network => 600,
        Storage::Hdd => 200,
    };
    let pages_per_second = limit / COST_PAGE_DIRTY * 1_000 / COST_DELAY_MS;
    let reason = format!(
        "{limit} / {COST_PAGE_DIRTY} for a page written × 8 KiB each {COST_DELAY_MS} ms: all workers together write \
         up to {} MiB/s, which {storage} storage can spare (default 200: 39 MiB/s)",
        pages_per_second * 8 / 1_024
    );
    integer(Section::Autovacuum, "autovacuum_vacuum_cost_limit", limit, reason)
        .accepting(Accepted::integers(limit / 2, limit * 5))
}

pub(super) fn statistics(request: &SettingsRequest) -> Vec<Recommendation> {
    let setting = |name, value, reason: &str| Recommendation::new(Section::Statistics, name, value, reason);
    let mut settings = vec![preload_libraries(&request.preload_libraries)];
    if request.version_major >= 14 {
        let reason = "gives pg_stat_statements the number by which it tells statements apart";
        let setting = setting("compute_query_id", Value::choice("auto"), reason);
        settings.push(setting.accepting(Accepted::AnyOf(vec!["auto", "on"])));
    }
    settings.extend([
        setting(
            "pg_stat_statements.track",
            Value::choice("all"),
            "statements within functions, too: else a slow one hides behind its caller",
        ),
        setting(
            "pg_stat_statements.max",
            Value::Integer(10_000),
            "twice the default: statements that differ by a list's length push others out, and with them the \
             measured service times",
        )
        .accepting(Accepted::AtLeast(Value::Integer(5_000))),
        setting(
            "track_io_timing",
            Value::Bool(true),
            "tells waiting for storage from computing in EXPLAIN and pg_stat_statements, for two readings of the \
             clock (some 50 ns) beside each read of 8 KiB; pg_test_timing shows whether the clock is slower",
        ),
        setting(
            "log_checkpoints",
            Value::Bool(true),
            "one line each 15 min that says whether max_wal_size forced the checkpoint",
        ),
    ]);
    settings
}

/// What is loaded stays, in its order: some libraries insist on being the first.
fn preload_libraries(live: &str) -> Recommendation {
    let live = live.trim();
    let (list, reason) = if holds(live, STATEMENTS) {
        (live.to_owned(), "pg_stat_statements is there: service times are measured, not assumed".to_owned())
    } else if live.is_empty() {
        let reason = "pg_stat_statements measures the service times that pool sizes are calculated from; then, in \
                      each database: CREATE EXTENSION pg_stat_statements";
        (STATEMENTS.to_owned(), reason.to_owned())
    } else {
        let reason = format!(
            "keeps {live} and adds pg_stat_statements, which measures the service times that pool sizes are \
             calculated from; then, in each database: CREATE EXTENSION pg_stat_statements"
        );
        (format!("{live}, {STATEMENTS}"), reason)
    };
    Recommendation::new(Section::Statistics, "shared_preload_libraries", Value::Text(list), reason)
        .accepting(Accepted::Containing(STATEMENTS))
}
