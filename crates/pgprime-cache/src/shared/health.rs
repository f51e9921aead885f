//! Whether Redis may be used, what went wrong with it, and what of that is said.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::breaker::{Admission, Breaker, Failure, Rules, State};
use crate::stats::add;

use super::report::{RedisReport, RedisState};
use super::trouble::Trouble;

pub(super) struct Health {
    breaker: Mutex<Breaker>,
    timeouts: AtomicU64,
    failures: AtomicU64,
    outages: AtomicU64,
    /// What went wrong last, and whether it was said.
    trouble: Mutex<Option<Said>>,
}

struct Said {
    reason: String,
    in_this_outage: bool,
}

impl Health {
    pub(super) fn new(rules: Rules) -> Health {
        Health {
            breaker: Mutex::new(Breaker::new(rules, Instant::now())),
            timeouts: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            outages: AtomicU64::new(0),
            trouble: Mutex::new(None),
        }
    }

    pub(super) fn state(&self) -> State {
        lock(&self.breaker).state()
    }

    /// Whether the caller is to try whether Redis is back.
    pub(super) fn may_probe(&self) -> bool {
        lock(&self.breaker).admit(Instant::now()) == Admission::Probe
    }

    pub(super) fn succeeded(&self) {
        lock(&self.breaker).succeeded(Instant::now());
    }

    /// A probe has found Redis usable by a connection of this number.
    pub(super) fn is_back(&self, connection: u64) {
        self.succeeded();
        if let Some(said) = lock(&self.trouble).as_mut() {
            said.in_this_outage = false;
        }
        info!(connections = connection, "using Redis for the result cache");
    }

    /// A probe has failed. Said when there is another reason than before, so once for each outage at least.
    pub(super) fn is_not_back(&self, trouble: &Trouble) {
        self.count(trouble);
        lock(&self.breaker).failed(Failure::Lost, Instant::now(), fastrand::f64());
        if self.note(trouble) {
            warn!(reason = trouble.reason(), "Redis cannot be used, the result cache goes on without it");
        } else {
            debug!(reason = trouble.reason(), "Redis cannot be used yet");
        }
    }

    /// An operation has failed. Says whether Redis is left alone now.
    pub(super) fn failed(&self, failure: Failure, trouble: &Trouble) -> bool {
        self.count(trouble);
        if !lock(&self.breaker).failed(failure, Instant::now(), fastrand::f64()) {
            lock(&self.trouble)
                .get_or_insert_with(|| Said { reason: String::new(), in_this_outage: false })
                .reason = trouble.reason();
            return false;
        }
        add(&self.outages, 1);
        self.note(trouble);
        warn!(reason = trouble.reason(), "Redis fails, the result cache goes on without it");
        true
    }

    /// Whether this is another reason than what was said in this outage.
    fn note(&self, trouble: &Trouble) -> bool {
        let reason = trouble.reason();
        let mut said = lock(&self.trouble);
        let is_new = said.as_ref().is_none_or(|said| !said.in_this_outage || said.reason != reason);
        *said = Some(Said { reason, in_this_outage: true });
        is_new
    }

    fn count(&self, trouble: &Trouble) {
        match trouble {
            Trouble::Open | Trouble::Moved => {}
            Trouble::Slow(_) => add(&self.timeouts, 1),
            Trouble::Failed(..) | Trouble::Unexpected(_) => add(&self.failures, 1),
        }
    }

    pub(super) fn report(&self, connections: u64, debts: u64, debts_overflowed: u64) -> RedisReport {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RedisReport {
            state: match self.state() {
                State::Closed { .. } => RedisState::Up,
                State::Open { .. } => RedisState::Down,
                State::HalfOpen { .. } => RedisState::Probing,
            },
            trouble: lock(&self.trouble).as_ref().map(|said| said.reason.clone()),
            timeouts: count(&self.timeouts),
            failures: count(&self.failures),
            outages: count(&self.outages),
            connections,
            debts,
            debts_overflowed,
        }
    }
}

/// Nothing panics while it holds one of these locks, so a poisoned one still guards a whole value.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_reason_is_said_once_in_each_outage() {
        let (ms, step) = (Duration::from_millis(1), "asking");
        let health = Health::new(Rules { failures_max: 3, pause_first: ms, pause_max: ms, probe_max: ms });
        let (slow, odd) = (Trouble::Slow(step), Trouble::Unexpected(step));
        assert!(health.note(&slow));
        assert!(!health.note(&slow));
        assert!(health.note(&odd), "another reason");
        assert!(!health.note(&odd));
        health.is_back(1);
        assert!(health.note(&odd), "another outage");
        assert_eq!(
            health.report(1, 0, 0).trouble.as_deref(),
            Some("asking was answered by something unexpected")
        );
    }
}
