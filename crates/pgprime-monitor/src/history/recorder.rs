//! Recording beside the rounds: a round never waits for the disk, and a disk that fails stops nothing.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use jiff::Timestamp;

use super::error::StoreError;
use super::series::Figure;
use super::store::SeriesStore;

/// Rounds that wait for the disk; further ones are left out and counted.
const WAITING_MAX: usize = 16;

type Rounds = (Timestamp, Vec<Figure>);

/// A thread that records rounds one after another. Dropping it waits for those that are under way.
#[derive(Debug)]
pub struct Recorder {
    sender: Option<SyncSender<Rounds>>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(store: Arc<SeriesStore>) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let run = move || run(&receiver, &store);
        let thread = std::thread::Builder::new().name("pgprime-history".to_owned()).spawn(run)?;
        Ok(Self { sender: Some(sender), thread: Some(thread) })
    }

    /// Hands over a round; returns whether it will be tried to keep it.
    pub fn record(&self, at: Timestamp, figures: Vec<Figure>) -> bool {
        let Some(sender) = &self.sender else { return false };
        match sender.try_send((at, figures)) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                tracing::debug!("a round of figures was not kept: the disk is behind");
                false
            }
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some(thread) = self.thread.take() {
            // A panic has been reported where it happened.
            let _ = thread.join();
        }
    }
}

/// Says once when keeping fails, and once when it works again.
fn run(rounds: &Receiver<Rounds>, store: &SeriesStore) {
    let mut lost = 0_u64;
    for (at, figures) in rounds {
        match store.append(at, &figures) {
            Ok(()) if lost > 0 => {
                tracing::info!(rounds_lost = lost, file = %store.path().display(), "the history is kept again");
                lost = 0;
            }
            Ok(()) => {}
            Err(error) => {
                if lost == 0 {
                    report(&error);
                }
                lost += 1;
            }
        }
    }
}

fn report(error: &StoreError) {
    tracing::error!(%error, "the history is not kept; monitoring goes on without it");
}
