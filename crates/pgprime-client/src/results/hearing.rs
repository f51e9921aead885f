//! Whether writers outside are heard.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;

/// What is known of the session that listens to writers outside.
#[derive(Debug)]
pub(crate) struct Hearing {
    hears: AtomicBool,
    session: Mutex<Session>,
    heard: AtomicU64,
    commits: AtomicU64,
    ignored: AtomicU64,
    began: AtomicU64,
    lost: AtomicU64,
    behind: AtomicU64,
}

/// The session as it is, or why there is none.
#[derive(Debug, Default)]
struct Session {
    since: Option<(Instant, Sources)>,
    trouble: Option<String>,
}

/// What is heard besides notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sources {
    /// The publication.
    pub(crate) publication: bool,
}

/// How writers outside are heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HearingReport {
    /// Whether everybody is heard who should be: notifications, and the publication where there is one.
    pub hears: bool,
    /// For how long there has been a session that hears notifications; `null` while there is none.
    pub notifications_for_ms: Option<u64>,
    /// For how long the publication has been listened to; `null` while it is not, or there is none.
    pub publication_for_ms: Option<u64>,
    /// Why nobody is heard, and what to do about it; `null` while everybody is.
    pub trouble: Option<String>,
    /// Notifications of tables that are known.
    pub heard_total: u64,
    /// Transactions that the publication told of.
    pub commits_total: u64,
    /// Notifications that were none of these: another program's, or garbage.
    pub ignored_total: u64,
    /// Times that it began to listen; each time everything was given up.
    pub began_total: u64,
    /// Times that its connection was lost.
    pub lost_total: u64,
    /// Times that the publication lagged behind, so that nobody counted as heard for a while.
    pub behind_total: u64,
}

impl Hearing {
    pub(crate) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            hears: AtomicBool::new(false),
            session: Mutex::default(),
            heard: zero(),
            commits: zero(),
            ignored: zero(),
            began: zero(),
            lost: zero(),
            behind: zero(),
        }
    }

    /// Whether what is kept may be served.
    pub(crate) fn hears(&self) -> bool {
        self.hears.load(Ordering::SeqCst)
    }

    /// What was kept before has been given up, and it listens.
    pub(crate) fn began(&self, sources: Sources) {
        *self.session() = Session { since: Some((Instant::now(), sources)), trouble: None };
        self.began.fetch_add(1, Ordering::Relaxed);
        self.hears.store(true, Ordering::SeqCst);
    }

    /// Nobody listens, for this reason.
    pub(crate) fn deaf(&self, reason: &str) {
        self.hears.store(false, Ordering::SeqCst);
        *self.session() = Session { since: None, trouble: Some(reason.to_owned()) };
    }

    /// As [`Hearing::deaf`], by the loss of a session.
    pub(crate) fn lost(&self, reason: &str) {
        self.deaf(reason);
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// It listens, and does not hear in time.
    pub(crate) fn behind(&self, reason: &str) {
        self.hears.store(false, Ordering::SeqCst);
        self.session().trouble = Some(reason.to_owned());
        self.behind.fetch_add(1, Ordering::Relaxed);
    }

    /// It hears in time again, and has missed nothing.
    pub(crate) fn caught_up(&self) {
        self.session().trouble = None;
        self.hears.store(true, Ordering::SeqCst);
    }

    pub(crate) fn heard(&self) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn committed(&self, commits: u64) {
        self.commits.fetch_add(commits, Ordering::Relaxed);
    }

    pub(crate) fn ignored(&self) {
        self.ignored.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn report(&self) -> HearingReport {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let session = self.session();
        let since = |is_heard: &dyn Fn(Sources) -> bool| {
            let (began, _) = session.since.filter(|(_, sources)| is_heard(*sources))?;
            Some(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX))
        };
        HearingReport {
            hears: self.hears(),
            notifications_for_ms: since(&|_| true),
            publication_for_ms: since(&|sources| sources.publication),
            trouble: session.trouble.clone(),
            heard_total: read(&self.heard),
            commits_total: read(&self.commits),
            ignored_total: read(&self.ignored),
            began_total: read(&self.began),
            lost_total: read(&self.lost),
            behind_total: read(&self.behind),
        }
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
