//! What the cache of results does for each query, and whether that is worth having.

use pgprime_cache::{LabelReport, RedisReport, Worth};
use pgprime_client::{RefusalReport, ResultCacheReport};
use serde::Serialize;

/// Queries of a report, and statements that are not kept.
const QUERIES_MAX: usize = 50;
/// From this many requests on it can be said whether the cache is worth having for a query.
const REQUESTS_MIN: u64 = 100;

/// The cache of results at one moment; totals count since this process began.
#[derive(Clone, Debug, Serialize)]
pub struct CacheMetrics {
    /// Part of requests served without asking the database, 0 to 1; `null` before the first.
    pub hit_ratio: Option<f64>,
    /// Time of the database that was saved, in milliseconds.
    pub saved_ms: f64,
    /// Bytes in this process's memory.
    pub memory_bytes: u64,
    /// Their bound.
    pub memory_bytes_max: u64,
    /// Results in this process's memory.
    pub memory_entries: u64,
    /// Results pushed out by others.
    pub evictions: u64,
    /// Changes of tables that were heard of.
    pub invalidations: u64,
    /// At most 50 queries, those with the most time saved first.
    pub queries: Vec<CachedQuery>,
    /// At most 50 statements that were not kept, and why; those with the most first.
    pub refusals: Vec<RefusalReport>,
    /// How old what is known of the tables' definitions is, in milliseconds.
    pub schema_age_ms: u64,
    /// The store in Redis, where there is one.
    pub redis: Option<RedisReport>,
}

/// What the cache does for one query.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CachedQuery {
    /// Its name, or its text without values.
    pub label: String,
    /// Requests, served or not.
    pub requests: u64,
    /// Part of them served without asking the database, 0 to 1.
    pub hit_ratio: Option<f64>,
    /// Time of the database that was saved, in milliseconds.
    pub saved_ms: f64,
    /// Bytes handed out of the cache.
    pub bytes_served: u64,
    /// Bytes stored.
    pub bytes_stored: u64,
    /// Whether it is worth keeping.
    pub worth: Worth,
}

impl CacheMetrics {
    pub(super) fn new(report: ResultCacheReport) -> Self {
        let ResultCacheReport { store, mut refusals, schema_age_ms, .. } = report;
        refusals.truncate(QUERIES_MAX);
        Self {
            hit_ratio: store.total.hit_ratio(),
            saved_ms: saved_ms(&store.total),
            memory_bytes: store.memory_bytes,
            memory_bytes_max: store.memory_bytes_max,
            memory_entries: store.memory_entries,
            evictions: store.total.evictions,
            invalidations: store.invalidations,
            queries: store.labels.iter().take(QUERIES_MAX).map(CachedQuery::new).collect(),
            refusals,
            schema_age_ms,
            redis: store.redis,
        }
    }
}

impl CachedQuery {
    fn new(report: &LabelReport) -> Self {
        Self {
            label: report.label.clone(),
            requests: report.hits() + report.misses,
            hit_ratio: report.hit_ratio(),
            saved_ms: saved_ms(report),
            bytes_served: report.bytes_served,
            bytes_stored: report.bytes_stored,
            worth: report.worth(REQUESTS_MIN),
        }
    }
}

fn saved_ms(report: &LabelReport) -> f64 {
    report.saved().as_secs_f64() * 1_000.0
}
