//! Rounds into the history, and the history as the past that trends are told by.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use pgprime_cache::Report as CacheReport;

use super::figures::{Round, figures};
use super::recorder::Recorder;
use super::series::SeriesName;
use super::store::SeriesStore;
use crate::health::Past;
use crate::pooler::PoolerReport;
use crate::watch::{self, RoundSink};

/// Says what the result cache did so far, where there is one.
pub type CacheSource = Box<dyn Fn() -> Option<CacheReport> + Send>;

/// How far back a trend looks: as far as there is something.
const PASTS: [Duration; 3] = [Duration::from_secs(3_600), Duration::from_secs(900), Duration::from_secs(120)];

/// Records every round.
pub struct HistorySink {
    recorder: Recorder,
    cache: CacheSource,
    /// The reports of the round before, by the pooler's name.
    poolers: HashMap<String, PoolerReport>,
    cached: Option<CacheReport>,
}

impl std::fmt::Debug for HistorySink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HistorySink").field("recorder", &self.recorder).finish_non_exhaustive()
    }
}

impl HistorySink {
    /// Records into the store, with the figures of a result cache.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(store: Arc<SeriesStore>, cache: CacheSource) -> std::io::Result<Self> {
        Ok(Self { recorder: Recorder::start(store)?, cache, poolers: HashMap::new(), cached: None })
    }
}

impl RoundSink for HistorySink {
    fn on_round(&mut self, round: &watch::Round) {
        let seen = round.poolers.iter().filter_map(|pooler| Some((&pooler.name, pooler.seen.as_ref().ok()?)));
        let seen: Vec<(&String, &PoolerReport)> = seen.collect();
        let pairs: Vec<(&PoolerReport, Option<&PoolerReport>)> =
            seen.iter().map(|(name, report)| (*report, self.poolers.get(*name))).collect();
        let cache = (self.cache)();
        let cached = cache.as_ref().map(|cache| (cache, self.cached.as_ref()));
        let round_figures = figures(&Round { health: Some(&round.report), poolers: &pairs, cache: cached });
        self.recorder.record(round.report.taken_at, round_figures);
        let kept: Vec<(String, PoolerReport)> =
            seen.into_iter().map(|(name, report)| (name.clone(), report.clone())).collect();
        self.poolers.extend(kept);
        self.cached = cache;
    }
}

/// Reads the file, which blocks for a moment: for commands that run once.
impl Past for SeriesStore {
    fn before(&self, id: &str) -> Option<(f64, f64)> {
        let name = SeriesName::new(id);
        PASTS.iter().find_map(|ago| Self::before(self, &name, *ago).ok().flatten())
    }
}
