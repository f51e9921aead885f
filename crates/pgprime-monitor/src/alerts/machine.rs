//! Decides which checks are alerts: pure, with time given.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::alert::{Alert, AlertState, Change, ChangeKind, Severity};
use super::rule::{DATABASE_UP, Rule};
use crate::health::{Check, HealthReport, Status, Unit};

/// Rounds that are farther apart count as this: what nobody saw is not known to have been bad, or well.
const ELAPSED_MAX: Duration = Duration::from_secs(300);
/// An alert whose check is not made any more ends after this.
const ABSENT_MAX: Duration = Duration::from_secs(900);
/// Alerts that come and go are told by what happened within this.
const FLAPPING_WITHIN: Duration = Duration::from_secs(3_600);
/// From this time within the hour on, each doubles the time that it takes to resolve.
const FLAPPING_FROM: usize = 3;

/// Where all rules stand.
///
/// A rule is quiet until its check is bad, then pending, and fires when that has lasted. It resolves when the check has
/// been well for a while, by a margin. What cannot be seen changes nothing and counts for nothing; while the database is
/// down, nothing but that fires. A warning is not announced while the critical alert of its check fires.
#[derive(Clone, Debug)]
pub struct Alerts {
    rules: Vec<Rule>,
    states: Vec<RuleState>,
    last_at: Option<Timestamp>,
    /// Alerts that fired when the last process ended, whose rules are gone.
    orphans: Vec<Alert>,
}

/// What a restart needs to know.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedAlerts {
    last_at: Option<Timestamp>,
    rules: BTreeMap<String, RuleState>,
}

impl SavedAlerts {
    /// Whether anything but the time is another.
    pub(super) fn differs_from(&self, other: &Self) -> bool {
        self.rules != other.rules
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct RuleState {
    phase: Phase,
    /// When it fired within the last hour.
    fired: VecDeque<Timestamp>,
}

/// Exits: Quiet → Pending; Pending → Firing, Quiet; Firing → Quiet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
enum Phase {
    #[default]
    Quiet,
    Pending {
        alert: Alert,
        bad: Duration,
    },
    Firing {
        alert: Alert,
        /// For how long the check has been well; `None` since it was last seen otherwise.
        well: Option<Duration>,
        /// For how long the check has not been made.
        absent: Duration,
    },
}

/// What a rule sees of its check.
#[derive(Clone, Copy)]
enum Sight<'a> {
    Bad(&'a Check),
    /// Not bad, though not well by the margin.
    Close(&'a Check),
    Well(&'a Check),
    Unseen,
    Absent,
}

/// What a step knows beside the check.
#[derive(Clone, Copy)]
struct Moment {
    now: Timestamp,
    elapsed: Duration,
    /// The critical alert of the same check fires.
    is_inhibited: bool,
}

impl Alerts {
    /// All rules quiet.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        Self::restored(rules, SavedAlerts::default())
    }

    /// Goes on where a process ended. An alert whose rule is gone resolves with the first step.
    #[must_use]
    pub fn restored(mut rules: Vec<Rule>, mut saved: SavedAlerts) -> Self {
        // The graver of a check first: it inhibits the other in the same step.
        rules.sort_by(|one, other| {
            one.check
                .cmp(&other.check)
                .then(other.severity.cmp(&one.severity))
                .then(one.name.cmp(&other.name))
        });
        let mut state = |rule: &Rule| {
            let is_its = |state: &RuleState| state.alert().is_none_or(|alert| alert.check == rule.check);
            match saved.rules.remove(&rule.name) {
                Some(state) if is_its(&state) => state,
                Some(other) => {
                    saved.rules.insert(rule.name.clone(), other);
                    RuleState::default()
                }
                None => RuleState::default(),
            }
        };
        let states = rules.iter().map(&mut state).collect();
        let orphan = |state: RuleState| match state.phase {
            Phase::Firing { alert, .. } => Some(alert),
            Phase::Quiet | Phase::Pending { .. } => None,
        };
        let orphans = saved.rules.into_values().filter_map(orphan).collect();
        Self { rules, states, last_at: saved.last_at, orphans }
    }

    /// What a restart needs to know.
    #[must_use]
    pub fn saved(&self) -> SavedAlerts {
        let is_worth = |state: &RuleState| *state != RuleState::default();
        let named = self.rules.iter().zip(&self.states).filter(|(_, state)| is_worth(state));
        let rules = named.map(|(rule, state)| (rule.name.clone(), state.clone())).collect();
        SavedAlerts { last_at: self.last_at, rules }
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The alerts that fire, the gravest and then the oldest first.
    #[must_use]
    pub fn firing(&self) -> Vec<&Alert> {
        self.in_state(AlertState::Firing)
    }

    /// Checks that are bad, though not for long enough.
    #[must_use]
    pub fn pending(&self) -> Vec<&Alert> {
        self.in_state(AlertState::Pending)
    }

    fn in_state(&self, state: AlertState) -> Vec<&Alert> {
        let mut found: Vec<&Alert> =
            self.states.iter().filter_map(RuleState::alert).filter(|alert| alert.state == state).collect();
        found.sort_by_key(|alert| (std::cmp::Reverse(alert.severity), alert.since, &alert.rule));
        found
    }

    /// Takes a health report into account; returns what people should hear of.
    pub fn step(&mut self, now: Timestamp, report: &HealthReport) -> Vec<Change> {
        let elapsed = self.last_at.map_or(Duration::ZERO, |last| elapsed(last, now));
        self.last_at = Some(now);
        let checks: HashMap<&str, &Check> =
            report.checks.iter().map(|check| (check.id.as_str(), check)).collect();
        let is_down = checks.get(DATABASE_UP).is_some_and(|check| check.status == Status::Critical);
        let mut changes: Vec<Change> = self.orphans.drain(..).map(|alert| resolved(alert, now)).collect();
        let mut critical_check = None;
        for (rule, state) in self.rules.iter().zip(&mut self.states) {
            let is_suppressed = is_down && rule.check != DATABASE_UP;
            let sight = match checks.get(rule.check.as_str()) {
                _ if is_suppressed => Sight::Unseen,
                Some(check) => look(rule, check),
                // A round that failed has seen nothing.
                None if report.checks.is_empty() => Sight::Unseen,
                None => Sight::Absent,
            };
            let is_inhibited =
                rule.severity == Severity::Warning && critical_check == Some(rule.check.as_str());
            changes.extend(state.step(rule, sight, Moment { now, elapsed, is_inhibited }));
            state.suppress(is_suppressed);
            if rule.severity == Severity::Critical && matches!(state.phase, Phase::Firing { .. }) {
                critical_check = Some(rule.check.as_str());
            }
        }
        changes
    }
}

impl RuleState {
    fn alert(&self) -> Option<&Alert> {
        match &self.phase {
            Phase::Quiet => None,
            Phase::Pending { alert, .. } | Phase::Firing { alert, .. } => Some(alert),
        }
    }

    fn suppress(&mut self, is_suppressed: bool) {
        if let Phase::Pending { alert, .. } | Phase::Firing { alert, .. } = &mut self.phase {
            alert.is_suppressed = is_suppressed;
        }
    }

    fn step(&mut self, rule: &Rule, sight: Sight<'_>, moment: Moment) -> Option<Change> {
        match std::mem::take(&mut self.phase) {
            Phase::Quiet => match sight {
                Sight::Bad(check) => {
                    let alert = begin(rule, check, moment.now);
                    self.wait_or_fire(rule, alert, Duration::ZERO, moment)
                }
                _ => None,
            },
            Phase::Pending { mut alert, bad } => match sight {
                Sight::Bad(check) => {
                    update(&mut alert, rule, check, moment.now);
                    self.wait_or_fire(rule, alert, bad + moment.elapsed, moment)
                }
                Sight::Unseen => {
                    self.phase = Phase::Pending { alert, bad };
                    None
                }
                Sight::Close(_) | Sight::Well(_) | Sight::Absent => None,
            },
            Phase::Firing { alert, well, absent } => self.go_on(rule, alert, (well, absent), sight, moment),
        }
    }

    fn wait_or_fire(
        &mut self,
        rule: &Rule,
        mut alert: Alert,
        bad: Duration,
        moment: Moment,
    ) -> Option<Change> {
        if bad < rule.fires_after || moment.is_inhibited {
            self.phase = Phase::Pending { alert, bad };
            return None;
        }
        self.fired.retain(|fired| elapsed_unbounded(*fired, moment.now) < FLAPPING_WITHIN);
        self.fired.push_back(moment.now);
        alert.state = AlertState::Firing;
        alert.fired_at = Some(moment.now);
        alert.fired_within_hour = u32::try_from(self.fired.len()).unwrap_or(u32::MAX);
        self.phase = Phase::Firing { alert: alert.clone(), well: None, absent: Duration::ZERO };
        Some(Change { kind: ChangeKind::Fired, alert })
    }

    fn go_on(
        &mut self,
        rule: &Rule,
        mut alert: Alert,
        (well, mut absent): (Option<Duration>, Duration),
        sight: Sight<'_>,
        moment: Moment,
    ) -> Option<Change> {
        let well = match sight {
            Sight::Bad(check) | Sight::Close(check) => {
                update(&mut alert, rule, check, moment.now);
                None
            }
            Sight::Well(check) => {
                update(&mut alert, rule, check, moment.now);
                Some(well.map_or(Duration::ZERO, |well| well + moment.elapsed))
            }
            Sight::Unseen | Sight::Absent => well,
        };
        absent = if matches!(sight, Sight::Absent) { absent + moment.elapsed } else { Duration::ZERO };
        let is_over = well.is_some_and(|well| well >= self.clear_after(rule));
        if (is_over && matches!(sight, Sight::Well(_))) || absent >= ABSENT_MAX {
            return Some(resolved(alert, moment.now));
        }
        alert.is_clearing = well.is_some();
        self.phase = Phase::Firing { alert, well, absent };
        None
    }

    /// Longer for what comes and goes, up to an hour: 5 minutes, 5, then 10, 20, 40, 60.
    fn clear_after(&self, rule: &Rule) -> Duration {
        let doublings = (self.fired.len() + 1).saturating_sub(FLAPPING_FROM).min(10);
        let longer = rule.clear_after.saturating_mul(1 << doublings);
        longer.min(FLAPPING_WITHIN.max(rule.clear_after))
    }
}

fn begin(rule: &Rule, check: &Check, now: Timestamp) -> Alert {
    Alert {
        id: format!("{}@{}", rule.name, now.as_second()),
        rule: rule.name.clone(),
        severity: rule.severity,
        state: AlertState::Pending,
        check: check.id.clone(),
        title: check.title.clone(),
        text: check.text.clone(),
        value: check.value,
        unit: check.unit,
        threshold: threshold(rule, check),
        action: check.action.clone(),
        statement: check.statement.clone(),
        since: now,
        fired_at: None,
        last_at: now,
        resolved_at: None,
        fired_within_hour: 0,
        is_suppressed: false,
        is_clearing: false,
    }
}

fn update(alert: &mut Alert, rule: &Rule, check: &Check, now: Timestamp) {
    alert.text.clone_from(&check.text);
    alert.value = check.value;
    alert.threshold = threshold(rule, check);
    // All of one moment: a statement that goes with another text does harm.
    alert.action.clone_from(&check.action);
    alert.statement.clone_from(&check.statement);
    alert.last_at = now;
}

fn resolved(mut alert: Alert, now: Timestamp) -> Change {
    alert.state = AlertState::Resolved;
    alert.resolved_at = Some(now);
    (alert.is_suppressed, alert.is_clearing) = (false, false);
    // What may be left to do is what another alert is about.
    (alert.action, alert.statement) = (None, None);
    Change { kind: ChangeKind::Resolved, alert }
}

/// From where on the value is bad; `None` where no value is.
fn threshold(rule: &Rule, check: &Check) -> Option<f64> {
    let limit = check.thresholds.map(|thresholds| match rule.severity {
        Severity::Warning => thresholds.warning,
        Severity::Critical => thresholds.critical,
    });
    limit.filter(|limit| limit.is_finite())
}

fn look<'a>(rule: &Rule, check: &'a Check) -> Sight<'a> {
    match check.status {
        Status::Unknown => Sight::Unseen,
        Status::Ok if check.is_tentative => Sight::Unseen,
        status if status >= rule.severity.status() => Sight::Bad(check),
        _ if is_clear(rule, check) => Sight::Well(check),
        _ => Sight::Close(check),
    }
}

/// Whether the value is on the good side of the threshold by the margin. Above 80 is bad, margin 0.05: up to 76. Below
/// 99 % is bad: from 99.05 % on, as the margin is of what is left to 100 where that is less.
fn is_clear(rule: &Rule, check: &Check) -> bool {
    let (Some(value), Some(thresholds), Some(limit)) =
        (check.value, check.thresholds, threshold(rule, check))
    else {
        return true;
    };
    if thresholds.critical >= thresholds.warning {
        return value <= limit - limit.abs() * rule.margin;
    }
    let room = if check.unit == Unit::Percent { (100.0 - limit).max(0.0) } else { f64::INFINITY };
    value >= limit + limit.abs().min(room) * rule.margin
}

fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    elapsed_unbounded(from, to).min(ELAPSED_MAX)
}

/// Nothing, when the clock was set back.
fn elapsed_unbounded(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests;
