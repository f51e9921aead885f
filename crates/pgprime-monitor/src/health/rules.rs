//! From what was seen to what it means. Pure: one file for each group of checks.

mod bloat;
mod cache;
mod checkpoints;
mod connections;
mod database;
mod disk;
mod errors;
mod indexes;
mod locks;
mod pooler;
mod queries;
mod replication;
mod result_cache;
mod seen;
mod transactions;
mod vacuum;
mod views;

pub use locks::blocking;
pub use seen::{PoolerSeen, PoolerTrouble};

use super::down::Down;
use super::observe::Observation;
use super::past::Past;
use super::report::{Check, Status};
use super::settings::Settings;
use super::space::SpaceSummary;
use super::verdict::Verdict;
use pgprime_readonly::Missing;
use seen::Seen;

/// All that is known at one moment. What is not looked after here is left out: its checks are, too.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    /// What was seen of the database, or why it gave no answer.
    pub observed: Result<&'a Observation, &'a Down>,
    /// The look before, for what happened in between.
    pub earlier: Option<&'a Observation>,
    /// The poolers in front of the database.
    pub poolers: &'a [PoolerSeen],
    /// Other sources that could not be seen.
    pub missing: &'a [Missing],
    /// Waste, as of the last report on space.
    pub space: Option<&'a SpaceSummary>,
    /// Declared views.
    pub views: Option<&'a pgprime_views::Status>,
    /// The result cache.
    pub cache: Option<&'a pgprime_cache::Report>,
    /// Values of the past.
    pub past: Option<&'a dyn Past>,
}

impl<'a> Evidence<'a> {
    /// Only what was seen of the database.
    #[must_use]
    pub fn of(observed: Result<&'a Observation, &'a Down>, earlier: Option<&'a Observation>) -> Self {
        Self {
            observed,
            earlier,
            poolers: &[],
            missing: &[],
            space: None,
            views: None,
            cache: None,
            past: None,
        }
    }
}

/// The checks of a database alone.
#[must_use]
pub fn checks(now: &Observation, earlier: Option<&Observation>, settings: &Settings) -> Vec<Check> {
    judge(&Evidence::of(Ok(now), earlier), settings)
}

/// All checks, in the order of their definitions.
#[must_use]
pub fn judge(evidence: &Evidence<'_>, settings: &Settings) -> Vec<Check> {
    let mut verdicts = match evidence.observed {
        Err(down) => vec![database::down(down)],
        Ok(now) => of_database(&Seen { now, earlier: now.comparable(evidence.earlier), settings }),
    };
    verdicts.extend(pooler::verdicts(evidence.poolers));
    verdicts.extend(evidence.space.into_iter().flat_map(|space| bloat::verdicts(space, settings)));
    verdicts.extend(evidence.views.into_iter().flat_map(views::verdicts));
    verdicts.extend(evidence.cache.into_iter().map(result_cache::verdict));
    let mut checks: Vec<Check> =
        verdicts.into_iter().filter_map(|verdict| verdict.judge(settings, evidence.past)).collect();
    let order =
        |check: &Check| super::table::DEFINITIONS.iter().position(|definition| definition.id == check.id);
    checks.sort_by_key(order);
    checks
}

fn of_database(seen: &Seen<'_>) -> Vec<Verdict> {
    let mut verdicts = vec![database::up(seen)];
    verdicts.extend(connections::verdicts(seen));
    verdicts.extend(queries::verdicts(seen));
    verdicts.extend(cache::verdicts(seen));
    verdicts.extend(replication::verdicts(seen));
    verdicts.extend(indexes::verdicts(seen));
    verdicts.extend(locks::verdicts(seen));
    verdicts.extend(transactions::verdicts(seen));
    verdicts.extend(vacuum::verdicts(seen));
    verdicts.extend(checkpoints::verdicts(seen));
    verdicts.extend(disk::verdicts(seen));
    verdicts.extend(errors::verdicts(seen));
    verdicts
}

/// The gravest of them; well where there are none.
pub(super) fn gravest(checks: &[Check]) -> Status {
    checks.iter().map(|check| check.status).max().unwrap_or(Status::Ok)
}

#[cfg(test)]
mod tests;
