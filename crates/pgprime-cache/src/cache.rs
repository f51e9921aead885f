//! The cache: from a request to what is served.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::config::{CacheConfig, ConfigError, Policy};
use crate::epochs::Epochs;
use crate::fill::Filled;
use crate::filling::{Duty, Waiting};
use crate::flight::{Flights, Turn};
use crate::inner::{Inner, Job, serve};
use crate::intent::{self, Intent};
use crate::key::Key;
use crate::memory::{Freshness, Memory};
use crate::served::{Served, Source};
use crate::shared::{Address, Change, Reach, SharedTier};
use crate::stats::{Report, Stats, add};
use crate::tables::Tables;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Everything the result depends on but the contents of tables.
    pub key: Key,
    /// The tables it is made from, those behind views and functions included.
    pub tables: &'a Tables,
    /// The query's name in the statistics; never a text with parameters in it.
    pub label: &'a str,
    /// How long it is kept.
    pub policy: Policy,
}

/// A cache of results. Clones are the same cache.
#[derive(Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

enum Found {
    Hit(Served),
    /// To fill; with something stale, that is served meanwhile.
    Fill(Box<Duty>),
    /// To fill and not to store.
    Bypass,
}

impl Cache {
    /// A cache of these settings. With Redis it waits for the first attempt to connect, at most the `connect_timeout`; if
    /// that fails the cache begins without Redis and goes on trying.
    ///
    /// # Errors
    /// Settings that cannot work; Redis wanted outside of a tokio runtime.
    pub async fn connect(config: CacheConfig) -> Result<Cache, ConfigError> {
        config.check()?;
        let shared = match &config.redis {
            None => None,
            Some(redis) => {
                let address = Address::new(redis)?;
                let runtime = Handle::try_current().map_err(|_| ConfigError::NoRuntime)?;
                let (bytes_max, consistency) = (config.value_bytes_max, config.consistency);
                let tier =
                    SharedTier::new(redis.clone(), bytes_max, consistency, address, runtime, random()?);
                tier.probe().await;
                Some(tier)
            }
        };
        let inner = Inner {
            epochs: Epochs::new(),
            memory: Memory::new(config.memory_bytes_max),
            shared,
            flights: Flights::new(config.flights_max),
            stats: Stats::new(config.labels_max),
            config,
        };
        Ok(Cache { inner: Arc::new(inner) })
    }

    /// The result of `request`: from the cache, from a fill that is under way, or from `fill`, which is called at most once.
    ///
    /// Nothing served is older than a commit that was said ([`Intent::committed`] returned) before this call; with
    /// [`Consistency::Within`](crate::Consistency::Within), a commit of another instance that much earlier.
    ///
    /// Of the callers that find a result stale one fills it here and now, the others are served what is there; with
    /// [`Cache::get_or_refresh`] none waits. The call may be dropped at any moment: who waits for it takes over.
    ///
    /// # Errors
    /// Those of `fill`. They are not stored; callers that waited for it fill for themselves.
    pub async fn get_or_fill<F, Fut, E>(&self, request: &Request<'_>, fill: F) -> Result<Served, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Filled, E>>,
    {
        let job = self.job(request);
        let served = match self.find(&job).await {
            Found::Hit(served) => served,
            Found::Fill(duty) => self.inner.fill(&job, *duty, fill).await?,
            Found::Bypass => self.inner.bypass(&job, fill).await?,
        };
        job.count(&served);
        Ok(served)
    }

    /// As [`Cache::get_or_fill`], but what is stale is served at once to all, and filled anew by a task of its own.
    ///
    /// # Errors
    /// Those of `fill`, unless something stale was served: then it is counted, and a later call tries again.
    pub async fn get_or_refresh<F, Fut, E>(&self, request: &Request<'_>, fill: F) -> Result<Served, E>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Filled, E>> + Send,
        E: Send,
    {
        let job = self.job(request);
        let served = match self.find(&job).await {
            Found::Hit(served) => served,
            Found::Bypass => self.inner.bypass(&job, fill).await?,
            Found::Fill(duty) => {
                let Some(stale) = duty.stale.clone() else {
                    let served = self.inner.fill(&job, *duty, fill).await?;
                    job.count(&served);
                    return Ok(served);
                };
                job.count(&stale);
                let (inner, duty) = (self.inner.clone(), Duty { waiting: Waiting::Nobody, ..*duty });
                tokio::spawn(async move {
                    // An error is counted there; the stale entry stays until its time is over.
                    let _ = inner.fill(&job, duty, fill).await;
                });
                return Ok(stale);
            }
        };
        job.count(&served);
        Ok(served)
    }

    /// Announces a COMMIT that changes `tables`. From here until the intent's end nothing made from them is served or
    /// stored; then it is said what became of it. Call it right before the COMMIT is sent, and not earlier: readers fill for
    /// themselves meanwhile.
    pub async fn begin_write(&self, tables: &Tables) -> Intent {
        Intent::begin(self.inner.clone(), tables.clone()).await
    }

    /// Announces a COMMIT of which it cannot be told what it changes: as [`Cache::begin_write`] of all tables there are.
    pub async fn begin_write_anything(&self) -> Intent {
        Intent::begin(self.inner.clone(), Tables::everything()).await
    }

    /// `tables` have changed, by somebody who announced nothing: seen in a notification, say, or after a view's refresh.
    /// Once it returns [`Reach::Everywhere`], nobody is served what is older.
    pub async fn invalidate(&self, tables: &Tables) -> Reach {
        intent::change(&self.inner, tables, None).await
    }

    /// Everything may have changed: notifications were missed, say, or a backup was restored.
    pub async fn invalidate_all(&self) -> Reach {
        self.inner.epochs.change_all();
        if let Some(memory) = &self.inner.memory {
            memory.clear();
        }
        add(&self.inner.stats.invalidations, 1);
        match &self.inner.shared {
            Some(shared) => shared.change(Change::Everything).await,
            None => Reach::Everywhere,
        }
    }

    /// The state of the cache, and what it did so far.
    pub fn snapshot(&self) -> Report {
        let inner = &self.inner;
        let (total, labels) = inner.stats.report();
        Report {
            total,
            labels,
            memory_bytes: inner.memory.as_ref().map_or(0, Memory::bytes),
            memory_bytes_max: inner.config.memory_bytes_max as u64,
            memory_entries: inner.memory.as_ref().map_or(0, Memory::len),
            flights: inner.flights.len() as u64,
            invalidations: inner.stats.invalidations.load(Ordering::Relaxed),
            redis: inner.shared.as_ref().map(|shared| shared.report()),
        }
    }

    fn job(&self, request: &Request<'_>) -> Job {
        Job {
            key: request.key,
            tables: request.tables.clone(),
            policy: request.policy,
            stats: self.inner.stats.label(request.label),
        }
    }

    async fn find(&self, job: &Job) -> Found {
        if job.tables.len() > self.inner.config.tables_max {
            return Found::Bypass;
        }
        let (view, entry) = self.inner.look(job).await;
        let now = Instant::now();
        let stale = match entry {
            Some((entry, source)) => match entry.freshness(now) {
                Freshness::Fresh => return Found::Hit(serve(&entry, source, now)),
                Freshness::Stale => Some(serve(&entry, Source::Stale, now)),
                Freshness::Expired => None,
            },
            None => None,
        };
        let Some(seat) = self.inner.flights.join(view.flight(job.key)) else {
            return fill(Duty { view, lead: None, stale: None, waiting: Waiting::Caller });
        };
        if let Some(served) = stale {
            return match seat.try_lead() {
                Some(lead) => {
                    fill(Duty { view, lead: Some(lead), stale: Some(served), waiting: Waiting::Caller })
                }
                None => Found::Hit(served),
            };
        }
        match seat.wait().await {
            Turn::Landed(served) => Found::Hit(served),
            Turn::Lead(lead) => fill(Duty { view, lead: Some(lead), stale: None, waiting: Waiting::Caller }),
            Turn::Failed => fill(Duty { view, lead: None, stale: None, waiting: Waiting::Caller }),
        }
    }
}

fn fill(duty: Duty) -> Found {
    Found::Fill(Box::new(duty))
}

fn random() -> Result<u128, ConfigError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| ConfigError::NoRandomness(error.to_string()))?;
    Ok(u128::from_be_bytes(bytes))
}
