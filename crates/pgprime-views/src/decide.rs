//! Whether and when a view is refreshed next: a pure function of what is known.
//!
//! In this order: what was never filled is filled; what failed waits longer each time; a budget that is about to break
//! brings a refresh forward; a schedule makes one due, which is skipped when nothing changed, and held back while the
//! database is under pressure, as long as no budget breaks by that.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::declaration::ViewDeclaration;
use crate::policy::Policy;
use crate::pressure::{Pressure, PressureCause};
use crate::schedule::{duration_text, later, since};

/// What is known of a view. Every time is the database's.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ViewState {
    /// Whether it holds anything: a view created WITH NO DATA cannot be read.
    pub is_populated: bool,
    /// When the refresh began that made what it holds.
    pub refreshed_at: Option<Timestamp>,
    /// When it was last found to be up to date without a refresh.
    pub unchanged_at: Option<Timestamp>,
    /// How long the last refresh took.
    pub duration_last: Option<Duration>,
    /// What happened in the tables below it since.
    pub changes: Changes,
    /// Refreshes that failed in a row.
    pub failures: u32,
    /// When the last of them ended.
    pub failed_at: Option<Timestamp>,
}

/// What happened below a view since it was refreshed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "rows", rename_all = "snake_case")]
pub enum Changes {
    /// It cannot be told, so everything may have changed.
    #[default]
    Unknown,
    /// At least this many rows; 0 is nothing at all.
    Rows(u64),
    /// The statistics began anew or a table was rewritten: at least this many, and probably more.
    AtLeast(u64),
}

impl Changes {
    /// Whether the view holds what its tables do, as far as can be told.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self == Self::Rows(0)
    }

    /// Rows that changed, as far as they were counted.
    #[must_use]
    pub fn rows(self) -> Option<u64> {
        match self {
            Self::Unknown => None,
            Self::Rows(rows) | Self::AtLeast(rows) => Some(rows),
        }
    }
}

/// Why a view is refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It holds nothing, or nothing that pgprime knows the age of.
    First,
    /// Its schedule says so.
    Schedule,
    /// It is about to be older than its budget allows.
    Age,
    /// It lacks nearly as many changes as its budget allows.
    Changes,
    /// The last time failed.
    Retry,
    /// Somebody asked for it.
    Asked,
}

impl Reason {
    /// As in the history.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Schedule => "schedule",
            Self::Age => "age",
            Self::Changes => "changes",
            Self::Retry => "retry",
            Self::Asked => "asked",
        }
    }
}

/// What is to be done with a view now.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Decision {
    /// Refresh it now.
    Refresh {
        /// Why.
        reason: Reason,
    },
    /// It is due, but nothing has changed: note that it is up to date.
    Skip {
        /// When it is due again.
        until: Option<Timestamp>,
    },
    /// Nothing for now.
    Wait {
        /// When to decide again at the latest; `None` where only a change or a person makes it due.
        until: Option<Timestamp>,
        /// Why not now.
        because: Hold,
    },
}

/// Why a view is not refreshed now.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Hold {
    /// It is not due.
    NotDue,
    /// It is due, but the database has enough to do.
    Pressure {
        /// What is too much.
        #[serde(flatten)]
        cause: PressureCause,
    },
    /// It failed, and is tried again later.
    Backoff {
        /// Failures in a row.
        failures: u32,
    },
    /// It failed too often: somebody has to look at it.
    Failing {
        /// Failures in a row.
        failures: u32,
    },
}

/// What is to be done with a view at `now`.
#[must_use]
pub fn next_refresh(
    now: Timestamp,
    state: &ViewState,
    declaration: &ViewDeclaration,
    pressure: &Pressure,
    policy: &Policy,
) -> Decision {
    if let Some(held) = backoff(now, state, policy) {
        return held;
    }
    let (true, Some(refreshed_at)) = (state.is_populated, state.refreshed_at) else {
        return Decision::Refresh { reason: if state.failures > 0 { Reason::Retry } else { Reason::First } };
    };
    // A clock that was set back must not put a refresh off until it has caught up.
    let current_at = refreshed_at.max(state.unchanged_at.unwrap_or(refreshed_at)).min(now);
    let budget_at = budget(state, declaration).map(|budget| later(current_at, budget));
    if budget_at.is_some_and(|at| at <= now) && !state.changes.is_nothing() {
        return Decision::Refresh { reason: Reason::Age };
    }
    if is_change_budget_spent(state, declaration) {
        return Decision::Refresh { reason: Reason::Changes };
    }
    let next = |after| declaration.schedule.as_ref().and_then(|schedule| schedule.next_after(after));
    if state.failures > 0 {
        let failed_at = state.failed_at.unwrap_or(current_at).min(now);
        return hold_or(now, budget_at, next(failed_at), pressure, policy, Reason::Retry);
    }
    match next(current_at) {
        Some(due) if due <= now && state.changes.is_nothing() => Decision::Skip { until: next(now) },
        Some(due) if due <= now => hold_or(now, budget_at, next(due), pressure, policy, Reason::Schedule),
        due => {
            let budget_at = budget_at.filter(|_| !state.changes.is_nothing());
            Decision::Wait { until: due.into_iter().chain(budget_at).min(), because: Hold::NotDue }
        }
    }
}

/// The wait after a failure, while it lasts.
fn backoff(now: Timestamp, state: &ViewState, policy: &Policy) -> Option<Decision> {
    let failures = state.failures;
    let failed_at = state.failed_at.filter(|_| failures > 0)?.min(now);
    let is_failing = failures >= policy.failures_max;
    let pause = if is_failing {
        policy.failing_interval
    } else {
        // 2^20 times any pause is more than the interval of one that is failing.
        policy.backoff.saturating_mul(1 << (failures - 1).min(20)).min(policy.failing_interval)
    };
    let until = later(failed_at, pause);
    let because = if is_failing { Hold::Failing { failures } } else { Hold::Backoff { failures } };
    (until > now).then_some(Decision::Wait { until: Some(until), because })
}

/// How long after it was up to date a refresh has to begin to be done within the budget of age.
fn budget(state: &ViewState, declaration: &ViewDeclaration) -> Option<Duration> {
    let age_max = declaration.staleness.age_max?;
    let lead = (state.duration_last.unwrap_or_default() * 2).max(age_max / 20).min(age_max / 2);
    Some(age_max.saturating_sub(lead))
}

/// Whether nine tenths of the budget of changes are spent, or more.
fn is_change_budget_spent(state: &ViewState, declaration: &ViewDeclaration) -> bool {
    let Some(changes_max) = declaration.staleness.changes_max else { return false };
    state.changes.rows().is_some_and(|rows| rows >= changes_max.saturating_sub(changes_max / 10).max(1))
}

/// What is due is done, unless there is pressure and it can wait: until its budget breaks, or else, where it has
/// none, for one round of its schedule.
fn hold_or(
    now: Timestamp,
    budget_at: Option<Timestamp>,
    next_due: Option<Timestamp>,
    pressure: &Pressure,
    policy: &Policy,
    reason: Reason,
) -> Decision {
    let latest = budget_at.or(next_due);
    let Some(cause) = pressure.cause(policy).filter(|_| latest.is_some_and(|latest| latest > now)) else {
        return Decision::Refresh { reason };
    };
    let again = later(now, policy.poll_interval);
    let until = latest.map(|latest| latest.min(again));
    Decision::Wait { until, because: Hold::Pressure { cause } }
}

/// For a person: `in 5m (not due)`.
#[must_use]
pub fn decision_text(now: Timestamp, decision: &Decision) -> String {
    let when = |until: Option<Timestamp>| {
        until.map_or("when asked for".to_owned(), |until| format!("in {}", duration_text(since(now, until))))
    };
    match decision {
        Decision::Refresh { reason } => format!("now ({})", reason.as_str()),
        Decision::Skip { until } => format!("{} (nothing has changed)", when(*until)),
        Decision::Wait { until, because: Hold::NotDue } => when(*until),
        Decision::Wait { until, because: Hold::Pressure { cause } } => {
            format!("{} (held back: {cause})", when(*until))
        }
        Decision::Wait { until, because: Hold::Backoff { failures } } => {
            format!("{} (failed {failures} times)", when(*until))
        }
        Decision::Wait { until, because: Hold::Failing { failures } } => {
            format!("{} (FAILING: {failures} times in a row)", when(*until))
        }
    }
}

#[cfg(test)]
#[path = "decide/tests.rs"]
mod tests;
