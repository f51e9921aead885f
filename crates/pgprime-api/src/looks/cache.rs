//! The cache of results: what it does for each query.

use std::collections::BTreeMap;

use pgprime_client::ResultCacheReport;
use pgprime_client::cache::{LabelReport, RedisReport, Worth};
use serde::Serialize;

/// Queries that are listed.
const LABELS_MAX: usize = 200;
/// From this many requests on it can be said whether the cache is worth having for a query.
const REQUESTS_MIN: u64 = 100;

/// The cache of results at one moment; totals count since this process began.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub(crate) enum CacheState {
    /// There is none.
    Off {
        /// Always false.
        enabled: bool,
    },
    /// There is one.
    On(Box<CacheFigures>),
}

/// What the cache does.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct CacheFigures {
    /// Always true.
    enabled: bool,
    total: CacheTotal,
    /// At most 200 queries, those with the most time saved first; then those that were never kept.
    labels: Vec<CachedQuery>,
    memory_bytes: u64,
    memory_bytes_max: u64,
    memory_entries: u64,
    /// Changes of tables that were heard of.
    invalidations: u64,
    /// Age of what is known of the tables' definitions.
    schema_age_ms: u64,
    /// The store in Redis, where there is one.
    #[schema(value_type = Option<Object>)]
    redis: Option<RedisReport>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct CacheTotal {
    requests: u64,
    hits: u64,
    /// 0 to 1; `null` before the first request.
    hit_ratio: Option<f64>,
    fills: u64,
    errors: u64,
    evictions: u64,
    /// Time of the database that was saved.
    saved_ms: f64,
}

/// What it does for one query.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct CachedQuery {
    /// Its name, or its text without values.
    label: String,
    requests: u64,
    hits: u64,
    /// 0 to 1; `null` before the first request.
    hit_ratio: Option<f64>,
    fills: u64,
    saved_ms: f64,
    /// Whether it is worth keeping.
    #[schema(value_type = Object)]
    worth: Worth,
    /// Why it was not kept, and how often for each reason.
    refused: BTreeMap<String, u64>,
}

impl CacheState {
    /// Of this report; without one there is no cache.
    pub(crate) fn of(report: Option<ResultCacheReport>) -> Self {
        match report {
            Some(report) => Self::On(Box::new(CacheFigures::of(report))),
            None => Self::Off { enabled: false },
        }
    }
}

impl CacheFigures {
    fn of(report: ResultCacheReport) -> Self {
        let ResultCacheReport { store, refusals, schema_age_ms, .. } = report;
        let mut refused: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for refusal in refusals {
            let reasons = refusal.reasons.into_iter().map(|reason| (reason.reason, reason.count));
            refused.entry(refusal.label).or_default().extend(reasons);
        }
        let kept = store.labels.iter().map(|label| {
            let refused = refused.remove(&label.label).unwrap_or_default();
            query(label, refused)
        });
        let mut labels: Vec<CachedQuery> = kept.collect();
        labels.extend(refused.into_iter().map(|(label, refused)| never_kept(label, refused)));
        labels.truncate(LABELS_MAX);
        Self {
            enabled: true,
            total: total(&store.total),
            labels,
            memory_bytes: store.memory_bytes,
            memory_bytes_max: store.memory_bytes_max,
            memory_entries: store.memory_entries,
            invalidations: store.invalidations,
            schema_age_ms,
            redis: store.redis,
        }
    }
}

fn total(report: &LabelReport) -> CacheTotal {
    CacheTotal {
        requests: report.hits() + report.misses,
        hits: report.hits(),
        hit_ratio: report.hit_ratio(),
        fills: report.fills,
        errors: report.errors,
        evictions: report.evictions,
        saved_ms: saved_ms(report),
    }
}

fn query(report: &LabelReport, refused: BTreeMap<String, u64>) -> CachedQuery {
    CachedQuery {
        label: report.label.clone(),
        requests: report.hits() + report.misses,
        hits: report.hits(),
        hit_ratio: report.hit_ratio(),
        fills: report.fills,
        saved_ms: saved_ms(report),
        worth: report.worth(REQUESTS_MIN),
        refused,
    }
}

fn never_kept(label: String, refused: BTreeMap<String, u64>) -> CachedQuery {
    let worth = Worth::TooEarly { requests: 0 };
    CachedQuery { label, requests: 0, hits: 0, hit_ratio: None, fills: 0, saved_ms: 0.0, worth, refused }
}

fn saved_ms(report: &LabelReport) -> f64 {
    report.saved().as_secs_f64() * 1e3
}
