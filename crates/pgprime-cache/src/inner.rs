//! A cache's parts, and what may be served by them at one moment.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::codec::{self, Garbage};
use crate::config::{CacheConfig, Consistency, Policy};
use crate::epochs::Epochs;
use crate::flight::{FlightId, Flights};
use crate::key::Key;
use crate::memory::{Entry, Freshness, Memory};
use crate::served::{Served, Source};
use crate::shared::{Looked, SharedTier};
use crate::stamp::{Seen, Stamper, Writers};
use crate::stats::{LabelStats, Stats, add};
use crate::tables::Tables;

pub(crate) struct Inner {
    pub(crate) config: CacheConfig,
    pub(crate) epochs: Epochs,
    pub(crate) memory: Option<Memory>,
    pub(crate) shared: Option<Arc<SharedTier>>,
    pub(crate) flights: Flights,
    pub(crate) stats: Stats,
}

/// What was made later than this by the server's clock was made before that clock was set back, nobody knows when. Clocks that
/// run unequally make for less.
const CLOCK_AHEAD_MS_MAX: u64 = 10_000;

/// A request with all that belongs to it, for as long as its answer takes.
pub(crate) struct Job {
    pub(crate) key: Key,
    pub(crate) tables: Tables,
    pub(crate) policy: Policy,
    pub(crate) stats: Arc<LabelStats>,
}

impl Job {
    pub(crate) fn count(&self, served: &Served) {
        self.stats.served(served.source, served.bytes.len());
    }
}

/// What held for a job's tables after its call began. What is served to it is held against this.
#[derive(Clone, Copy)]
pub(crate) struct View {
    pub(crate) local: Seen,
    pub(crate) remote: Remote,
}

#[derive(Clone, Copy)]
pub(crate) enum Remote {
    /// There is no Redis.
    None,
    Known(Looked),
    /// It does not answer.
    Unknown,
}

impl View {
    pub(crate) fn writers(&self) -> Writers {
        match self.remote {
            Remote::Known(looked) if looked.seen.writers == Writers::Present => Writers::Present,
            _ => self.local.writers,
        }
    }

    /// Redis' view, where results may be exchanged with it.
    pub(crate) fn exchange(&self) -> Option<Looked> {
        match self.remote {
            Remote::Known(looked) if self.writers() == Writers::None => Some(looked),
            _ => None,
        }
    }

    pub(crate) fn flight(&self, key: Key) -> FlightId {
        let mut stamper = Stamper::new();
        stamper.seen(self.local);
        match self.remote {
            Remote::None => {}
            Remote::Known(looked) => stamper.seen(looked.seen),
            Remote::Unknown => stamper.part(b"unknown"),
        }
        FlightId { key, stamp: stamper.finish().stamp }
    }
}

/// Why what Redis gave is not served.
pub(crate) enum Refused {
    Garbage(Garbage),
    Outdated,
}

impl Inner {
    /// What holds for the job's tables, and an entry that is valid by it, fresh or not.
    pub(crate) async fn look(&self, job: &Job) -> (View, Option<(Entry, Source)>) {
        // The local epochs come first: whatever is fetched after them is at least as new as they say.
        let local = self.epochs.look(&job.tables, Instant::now());
        let in_memory = self.memory.as_ref().and_then(|memory| memory.read(&job.key));
        let Some(shared) = &self.shared else {
            let view = View { local, remote: Remote::None };
            return (view, self.valid(job, &view, in_memory));
        };
        // What is in memory needs only the epochs; else they and the entry are asked for together.
        let reads_both = in_memory.is_none() && local.writers == Writers::None;
        let read = async { if reads_both { shared.read(&job.key).await } else { None } };
        let (looked, mut stored) = tokio::join!(shared.view(&job.tables, local), read);
        let view = View { local, remote: looked.map_or(Remote::Unknown, Remote::Known) };
        let valid = self.valid(job, &view, in_memory);
        let is_fresh = |entry: &Entry| entry.freshness(Instant::now()) == Freshness::Fresh;
        let needed = !valid.as_ref().is_some_and(|(entry, _)| is_fresh(entry));
        let Some(looked) = view.exchange().filter(|_| needed) else { return (view, valid) };
        if !reads_both {
            stored = shared.read(&job.key).await;
        }
        let adopted = stored.and_then(|stored| {
            self.adopt(job, &view, &looked, &stored).map_err(|refused| count(job, &refused)).ok()
        });
        (view, adopted.map(|entry| (entry, Source::Redis)).or(valid))
    }

    /// A fresh entry of memory that the view allows.
    pub(crate) fn fresh_in_memory(&self, job: &Job, view: &View) -> Option<Served> {
        let entry = self.memory.as_ref()?.read(&job.key)?;
        let now = Instant::now();
        (self.allows(view, &entry) && entry.freshness(now) == Freshness::Fresh)
            .then(|| serve(&entry, Source::Memory, now))
    }

    /// The entry of memory, if the view allows it.
    fn valid(&self, job: &Job, view: &View, entry: Option<Entry>) -> Option<(Entry, Source)> {
        let entry = entry?;
        if self.allows(view, &entry) {
            return Some((entry, Source::Memory));
        }
        // With a writer about, or Redis gone, it may become valid again.
        if view.writers() == Writers::None && !matches!(view.remote, Remote::Unknown) {
            add(&job.stats.invalidated, 1);
            if let Some(memory) = &self.memory {
                memory.remove(&job.key, entry.local);
            }
        }
        None
    }

    fn allows(&self, view: &View, entry: &Entry) -> bool {
        let agrees = match view.remote {
            Remote::None => true,
            Remote::Known(looked) => entry.remote == Some(looked.seen.stamp),
            // Younger than that, it is as new as readers were promised, whatever happened elsewhere.
            Remote::Unknown => match self.config.consistency {
                Consistency::Strict => false,
                Consistency::Within(bound) => entry.age(Instant::now()) <= bound,
            },
        };
        agrees && entry.local == view.local.stamp && view.writers() == Writers::None
    }

    /// The entry in what Redis gave, if it is whole and `looked` allows it; it is kept in memory as well.
    pub(crate) fn adopt(
        &self,
        job: &Job,
        view: &View,
        looked: &Looked,
        stored: &[u8],
    ) -> Result<Entry, Refused> {
        let stored =
            codec::decode(&job.key, stored, self.config.value_bytes_max).map_err(Refused::Garbage)?;
        if stored.stamp != looked.seen.stamp {
            return Err(Refused::Outdated);
        }
        let now = Instant::now();
        let server_ms = looked.server_ms_at_most(now);
        if stored.created_ms > server_ms.saturating_add(CLOCK_AHEAD_MS_MAX) {
            return Err(Refused::Outdated);
        }
        let age_ms = server_ms.saturating_sub(stored.created_ms);
        let entry = Entry {
            bytes: stored.bytes,
            local: view.local.stamp,
            remote: Some(looked.seen.stamp),
            stored_at: now,
            age_at_store: Duration::from_millis(age_ms),
            // However long whoever stored it meant to keep it, this request decides what is too old for it.
            fresh_for: stored.fresh_for.min(job.policy.ttl),
            stale_for: stored.stale_for.min(job.policy.stale_for()),
            stats: job.stats.clone(),
        };
        self.keep(job, entry.clone());
        Ok(entry)
    }

    pub(crate) fn keep(&self, job: &Job, entry: Entry) {
        if let Some(memory) = &self.memory {
            memory.store(job.key, entry);
        }
    }
}

fn count(job: &Job, refused: &Refused) {
    match refused {
        Refused::Outdated => add(&job.stats.invalidated, 1),
        Refused::Garbage(garbage) => {
            add(&job.stats.garbage, 1);
            tracing::debug!(key = %job.key, ?garbage, "an entry in Redis is garbage");
        }
    }
}

pub(crate) fn serve(entry: &Entry, source: Source, now: Instant) -> Served {
    Served { bytes: entry.bytes.clone(), source, age: entry.age(now) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Stored;
    use crate::key::KeyBuilder;

    #[test]
    fn the_age_of_what_redis_has_goes_by_its_clock_and_what_is_of_its_future_is_refused() {
        let inner = Inner {
            config: CacheConfig::default(),
            epochs: Epochs::new(),
            memory: None,
            shared: None,
            flights: Flights::new(1),
            stats: Stats::new(1),
        };
        let (key, tables) = (KeyBuilder::new().build(), Tables::new(["t"]));
        let (policy, stats) = (Policy::ttl(Duration::from_secs(60)), inner.stats.label("q"));
        let job = Job { key, tables: tables.clone(), policy, stats };
        let now = Instant::now();
        let seen = inner.epochs.look(&tables, now);
        let looked = Looked { seen, server_ms: 3_600_000, asked_at: now, answered_at: now };
        let view = View { local: seen, remote: Remote::Known(looked) };
        let age_s = |created_ms| {
            let (fresh_for, stale_for) = (Duration::from_secs(60), Duration::ZERO);
            let bytes = bytes::Bytes::from_static(b"x");
            let stored = Stored { bytes, stamp: seen.stamp, created_ms, fresh_for, stale_for };
            let encoded = codec::encode(&key, &stored, 4096);
            inner.adopt(&job, &view, &looked, &encoded).ok().map(|entry| entry.age(now).as_secs())
        };
        assert_eq!(age_s(3_570_000), Some(30));
        assert_eq!(age_s(3_605_000), Some(0), "clocks that run unequally");
        assert_eq!(age_s(3_611_000), None, "the clock was set back");
        assert_eq!(age_s(u64::MAX), None);
    }
}
