//! Places for connections: how many there are at once, and who leaves when all are taken.
//!
//! A connection is *quiet* while it is no request that keeps it: in its handshake, before the end of a request's headers,
//! between requests. When no place is free, the one that has been quiet longest gives its own up, so that connections that
//! say nothing, or say it very slowly, keep nobody out. Nobody is cut off in a request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// Nobody who was quiet for less has to leave: a request may be on its way.
const QUIET_MIN: Duration = Duration::from_secs(1);
/// Whoever was told to leave has left by then, or was in a request after all.
const LEAVE_MAX: Duration = Duration::from_millis(100);

/// All places.
pub(super) struct Places {
    free: Arc<Semaphore>,
    quiet: Mutex<Quiet>,
}

/// Those who may have to leave, the longest quiet first.
#[derive(Default)]
struct Quiet {
    last: u64,
    connections: BTreeMap<u64, (Instant, Arc<Notify>)>,
}

impl Places {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { free: Arc::new(Semaphore::new(max)), quiet: Mutex::default() })
    }

    /// A place, when one is free. Whoever asks asks alone.
    pub(super) async fn take(self: &Arc<Self>) -> Arc<Seat> {
        loop {
            let wait = match Arc::clone(&self.free).try_acquire_owned() {
                Ok(permit) => return Seat::new(self, permit),
                Err(_) => self.send_away(),
            };
            if let Ok(Ok(permit)) = timeout(wait, Arc::clone(&self.free).acquire_owned()).await {
                return Seat::new(self, permit);
            }
        }
    }

    /// Tells the one that has been quiet longest; how long it makes sense to wait then.
    fn send_away(&self) -> Duration {
        let mut quiet = self.lock();
        let Some(oldest) = quiet.connections.first_entry() else { return QUIET_MIN };
        match QUIET_MIN.checked_sub(oldest.get().0.elapsed()).filter(|left| !left.is_zero()) {
            Some(left) => left,
            None => {
                oldest.remove().1.notify_one();
                LEAVE_MAX
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Quiet> {
        self.quiet.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's place, which is free again when this is dropped.
pub(super) struct Seat {
    places: Arc<Places>,
    /// Where it stands among the quiet; the first number is 1.
    key: Mutex<Option<u64>>,
    leave: Arc<Notify>,
    is_asked: AtomicBool,
    _permit: OwnedSemaphorePermit,
}

impl Seat {
    fn new(places: &Arc<Places>, permit: OwnedSemaphorePermit) -> Arc<Self> {
        let seat = Arc::new(Self {
            places: Arc::clone(places),
            key: Mutex::new(None),
            leave: Arc::default(),
            is_asked: AtomicBool::new(false),
            _permit: permit,
        });
        seat.begin_quiet();
        seat
    }

    /// Returns when the place is wanted and no request keeps it.
    pub(super) async fn wanted(&self) {
        loop {
            self.leave.notified().await;
            if self.lock_key().is_some() {
                return;
            }
        }
    }

    /// Whether there was a request yet.
    pub(super) fn was_asked(&self) -> bool {
        self.is_asked.load(Ordering::Relaxed)
    }

    /// A request keeps the place until what is returned is dropped.
    pub(super) fn begin_request(self: &Arc<Self>) -> InRequest {
        self.is_asked.store(true, Ordering::Relaxed);
        self.end_quiet();
        InRequest(Arc::clone(self))
    }

    /// The client takes what it is sent: that counts as if it had become quiet now.
    pub(super) fn progress(&self) {
        if self.lock_key().is_some() {
            self.end_quiet();
            self.begin_quiet();
        }
    }

    fn begin_quiet(&self) {
        let mut quiet = self.places.lock();
        quiet.last += 1;
        let key = quiet.last;
        quiet.connections.insert(key, (Instant::now(), Arc::clone(&self.leave)));
        *self.lock_key() = Some(key);
    }

    fn end_quiet(&self) {
        let mut quiet = self.places.lock();
        if let Some(key) = self.lock_key().take() {
            quiet.connections.remove(&key);
        }
    }

    fn lock_key(&self) -> MutexGuard<'_, Option<u64>> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.end_quiet();
    }
}

/// A request on a connection, from the end of its headers to the last byte of the answer's body.
pub(super) struct InRequest(Arc<Seat>);

impl Drop for InRequest {
    fn drop(&mut self) {
        self.0.begin_quiet();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a place becomes free while nobody leaves by itself.
    async fn is_full(places: &Arc<Places>) -> bool {
        timeout(10 * QUIET_MIN, places.take()).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_quiet_leaves_and_nobody_in_a_request() {
        let places = Places::new(3);
        let [first, second, third] = [places.take().await, places.take().await, places.take().await];
        let request = first.begin_request();
        let taken = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.take().await }
        });
        second.wanted().await;
        assert!(timeout(QUIET_MIN / 100, third.wanted()).await.is_err(), "one is enough");
        drop(second);
        let fourth = taken.await.unwrap();
        let _busy = (third.begin_request(), fourth.begin_request());
        assert!(is_full(&places).await);
        drop((request, first));
        assert!(!is_full(&places).await);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_after_all_or_takes_its_answer_stays() {
        let places = Places::new(2);
        let [first, second] = [places.take().await, places.take().await];
        tokio::time::advance(2 * QUIET_MIN).await;
        assert_eq!(places.send_away(), LEAVE_MAX);
        let request = first.begin_request();
        assert!(timeout(QUIET_MIN, first.wanted()).await.is_err(), "it was told, and is in a request now");
        second.progress();
        assert_eq!(places.send_away(), QUIET_MIN, "the other one was at it just now");
        drop(request);
        assert!(first.was_asked() && !second.was_asked());
        drop(first);
        drop(second);
        assert!(places.lock().connections.is_empty());
    }
}
