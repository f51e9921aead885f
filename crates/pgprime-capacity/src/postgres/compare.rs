//! Recommended settings beside those of a live server.

use serde::{Deserialize, Serialize};

use super::recommendation::{Recommendation, Section};

/// A row of pg_settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveSetting {
    /// `name`.
    pub name: String,
    /// `setting`: in `unit` where there is one.
    pub setting: String,
    /// `unit`, as `8kB` or `ms`.
    pub unit: Option<String>,
    /// `source`: where the value comes from, as `default` or `configuration file`.
    pub source: String,
    /// `context`: when a change takes effect, as `postmaster` or `sighup`.
    pub context: String,
    /// `pending_restart`: the configuration files have another value, which awaits a restart.
    pub pending_restart: bool,
}

/// A recommended setting beside the live one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// As PostgreSQL names it.
    pub name: &'static str,
    /// What it belongs to.
    pub section: Section,
    /// The recommended value, as `4GB`.
    pub recommended: String,
    /// The live value in the same notation; None when the server did not show it.
    pub live: Option<String>,
    /// Where the live value comes from.
    pub source: Option<String>,
    /// How they compare.
    pub status: Status,
    /// Why the recommended value fits.
    pub reason: String,
    /// Whether the server has to be restarted for the recommended value.
    pub restart_needed: bool,
    /// Whether the configuration files have a value already that awaits a restart.
    pub pending_restart: bool,
}

/// How a live value compares with the recommended one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The same, or so close that the difference has no effect.
    Met,
    /// Different enough to matter.
    Differs,
    /// The server did not show it: it has no such setting, its library is not loaded, or the role may not see it.
    Unknown,
}

/// Each recommended setting beside its live value, in the order of the recommendations.
#[must_use]
pub fn compare(recommendations: &[Recommendation], live: &[LiveSetting]) -> Vec<Comparison> {
    let find = |name: &str| live.iter().find(|setting| setting.name.eq_ignore_ascii_case(name));
    recommendations.iter().map(|wanted| compare_one(wanted, find(wanted.name))).collect()
}

fn compare_one(wanted: &Recommendation, live: Option<&LiveSetting>) -> Comparison {
    let (text, status) = match live {
        None => (None, Status::Unknown),
        Some(live) => judge(wanted, live),
    };
    let differs = status != Status::Met;
    Comparison {
        name: wanted.name,
        section: wanted.section,
        recommended: wanted.value.plain(),
        live: text,
        source: live.map(|live| live.source.clone()),
        status,
        reason: wanted.reason.clone(),
        restart_needed: differs && live.map_or(wanted.restart, |live| live.context == "postmaster"),
        pending_restart: live.is_some_and(|live| live.pending_restart),
    }
}

fn judge(wanted: &Recommendation, live: &LiveSetting) -> (Option<String>, Status) {
    match wanted.value.same_type(&live.setting, live.unit.as_deref()) {
        Some(value) if wanted.accepted.admits(&value, &wanted.value) => (Some(value.plain()), Status::Met),
        Some(value) => (Some(value.plain()), Status::Differs),
        // A special value such as -1, which leaves the choice to another setting.
        None => (Some(live.setting.clone()), Status::Differs),
    }
}
