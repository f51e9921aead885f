//! What the database's catalogs say, read again from time to time and whenever it has to be.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use pgprime_cache::KeyBuilder;
use pgprime_footprint::{Footprint, Schema, Writes};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::texts::{Known, Learnings, Texts};
use crate::config::DatabaseConfig;
use crate::connect;
use crate::error::Error;

/// How often a name that is not known lets the catalogs be read again.
const UNKNOWN_EVERY: Duration = Duration::from_secs(2);
/// The pause after catalogs that could not be read.
const RETRY: Duration = Duration::from_secs(1);
/// How long reading the catalogs may take beyond connecting: more than its own limits in the database.
const LOAD_MAX: Duration = Duration::from_secs(30);
/// Definitions that could not be read for so many times the interval are not relied on.
const INTERVALS_MAX: u32 = 5;
/// Results of another version of this layout have other keys.
const FORMAT: &str = "pgprime-client rows 1";

/// Where the catalogs are read.
pub(super) struct Catalogs {
    url: String,
    /// `host:port/database as user`.
    target: String,
    connect_timeout: Duration,
}

/// The definitions at one moment, and what they mean for texts.
struct Generation {
    schema: Schema,
    /// What all keys have in common.
    base: KeyBuilder,
    texts: Texts,
    /// When reading them began.
    taken_us: u64,
}

/// When attempts to read the catalogs began.
#[derive(Clone, Copy, Default)]
struct Attempts {
    /// The last that succeeded.
    loaded_us: u64,
    /// The last that failed.
    failed_us: u64,
}

/// What is known of the definitions.
pub(super) struct Definitions {
    catalogs: Catalogs,
    refresh: Duration,
    current: RwLock<Arc<Generation>>,
    learnings: Learnings,
    /// Times count from here.
    born: Instant,
    /// When they were changed here for the last time.
    changed_us: AtomicU64,
    wanted: Notify,
    attempts: watch::Sender<Attempts>,
    loads: AtomicU64,
    errors: AtomicU64,
    /// Changes of what a new session finds set.
    era: AtomicU64,
}

impl Catalogs {
    pub(super) fn new(config: &DatabaseConfig) -> Result<Self, Error> {
        let (endpoint, _) = config.endpoint()?;
        let (url, target) = (config.url.clone(), endpoint.to_string());
        Ok(Self { url, target, connect_timeout: config.connect_timeout })
    }

    async fn load(&self) -> Result<(Schema, KeyBuilder), Error> {
        let down = |cause| Error::Down { pool: "main", cause: Arc::new(cause) };
        let work = async {
            let client = connect::connect(&self.url, self.connect_timeout).await.map_err(down)?.client;
            let schema = Schema::load(&client).await;
            let schema = schema.map_err(|error| Error::Usage(format!("the result cache: {error}")))?;
            let base = self.base_key(&schema);
            Ok((schema, base))
        };
        let limit = self.connect_timeout + LOAD_MAX;
        let silent = || Error::Usage("the result cache: the catalogs were not read in time".to_owned());
        timeout(limit, work).await.unwrap_or_else(|_| Err(silent()))
    }

    /// What changes results besides the tables, the text and its parameters.
    fn base_key(&self, schema: &Schema) -> KeyBuilder {
        let key = KeyBuilder::new().other("format", FORMAT);
        let key = key.database(&self.target).database(schema.database()).role(schema.role());
        let key = schema.search_path().iter().fold(key, KeyBuilder::search_path);
        schema.result_settings().iter().fold(key, |key, (name, value)| key.setting(name, value))
    }
}

impl Definitions {
    /// Reads the catalogs for the first time.
    pub(super) async fn read(catalogs: Catalogs, refresh: Duration) -> Result<Arc<Self>, Error> {
        let born = Instant::now();
        let (schema, base) = catalogs.load().await?;
        let first = Generation { schema, base, texts: Texts::new(), taken_us: 0 };
        Ok(Arc::new(Self {
            catalogs,
            refresh,
            current: RwLock::new(Arc::new(first)),
            learnings: Learnings::new(),
            born,
            changed_us: AtomicU64::new(0),
            wanted: Notify::new(),
            attempts: watch::Sender::new(Attempts::default()),
            loads: AtomicU64::new(1),
            errors: AtomicU64::new(0),
            era: AtomicU64::new(0),
        }))
    }

    pub(super) fn footprint(&self, sql: &str) -> Arc<Footprint> {
        let generation = self.generation();
        let known = self.text(&generation, sql);
        if generation.taken_us < self.changed_us.load(Ordering::SeqCst) {
            let because = "definitions have changed, and are being read again".to_owned();
            let footprint = Footprint::clone(&known.footprint);
            return Arc::new(Footprint { writes: Writes::Anything { because }, ..footprint });
        }
        if known.is_unknown() {
            self.wish();
        }
        Arc::clone(&known.footprint)
    }

    pub(super) fn footprint_by_any_path(&self, sql: &str) -> Arc<Footprint> {
        let generation = self.generation();
        self.text(&generation, sql).footprint_by_any_path(&generation.schema, sql)
    }

    /// Whether transactions see one moment unless they say otherwise.
    pub(super) fn sees_one_moment(&self) -> bool {
        self.generation().schema.default_isolation() != "read committed"
    }

    pub(super) fn era(&self) -> u64 {
        self.era.load(Ordering::SeqCst)
    }

    pub(super) async fn known(&self, sql: &str) -> Result<Arc<Known>, Arc<str>> {
        let generation = self.up_to_date().await?;
        let known = self.text(&generation, sql);
        // Taken before it is asked for: what begins then, begins later than this.
        let since_us = self.now_us();
        if !known.is_unknown() || !self.wish() {
            return Ok(known);
        }
        self.attempt_since(since_us).await;
        let generation = self.up_to_date().await?;
        Ok(self.text(&generation, sql))
    }

    pub(super) fn changed(&self) {
        // One more, so that what began within the same microsecond does not count as later.
        self.changed_us.fetch_max(self.now_us() + 1, Ordering::SeqCst);
        self.wanted.notify_one();
    }

    /// Age, successful and failed attempts.
    pub(super) fn state(&self) -> (Duration, u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (self.age(&self.generation()), count(&self.loads), count(&self.errors))
    }

    /// The definitions, not older than the last change here, and not too old altogether.
    async fn up_to_date(&self) -> Result<Arc<Generation>, Arc<str>> {
        loop {
            let (changed_us, generation) = (self.changed_us.load(Ordering::SeqCst), self.generation());
            if generation.taken_us >= changed_us {
                let age = self.age(&generation);
                return match age > self.refresh.saturating_mul(INTERVALS_MAX) {
                    true => Err("the catalogs could not be read for too long".into()),
                    false => Ok(generation),
                };
            }
            if !self.attempt_since(changed_us).await {
                return Err("definitions have changed, and the catalogs cannot be read".into());
            }
        }
    }

    /// Waits for an attempt to read the catalogs that began at this time or later; whether one succeeded.
    async fn attempt_since(&self, since_us: u64) -> bool {
        let mut attempts = self.attempts.subscribe();
        let is_over = |attempts: &Attempts| attempts.loaded_us.max(attempts.failed_us) >= since_us;
        match attempts.wait_for(is_over).await {
            Ok(attempts) => attempts.loaded_us >= since_us,
            Err(_) => false,
        }
    }

    /// Lets the catalogs be read for a name that is not known, unless that was just done.
    fn wish(&self) -> bool {
        let Attempts { loaded_us, failed_us } = *self.attempts.borrow();
        let since_us = self.now_us().saturating_sub(loaded_us.max(failed_us));
        let is_due = u128::from(since_us) >= UNKNOWN_EVERY.as_micros();
        if is_due {
            self.wanted.notify_one();
        }
        is_due
    }

    fn text(&self, generation: &Generation, sql: &str) -> Arc<Known> {
        let Generation { schema, base, texts, .. } = generation;
        texts.known(schema, base, sql, &self.learnings)
    }

    fn generation(&self) -> Arc<Generation> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn age(&self, generation: &Generation) -> Duration {
        Duration::from_micros(self.now_us().saturating_sub(generation.taken_us))
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Reads the catalogs; what was known stays when that fails.
    async fn reload(&self) -> Result<(), Error> {
        let taken_us = self.now_us();
        match self.catalogs.load().await {
            Ok((schema, base)) => {
                // Before it can be used: who looks for a result by the new settings does not get it by an old session's.
                if is_other_session(&self.generation().schema, &schema) {
                    self.era.fetch_add(1, Ordering::SeqCst);
                }
                let generation = Generation { schema, base, texts: Texts::new(), taken_us };
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(generation);
                self.loads.fetch_add(1, Ordering::Relaxed);
                self.attempts.send_modify(|attempts| attempts.loaded_us = taken_us);
                Ok(())
            }
            Err(error) => {
                self.errors.fetch_add(1, Ordering::Relaxed);
                self.attempts.send_modify(|attempts| attempts.failed_us = taken_us);
                Err(error)
            }
        }
    }
}

/// Whether a session that begins now finds other settings than one that began before.
fn is_other_session(before: &Schema, now: &Schema) -> bool {
    let found = |schema: &Schema| {
        (schema.role().to_owned(), schema.search_path().to_vec(), schema.result_settings().to_vec())
    };
    found(before) != found(now) || before.default_isolation() != now.default_isolation()
}

/// Reads the catalogs again and again, for as long as it is not ended.
pub(super) async fn keep_up(definitions: Arc<Definitions>) {
    let mut was_well = true;
    let mut pause = definitions.refresh;
    loop {
        let wanted = definitions.wanted.notified();
        let _ = timeout(pause, wanted).await;
        let began = Instant::now();
        let outcome = definitions.reload().await;
        let is_well = outcome.is_ok();
        match outcome {
            Ok(()) if !was_well => tracing::info!("the catalogs can be read again"),
            Err(error) if was_well => {
                tracing::warn!(%error, "the catalogs could not be read; what is known of definitions grows old");
            }
            _ => {}
        }
        was_well = is_well;
        pause = if is_well { definitions.refresh } else { RETRY.min(definitions.refresh) };
        // A migration of many statements must not keep the database busy with this.
        tokio::time::sleep(began.elapsed()).await;
    }
}
