//! Keeps channels told: a task for each, so that one that hangs holds up no other, and nothing holds up the rounds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::alert::{Alert, Change};
use super::channel::{Channel, Channels};
use super::delivery::{Delivery, Line, delivery};
use super::message::Message;
use super::outbox::{Failure, Next, Outbox};
use super::store::Keeper;

/// The clock may be set: nobody sleeps longer than this without looking at it.
const LOOK_AFTER: Duration = Duration::from_secs(60);

/// The channels and their tasks.
#[derive(Debug)]
pub(super) struct Notifier {
    shared: Arc<Shared>,
    tasks: Mutex<JoinSet<()>>,
}

#[derive(Debug)]
struct Shared {
    channels: Channels,
    desks: Vec<Desk>,
    firing: Mutex<Vec<Alert>>,
    keeper: Option<Arc<Keeper>>,
    is_ending: AtomicBool,
    timeout: Duration,
}

/// What belongs to a channel.
#[derive(Debug)]
struct Desk {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    outbox: Outbox,
    last: Option<Delivery>,
}

impl Notifier {
    /// Starts a task for each channel; what was kept of it goes on. Has to be called in a runtime.
    pub(super) fn start(
        channels: Channels,
        mut outboxes: BTreeMap<String, Outbox>,
        firing: Vec<Alert>,
        keeper: Option<Arc<Keeper>>,
        timeout: Duration,
    ) -> Self {
        let desk = |channel: &Channel| {
            let mut outbox = outboxes.remove(&channel.name).unwrap_or_default();
            outbox.forget(&firing);
            Desk { state: Mutex::new(State { outbox, last: None }), wake: Notify::new() }
        };
        let desks = channels.channels.iter().map(desk).collect();
        let firing = Mutex::new(firing);
        let shared = Shared { channels, desks, firing, keeper, is_ending: AtomicBool::new(false), timeout };
        let shared = Arc::new(shared);
        let mut tasks = JoinSet::new();
        for index in 0..shared.desks.len() {
            tasks.spawn(run(Arc::clone(&shared), index));
        }
        Self { shared, tasks: Mutex::new(tasks) }
    }

    /// Takes note of what changed and what fires. Never waits.
    pub(super) fn tell(&self, now: Timestamp, changes: &[Change], firing: Vec<Alert>) {
        *lock(&self.shared.firing) = firing;
        for (channel, desk) in self.shared.channels.channels.iter().zip(&self.shared.desks) {
            if !changes.is_empty() {
                let mut state = lock(&desk.state);
                state.outbox.push(channel, now, changes);
                self.shared.keep(channel, &state.outbox);
            }
            desk.wake.notify_one();
        }
    }

    /// The channels, how the last delivery to each went, and how many notices wait and were lost.
    pub(super) fn channels(&self) -> Vec<(Channel, Option<Delivery>, usize, u64)> {
        let look = |(channel, desk): (&Channel, &Desk)| {
            let state = lock(&desk.state);
            (channel.clone(), state.last.clone(), state.outbox.waiting(), state.outbox.lost())
        };
        self.shared.channels.channels.iter().zip(&self.shared.desks).map(look).collect()
    }

    /// Ends the tasks, each after the delivery that is under way. What still waits is kept.
    pub(super) async fn end(&self) {
        self.shared.is_ending.store(true, Ordering::Relaxed);
        self.shared.desks.iter().for_each(|desk| desk.wake.notify_one());
        let mut tasks = std::mem::take(&mut *lock(&self.tasks));
        while tasks.join_next().await.is_some() {}
    }
}

impl Shared {
    fn keep(&self, channel: &Channel, outbox: &Outbox) {
        if let Some(keeper) = &self.keeper {
            keeper.outbox(&channel.name, outbox);
        }
    }
}

async fn run(shared: Arc<Shared>, index: usize) {
    let (Some(channel), Some(desk)) = (shared.channels.channels.get(index), shared.desks.get(index)) else {
        return;
    };
    let mut line = None;
    while !shared.is_ending.load(Ordering::Relaxed) {
        let now = Timestamp::now();
        let firing = lock(&shared.firing).clone();
        let next = lock(&desk.state).outbox.next(channel, shared.channels.group_wait, now, &firing);
        match next {
            Next::Idle(until) => {
                let wait = until.map_or(LOOK_AFTER, |until| {
                    Duration::try_from(until.duration_since(now)).unwrap_or_default().min(LOOK_AFTER)
                });
                tokio::select! {
                    () = desk.wake.notified() => {}
                    () = tokio::time::sleep(wait) => {}
                }
            }
            Next::Send(message, last) => {
                send(&shared, channel, desk, &mut line, &message, last).await;
            }
        }
    }
}

async fn send(
    shared: &Shared,
    channel: &Channel,
    desk: &Desk,
    line: &mut Option<Line>,
    message: &Message,
    last: u64,
) {
    let outcome = match line {
        Some(line) => line.deliver(channel, &shared.channels.sender, message).await,
        // Certificates may have been put right since.
        None => match Line::new(channel, shared.timeout) {
            Ok(made) => line.insert(made).deliver(channel, &shared.channels.sender, message).await,
            Err(error) => Err(error),
        },
    };
    let now = Timestamp::now();
    let delivery = delivery(channel, now, &outcome);
    let mut state = lock(&desk.state);
    match &outcome {
        Ok(()) => {
            state.outbox.delivered(now, last);
            tracing::debug!(channel = %channel.name, alerts = message.notices.len(), "alerts delivered");
        }
        Err(error) => {
            let failure = state.outbox.failed(now, last, error.is_transient(), channel.repeat);
            report(channel, &delivery, failure);
        }
    }
    state.last = Some(delivery);
    shared.keep(channel, &state.outbox);
}

fn report(channel: &Channel, delivery: &Delivery, failure: Failure) {
    let Delivery { detail, .. } = delivery;
    match failure {
        Failure::Again => {
            tracing::warn!(channel = %channel.name, error = %detail, "alerts could not be delivered; tried again");
        }
        Failure::GivenUp(lost) => {
            tracing::error!(
                channel = %channel.name, error = %detail, alerts = lost,
                "alerts could not be delivered and were given up: check the channel with pgprime alerts test"
            );
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
