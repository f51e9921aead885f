//! The operations on Redis: each under a time limit and the breaker's rule.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use redis::RedisResult;
use tokio::runtime::Handle;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, timeout};

use crate::breaker::{Rules, State};
use crate::codec::HEADER_BYTES;
use crate::config::{Consistency, RedisConfig};
use crate::epochs::WriterId;
use crate::key::Key;
use crate::stamp::{Seen, Stamp};
use crate::tables::Tables;

use super::debt::{Batch, Change, Debt, Number};
use super::health::Health;
use super::home::{Home, age_ms};
use super::link::{Address, Link};
use super::report::{Reach, RedisReport};
use super::scripts::{Names, Scripts};
use super::trouble::Trouble;
use super::views::{Answer, Looked, Views, read_answer};

pub(crate) struct SharedTier {
    config: RedisConfig,
    value_bytes_max: usize,
    address: Address,
    names: Names,
    scripts: Scripts,
    /// Present while the breaker is closed.
    link: Mutex<Option<Numbered>>,
    health: Health,
    connections: AtomicU64,
    home: Mutex<Home>,
    debt: Mutex<Debt>,
    /// Held on the way to Redis with changes, so that they arrive in order, many at once.
    settling: AsyncMutex<()>,
    /// None in strict consistency.
    views: Option<Views>,
    has_keeper: AtomicBool,
    runtime: Handle,
    myself: Weak<SharedTier>,
}

#[derive(Clone)]
struct Numbered {
    number: u64,
    link: Link,
}

/// The right to fill, as far as instances agree on it.
pub(crate) struct Claim {
    /// None if another instance has it.
    pub(crate) ours: Option<OurClaim>,
    /// The entry as it is; empty if there is none.
    pub(crate) entry: Vec<u8>,
}

/// Given back when it is dropped.
pub(crate) struct OurClaim {
    tier: Arc<SharedTier>,
    name: String,
    owner: String,
}

impl Drop for OurClaim {
    fn drop(&mut self) {
        let (tier, name, owner) =
            (self.tier.clone(), std::mem::take(&mut self.name), std::mem::take(&mut self.owner));
        // If it fails, the claim's lease ends it.
        self.tier.runtime.spawn(async move {
            let script = tier.scripts.release(&name, &owner);
            let _ = tier.call("giving up a claim", |link| link.run::<i64>(&script)).await;
        });
    }
}

impl SharedTier {
    pub(crate) fn new(
        config: RedisConfig,
        value_bytes_max: usize,
        consistency: Consistency,
        address: Address,
        runtime: Handle,
        instance: u128,
    ) -> Arc<SharedTier> {
        let rules = Rules {
            failures_max: config.failures_max.max(1),
            pause_first: config.pause_first,
            pause_max: config.pause_max.max(config.pause_first),
            probe_max: config.connect_timeout + config.timeout * 4,
        };
        Arc::new_cyclic(|myself| SharedTier {
            value_bytes_max,
            address,
            names: Names::new(&config.namespace, instance),
            scripts: Scripts::new(),
            link: Mutex::new(None),
            health: Health::new(rules),
            connections: AtomicU64::new(0),
            home: Mutex::default(),
            debt: Mutex::new(Debt::new(config.debts_max)),
            settling: AsyncMutex::new(()),
            views: match consistency {
                Consistency::Strict => None,
                Consistency::Within(believed_for) => Some(Views::new(believed_for)),
            },
            has_keeper: AtomicBool::new(false),
            runtime,
            myself: myself.clone(),
            config,
        })
    }

    /// What holds for `tables`, as new as consistency asks for; none if Redis cannot be trusted now.
    pub(crate) async fn view(&self, tables: &Tables, local: Seen) -> Option<Looked> {
        let believed = self.views.as_ref().and_then(|views| views.find(tables, local, Instant::now()));
        if believed.is_some() {
            return believed;
        }
        let overdue = lock(&self.debt).overdue();
        if let Some(number) = overdue {
            timeout(self.config.timeout, self.settle(number)).await.ok()?.ok()?;
        }
        let looked = self.look(tables).await.ok()?;
        if lock(&self.debt).overdue().is_some() {
            // Meanwhile it has turned out to be another server, or somebody could not tell it of a change.
            return None;
        }
        if let Some(views) = &self.views {
            views.keep(tables, local, looked);
        }
        Some(looked)
    }

    /// What holds for `tables` now.
    pub(crate) async fn look(&self, tables: &Tables) -> Result<Looked, Trouble> {
        let (number, link) = self.link()?;
        self.look_through(number, link, tables).await
    }

    async fn look_through(&self, number: u64, link: Link, tables: &Tables) -> Result<Looked, Trouble> {
        const STEP: &str = "looking at epochs";
        let asked_at = Instant::now();
        let script = self.scripts.look(&self.names, tables, self.config.epoch_ttl);
        let answer: Vec<Vec<u8>> = self.timed(number, STEP, link.run(&script)).await?;
        let Some(Answer { home, generation, server_ms, seen }) = read_answer(&answer, tables.len()) else {
            return Err(self.failed(number, Trouble::Unexpected(STEP)));
        };
        {
            // Held until the change is owed: nobody is to find the new server known and nothing to tell it.
            let mut known = lock(&self.home);
            if known.is_moved_to(home, age_ms(generation, server_ms), asked_at) {
                self.change_later(Change::Everything);
                return Err(Trouble::Moved);
            }
        }
        Ok(Looked { seen, server_ms, asked_at, answered_at: Instant::now() })
    }

    /// The entry's bytes, whatever they are; none if there are none or Redis did not answer.
    pub(crate) async fn read(&self, key: &Key) -> Option<Vec<u8>> {
        let mut command = redis::cmd("GETRANGE");
        command.arg(self.names.entry(key)).arg(0).arg(self.last_byte());
        let command = &command;
        let read = |link: Link| async move {
            match link.query::<Vec<u8>>(command).await {
                // Another type than a text: garbage, and told apart as such.
                Err(error) if error.code() == Some("WRONGTYPE") => Ok(b"WRONGTYPE".to_vec()),
                other => other,
            }
        };
        self.call("reading an entry", read).await.ok().filter(|bytes| !bytes.is_empty())
    }

    pub(crate) async fn write(&self, key: &Key, entry: &[u8], ttl: Duration) {
        let mut command = redis::cmd("SET");
        // Longer than a hundred years is refused by Redis.
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 41);
        command.arg(self.names.entry(key)).arg(entry).arg("PX").arg(ttl_ms);
        let _ = self.call("storing an entry", |link| link.query::<()>(&command)).await;
    }

    /// Tries to become the one instance that fills; none if Redis did not answer.
    pub(crate) async fn claim(&self, key: &Key, stamp: Stamp) -> Option<Claim> {
        let (name, owner) = (self.names.claim(key, stamp), self.names.token());
        let entry = self.names.entry(key);
        let script = self.scripts.claim(&name, &entry, &owner, self.config.fill_lease, self.last_byte());
        let step = "claiming a fill";
        let claimed = self.call(step, |link| link.run::<(i64, Vec<u8>)>(&script)).await;
        let (is_ours, entry) = claimed.ok()?;
        let tier = self.myself.upgrade().filter(|_| is_ours == 1);
        Some(Claim { ours: tier.map(|tier| OurClaim { tier, name, owner }), entry })
    }

    pub(crate) fn fill_wait_max(&self) -> Duration {
        self.config.fill_wait_max
    }

    /// A writer is about to commit.
    pub(crate) async fn begin(&self, tables: &Tables, writer: WriterId, lease: Duration) -> Reach {
        if tables.is_empty() {
            return Reach::Everywhere;
        }
        let script = self.scripts.begin(&self.names, tables, writer, lease, self.config.epoch_ttl);
        match self.call("announcing a write", |link| link.run::<i64>(&script)).await {
            Ok(_) => Reach::Everywhere,
            Err(_) => Reach::Here,
        }
    }

    pub(crate) async fn roll_back(&self, tables: &Tables, writer: WriterId) {
        if tables.is_empty() {
            return;
        }
        let script = self.scripts.roll_back(&self.names, tables, writer);
        if self.call("taking back a write", |link| link.run::<i64>(&script)).await.is_err() {
            // Counting as committed takes the mark away as soon as Redis can be told, and not at the end of the lease.
            self.change_later(Change::Tables { tables: tables.clone(), writer: Some(writer) });
        }
    }

    /// Tells Redis of `change`, now if it can be reached, else when it can.
    pub(crate) async fn change(&self, change: Change) -> Reach {
        let number = lock(&self.debt).owe(change);
        let attended = Attended { tier: self, number };
        // Others may be on their way, and this change goes with the next journey.
        match timeout(self.config.timeout * 2, self.settle(number)).await {
            Ok(Ok(())) => {
                std::mem::forget(attended);
                Reach::Everywhere
            }
            Ok(Err(_)) | Err(_) => Reach::Here,
        }
    }

    /// As `change_later`, once more at `when`: nobody knows when the change takes place, but by then it has.
    pub(crate) fn change_at(&self, when: Instant, change: Change) {
        let myself = self.myself.clone();
        drop(self.runtime.spawn(async move {
            tokio::time::sleep_until(when).await;
            if let Some(tier) = myself.upgrade() {
                tier.change_later(change);
            }
        }));
    }

    /// As `change`, without waiting.
    pub(crate) fn change_later(&self, change: Change) {
        let number = lock(&self.debt).owe(change);
        drop(Attended { tier: self, number });
    }

    pub(crate) fn report(&self) -> RedisReport {
        let debt = lock(&self.debt);
        let connections = self.connections.load(Ordering::Relaxed);
        self.health.report(connections, debt.weight() as u64, debt.overflowed())
    }

    /// Connects, if it is time to try; pays what is owed, and only then lets others use Redis.
    pub(crate) async fn probe(&self) {
        if !self.health.may_probe() {
            return;
        }
        let number = self.connections.load(Ordering::Relaxed) + 1;
        match self.connect(number).await {
            Ok(link) => {
                *lock(&self.link) = Some(Numbered { number, link });
                self.health.is_back(number);
            }
            Err(trouble) => self.health.is_not_back(&trouble),
        }
        self.ensure_keeper();
    }

    async fn connect(&self, number: u64) -> Result<Link, Trouble> {
        const STEP: &str = "connecting";
        let connecting = timeout(self.config.connect_timeout, self.address.connect());
        let link = connecting.await.map_err(|_| Trouble::Slow(STEP))?;
        let link = link.map_err(|error| Trouble::Failed(STEP, error))?;
        self.connections.store(number, Ordering::Relaxed);
        // Says as well whether scripts may run there.
        match self.look_through(number, link.clone(), &Tables::default()).await {
            // What has to be told it is told now.
            Ok(_) | Err(Trouble::Moved) => {}
            Err(trouble) => return Err(trouble),
        }
        let _order = self.settling.lock().await;
        while let Some(batch) = self.next_batch() {
            self.tell(number, link.clone(), &batch).await?;
        }
        Ok(link)
    }

    /// Tells Redis all changes up to `number`.
    async fn settle(&self, number: Number) -> Result<(), Trouble> {
        let _order = self.settling.lock().await;
        while !lock(&self.debt).is_settled(number) {
            let (link_number, link) = self.link()?;
            let Some(batch) = self.next_batch() else { break };
            self.tell(link_number, link, &batch).await?;
        }
        Ok(())
    }

    fn next_batch(&self) -> Option<Batch> {
        lock(&self.debt).batch()
    }

    async fn tell(&self, number: u64, link: Link, batch: &Batch) -> Result<(), Trouble> {
        const STEP: &str = "telling of changes";
        if batch.changes.iter().any(|change| matches!(change, Change::Everything)) {
            // Whoever looks next makes a new one. Unlike a value, this may be sent twice.
            let mut command = redis::cmd("DEL");
            command.arg(self.names.generation());
            self.timed(number, STEP, link.clone().query::<i64>(&command)).await?;
        }
        let script = self.scripts.change(&self.names, &batch.changes, self.config.epoch_ttl);
        let has_tables =
            |change: &Change| matches!(change, Change::Tables { tables, .. } if !tables.is_empty());
        if batch.changes.iter().any(has_tables) {
            self.timed(number, STEP, link.run::<i64>(&script)).await?;
        }
        lock(&self.home).told(Instant::now());
        lock(&self.debt).settle(batch.through);
        Ok(())
    }

    fn last_byte(&self) -> usize {
        // What is longer is cut, and found out by its checksum.
        self.value_bytes_max + HEADER_BYTES
    }

    async fn call<T, Operation>(
        &self,
        step: &'static str,
        operation: impl FnOnce(Link) -> Operation,
    ) -> Result<T, Trouble>
    where
        Operation: Future<Output = RedisResult<T>>,
    {
        let (number, link) = self.link()?;
        self.timed(number, step, operation(link)).await
    }

    async fn timed<T>(
        &self,
        number: u64,
        step: &'static str,
        operation: impl Future<Output = RedisResult<T>>,
    ) -> Result<T, Trouble> {
        match timeout(self.config.timeout, operation).await {
            Ok(Ok(answer)) => {
                self.succeeded(number);
                Ok(answer)
            }
            Ok(Err(error)) => Err(self.failed(number, Trouble::Failed(step, error))),
            Err(_) => Err(self.failed(number, Trouble::Slow(step))),
        }
    }

    fn link(&self) -> Result<(u64, Link), Trouble> {
        let link = lock(&self.link);
        link.as_ref().map(|numbered| (numbered.number, numbered.link.clone())).ok_or(Trouble::Open)
    }

    fn is_current(&self, number: u64) -> bool {
        lock(&self.link).as_ref().is_some_and(|numbered| numbered.number == number)
    }

    fn succeeded(&self, number: u64) {
        if self.is_current(number) {
            self.health.succeeded();
        }
    }

    /// What becomes of a connection that is not in use, an earlier one or a probe's, is not the breaker's business here.
    fn failed(&self, number: u64, trouble: Trouble) -> Trouble {
        let Some(failure) = trouble.failure().filter(|_| self.is_current(number)) else { return trouble };
        if self.health.failed(failure, &trouble) {
            lock(&self.link).take_if(|numbered| numbered.number == number);
            self.ensure_keeper();
        }
        trouble
    }

    /// Sees to it that there is a task that brings Redis back and tells it what it is owed, as long as there is need.
    fn ensure_keeper(&self) {
        if self.needs_keeper() && !self.has_keeper.swap(true, Ordering::SeqCst) {
            self.runtime.spawn(keep(self.myself.clone()));
        }
    }

    fn needs_keeper(&self) -> bool {
        lock(&self.link).is_none() || lock(&self.debt).overdue().is_some()
    }

    /// One attempt, and how long to pause after it; none if there is no need for a keeper any more.
    async fn attempt(&self) -> Option<Duration> {
        self.probe().await;
        let overdue = lock(&self.debt).overdue();
        if let Some(number) = overdue {
            let _ = self.settle(number).await;
        }
        if !self.needs_keeper() {
            self.has_keeper.store(false, Ordering::SeqCst);
            // Somebody may have seen a keeper just before, and relied on it.
            return if self.needs_keeper() && !self.has_keeper.swap(true, Ordering::SeqCst) {
                Some(Duration::ZERO)
            } else {
                None
            };
        }
        let pause = match self.health.state() {
            State::Closed { .. } => self.config.pause_first,
            State::Open { until, .. } | State::HalfOpen { until, .. } => {
                until.saturating_duration_since(Instant::now())
            }
        };
        Some(pause)
    }
}

async fn keep(tier: Weak<SharedTier>) {
    loop {
        let Some(tier) = tier.upgrade() else { return };
        let Some(pause) = tier.attempt().await else { return };
        // A cache that nobody has any more ends while this sleeps.
        drop(tier);
        tokio::time::sleep(pause.max(Duration::from_millis(1))).await;
    }
}

/// A change somebody waits for. When it is dropped, the keeper takes it over.
struct Attended<'a> {
    tier: &'a SharedTier,
    number: Number,
}

impl Drop for Attended<'_> {
    fn drop(&mut self) {
        lock(&self.tier.debt).abandon(self.number);
        self.tier.ensure_keeper();
    }
}

/// Nothing panics while it holds one of these locks, so a poisoned one still guards a whole value.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
