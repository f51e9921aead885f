//! The cache as writers see it, and an announcement that has been made.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pgprime_cache::{Intent, Reach};
use pgprime_footprint::Footprint;
use serde::Serialize;
use tokio::runtime::Handle;

use super::gathered::Gathered;
use crate::results::Results;

/// Says to the cache what the sessions of a database write; one for all its pools. Silent without a cache.
#[derive(Clone, Debug, Default)]
pub(crate) struct Announcer(Option<Arc<Shared>>);

pub(super) struct Shared {
    results: Arc<Results>,
    /// For what is still to be said when a connection is closed.
    runtime: Handle,
    counts: Counts,
    /// Changes of definitions so far, by this process.
    definitions: AtomicU64,
}

#[derive(Default)]
struct Counts {
    announced: AtomicU64,
    anything: AtomicU64,
    rolled_back: AtomicU64,
    unknown: AtomicU64,
    unseen: AtomicU64,
    here_only: AtomicU64,
}

/// What writers said to the cache, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WriteReport {
    /// Writes that were announced: statements by themselves, and COMMITs of transactions that wrote.
    pub announced_total: u64,
    /// Of those, such as may change any table: the whole cache was given up.
    pub anything_total: u64,
    /// Of those, rolled back.
    pub rolled_back_total: u64,
    /// Of those, such whose end is not known, since the connection was lost: their tables were not served from the cache
    /// until the writer's lease was over.
    pub unknown_total: u64,
    /// Times that everything was given up because the driver's client had been used.
    pub unseen_total: u64,
    /// Writes of which Redis could not be told at once: other instances may have served for a while what was older.
    pub here_only_total: u64,
}

/// What becomes of an announcement when the server refuses the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnRefusal {
    /// The request was all there was to it.
    RolledBack,
    /// Part of it may be in the database.
    Committed,
}

/// An announcement that has been made and whose end has not been said.
#[derive(Debug)]
pub(crate) struct Open {
    shared: Arc<Shared>,
    intent: Said,
    on_refusal: OnRefusal,
    changes_definitions: bool,
    /// By which it was found out what is written.
    definitions: Option<u64>,
}

struct Said(Intent);

impl Announcer {
    /// Inside of a runtime.
    pub(crate) fn new(results: Arc<Results>) -> Self {
        Self(Some(Arc::new(Shared {
            results,
            runtime: Handle::current(),
            counts: Counts::default(),
            definitions: AtomicU64::new(0),
        })))
    }

    pub(super) fn shared(&self) -> Option<&Arc<Shared>> {
        self.0.as_ref()
    }

    /// Changes with what a new session finds set, as far as it changes results.
    pub(crate) fn era(&self) -> u64 {
        self.shared().map_or(0, |shared| shared.results.era())
    }

    /// What was said so far.
    pub(crate) fn report(&self) -> WriteReport {
        let Some(shared) = self.shared() else { return WriteReport::default() };
        let counts = &shared.counts;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WriteReport {
            announced_total: read(&counts.announced),
            anything_total: read(&counts.anything),
            rolled_back_total: read(&counts.rolled_back),
            unknown_total: read(&counts.unknown),
            unseen_total: read(&counts.unseen),
            here_only_total: read(&counts.here_only),
        }
    }
}

impl Shared {
    pub(super) fn footprint(&self, sql: &str) -> Arc<Footprint> {
        self.results.footprint(sql)
    }

    pub(super) fn footprint_by_any_path(&self, sql: &str) -> Arc<Footprint> {
        self.results.footprint_by_any_path(sql)
    }

    /// The number of the definitions by which footprints are found out.
    pub(super) fn definitions(&self) -> u64 {
        self.definitions.load(Ordering::SeqCst)
    }

    fn definitions_changed(&self) {
        self.results.schema_changed();
        self.definitions.fetch_add(1, Ordering::SeqCst);
    }

    /// From here until its end nothing made from what is written is served or stored.
    pub(super) async fn begin(self: &Arc<Self>, writes: Gathered, on_refusal: OnRefusal) -> Open {
        let cache = self.results.cache();
        count(&self.counts.announced);
        let intent = match writes.tables() {
            Some(tables) => cache.begin_write(&tables).await,
            None => {
                count(&self.counts.anything);
                cache.begin_write_anything().await
            }
        };
        // The service goes on without Redis; what that means for other instances is in the report.
        if intent.reach() == Reach::Here {
            count(&self.counts.here_only);
        }
        let (changes_definitions, definitions) = (writes.changes_definitions(), writes.definitions());
        Open { shared: Arc::clone(self), intent: Said(intent), on_refusal, changes_definitions, definitions }
    }

    /// Nobody knows what has been written.
    pub(super) async fn everything_changed(&self) {
        count(&self.counts.unseen);
        self.definitions_changed();
        if self.results.cache().invalidate_all().await == Reach::Here {
            count(&self.counts.here_only);
        }
    }

    /// Lets it go on by itself.
    pub(super) fn carry_on(&self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.runtime.spawn(work));
    }
}

impl Open {
    /// It is in the database.
    pub(super) fn committed(self) -> impl Future<Output = ()> + Send + 'static {
        // A trigger, say, that came while the statement waited for a lock, and wrote more than was announced.
        let is_outdated = self.definitions.is_some_and(|before| before != self.shared.definitions());
        // Before anything is waited for: the caller may give up.
        self.definitions_changed();
        let Self { shared, intent, .. } = self;
        async move {
            if is_outdated {
                let _ = shared.results.cache().invalidate_all().await;
            }
            let was_everywhere = intent.0.reach() == Reach::Everywhere;
            if intent.0.committed().await == Reach::Here && was_everywhere {
                count(&shared.counts.here_only);
            }
        }
    }

    /// Nothing of it is.
    pub(super) fn rolled_back(self) -> impl Future<Output = ()> + Send + 'static {
        count(&self.shared.counts.rolled_back);
        self.intent.0.rolled_back()
    }

    /// The server refused it.
    pub(super) fn refused(self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match self.on_refusal {
            OnRefusal::RolledBack => Box::pin(self.rolled_back()),
            OnRefusal::Committed => Box::pin(self.committed()),
        }
    }

    /// It may be in the database, or get there yet.
    pub(super) fn unknown(self) {
        count(&self.shared.counts.unknown);
        self.definitions_changed();
        self.intent.0.unknown();
    }

    fn definitions_changed(&self) {
        if self.changes_definitions {
            self.shared.definitions_changed();
        }
    }
}

/// Counters are read for reports only, so no order among them is needed.
fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Said").finish_non_exhaustive()
    }
}
