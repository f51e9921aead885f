//! Whether what the last round of watching saw is still to be believed.

use std::sync::Arc;
use std::time::Duration;

use pgprime_monitor::health::{HealthReport, Status};
use pgprime_monitor::watch::Round;
use serde::Serialize;

use crate::security::Role;
use crate::values;

/// Nobody has looked for a while: what is shown may not be true any longer.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Stale {
    /// How long ago the last round ended.
    age_s: f64,
    /// That in words, and what to do.
    reason: String,
}

impl Stale {
    /// `None` while the last round is young enough.
    pub(crate) fn of(round: &Round, stale_after: Duration) -> Option<Self> {
        let age = round.ended_at.elapsed();
        let reason = || {
            format!(
                "the last round of checks ended {} s ago: watching has stopped or hangs, and what is shown is from then; \
                 pgprime's log says why",
                age.as_secs()
            )
        };
        (age > stale_after).then(|| Self { age_s: age.as_secs_f64(), reason: reason() })
    }

    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }
}

/// What the checks said, and whether that is still to be believed.
#[derive(Clone, Serialize)]
pub(crate) struct Health {
    #[serde(flatten)]
    pub(crate) report: Arc<HealthReport>,
    pub(crate) stale: Option<Stale>,
}

impl Health {
    /// As somebody of this role sees it. The status of what is stale is unknown.
    pub(crate) fn of(round: &Round, stale_after: Duration, role: Role) -> Self {
        let mut report = values::health(&round.report, role);
        let stale = Stale::of(round, stale_after);
        if stale.is_some() {
            Arc::make_mut(&mut report).status = Status::Unknown;
        }
        Self { report, stale }
    }
}
