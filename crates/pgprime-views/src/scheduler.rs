//! Keeps views fresh: looks, decides, refreshes, one view at a time, and sleeps until the next may be due.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::Duration;

use pgprime_cache::Cache;
use tokio_postgres::Client;

use crate::decide::{Decision, Hold, Reason, next_refresh};
use crate::declaration::Declarations;
use crate::error::ViewsError;
use crate::names::ViewName;
use crate::observe::{Observed, observe};
use crate::policy::Policy;
use crate::pressure::{PoolerWait, PressureCause};
use crate::refresh::{Asked, RefreshOutcome, Seen, refresh_if};
use crate::schedule::since;
use crate::store;

/// Between rounds, however much is due: nothing here is worth a busy loop.
const IDLE_MIN: Duration = Duration::from_millis(100);

/// Tells how long clients of a pooler wait right now, as far as that is known.
pub type WaitSource = Arc<dyn Fn() -> Option<PoolerWait> + Send + Sync>;

/// Refreshes what is due. Any number of instances may run one for the same database.
#[derive(Clone)]
pub struct Scheduler {
    declarations: Declarations,
    policy: Policy,
    cache: Option<Cache>,
    waiting: Option<WaitSource>,
}

/// A view that is due and has to wait.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// The view.
    pub view: ViewName,
    /// What holds it back.
    pub cause: PressureCause,
}

/// What one round did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Round {
    /// Refreshes, in their order.
    pub outcomes: Vec<RefreshOutcome>,
    /// Views that were due and had not changed.
    pub skipped: Vec<ViewName>,
    /// Views that are due and wait, as the database is under pressure.
    pub held: Vec<Held>,
    /// Views that are declared and not there.
    pub missing: Vec<ViewName>,
    /// How long nothing is due, as far as is known.
    pub idle: Duration,
}

/// What a view is about to have done to it.
enum Next {
    Refresh(ViewName, Reason, Seen),
    Skip(ViewName, u32),
    Nothing,
}

impl Scheduler {
    /// For these views.
    #[must_use]
    pub fn new(declarations: Declarations, policy: Policy) -> Self {
        Self { declarations, policy, cache: None, waiting: None }
    }

    /// With a cache of results that is told of every refresh: after it, nothing made from the view's older contents is
    /// served.
    #[must_use]
    pub fn with_cache(self, cache: Cache) -> Self {
        Self { cache: Some(cache), ..self }
    }

    /// Behind a pooler whose waiting clients are pressure, too.
    #[must_use]
    pub fn with_waiting(self, waiting: WaitSource) -> Self {
        Self { waiting: Some(waiting), ..self }
    }

    /// Refreshes what is due now, those first that others read. After a refresh everything is looked at again, as what
    /// reads a view has changed with it.
    ///
    /// # Errors
    /// [`ViewsError`] where the database cannot be worked with. A view that cannot be refreshed is an outcome.
    pub async fn round(&self, client: &Client) -> Result<Round, ViewsError> {
        let mut round = Round::default();
        // Each view once in a round: one that is busy or fails must not keep the others waiting.
        let mut done = BTreeSet::new();
        loop {
            let waiting = self.waiting.as_ref().and_then(|waiting| waiting());
            let observed = observe(client, &self.declarations, waiting).await?;
            match self.next(&observed, &done) {
                Next::Refresh(view, reason, seen) => {
                    let asked = Asked {
                        declaration: self.declarations.find(&view),
                        reason,
                        policy: &self.policy,
                        seen: Some(seen),
                        cache: self.cache.as_ref(),
                    };
                    match refresh_if(client, &view, asked).await {
                        Ok(outcome) => round.outcomes.push(outcome),
                        // Dropped between the look and the refresh.
                        Err(ViewsError::NotFound { .. }) => {}
                        Err(error) => return Err(error),
                    }
                    done.insert(view);
                }
                Next::Skip(view, oid) => {
                    store::unchanged(client, &view, oid, observed.now).await?;
                    round.skipped.push(view.clone());
                    done.insert(view);
                }
                Next::Nothing => {
                    self.rest(&observed, &mut round);
                    let missing = observed.views.iter().filter(|view| view.relation.is_none());
                    round.missing = missing.map(|view| view.declaration.name.clone()).collect();
                    return Ok(round);
                }
            }
        }
    }

    fn next(&self, observed: &Observed<'_>, done: &BTreeSet<ViewName>) -> Next {
        for view in &observed.views {
            let Some(relation) = view.relation.as_ref().filter(|relation| !done.contains(&relation.name))
            else {
                continue;
            };
            let pressure = observed.pressure(view);
            match next_refresh(observed.now, &view.state, view.declaration, &pressure, &self.policy) {
                Decision::Refresh { reason } => {
                    return Next::Refresh(relation.name.clone(), reason, Seen::of(&view.stored));
                }
                Decision::Skip { .. } => return Next::Skip(relation.name.clone(), relation.oid),
                Decision::Wait { .. } => {}
            }
        }
        Next::Nothing
    }

    /// What waits, and until when: something is due, but no longer than changes may go unseen.
    fn rest(&self, observed: &Observed<'_>, round: &mut Round) {
        let mut idle = self.policy.poll_interval;
        for view in &observed.views {
            let pressure = observed.pressure(view);
            // What is done in this round already has its turn again in another.
            let Decision::Wait { until, because } =
                next_refresh(observed.now, &view.state, view.declaration, &pressure, &self.policy)
            else {
                continue;
            };
            idle = until.map_or(idle, |until| idle.min(since(observed.now, until)));
            if let (Hold::Pressure { cause }, Some(relation)) = (because, &view.relation) {
                round.held.push(Held { view: relation.name.clone(), cause });
            }
        }
        round.idle = idle.max(IDLE_MIN);
    }

    /// Goes on until it is dropped, which may be at any moment: the connection of a round belongs to it, and a
    /// refresh ends with its connection. What happens is told to `report`.
    pub async fn run<F, E>(
        &self,
        mut connect: impl FnMut() -> F,
        mut report: impl FnMut(Result<Round, String>),
    ) -> Infallible
    where
        F: Future<Output = Result<Client, E>>,
        E: Display,
    {
        loop {
            let round = match connect().await {
                Ok(client) => self.round(&client).await.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            let idle = round.as_ref().map_or(self.policy.poll_interval, |round| round.idle);
            report(round);
            tokio::time::sleep(idle).await;
        }
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Scheduler");
        text.field("declarations", &self.declarations).field("policy", &self.policy);
        text.field("cache", &self.cache.is_some()).finish()
    }
}
