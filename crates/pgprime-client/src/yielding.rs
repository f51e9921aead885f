//! Reports wait for the service: none is begun while requests wait for connections of the main pool.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::connector::Connector;
use crate::error::Error;
use crate::pool::Pool;

/// How often a statement that is held looks again. Whoever looks has a connection of the admin pool, so they are few, and
/// a report does not mind.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Holds back statements of the admin role.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    now: AtomicU32,
    held: AtomicU64,
    refused: AtomicU64,
}

/// Statements of the admin role that the service's own requests held back, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HeldCounts {
    /// Held at this moment; each has a connection of the admin pool already.
    pub now: u32,
    /// Held for a while; a transaction, or a connection taken for several statements, is one.
    pub held_total: u64,
    /// Of those, given up with [`Error::HeldBack`](crate::Error::HeldBack).
    pub refused_total: u64,
}

impl Gate {
    /// Waits until nobody waits for a connection of this pool, for as long as `wait` from `began` on.
    pub(crate) async fn pass(
        &self,
        service: &Pool<Connector>,
        began: Instant,
        wait: Duration,
    ) -> Result<(), Error> {
        if service.waiting() == 0 {
            return Ok(());
        }
        self.held.fetch_add(1, Ordering::Relaxed);
        let _held = Held::new(&self.now);
        loop {
            let waited = began.elapsed();
            let waiting = service.waiting();
            if waiting == 0 {
                return Ok(());
            }
            let Some(left) = wait.checked_sub(waited).filter(|left| !left.is_zero()) else {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return Err(Error::HeldBack { waiting, waited });
            };
            tokio::time::sleep(left.min(LOOK_EVERY)).await;
        }
    }

    pub(crate) fn report(&self) -> HeldCounts {
        HeldCounts {
            now: self.now.load(Ordering::Relaxed),
            held_total: self.held.load(Ordering::Relaxed),
            refused_total: self.refused.load(Ordering::Relaxed),
        }
    }
}

/// One statement that is held, also one whose caller gives it up.
struct Held<'a>(&'a AtomicU32);

impl<'a> Held<'a> {
    fn new(now: &'a AtomicU32) -> Self {
        now.fetch_add(1, Ordering::Relaxed);
        Self(now)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
