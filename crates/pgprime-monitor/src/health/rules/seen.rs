//! What the rules of all groups have in common.

use crate::health::observe::Observation;
use crate::health::settings::Settings;
use crate::pooler::PoolerReport;

/// A pooler, or why it could not be seen.
#[derive(Clone, Debug)]
pub struct PoolerSeen {
    /// What people call it.
    pub name: String,
    /// What it says of itself.
    pub seen: Result<PoolerReport, PoolerTrouble>,
}

/// Why a pooler could not be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolerTrouble {
    /// Whether clients fare no better: it is out of reach or silent. Else it is only us whom it refuses.
    pub is_down: bool,
    /// What happened, without secrets.
    pub text: String,
}

/// Two looks at a database, the earlier one only where counters can be compared.
pub(super) struct Seen<'a> {
    pub(super) now: &'a Observation,
    pub(super) earlier: Option<&'a Observation>,
    pub(super) settings: &'a Settings,
}

/// Of two counts that only grow, what was added; `None` where they began anew.
pub(super) fn added(now: u64, before: u64) -> Option<f64> {
    now.checked_sub(before).map(|added| added as f64)
}

/// A share of a whole, 0 to 100.
pub(super) fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole * 100.0 } else { 0.0 }
}

/// What is said before there are two looks to compare.
pub(super) const FIRST_LOOK: &str = "The next look tells: this is the first one, or counters began anew.";
