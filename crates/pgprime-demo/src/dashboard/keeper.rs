//! The views' scheduler, at work beside the load.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pgprime_views::{Declarations, Policy, RefreshOutcome, Round, Scheduler};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::report::RefreshesReport;

/// A demo is short: what has changed is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The scheduler. Dropping it ends it, whatever it is doing.
#[derive(Debug)]
pub(crate) struct Keeper {
    runtime: Handle,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
    book: Arc<Mutex<RefreshesReport>>,
}

impl Keeper {
    /// Begins to keep the views of the database fresh.
    pub(super) fn start(runtime: &Handle, url: String, declared: Declarations) -> Self {
        let (stop, stopped) = watch::channel(false);
        let book = Arc::new(Mutex::new(RefreshesReport::default()));
        let policy = Policy { poll_interval: LOOK_EVERY, ..Policy::default() };
        let work = keep(Scheduler::new(declared, policy), url, stopped, Arc::clone(&book));
        Self { runtime: runtime.clone(), stop, task: Some(runtime.spawn(work)), book }
    }

    /// Ends it after the refresh that is under way; gives what it did.
    pub(crate) fn finish(mut self) -> RefreshesReport {
        self.stop.send_replace(true);
        let ended = self.task.take().map(|task| self.runtime.block_on(task));
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(Err(error)) = ended {
            book.errors.add(format!("views: {error}"));
        }
        book
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn keep(
    scheduler: Scheduler,
    url: String,
    mut stopped: watch::Receiver<bool>,
    book: Arc<Mutex<RefreshesReport>>,
) {
    while !*stopped.borrow() {
        let round = match pgprime_client::connect(&url, CONNECT_TIMEOUT).await {
            Ok(connected) => scheduler.round(&connected.client).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let idle = round.as_ref().map_or(LOOK_EVERY, |round| round.idle);
        enter(&mut book.lock().unwrap_or_else(PoisonError::into_inner), round);
        tokio::select! {
            _ = stopped.changed() => {}
            () = tokio::time::sleep(idle) => {}
        }
    }
}

fn enter(book: &mut RefreshesReport, round: Result<Round, String>) {
    book.looks += 1;
    match round {
        Ok(round) => {
            book.skipped += round.skipped.len() as u64;
            round.outcomes.into_iter().for_each(|outcome| enter_refresh(book, outcome));
        }
        Err(error) => book.errors.add(format!("views: {error}")),
    }
}

fn enter_refresh(book: &mut RefreshesReport, outcome: RefreshOutcome) {
    match outcome {
        RefreshOutcome::Refreshed(done) => {
            book.refreshed += 1;
            book.blocked_readers += u64::from(done.blocked_readers.is_some());
            book.duration_ms_max = book.duration_ms_max.max(done.duration_ms);
        }
        RefreshOutcome::Busy { .. } => {}
        RefreshOutcome::Failed { view, error, .. } => book.errors.add(format!("{view}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgprime_views::ViewName;

    #[test]
    fn rounds_are_added_up() {
        let view = ViewName::parse("admin.v").unwrap();
        let failed =
            RefreshOutcome::Failed { view: view.clone(), error: "no".into(), failures: 1, is_failing: false };
        let round = Round {
            outcomes: vec![RefreshOutcome::Busy { view: view.clone() }, failed],
            skipped: vec![view],
            ..Round::default()
        };
        let mut book = RefreshesReport::default();
        enter(&mut book, Ok(round));
        enter(&mut book, Err("gone".into()));
        assert_eq!((book.looks, book.refreshed, book.skipped, book.errors.count), (2, 0, 1, 2));
        assert_eq!(book.errors.samples, ["admin.v: no", "views: gone"]);
    }
}
