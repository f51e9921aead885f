//! Refreshes views as they are declared, and says in the log what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pgprime_api::LazyDatabase;
use pgprime_monitor::watch::Round as Look;
use pgprime_views::{Declarations, RefreshOutcome, Round, Scheduler, ViewName};
use tokio::sync::watch::Receiver;

use super::parts::CONNECT_TIMEOUT;

/// What is looked after, and with what.
pub(super) struct Keeper {
    pub(super) declarations: Declarations,
    pub(super) url: String,
    pub(super) cached: LazyDatabase,
    /// What is seen of the poolers.
    pub(super) rounds: Receiver<Option<Arc<Look>>>,
    /// A look that ended longer ago tells nothing any more.
    pub(super) stale_after: Duration,
}

impl Keeper {
    /// Goes on until it is dropped.
    pub(super) async fn keep(self) {
        let Self { declarations, url, cached, rounds, stale_after } = self;
        let cache = loop {
            match cached.get().await {
                Ok(database) => break database.cache().cloned(),
                Err(_) => tokio::time::sleep(CONNECT_TIMEOUT).await,
            }
        };
        let policy = declarations.policy().clone();
        let waiting = move || rounds.borrow().as_ref()?.longest_wait(stale_after);
        let scheduler = Scheduler::new(declarations, policy).with_waiting(Arc::new(waiting));
        let scheduler = match cache {
            Some(cache) => scheduler.with_cache(cache),
            None => scheduler,
        };
        let connect = || async {
            pgprime_client::connect(&url, CONNECT_TIMEOUT).await.map(|connected| connected.client)
        };
        let mut said = Said::default();
        scheduler.run(connect, |round| said.tell(round)).await;
    }
}

/// What was said already: what stays as it is is said once.
#[derive(Default)]
struct Said {
    /// Why views are not looked after at all.
    trouble: Option<String>,
    /// What holds a view back, or that it is missing.
    waits: BTreeMap<ViewName, String>,
}

impl Said {
    fn tell(&mut self, round: Result<Round, String>) {
        match round {
            Ok(round) => {
                if self.trouble.take().is_some() {
                    tracing::info!("views are looked after again");
                }
                round.outcomes.iter().for_each(tell_outcome);
                self.tell_waits(&round);
            }
            // It is tried again and again: said once, without the statements that would help.
            Err(reason) if self.trouble.as_ref() != Some(&reason) => {
                let line = reason.lines().next().unwrap_or_default();
                tracing::warn!(reason = line, "views are not looked after; `pgprime views plan` says more");
                self.trouble = Some(reason);
            }
            Err(_) => {}
        }
    }

    fn tell_waits(&mut self, round: &Round) {
        let mut waits = BTreeMap::new();
        for held in &round.held {
            // Its figures change with every look.
            let kind = format!("{:?}", std::mem::discriminant(&held.cause));
            if self.waits.get(&held.view) != Some(&kind) {
                tracing::info!(view = %held.view, cause = %held.cause, "a refresh is due and held back");
            }
            waits.insert(held.view.clone(), kind);
        }
        for view in &round.missing {
            let kind = "missing".to_owned();
            if self.waits.get(view) != Some(&kind) {
                tracing::error!(%view, "a declared view is not there: `pgprime views apply` makes it");
            }
            waits.insert(view.clone(), kind);
        }
        self.waits = waits;
    }
}

fn tell_outcome(outcome: &RefreshOutcome) {
    match outcome {
        RefreshOutcome::Refreshed(done) => {
            let (reason, duration_ms) = (done.reason.as_str(), done.duration_ms.round());
            tracing::info!(view = %done.view, reason, duration_ms, rows = done.rows, "a view was refreshed");
        }
        RefreshOutcome::Busy { view } => tracing::debug!(%view, "another instance refreshes it"),
        RefreshOutcome::Failed { view, error, failures, is_failing } => {
            let error = error.lines().next().unwrap_or_default();
            if *is_failing {
                tracing::error!(
                    %view, failures, error,
                    "a view keeps failing and grows old: it is tried at long intervals only, until somebody looks at it"
                );
            } else {
                tracing::warn!(%view, failures, error, "a view could not be refreshed; it is tried again");
            }
        }
    }
}
