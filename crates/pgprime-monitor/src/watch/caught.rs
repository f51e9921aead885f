//! Panics as values: what watches must not end with what it watches.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// The outcome of a future, or what it panicked with.
pub(super) async fn future<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let mut work = pin!(work);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(outcome)) => Poll::Ready(Ok(outcome)),
        // It is not polled again.
        Err(panic) => Poll::Ready(Err(words(&*panic))),
    })
    .await
}

/// The outcome of a call, or what it panicked with.
pub(super) fn call<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| words(&*panic))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a word".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_value() {
        assert_eq!(future(async { 1 }).await, Ok(1));
        let after_a_wait = async {
            tokio::task::yield_now().await;
            assert_eq!(1, 2, "numbers differ");
        };
        assert!(future(after_a_wait).await.unwrap_err().contains("numbers differ"));
        assert_eq!(call(|| std::panic::panic_any("gone")), Err::<(), _>("gone".to_owned()));
    }
}
