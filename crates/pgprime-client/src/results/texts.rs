//! What is known of each text, for as long as the definitions it refers to are the same.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use pgprime_cache::{KeyBuilder, Tables};
use pgprime_footprint::{Footprint, NotKeptReason, Schema};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::Mutex as AsyncMutex;

use super::encoding::{Described, Header};
use crate::error::Error;
use crate::loggable::without_values;

/// Bytes of all texts and what is known of them: thousands of statements, and more than a service has.
const BYTES_MAX: u64 = 8 << 20;
/// What a text costs besides its characters and tables.
const BYTES_EACH: usize = 1_024;
/// A typical text, by which the number of places is guessed.
const TEXTS_EXPECTED: usize = 1_000;

/// What is known of a text.
pub(crate) struct Known {
    pub(crate) footprint: Arc<Footprint>,
    by_any_path: OnceLock<Arc<Footprint>>,
    /// The tables it reads.
    pub(crate) tables: Tables,
    /// Its name in reports: the text without values.
    pub(crate) label: Box<str>,
    pub(crate) verdict: Verdict,
    /// All that is the same for all parameters.
    pub(crate) key: KeyBuilder,
    pub(crate) learning: Arc<Learning>,
    header: Mutex<Header>,
    size_bytes: usize,
}

/// Whether a text's result may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Kept,
    /// Where the caller allows that it depends on the time or the session.
    Stable(Arc<str>),
    Refused(Arc<str>),
}

impl Verdict {
    fn of(footprint: &Footprint) -> Self {
        let Err(reasons) = &footprint.kept else { return Self::Kept };
        let mut said: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        said.dedup();
        let text = Arc::from(said.join("; "));
        match reasons.iter().all(|not_kept| not_kept.reason == NotKeptReason::Stable) {
            true => Self::Stable(text),
            false => Self::Refused(text),
        }
    }
}

impl Known {
    fn new(schema: &Schema, base: &KeyBuilder, sql: &str, learnings: &Learnings) -> Self {
        let footprint = schema.footprint(sql);
        let names: usize = footprint.reads.iter().map(|table| 2 * table.len()).sum();
        Self {
            tables: Tables::new(footprint.reads.iter().map(String::as_str)),
            label: without_values(sql).into(),
            verdict: Verdict::of(&footprint),
            key: base.clone().text(sql).other("definitions", footprint.definitions),
            learning: learnings.of(sql, footprint.definitions),
            by_any_path: OnceLock::new(),
            header: Mutex::default(),
            size_bytes: BYTES_EACH + 2 * sql.len() + names,
            footprint: Arc::new(footprint),
        }
    }

    pub(crate) fn is_unknown(&self) -> bool {
        let is_unknown = |not_kept: &pgprime_footprint::NotKept| not_kept.reason == NotKeptReason::Unknown;
        self.footprint.kept.as_ref().is_err_and(|reasons| reasons.iter().any(is_unknown))
    }

    pub(crate) fn footprint_by_any_path(&self, schema: &Schema, sql: &str) -> Arc<Footprint> {
        Arc::clone(self.by_any_path.get_or_init(|| Arc::new(schema.footprint_by_any_path(sql))))
    }

    /// The columns that were read last.
    pub(crate) fn header(&self) -> Header {
        self.header.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_header(&self, header: Header) {
        *self.header.lock().unwrap_or_else(PoisonError::into_inner) = header;
    }
}

/// What the database says of a text; it is asked once for all who want to know.
pub(crate) struct Learning {
    /// The definitions it refers to: what was said holds for as long as they are the same.
    definitions: [u8; 32],
    described: OnceLock<Arc<Described>>,
    turn: AsyncMutex<()>,
    failures: AtomicU64,
}

/// Why a text could not be learnt.
pub(crate) enum NotLearnt {
    /// The database, or the way to it, said so.
    Here(Error),
    /// To another task that this one waited for.
    Elsewhere,
}

impl Learning {
    fn new(definitions: [u8; 32]) -> Self {
        let (described, turn) = (OnceLock::new(), AsyncMutex::default());
        Self { definitions, described, turn, failures: AtomicU64::new(0) }
    }

    pub(crate) fn found(&self) -> Option<Arc<Described>> {
        self.described.get().cloned()
    }

    /// What is known, or what `ask` finds out. Of those who wait for another's failure none asks again: they would do so
    /// one after the other.
    pub(crate) async fn learn<Fut>(&self, ask: impl FnOnce() -> Fut) -> Result<Arc<Described>, NotLearnt>
    where
        Fut: Future<Output = Result<Described, Error>>,
    {
        if let Some(found) = self.found() {
            return Ok(found);
        }
        let failures = self.failures.load(Ordering::Acquire);
        let _turn = self.turn.lock().await;
        if let Some(found) = self.found() {
            return Ok(found);
        }
        if self.failures.load(Ordering::Acquire) != failures {
            return Err(NotLearnt::Elsewhere);
        }
        match ask().await {
            Ok(described) => Ok(Arc::clone(self.described.get_or_init(|| Arc::new(described)))),
            Err(error) => {
                self.failures.fetch_add(1, Ordering::AcqRel);
                Err(NotLearnt::Here(error))
            }
        }
    }
}

/// What was learnt of texts; it outlasts catalogs that say the same.
pub(super) struct Learnings(Cache<Arc<str>, Arc<Learning>, Weight>);

impl Learnings {
    pub(super) fn new() -> Self {
        Self(Cache::with_weighter(TEXTS_EXPECTED, BYTES_MAX, Weight))
    }

    fn of(&self, sql: &str, definitions: [u8; 32]) -> Arc<Learning> {
        let found = self.0.get(sql).filter(|learning| learning.definitions == definitions);
        found.unwrap_or_else(|| {
            let learning = Arc::new(Learning::new(definitions));
            self.0.insert(Arc::from(sql), Arc::clone(&learning));
            learning
        })
    }
}

/// The texts met since the definitions were read.
pub(super) struct Texts(Cache<Arc<str>, Arc<Known>, Weight>);

#[derive(Clone)]
struct Weight;

impl Weighter<Arc<str>, Arc<Known>> for Weight {
    fn weight(&self, _: &Arc<str>, known: &Arc<Known>) -> u64 {
        known.size_bytes as u64
    }
}

impl Weighter<Arc<str>, Arc<Learning>> for Weight {
    fn weight(&self, sql: &Arc<str>, _: &Arc<Learning>) -> u64 {
        (BYTES_EACH + sql.len()) as u64
    }
}

impl Texts {
    pub(super) fn new() -> Self {
        Self(Cache::with_weighter(TEXTS_EXPECTED, BYTES_MAX, Weight))
    }

    /// What is known of a text; it is looked at when it is met for the first time.
    pub(super) fn known(
        &self,
        schema: &Schema,
        base: &KeyBuilder,
        sql: &str,
        learnings: &Learnings,
    ) -> Arc<Known> {
        self.0.get(sql).unwrap_or_else(|| {
            let known = Arc::new(Known::new(schema, base, sql, learnings));
            self.0.insert(Arc::from(sql), Arc::clone(&known));
            known
        })
    }
}
