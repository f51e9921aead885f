//! What one round gives.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pgprime_views::PoolerWait;

use crate::health::{HealthReport, Observation, PoolerSeen, SpaceSummary};

/// One round: what was seen, and what it means.
#[derive(Clone, Debug)]
pub struct Round {
    /// Counts from 1.
    pub number: u64,
    /// When it ended: what is shown long after that may not be true any more.
    pub ended_at: Instant,
    /// What it means.
    pub report: Arc<HealthReport>,
    /// What was seen of the database; `None` while it gives no answer.
    pub observation: Option<Arc<Observation>>,
    /// What was seen of the poolers.
    pub poolers: Arc<Vec<PoolerSeen>>,
    /// Waste, as of the last report on space.
    pub space: Option<Arc<SpaceSummary>>,
    /// Declared views, as of the last look at them.
    pub views: Option<Arc<pgprime_views::Status>>,
}

impl Round {
    /// The client that waits longest for a server, over all poolers, unless this round is older than `stale_after`. A pool
    /// that is paused has its clients wait on purpose.
    #[must_use]
    pub fn longest_wait(&self, stale_after: Duration) -> Option<PoolerWait> {
        if self.ended_at.elapsed() > stale_after {
            return None;
        }
        let seen = self.poolers.iter().filter_map(|pooler| pooler.seen.as_ref().ok());
        let waiting =
            seen.flat_map(|report| &report.pools).filter(|pool| pool.clients_waiting > 0 && !pool.paused);
        let longest = waiting.max_by(|one, other| one.wait_s_max.total_cmp(&other.wait_s_max))?;
        let waited = Duration::try_from_secs_f64(longest.wait_s_max).ok()?;
        Some(PoolerWait { pool: format!("{}/{}", longest.database, longest.user), waited })
    }
}
