//! What the cache does for each query, and whether that is worth having.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::Serialize;

use crate::served::Source;

/// Queries beyond the bound are counted under this name.
const OTHERS: &str = "(others)";

/// Below this part of hits a cache costs more than it gives: memory, invalidations, and one more thing to fail.
const HIT_RATIO_MIN: f64 = 0.7;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters of one query.
        #[derive(Debug, Default)]
        pub(crate) struct LabelStats { $(pub(crate) $name: AtomicU64,)* }

        /// What the cache did for one query since it was created. All but `label` only grow.
        #[derive(Clone, Debug, Default, PartialEq, Serialize)]
        pub struct LabelReport {
            /// The query's name as given with its requests.
            pub label: String,
            $($(#[$doc])* pub $name: u64,)*
        }

        impl LabelStats {
            fn report(&self, label: &str) -> LabelReport {
                LabelReport { label: label.into(), $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl LabelReport {
            fn add(&mut self, other: &LabelReport) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

counters! {
    /// Served from memory.
    hits_memory,
    /// Served from Redis.
    hits_redis,
    /// Served from a fill that was under way for another call.
    hits_shared,
    /// Served past their time to live, while they were filled anew.
    hits_stale,
    /// Not found, or not valid any more; each led to a fill that its caller waited for. Hits and misses are all requests but
    /// those that were given up.
    misses,
    /// Of those, because a writer was about to commit to one of the tables.
    misses_writing,
    /// Fills in the background, while something past its time was served.
    refreshes,
    /// Fills that succeeded, refreshes included.
    fills,
    /// Fills that failed.
    errors,
    /// Time that fills took, those that failed left out; microseconds.
    fill_us,
    /// Bytes handed out of the cache, without those of fills.
    bytes_served,
    /// Bytes stored, as they were before compression.
    bytes_stored,
    /// Entries found outdated by a change of their tables.
    invalidated,
    /// Results not stored because a table changed during their fill.
    discarded,
    /// Results not stored because they were too large, or from too many tables.
    too_large,
    /// Entries pushed out of memory by others.
    evictions,
    /// Entries in Redis that were broken, foreign, or of another version.
    garbage,
}

impl LabelStats {
    pub(crate) fn served(&self, source: Source, bytes: usize) {
        let hits = match source {
            Source::Memory => &self.hits_memory,
            Source::Redis => &self.hits_redis,
            Source::Shared => &self.hits_shared,
            Source::Stale => &self.hits_stale,
            Source::Filled => return,
        };
        add(hits, 1);
        add(&self.bytes_served, bytes as u64);
    }

    pub(crate) fn filled(&self, took: Duration) {
        add(&self.fills, 1);
        add(&self.fill_us, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }
}

/// Counters are read for reports only, so no order among them is needed.
pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

/// Whether caching a query is worth having.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Worth {
    /// Too few requests to say.
    TooEarly {
        /// So far.
        requests: u64,
    },
    /// It is.
    WorthHaving {
        /// Part of requests that cost the database nothing, 0 to 1.
        hit_ratio: f64,
    },
    /// Below 70 % hits: do not cache this query, or cache it longer.
    NotWorthHaving {
        /// Part of requests that cost the database nothing, 0 to 1.
        hit_ratio: f64,
    },
}

impl LabelReport {
    /// Requests served without a fill of their own.
    pub fn hits(&self) -> u64 {
        self.hits_memory + self.hits_redis + self.hits_shared + self.hits_stale
    }

    /// Part of requests that cost the database nothing, 0 to 1; none before the first request. A hit past its time that was
    /// filled anew in the background cost a fill. 90 hits, 10 misses and 20 refreshes: 0.7.
    pub fn hit_ratio(&self) -> Option<f64> {
        let requests = self.hits() + self.misses;
        (requests > 0).then(|| self.free_hits() as f64 / requests as f64)
    }

    /// Time of the database saved: hits that cost no refresh times the mean time of a fill. 90 hits and 10 fills of 20 ms in
    /// all: 180 ms.
    pub fn saved(&self) -> Duration {
        let mean_us = self.fill_us.checked_div(self.fills).unwrap_or(0);
        Duration::from_micros(mean_us.saturating_mul(self.free_hits()))
    }

    /// A refresh may outnumber hits for a moment: counters are read one after the other.
    fn free_hits(&self) -> u64 {
        self.hits().saturating_sub(self.refreshes)
    }

    /// Whether the cache is worth having for this query, as far as `requests_min` requests can tell.
    pub fn worth(&self, requests_min: u64) -> Worth {
        let requests = self.hits() + self.misses;
        match self.hit_ratio() {
            Some(hit_ratio) if requests >= requests_min && hit_ratio >= HIT_RATIO_MIN => {
                Worth::WorthHaving { hit_ratio }
            }
            Some(hit_ratio) if requests >= requests_min => Worth::NotWorthHaving { hit_ratio },
            _ => Worth::TooEarly { requests },
        }
    }
}

/// The state of a cache and what it did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Sums over all queries.
    pub total: LabelReport,
    /// By query, those with the most time saved first.
    pub labels: Vec<LabelReport>,
    /// Bytes in memory, administration included.
    pub memory_bytes: u64,
    /// Their bound.
    pub memory_bytes_max: u64,
    /// Entries in memory.
    pub memory_entries: u64,
    /// Fills under way that others can wait for.
    pub flights: u64,
    /// Changes of tables said here: by commits and by `invalidate`.
    pub invalidations: u64,
    /// The tier in Redis, where there is one.
    pub redis: Option<crate::shared::RedisReport>,
}

/// The counters of all queries.
pub(crate) struct Stats {
    labels: RwLock<HashMap<Box<str>, Arc<LabelStats>>>,
    others: Arc<LabelStats>,
    labels_max: usize,
    pub(crate) invalidations: AtomicU64,
}

impl Stats {
    pub(crate) fn new(labels_max: usize) -> Stats {
        Stats {
            labels: RwLock::default(),
            others: Arc::default(),
            labels_max,
            invalidations: AtomicU64::new(0),
        }
    }

    pub(crate) fn label(&self, label: &str) -> Arc<LabelStats> {
        if let Some(found) = self.labels.read().unwrap_or_else(PoisonError::into_inner).get(label) {
            return found.clone();
        }
        let mut labels = self.labels.write().unwrap_or_else(PoisonError::into_inner);
        if labels.len() >= self.labels_max && !labels.contains_key(label) {
            return self.others.clone();
        }
        labels.entry(label.into()).or_default().clone()
    }

    /// The total, then each query.
    pub(crate) fn report(&self) -> (LabelReport, Vec<LabelReport>) {
        let labels = self.labels.read().unwrap_or_else(PoisonError::into_inner);
        let mut reports: Vec<LabelReport> = labels.iter().map(|(label, stats)| stats.report(label)).collect();
        let others = self.others.report(OTHERS);
        if others.hits() + others.misses > 0 {
            reports.push(others);
        }
        reports
            .sort_by(|one, other| other.saved().cmp(&one.saved()).then_with(|| one.label.cmp(&other.label)));
        let mut total = LabelReport { label: "(total)".into(), ..LabelReport::default() };
        reports.iter().for_each(|report| total.add(report));
        (total, reports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_time_is_hits_times_the_mean_fill() {
        let report = LabelReport {
            hits_memory: 60,
            hits_redis: 30,
            fills: 10,
            fill_us: 20_000,
            ..LabelReport::default()
        };
        assert_eq!(report.saved(), Duration::from_millis(180));
        assert_eq!(LabelReport::default().saved(), Duration::ZERO);
        let refreshed = LabelReport { misses: 10, refreshes: 20, ..report };
        assert_eq!((refreshed.hit_ratio(), refreshed.saved()), (Some(0.7), Duration::from_millis(140)));
    }

    #[test]
    fn below_seven_tenths_of_hits_a_cache_is_not_worth_having() {
        let report = |hits, misses| LabelReport { hits_memory: hits, misses, ..LabelReport::default() };
        assert_eq!(report(0, 0).worth(100), Worth::TooEarly { requests: 0 });
        assert_eq!(report(0, 0).worth(0), Worth::TooEarly { requests: 0 });
        assert_eq!(report(10, 80).worth(100), Worth::TooEarly { requests: 90 });
        assert_eq!(report(70, 30).worth(100), Worth::WorthHaving { hit_ratio: 0.7 });
        assert_eq!(report(69, 31).worth(100), Worth::NotWorthHaving { hit_ratio: 0.69 });
    }

    #[test]
    fn labels_are_bounded() {
        let stats = Stats::new(2);
        for label in ["a", "b", "c", "d", "a"] {
            add(&stats.label(label).misses, 1);
        }
        let (total, labels) = stats.report();
        assert_eq!(total.misses, 5);
        let counts: Vec<_> = labels.iter().map(|report| (report.label.as_str(), report.misses)).collect();
        assert_eq!(counts, [(OTHERS, 2), ("a", 2), ("b", 1)]);
    }
}
