//! A report without end: the dashboard's queries over the base tables, as many at a time as the admin pool has
//! connections.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pgprime_client::Access;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::queries;
use super::report::HeavyReport;
use crate::generator::Errors;

/// How long the end of a statement is awaited, once it was cancelled.
const PATIENCE: Duration = Duration::from_secs(10);

/// The report at work. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Heavy {
    runtime: Handle,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    book: Arc<Mutex<Book>>,
}

impl Heavy {
    /// Begins with so many queries at a time.
    pub(super) fn start(runtime: &Handle, admin: &Access, at_a_time: u32) -> Self {
        let (stop, _) = watch::channel(false);
        let book = Arc::new(Mutex::new(Book::default()));
        let worker = |number: u32| {
            // Each begins with another query, so that all kinds are under way from the beginning.
            let queries = queries::heavy().cycle().skip(number as usize);
            runtime.spawn(work(admin.clone(), queries, stop.subscribe(), Arc::clone(&book)))
        };
        let tasks = (0..at_a_time).map(worker).collect();
        Self { runtime: runtime.clone(), stop, tasks, book }
    }

    /// Cancels what is under way; gives what was finished.
    pub(super) fn finish(mut self) -> Book {
        self.stop.send_replace(true);
        for task in std::mem::take(&mut self.tasks) {
            let ended = async { tokio::time::timeout(PATIENCE, task).await };
            let _ = self.runtime.block_on(ended);
        }
        std::mem::take(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Heavy {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn work(
    admin: Access,
    queries: impl Iterator<Item = &'static str>,
    mut stopped: watch::Receiver<bool>,
    book: Arc<Mutex<Book>>,
) {
    for sql in queries {
        let begun = Instant::now();
        let outcome = tokio::select! {
            outcome = admin.query(sql, &[]) => outcome,
            _ = stopped.changed() => return,
        };
        let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(_) => book.took.push(begun.elapsed()),
            Err(error) => {
                book.errors.add(format!("report: {error}"));
                return;
            }
        }
    }
}

/// What became of a report's queries.
#[derive(Debug, Default)]
pub(super) struct Book {
    took: Vec<Duration>,
    errors: Errors,
}

impl Book {
    /// What became of others, too.
    pub(super) fn add(&mut self, other: Self) {
        self.took.extend(other.took);
        self.errors.merge(other.errors);
    }

    pub(super) fn report(mut self, at_a_time: u32) -> HeavyReport {
        self.took.sort_unstable();
        let microseconds = |took: Option<&Duration>| {
            took.map_or(0, |took| u64::try_from(took.as_micros()).unwrap_or(u64::MAX))
        };
        HeavyReport {
            at_a_time,
            finished: self.took.len() as u64,
            p50_us: microseconds(self.took.get(self.took.len() / 2)),
            max_us: microseconds(self.took.last()),
            errors: self.errors,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_finished_is_added_up() {
        let took = |milliseconds: &[u64]| Book {
            took: milliseconds.iter().map(|&each| Duration::from_millis(each)).collect(),
            errors: Errors::default(),
        };
        let mut book = took(&[300, 100]);
        book.add(took(&[200]));
        let report = book.report(4);
        assert_eq!((report.at_a_time, report.finished), (4, 3));
        assert_eq!((report.p50_us, report.max_us), (200_000, 300_000));
        assert_eq!(Book::default().report(1).max_us, 0);
    }
}
