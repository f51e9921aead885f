//! A healthy database, for tests to make ill.

use std::sync::Arc;
use std::time::Duration;

use crate::health::observe::{
    Catalog, Checkpoints, Counters, DatabaseIds, DiskPlace, IndexBlocks, Indexes, Observation, Recent,
    Replication, Sample, Section, Server, Sizes, Statements, States,
};
use crate::health::report::{Check, Status};
use crate::health::rules::checks;
use crate::health::settings::Settings;
use pgprime_readonly::Missing;

pub(super) const GB: u64 = 1 << 30;

/// A healthy primary at this second.
pub(super) fn observation(at_s: f64) -> Observation {
    let server = server(at_s);
    let catalog = Catalog {
        at_s,
        tables: Ok(Vec::new()),
        oldest: Ok(Vec::new()),
        index_blocks: Ok(IndexBlocks::default()),
        indexes: Ok(Indexes::default()),
        sizes: Ok(Sizes { database_bytes: GB, places: Vec::new() }),
    };
    Observation {
        server,
        lineage: None,
        took: Duration::from_millis(5),
        states: Ok(States { used: 10, active: 2, idle: 8, ..States::default() }),
        sessions: Ok(Vec::new()),
        waits: Ok(Vec::new()),
        prepared: Ok(Vec::new()),
        counters: Ok(Counters {
            commits: 1_000,
            blocks_hit: 1_000,
            checksum_failures: Some(0),
            ..Counters::default()
        }),
        checkpoints: Ok(Checkpoints::default()),
        ids: Ok(vec![ids()]),
        statements: Ok(Statements { calls: 1_000.0, exec_ms: 10_000.0, ..Statements::default() }),
        replication: Replication {
            replicas: Ok(Vec::new()),
            slots: Ok(Vec::new()),
            receiver: None,
            known: Vec::new(),
        },
        catalog: Arc::new(catalog),
        catalog_before: None,
        disk: Ok(vec![DiskPlace { path: "/data".to_owned(), total_bytes: 100, free_bytes: 50 }]),
        recent: Recent::default(),
    }
}

fn server(at_s: f64) -> Server {
    Server {
        version: "15.8 (Debian)".to_owned(),
        version_major: 15,
        database: "app".to_owned(),
        role: "app".to_owned(),
        sees_all: true,
        in_recovery: false,
        at_s,
        started_s: 1.0,
        wal_position: Some(1_000),
        connections_max: 100,
        connections_reserved: 3,
        freeze_age_max: 200_000_000,
        multixact_freeze_age_max: 400_000_000,
        autovacuum_workers_max: 3,
        has_autovacuum: true,
        has_checksums: true,
        wal_size_max_bytes: GB,
        slot_wal_max_bytes: None,
        data_directory: None,
        is_on_loopback: true,
        statements_extension: None,
        preload_libraries: Some("pg_stat_statements".to_owned()),
    }
}

/// Those of the database that is looked at.
pub(super) fn ids() -> DatabaseIds {
    let (transaction_age, multixact_age) = (1_000, 10);
    DatabaseIds { name: "app".to_owned(), transaction_age, multixact_age, allows_connections: true }
}

/// A later look at the same server, which remembers the earlier one.
pub(super) fn following(before: &Observation, at_s: f64) -> Observation {
    let sample = Sample {
        at_s: before.server.at_s,
        wal_position: before.server.wal_position,
        counters: before.counters.as_ref().ok().copied(),
        checkpoints: before.checkpoints.as_ref().ok().copied(),
    };
    let recent = before.recent.clone().with(sample, at_s);
    Observation { recent, catalog_before: Some(Arc::clone(&before.catalog)), ..observation(at_s) }
}

/// A part that could not be seen.
pub(super) fn failed<T>() -> Section<T> {
    Err(Missing { what: "this".to_owned(), why: "permission denied".to_owned(), statement: None })
}

/// Changes a part that was seen.
pub(super) fn with<T>(section: &mut Section<T>, change: impl FnOnce(&mut T)) {
    change(section.as_mut().expect("the fixture has seen it"));
}

/// The catalog, to be changed.
pub(super) fn catalog(observation: &mut Observation) -> &mut Catalog {
    Arc::make_mut(&mut observation.catalog)
}

/// One check of a look and the one before.
pub(super) fn checked(id: &str, now: &Observation, earlier: Option<&Observation>) -> Check {
    let checks = checks(now, earlier, &Settings::default());
    checks.into_iter().find(|check| check.id == id).unwrap_or_else(|| panic!("there is no check {id}"))
}

pub(super) use checked as check;

pub(super) fn status(checks: &[Check], id: &str) -> Status {
    checks.iter().find(|check| check.id == id).unwrap_or_else(|| panic!("there is no check {id}")).status
}
