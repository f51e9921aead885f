//! What one round gives.

use std::sync::Arc;
use std::time::Instant;

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
