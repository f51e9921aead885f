//! Alerts, and what changes about them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::health::{Status, Unit};

/// How grave an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Somebody should look at it this week.
    Warning,
    /// Somebody should look at it now.
    Critical,
}

impl Severity {
    /// As it is written in settings and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// The status of a check from which on it holds.
    pub(super) fn status(self) -> Status {
        match self {
            Self::Warning => Status::Warning,
            Self::Critical => Status::Critical,
        }
    }
}

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// The check is bad, though not for long enough.
    Pending,
    /// It has been bad for long enough, and is not known to be well again.
    Firing,
    /// It is well again.
    Resolved,
}

/// A check that is bad, from the first sight of it to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Rule and beginning: the same in all messages about it.
    pub id: String,
    /// The rule.
    pub rule: String,
    /// How grave it is.
    pub severity: Severity,
    /// Where it stands.
    pub state: AlertState,
    /// The check.
    pub check: String,
    /// The check's title.
    pub title: String,
    /// What was seen last, with figures.
    pub text: String,
    /// The check's value, where it has one.
    pub value: Option<f64>,
    /// Its unit.
    #[serde(with = "unit_field")]
    pub unit: Unit,
    /// From where on the value is bad.
    pub threshold: Option<f64>,
    /// What to do; `None` while nothing is.
    pub action: Option<String>,
    /// A statement or command that does it.
    pub statement: Option<String>,
    /// Since when it is bad.
    pub since: Timestamp,
    /// When it began to fire.
    pub fired_at: Option<Timestamp>,
    /// When it was seen last.
    pub last_at: Timestamp,
    /// When it was known to be well again.
    pub resolved_at: Option<Timestamp>,
    /// How often it fired within the last hour, this time included; from the third time on it takes longer to resolve.
    pub fired_within_hour: u32,
    /// Whether nothing is said of it because the database is down.
    pub is_suppressed: bool,
    /// Whether its check is well again, though not for long enough to call it off.
    #[serde(default)]
    pub is_clearing: bool,
}

/// What happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It fires from now on.
    Fired,
    /// It does not any more.
    Resolved,
}

/// A change that people should hear of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// To which alert; as it is now.
    pub alert: Alert,
}

mod unit_field {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::health::Unit;
    use crate::history::unit_from;

    pub(super) fn serialize<S: Serializer>(unit: &Unit, serializer: S) -> Result<S::Ok, S::Error> {
        unit.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Unit, D::Error> {
        Ok(unit_from(&String::deserialize(deserializer)?))
    }
}
