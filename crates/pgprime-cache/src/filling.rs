//! From a miss to a result: the claim among instances, the fill, and whether what it gave is stored.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use crate::codec::{self, Stored};
use crate::config::Consistency;
use crate::fill::{Filled, Keep};
use crate::flight::Lead;
use crate::inner::{Inner, Job, Remote, View, serve};
use crate::memory::{Entry, Freshness};
use crate::served::{Served, Source};
use crate::shared::{Looked, OurClaim};
use crate::stamp::{Stamp, Writers};
use crate::stats::add;

/// The first pause before another instance's fill is looked for again; it doubles.
const CLAIM_PAUSE_FIRST: Duration = Duration::from_millis(2);
const CLAIM_PAUSE_MAX: Duration = Duration::from_millis(50);

/// What a caller that is to fill brings along.
pub(crate) struct Duty {
    /// What held before; the fill is stored only if it still does.
    pub(crate) view: View,
    /// Others wait for this fill.
    pub(crate) lead: Option<Lead>,
    /// What may be served if another instance fills.
    pub(crate) stale: Option<Served>,
    pub(crate) waiting: Waiting,
}

/// Who waits for a fill in the first place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The request that led to it, which thereby is a miss.
    Caller,
    /// That one has been served already.
    Nobody,
}

/// Who of all instances fills.
enum Claimed {
    /// This one; without a claim, each for itself.
    Here(Option<OurClaim>),
    /// Another one has.
    Landed(Entry),
    /// Another one is at it.
    Elsewhere,
}

impl Inner {
    /// The result by `fill`, unless somebody else was faster.
    pub(crate) async fn fill<F, Fut, E>(&self, job: &Job, duty: Duty, fill: F) -> Result<Served, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Filled, E>>,
    {
        let Duty { view, lead, stale, waiting } = duty;
        // Without knowing the epochs, nobody may share a fill that began before he came.
        let _runway = match (view.remote, &lead) {
            (Remote::Unknown, Some(lead)) => {
                let runway = self.flights.runway(job.key).await;
                lead.depart();
                runway
            }
            _ => None,
        };
        // Between this call's look and its lead another flight may have landed.
        if let Some(served) = self.fresh_in_memory(job, &view) {
            return Ok(land(lead, served));
        }
        // Who fills for himself alone does so now: the flight or the claim has just failed.
        let claim = match &lead {
            Some(_) => self.claim(job, &view, stale.is_some()).await,
            None => Claimed::Here(None),
        };
        let _claim = match (claim, stale) {
            (Claimed::Landed(entry), _) => {
                return Ok(land(lead, serve(&entry, Source::Redis, Instant::now())));
            }
            (Claimed::Elsewhere, Some(stale)) => return Ok(stale),
            (Claimed::Elsewhere, None) => None,
            (Claimed::Here(claim), _) => claim,
        };
        let began = Instant::now();
        match self.run(job, &view, waiting, fill).await {
            Ok(Filled { bytes, keep: Keep::Yes }) => {
                self.store(job, &view, began, &bytes).await;
                Ok(land(lead, Served { bytes, source: Source::Filled, age: began.elapsed() }))
            }
            Ok(Filled { bytes, keep: Keep::No }) => {
                fail(lead);
                Ok(Served { bytes, source: Source::Filled, age: began.elapsed() })
            }
            Err(error) => {
                fail(lead);
                Err(error)
            }
        }
    }

    /// The result by `fill`, of which nothing is stored.
    pub(crate) async fn bypass<F, Fut, E>(&self, job: &Job, fill: F) -> Result<Served, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Filled, E>>,
    {
        let began = Instant::now();
        add(&job.stats.too_large, 1);
        let view = View { local: self.epochs.look(&job.tables, began), remote: Remote::Unknown };
        let filled = self.run(job, &view, Waiting::Caller, fill).await?;
        Ok(Served { bytes: filled.bytes, source: Source::Filled, age: began.elapsed() })
    }

    async fn run<F, Fut, E>(&self, job: &Job, view: &View, waiting: Waiting, fill: F) -> Result<Filled, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Filled, E>>,
    {
        match (waiting, view.writers()) {
            (Waiting::Nobody, _) => add(&job.stats.refreshes, 1),
            (Waiting::Caller, writers) => {
                add(&job.stats.misses, 1);
                add(&job.stats.misses_writing, u64::from(writers == Writers::Present));
            }
        }
        let began = Instant::now();
        let filled = fill().await;
        match &filled {
            Ok(_) => job.stats.filled(began.elapsed()),
            Err(_) => add(&job.stats.errors, 1),
        }
        filled
    }

    /// Agrees with the other instances on who fills. With something stale to serve nobody waits for it.
    async fn claim(&self, job: &Job, view: &View, has_stale: bool) -> Claimed {
        let (Some(shared), Some(looked)) = (&self.shared, view.exchange()) else {
            return Claimed::Here(None);
        };
        let until = Instant::now() + if has_stale { Duration::ZERO } else { shared.fill_wait_max() };
        let mut pause = CLAIM_PAUSE_FIRST;
        loop {
            let Some(claim) = shared.claim(&job.key, looked.seen.stamp).await else {
                return Claimed::Here(None);
            };
            let entry = self.adopt(job, view, &looked, &claim.entry).ok();
            if let Some(entry) = entry.filter(|entry| entry.freshness(Instant::now()) == Freshness::Fresh) {
                return Claimed::Landed(entry);
            }
            if claim.ours.is_some() {
                return Claimed::Here(claim.ours);
            }
            if Instant::now() >= until {
                return Claimed::Elsewhere;
            }
            sleep(pause.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
            pause = (pause * 2).min(CLAIM_PAUSE_MAX);
        }
    }

    /// Stores what a fill that began at `began` gave, if nothing has changed since `view`.
    async fn store(&self, job: &Job, view: &View, began: Instant, bytes: &Bytes) {
        if view.writers() == Writers::Present {
            return;
        }
        if bytes.len() > self.config.value_bytes_max {
            return add(&job.stats.too_large, 1);
        }
        let fresh_for = job.policy.fresh_for(fastrand::f64());
        if self.epochs.look(&job.tables, Instant::now()) != view.local {
            return add(&job.stats.discarded, 1);
        }
        let remote = match view.remote {
            Remote::None => None,
            // By strict consistency it could never be served.
            Remote::Unknown if self.config.consistency == Consistency::Strict => return,
            Remote::Unknown => None,
            Remote::Known(looked) => match self.store_shared(job, &looked, began, fresh_for, bytes).await {
                Ok(stamp) => Some(stamp),
                Err(Changed) => return add(&job.stats.discarded, 1),
            },
        };
        add(&job.stats.bytes_stored, bytes.len() as u64);
        let stored_at = Instant::now();
        let entry = Entry {
            bytes: bytes.clone(),
            local: view.local.stamp,
            remote,
            stored_at,
            age_at_store: stored_at.saturating_duration_since(began),
            fresh_for,
            stale_for: job.policy.stale_for(),
            stats: job.stats.clone(),
        };
        self.keep(job, entry);
    }

    /// The epochs are compared first to spare Redis what is outdated already. If they change between this and the storing,
    /// the entry carries epochs that will never be those of now again: whoever reads it sees that.
    async fn store_shared(
        &self,
        job: &Job,
        looked: &Looked,
        began: Instant,
        fresh_for: Duration,
        bytes: &Bytes,
    ) -> Result<Stamp, Changed> {
        let stamp = looked.seen.stamp;
        let Some(shared) = &self.shared else { return Ok(stamp) };
        match shared.look(&job.tables).await {
            Ok(now) if now.seen != looked.seen => return Err(Changed),
            Ok(_) => {}
            Err(_) => return Ok(stamp),
        }
        let stale_for = job.policy.stale_for();
        // An age may be taken for more than it is, never for less.
        let created_ms = looked.server_ms_at_least(began);
        let stored = Stored { bytes: bytes.clone(), stamp, created_ms, fresh_for, stale_for };
        let encoded = codec::encode(&job.key, &stored, job.policy.compress_above_bytes);
        let left = fresh_for.saturating_add(stale_for).saturating_sub(began.elapsed());
        if !left.is_zero() {
            shared.write(&job.key, &encoded, left).await;
        }
        Ok(stamp)
    }
}

/// Tables changed during a fill.
struct Changed;

fn fail(lead: Option<Lead>) {
    if let Some(lead) = lead {
        lead.fail();
    }
}

/// Lets all who wait have what is served here.
fn land(lead: Option<Lead>, served: Served) -> Served {
    if let Some(lead) = lead {
        lead.land(Served { source: Source::Shared, ..served.clone() });
    }
    served
}
