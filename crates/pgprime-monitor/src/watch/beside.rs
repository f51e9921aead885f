//! What is looked at beside the rounds, as it takes longer than they may.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// The newest outcome of something that is looked at now and then.
pub(super) struct Beside<T> {
    every: Duration,
    limit: Duration,
    due_at: Instant,
    work: Option<JoinHandle<Result<T, String>>>,
    latest: Option<Arc<T>>,
    trouble: Option<String>,
}

impl<T: Send + 'static> Beside<T> {
    /// Looked at this often, for at most this long.
    pub(super) fn new(every: Duration, limit: Duration) -> Self {
        Self { every, limit, due_at: Instant::now(), work: None, latest: None, trouble: None }
    }

    /// The newest outcome, if any.
    pub(super) fn latest(&self) -> Option<&Arc<T>> {
        self.latest.as_ref()
    }

    /// Why the last try gave nothing.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Takes in what is done, and begins anew where it is due.
    pub(super) async fn turn<F>(&mut self, begin: impl FnOnce() -> F)
    where
        F: Future<Output = Result<T, String>> + Send + 'static,
    {
        if self.work.as_ref().is_some_and(JoinHandle::is_finished) {
            self.finish().await;
        }
        if self.work.is_none() && self.due_at <= Instant::now() {
            self.due_at = Instant::now() + self.every;
            let (work, limit) = (begin(), self.limit);
            self.work = Some(tokio::spawn(async move {
                let late = || Err(format!("it took longer than {} s", limit.as_secs()));
                timeout(limit, work).await.unwrap_or_else(|_| late())
            }));
        }
    }

    /// Waits for what is under way. Dropped before its end, it can be waited for again.
    pub(super) async fn finish(&mut self) {
        let Some(work) = &mut self.work else { return };
        let outcome = work.await;
        self.work = None;
        match outcome {
            Ok(Ok(value)) => (self.latest, self.trouble) = (Some(Arc::new(value)), None),
            // What was seen before still tells more than nothing.
            Ok(Err(trouble)) => self.trouble = Some(trouble),
            Err(failed) => self.trouble = Some(failed.to_string()),
        }
    }
}

impl<T> Drop for Beside<T> {
    fn drop(&mut self) {
        if let Some(work) = &self.work {
            work.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_looked_at_when_due_and_bounded() {
        let mut beside = Beside::new(Duration::from_secs(60), Duration::from_secs(5));
        beside.turn(|| async { Ok(1) }).await;
        beside.finish().await;
        assert_eq!(beside.latest().map(|value| **value), Some(1));
        beside.turn(|| async { Ok(2) }).await;
        assert!(beside.work.is_none(), "it is not due");
        tokio::time::advance(Duration::from_secs(61)).await;
        beside.turn(std::future::pending::<Result<i32, String>>).await;
        beside.finish().await;
        assert_eq!(
            (beside.latest().map(|value| **value), beside.trouble()),
            (Some(1), Some("it took longer than 5 s"))
        );
    }
}
