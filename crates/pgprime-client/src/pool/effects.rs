//! What is to be done once the pool's lock has been released.

use std::panic::Location;
use std::task::Waker;
use std::time::{Duration, Instant};

use pgprime_pool::Permit;

use super::connector::Connector;

slotmap::new_key_type! {
    /// A task that waits for a connection.
    pub(super) struct WaiterId;
    /// A connection.
    pub(super) struct SlotId;
}

/// Why a connection is asked whether it still answers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// A task is to have it.
    Waiter(WaiterId),
    /// It has idled since then, and goes on idling.
    Upkeep {
        /// Since when.
        idle_since: Instant,
    },
}

/// One thing to be done without the lock.
#[derive(Debug)]
pub(super) enum Effect<T> {
    /// Wake a task.
    Wake(Waker),
    /// Let go of a connection, and of its permit once that is done.
    Close(Option<T>, Permit),
    /// Open a connection.
    Connect(Permit),
    /// Ask a connection whether it still answers.
    Check(SlotId, T, Purpose),
    /// Report a leak.
    ReportLeak(&'static Location<'static>, Duration),
    /// Wake the maintenance task: the next alarm is earlier than it thinks.
    Rearm,
    /// Wake those who wait for the pool to fill or to empty.
    Announce,
}

/// What one transition of the state leaves to do. The one wake-up of a hand-over costs no allocation.
#[derive(Debug)]
pub(super) struct Effects<T> {
    pub(super) wake: Option<Waker>,
    pub(super) rest: Vec<Effect<T>>,
}

/// The effects on a pool with this connector.
pub(super) type EffectsOf<M> = Effects<<M as Connector>::Connection>;

impl<T> Effects<T> {
    pub(super) const fn new() -> Self {
        Self { wake: None, rest: Vec::new() }
    }

    pub(super) fn push(&mut self, effect: Effect<T>) {
        self.rest.push(effect);
    }

    pub(super) fn wake(&mut self, waker: Waker) {
        match &self.wake {
            None => self.wake = Some(waker),
            Some(_) => self.rest.push(Effect::Wake(waker)),
        }
    }
}
