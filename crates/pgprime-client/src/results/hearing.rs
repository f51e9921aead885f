//! Whether writers outside are heard.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::Serialize;

/// What is known of the session that listens to writers outside.
#[derive(Debug)]
pub(crate) struct Hearing {
    hears: AtomicBool,
    heard: AtomicU64,
    ignored: AtomicU64,
    began: AtomicU64,
    lost: AtomicU64,
}

/// The session that listens to writers outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HearingReport {
    /// Whether it listens now.
    pub hears: bool,
    /// Notifications of tables that are known.
    pub heard_total: u64,
    /// Notifications that were none of these: another program's, or garbage.
    pub ignored_total: u64,
    /// Times that it began to listen; each time everything was given up.
    pub began_total: u64,
    /// Times that its connection was lost.
    pub lost_total: u64,
}

impl Hearing {
    pub(crate) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self { hears: AtomicBool::new(false), heard: zero(), ignored: zero(), began: zero(), lost: zero() }
    }

    /// Whether what is kept may be served.
    pub(crate) fn hears(&self) -> bool {
        self.hears.load(Ordering::SeqCst)
    }

    /// What was kept before has been given up, and it listens.
    pub(crate) fn began(&self) {
        self.began.fetch_add(1, Ordering::Relaxed);
        self.hears.store(true, Ordering::SeqCst);
    }

    pub(crate) fn lost(&self) {
        self.hears.store(false, Ordering::SeqCst);
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn heard(&self) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn ignored(&self) {
        self.ignored.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn report(&self) -> HearingReport {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        HearingReport {
            hears: self.hears(),
            heard_total: read(&self.heard),
            ignored_total: read(&self.ignored),
            began_total: read(&self.began),
            lost_total: read(&self.lost),
        }
    }
}
