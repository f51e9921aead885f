//! Answers that cost the database something are kept for a moment, and made once for all who ask meanwhile.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::problem::Problem;

/// A failure is kept for long enough that those who waited for the same do not each wait again.
const FAILURE_KEPT: Duration = Duration::from_secs(1);

/// The last answer, and when it was made.
pub(crate) struct Memo<T> {
    keep: Duration,
    last: Mutex<Option<(Instant, Result<T, Problem>)>>,
}

impl<T: Clone> Memo<T> {
    pub(crate) fn new(keep: Duration) -> Self {
        Self { keep, last: Mutex::new(None) }
    }

    /// The last answer if it is young enough, else one made now. Whoever asks meanwhile waits for it.
    ///
    /// # Errors
    /// Those of `make`, which are kept for a second.
    pub(crate) async fn get(&self, make: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
        let mut last = self.last.lock().await;
        if let Some((at, answer)) = &*last {
            let keep = if answer.is_ok() { self.keep } else { FAILURE_KEPT };
            if at.elapsed() < keep {
                return answer.clone();
            }
        }
        let answer = make.await;
        *last = Some((Instant::now(), answer.clone()));
        answer
    }

    /// How old the last answer is, however old it may be.
    pub(crate) async fn age(&self) -> Option<Duration> {
        let last = self.last.lock().await;
        last.as_ref().filter(|(_, answer)| answer.is_ok()).map(|(at, _)| at.elapsed())
    }

    /// Forgets the last answer: what it was about has changed.
    pub(crate) async fn forget(&self) {
        *self.last.lock().await = None;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn an_answer_is_made_once_and_a_failure_too() {
        let made = Cell::new(0);
        let make = |answer: Result<u8, Problem>| {
            made.set(made.get() + 1);
            async { answer }
        };
        let memo = Memo::new(Duration::from_secs(3_600));
        assert!(memo.get(async { make(Err(Problem::bad_request("no"))).await }).await.is_err());
        assert!(memo.get(async { make(Ok(1)).await }).await.is_err(), "whoever waited does not wait again");
        memo.forget().await;
        assert_eq!(memo.get(async { make(Ok(2)).await }).await.ok(), Some(2));
        assert_eq!(memo.get(async { make(Ok(3)).await }).await.ok(), Some(2));
        assert_eq!(made.get(), 2);
    }
}
