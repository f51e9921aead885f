//! What is worth a word about indexes.

use std::time::Duration;

use crate::space::SpaceOptions;

const DAY: Duration = Duration::from_secs(86_400);

/// Thresholds of a [`review`](super::review).
#[derive(Clone, Debug, PartialEq)]
pub struct ReviewOptions {
    /// Thresholds for bloat, limits on time.
    pub space: SpaceOptions,
    /// Below this age of the statistics nothing is said to be unused with certainty. Default 7 days: a weekly job has
    /// run by then.
    pub statistics_age_min: Duration,
    /// From this age on it is as certain as counting can make it. Default 31 days: a monthly job has run.
    pub statistics_age_sure: Duration,
    /// An index that is scanned less often counts as all but unused. Default 0.1 a day, three times a month.
    pub rare_scans_per_day: f64,
    /// An index below this is mentioned, not warned of. Default 1 MiB.
    pub index_bytes_min: u64,
    /// A table below this needs no index for its foreign key: it is read whole in no time. Default 1 MiB.
    pub foreign_key_table_bytes_min: u64,
}

impl Default for ReviewOptions {
    fn default() -> Self {
        Self {
            space: SpaceOptions::default(),
            statistics_age_min: 7 * DAY,
            statistics_age_sure: 31 * DAY,
            rare_scans_per_day: 0.1,
            index_bytes_min: 1 << 20,
            foreign_key_table_bytes_min: 1 << 20,
        }
    }
}
