//! Reads of figures that take longer than somebody waits for them: each goes on once, however many look meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::task::AbortHandle;

use super::row::Read;

/// The figures of one database that are being read. Clones are the same; with the last one all of them end, and what they ask of
/// it is cancelled.
#[derive(Clone, Debug, Default)]
pub struct FiguresUnderWay(Arc<Readings>);

#[derive(Debug, Default)]
struct Readings(Mutex<HashMap<String, Reading>>);

#[derive(Debug)]
struct Reading {
    outcome: Outcome,
    task: AbortHandle,
    began: Instant,
}

/// What became of a reading; for all who wait for it.
pub(super) type Outcome = Shared<BoxFuture<'static, Result<Read, String>>>;

impl FiguresUnderWay {
    /// The reading of this figure that is under way, or else one that begins now.
    pub(super) fn join<F>(&self, figure: &str, read: impl FnOnce() -> F) -> Outcome
    where
        F: Future<Output = Result<Read, String>> + Send + 'static,
    {
        let mut readings = self.0.lock();
        readings.retain(|_, reading| !reading.task.is_finished());
        if let Some(reading) = readings.get(figure) {
            return reading.outcome.clone();
        }
        let task = tokio::spawn(read());
        let handle = task.abort_handle();
        let outcome = task.map(|ended| ended.unwrap_or_else(|_| Err("it was broken off".to_owned())));
        let outcome = outcome.boxed().shared();
        let reading = Reading { outcome: outcome.clone(), task: handle, began: Instant::now() };
        readings.insert(figure.to_owned(), reading);
        outcome
    }

    /// Forgets those that have ended, and breaks off all but so many: those go on that have gone on for longest.
    pub(super) fn leave(&self, most: usize) {
        let mut readings = self.0.lock();
        readings.retain(|_, reading| !reading.task.is_finished());
        let mut began: Vec<Instant> = readings.values().map(|reading| reading.began).collect();
        began.sort_unstable();
        if let Some(&first_too_many) = began.get(most) {
            readings.retain(|_, reading| {
                let stays = reading.began < first_too_many;
                if !stays {
                    reading.task.abort();
                }
                stays
            });
        }
    }
}

impl Readings {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Reading>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Readings {
    fn drop(&mut self) {
        self.lock().values().for_each(|reading| reading.task.abort());
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn begun(count: &Arc<AtomicU32>) -> impl Future<Output = Result<Read, String>> + Send + 'static {
        count.fetch_add(1, Ordering::Relaxed);
        pending()
    }

    #[tokio::test]
    async fn one_reading_for_all_who_look_and_the_oldest_go_on() {
        let (under_way, count) = (FiguresUnderWay::default(), Arc::new(AtomicU32::new(0)));
        let first = under_way.join("a", || begun(&count));
        let same = under_way.clone().join("a", || begun(&count));
        let second = under_way.join("b", || begun(&count));
        assert_eq!(count.load(Ordering::Relaxed), 2);
        assert!(first.clone().now_or_never().is_none() && same.now_or_never().is_none());
        under_way.leave(2);
        assert!(second.clone().now_or_never().is_none());
        under_way.leave(1);
        assert!(second.await.err().is_some_and(|why| why == "it was broken off"));
        assert!(first.clone().now_or_never().is_none());
        drop(under_way);
        assert!(first.await.is_err());
    }

    #[tokio::test]
    async fn what_has_ended_is_read_anew() {
        let under_way = FiguresUnderWay::default();
        for why in ["no", "not yet"] {
            let read = under_way.join("a", || async move { Err(why.to_owned()) });
            assert_eq!(read.await.err().as_deref(), Some(why));
            under_way.leave(1);
            assert!(under_way.0.lock().is_empty());
        }
    }
}
