//! When to try to connect again after a failure, and when to tell waiting clients the truth.

use std::time::{Duration, Instant};

/// The first pause after a failed connection; it doubles up to `server_login_retry`.
const PAUSE_FIRST: Duration = Duration::from_millis(100);

/// A circuit breaker over connection attempts: closed while they succeed, open while they fail.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    failing: Option<Failing>,
}

#[derive(Debug)]
struct Failing {
    since: Instant,
    next_attempt: Instant,
    pause: Duration,
    rejected: bool,
}

impl Retry {
    pub(crate) fn succeeded(&mut self) {
        self.failing = None;
    }

    /// `rejected`: the database answered and said no, so that waiting will not help by itself.
    pub(crate) fn failed(&mut self, now: Instant, rejected: bool, pause_max: Duration) {
        let (since, pause) = match &self.failing {
            // Attempts run in parallel: those begun before the last failure do not count twice.
            Some(failing) if now < failing.next_attempt => (failing.since, failing.pause),
            Some(failing) => (failing.since, (failing.pause * 2).min(pause_max)),
            None => (now, PAUSE_FIRST.min(pause_max)),
        };
        self.failing = Some(Failing { since, next_attempt: now + pause, pause, rejected });
    }

    /// Whether a connection may be attempted.
    pub(crate) fn may_attempt(&self, now: Instant) -> bool {
        self.failing.as_ref().is_none_or(|failing| now >= failing.next_attempt)
    }

    /// Whether clients should be refused instead of left waiting: the database rejects logins, or has been out of
    /// reach for `patience`.
    pub(crate) fn gives_up(&self, now: Instant, patience: Duration) -> bool {
        self.failing
            .as_ref()
            .is_some_and(|failing| failing.rejected || now.duration_since(failing.since) >= patience)
    }

    /// Until when attempts pause, while they fail.
    pub(crate) fn next_attempt(&self) -> Option<Instant> {
        self.failing.as_ref().map(|failing| failing.next_attempt)
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.failing.is_some()
    }
}
