//! Watching: one round after another, each handed to whoever is interested.
//!
//! A round looks at the database and the poolers, judges, and publishes. It ends within a limit whatever they do, and what
//! is expensive (space, views) is looked at beside it, on a connection of its own. A round that panics is reported, and the
//! next one comes all the same.

mod beside;
mod caught;
mod console;
mod round;
mod watcher;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

pub use console::{Console, ConsoleMet};
pub use round::Round;
pub use watcher::{CacheSource, PoolerReading, PoolerSource, WatchConfig, Watcher};

/// Gets every round, in order.
pub trait RoundSink: Send {
    /// Called between rounds: what takes long belongs into a thread of its own.
    fn on_round(&mut self, round: &Round);
}

/// Watches in the background.
#[derive(Debug)]
pub struct Monitor;

/// What is being watched. Dropping it ends the watching.
#[derive(Debug)]
pub struct MonitorHandle {
    latest: watch::Receiver<Option<Arc<Round>>>,
    task: JoinHandle<()>,
}

impl Monitor {
    /// Watches at the interval of the settings: the first round at once. A round that takes longer than the interval delays
    /// the next ones, and none is made up for.
    ///
    /// Must be called within a runtime.
    #[must_use]
    pub fn start(config: WatchConfig, sinks: Vec<Box<dyn RoundSink>>) -> MonitorHandle {
        let (publish, latest) = watch::channel(None);
        let task = tokio::spawn(run(config, sinks, publish));
        MonitorHandle { latest, task }
    }
}

impl MonitorHandle {
    /// The last round, if there was one.
    #[must_use]
    pub fn latest(&self) -> Option<Arc<Round>> {
        self.latest.borrow().clone()
    }

    /// Told of each round; who is slow misses some.
    #[must_use]
    pub fn rounds(&self) -> watch::Receiver<Option<Arc<Round>>> {
        self.latest.clone()
    }

    /// Ends the watching, and waits until no connection of it is in use.
    pub async fn stop(mut self) {
        self.task.abort();
        // Aborted is what was asked for.
        let _ended = (&mut self.task).await;
    }
}

impl Drop for MonitorHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    config: WatchConfig,
    mut sinks: Vec<Box<dyn RoundSink>>,
    publish: watch::Sender<Option<Arc<Round>>>,
) {
    let mut ticks = interval(config.settings.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watcher = Watcher::new(config);
    loop {
        ticks.tick().await;
        let round = Arc::new(watcher.round().await);
        for sink in &mut sinks {
            if let Err(panic) = caught::call(|| sink.on_round(&round)) {
                tracing::error!(
                    panic,
                    round = round.number,
                    "what takes the rounds has failed; watching goes on"
                );
            }
        }
        publish.send_replace(Some(round));
    }
}
