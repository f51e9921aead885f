//! What speaks against work that can wait: how busy the database is, its standbys, and the pooler in front of it.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tokio_postgres::Client;

use crate::error::ViewsError;
use crate::policy::Policy;
use crate::schedule::{duration_text, length};
use crate::session::{row, value};

/// What was seen at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pressure {
    /// Sessions at work, other than this one: those that execute something and do not wait for their client.
    pub active: u32,
    /// Sessions that the server takes: `max_connections`.
    pub sessions_max: u32,
    /// The standby that is furthest behind, where there is one whose lag can be seen.
    pub standby: Option<StandbyLag>,
    /// The client of a pooler that waits longest for a server, where that is known.
    pub waiting: Option<PoolerWait>,
    /// Whether the view is being vacuumed right now, which a refresh would have to wait for.
    pub is_view_vacuumed: bool,
}

/// A standby and its lag.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StandbyLag {
    /// Its `application_name`, or else its address.
    pub name: String,
    /// How long ago it was written what it replays now: `replay_lag` of `pg_stat_replication`.
    #[serde(with = "length")]
    pub behind: Duration,
}

/// A pool of a pooler whose clients wait for servers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PoolerWait {
    /// Database and user, as the pooler calls them.
    pub pool: String,
    /// How long the first in the queue has waited.
    #[serde(with = "length")]
    pub waited: Duration,
}

/// What is too much.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum PressureCause {
    /// Sessions at work.
    Sessions {
        /// How many there are.
        active: u32,
        /// How many are fine.
        active_max: u32,
    },
    /// A standby is behind.
    Standby(StandbyLag),
    /// The pooler's clients wait.
    Pooler(PoolerWait),
    /// The view is being vacuumed.
    Vacuum,
}

impl Pressure {
    /// What is too much by `policy`, if anything is.
    #[must_use]
    pub fn cause(&self, policy: &Policy) -> Option<PressureCause> {
        let active_max = policy.active_max(self.sessions_max);
        if self.active > active_max {
            return Some(PressureCause::Sessions { active: self.active, active_max });
        }
        let waiting = self.waiting.as_ref().filter(|waiting| waiting.waited > policy.wait_max);
        if let Some(waiting) = waiting {
            return Some(PressureCause::Pooler(waiting.clone()));
        }
        let standby = self.standby.as_ref().filter(|standby| standby.behind > policy.lag_max);
        if let Some(standby) = standby {
            return Some(PressureCause::Standby(standby.clone()));
        }
        self.is_view_vacuumed.then_some(PressureCause::Vacuum)
    }
}

/// For a person: `30 of 25 sessions at work`.
impl fmt::Display for PressureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sessions { active, active_max } => write!(f, "{active} of {active_max} sessions at work"),
            Self::Standby(StandbyLag { name, behind }) => {
                write!(f, "standby {name} is {} behind", roughly(*behind))
            }
            Self::Pooler(PoolerWait { pool, waited }) => {
                write!(f, "clients of pool {pool} have waited {} for a server", roughly(*waited))
            }
            Self::Vacuum => f.write_str("the view is being vacuumed"),
        }
    }
}

/// Whole seconds, where it is more than a few.
fn roughly(time: Duration) -> String {
    duration_text(if time < Duration::from_secs(10) { time } else { Duration::from_secs(time.as_secs()) })
}

/// What was seen of the server, for all views.
pub(crate) struct Load {
    pressure: Pressure,
    vacuumed: Vec<u32>,
}

impl Load {
    /// What speaks against refreshing a view, where it is there.
    pub(crate) fn of_view(&self, view: Option<u32>) -> Pressure {
        let is_view_vacuumed = view.is_some_and(|view| self.vacuumed.contains(&view));
        Pressure { is_view_vacuumed, ..self.pressure.clone() }
    }
}

/// Looks at the server.
pub(crate) async fn load(client: &Client, waiting: Option<PoolerWait>) -> Result<Load, ViewsError> {
    let found = row(client, "read how busy the server is", include_str!("../sql/pressure.sql"), &[]).await?;
    let Some(found) = found else {
        return Ok(Load { pressure: Pressure { waiting, ..Pressure::default() }, vacuumed: Vec::new() });
    };
    let number = |name| value::<i64>(&found, name).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    let standby: Option<String> = value(&found, "standby")?;
    let behind: Option<f64> = value(&found, "behind_s")?;
    let behind = behind.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let pressure = Pressure {
        active: number("active")?,
        sessions_max: number("sessions_max")?,
        standby: standby.zip(behind).map(|(name, behind)| StandbyLag { name, behind }),
        waiting,
        is_view_vacuumed: false,
    };
    Ok(Load { pressure, vacuumed: value::<Option<Vec<u32>>>(&found, "vacuumed")?.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_said_with_its_figures() {
        let behind =
            |millis| Some(StandbyLag { name: "db2".to_owned(), behind: Duration::from_millis(millis) });
        let waited =
            |millis| Some(PoolerWait { pool: "shop/app".to_owned(), waited: Duration::from_millis(millis) });
        let calm = Pressure { active: 25, sessions_max: 100, ..Pressure::default() };
        let policy = Policy { active_max: Some(25), ..Policy::default() };
        for (pressure, expected) in [
            (Pressure::default(), None),
            (calm.clone(), None),
            (Pressure { active: 30, ..calm.clone() }, Some("30 of 25 sessions at work")),
            (Pressure { standby: behind(10_000), ..calm.clone() }, None),
            (Pressure { standby: behind(42_345), ..calm.clone() }, Some("standby db2 is 42s behind")),
            (Pressure { waiting: waited(999), ..calm.clone() }, None),
            (
                Pressure { waiting: waited(2_500), ..calm.clone() },
                Some("clients of pool shop/app have waited 2s500ms for a server"),
            ),
            (Pressure { is_view_vacuumed: true, ..calm }, Some("the view is being vacuumed")),
        ] {
            let said = pressure.cause(&policy).map(|cause| cause.to_string());
            assert_eq!(said.as_deref(), expected, "{pressure:?}");
        }
    }
}
