//! Limits on the time of an answer: a database that accepts connections and says nothing must not keep anybody waiting.

use std::time::Duration;

use crate::problem::Problem;

/// A look at statistics takes milliseconds; its statements give up after 5 s by themselves.
pub(crate) const LOOK_MAX: Duration = Duration::from_secs(8);
/// Advice and reports on space read the statistics of all tables.
pub(crate) const REPORT_MAX: Duration = Duration::from_secs(60);
/// For a connection of the admin pool.
pub(crate) const ACQUIRE_MAX: Duration = Duration::from_secs(4);
/// For a sign of life on a connection before longer work.
pub(crate) const PING_MAX: Duration = Duration::from_secs(3);
/// A pooler's console answers in milliseconds.
pub(crate) const CONSOLE_MAX: Duration = Duration::from_secs(3);

/// The outcome of the work, if there is one in time.
///
/// # Errors
/// Those of the work, or that there was none in time.
pub(crate) fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Problem>>,
) -> impl Future<Output = Result<T, Problem>> {
    // On the heap: work is of many steps, and would be moved from frame to frame with the state of all of them.
    let work = Box::pin(work);
    async move {
        let silent = |_| {
            Err(Problem::unavailable(format!("the database did not answer within {} s", limit.as_secs())))
        };
        tokio::time::timeout(limit, work).await.unwrap_or_else(silent)
    }
}
