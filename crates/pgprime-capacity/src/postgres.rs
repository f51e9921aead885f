//! PostgreSQL's own settings from hardware and workload, each with its reason, and how a live server compares.
//!
//! [`recommend`] calculates the settings, [`compare`] puts them beside what a server has. The rules are those of
//! PostgreSQL's documentation ("Resource Consumption", "WAL Configuration", "Automatic Vacuuming") where it gives one;
//! every other figure is worked out in the reason that comes with it. Versions 13 to 18 are known; what a version does
//! not have is left out, and a newer version gets the settings of 18.

mod compare;
mod memory;
mod recommendation;
mod request;
mod service;
mod storage;
mod value;

pub use compare::{Comparison, LiveSetting, Status, compare};
pub use recommendation::{Accepted, Recommendation, Section};
pub use request::{Machine, SettingsError, SettingsRequest, Storage, Workload};
pub use value::{Value, in_unit};

/// Every setting that [`recommend`] may give a value to, in any version.
pub const SETTING_NAMES: &[&str] = &[
    "max_connections",
    "superuser_reserved_connections",
    "idle_in_transaction_session_timeout",
    "shared_buffers",
    "huge_pages",
    "effective_cache_size",
    "work_mem",
    "maintenance_work_mem",
    "autovacuum_work_mem",
    "random_page_cost",
    "effective_io_concurrency",
    "maintenance_io_concurrency",
    "io_method",
    "io_workers",
    "wal_buffers",
    "wal_compression",
    "min_wal_size",
    "max_wal_size",
    "checkpoint_timeout",
    "checkpoint_completion_target",
    "max_worker_processes",
    "max_parallel_workers",
    "max_parallel_workers_per_gather",
    "max_parallel_maintenance_workers",
    "default_statistics_target",
    "jit",
    "autovacuum",
    "autovacuum_max_workers",
    "autovacuum_naptime",
    "autovacuum_vacuum_scale_factor",
    "autovacuum_vacuum_insert_scale_factor",
    "autovacuum_analyze_scale_factor",
    "autovacuum_vacuum_cost_delay",
    "autovacuum_vacuum_cost_limit",
    "shared_preload_libraries",
    "compute_query_id",
    "pg_stat_statements.track",
    "pg_stat_statements.max",
    "track_io_timing",
    "log_checkpoints",
];

/// The settings for a server, in the order of [`SETTING_NAMES`], which keeps sections together.
///
/// # Errors
/// [`SettingsError`] when the request makes no sense, with what to state instead.
///
/// ```
/// use pgprime_capacity::postgres::{Machine, SettingsRequest, Storage, Workload, recommend};
///
/// let request = SettingsRequest {
///     machine: Machine { cores: 8, memory_bytes: 16 << 30, storage: Storage::Ssd },
///     workload: Workload::ServiceAndReports,
///     max_connections: 100,
///     version_major: 15,
///     preload_libraries: String::new(),
/// };
/// let settings = recommend(&request)?;
/// assert!(settings.iter().any(|setting| setting.to_string() == "shared_buffers = 4GB"));
/// # Ok::<(), pgprime_capacity::postgres::SettingsError>(())
/// ```
pub fn recommend(request: &SettingsRequest) -> Result<Vec<Recommendation>, SettingsError> {
    request.check()?;
    let mut settings = service::connections(request);
    settings.extend(memory::settings(request));
    settings.extend(storage::settings(request));
    settings.extend(storage::write_ahead_log(request));
    settings.extend(service::parallel_query(request));
    settings.extend(service::planner(request));
    settings.extend(service::autovacuum(request));
    settings.extend(service::statistics(request));
    Ok(settings)
}

#[cfg(test)]
mod tests;
