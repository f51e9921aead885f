//! Alerts at work: rounds in, messages out, and what to show.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::broadcast;

use super::alert::{Alert, AlertState, Change, ChangeKind, Severity};
use super::channel::{ChannelKind, Channels};
use super::delivery::{Delivery, test_delivery, timeout};
use super::machine::{Alerts, SavedAlerts};
use super::notifier::Notifier;
use super::rule::Rule;
use super::settings::AlertSettings;
use super::store::{Keeper, Kept};
use crate::health::{HealthReport, Memory};
use crate::history::StoreError;
use crate::watch::{Round, RoundSink};

/// Alerts that were, in what is shown.
const HISTORY_MAX: usize = 100;
/// Changes that a listener may be behind.
const LISTENER_MAX: usize = 256;

/// Alerts at work. Rounds never wait for it: files and messages are others' business.
#[derive(Debug)]
pub struct AlertCenter {
    state: Mutex<State>,
    channels: Channels,
    notifier: Notifier,
    keeper: Option<Arc<Keeper>>,
    changes: broadcast::Sender<Change>,
}

#[derive(Debug)]
struct State {
    alerts: Alerts,
    saved: SavedAlerts,
    history: VecDeque<Alert>,
    memory: Option<Memory>,
}

/// A channel, as it is shown: without URL and key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChannelView {
    /// Its name.
    pub name: String,
    /// What it understands.
    pub kind: ChannelKind,
    /// Alerts that are less grave are not sent.
    pub severity_min: Severity,
    /// How the last delivery went, since the start.
    pub last_delivery: Option<Delivery>,
    /// Notices that wait to be delivered.
    pub waiting: usize,
    /// Notices that were given up.
    pub lost: u64,
}

/// All there is to know of alerts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlertsView {
    /// Those that fire, the gravest first.
    pub firing: Vec<Alert>,
    /// Those whose check is bad, though not for long enough.
    pub pending: Vec<Alert>,
    /// Those that were, the newest first; at most 100.
    pub history: Vec<Alert>,
    /// The rules.
    pub rules: Vec<Rule>,
    /// Where messages go.
    pub channels: Vec<ChannelView>,
}

impl AlertCenter {
    /// Starts with what an earlier process kept in the file; without a file a restart begins anew. Reads the file and
    /// certificates, which takes milliseconds. Has to be called in a runtime with time and net.
    ///
    /// # Errors
    /// [`StoreError`]: the file cannot be used.
    pub fn start(settings: AlertSettings, file: Option<&Path>, now: Timestamp) -> Result<Self, StoreError> {
        Self::start_with(settings, file, now, timeout())
    }

    pub(super) fn start_with(
        settings: AlertSettings,
        file: Option<&Path>,
        now: Timestamp,
        timeout: Duration,
    ) -> Result<Self, StoreError> {
        let (keeper, kept) = match file {
            Some(file) => {
                let (keeper, kept) = Keeper::open(file, now, HISTORY_MAX)?;
                (Some(Arc::new(keeper)), kept)
            }
            None => (None, Kept::default()),
        };
        let AlertSettings { rules, channels } = settings;
        let alerts = Alerts::restored(rules, kept.alerts);
        let firing = owned(alerts.firing());
        let notifier = Notifier::start(channels.clone(), kept.outboxes, firing, keeper.clone(), timeout);
        let state =
            State { saved: alerts.saved(), alerts, history: kept.history.into(), memory: kept.memory };
        let (changes, _) = broadcast::channel(LISTENER_MAX);
        Ok(Self { state: Mutex::new(state), channels, notifier, keeper, changes })
    }

    /// Takes a health report into account, logs what changed, and hands it to the channels.
    pub fn round(&self, now: Timestamp, report: &HealthReport) -> Vec<Change> {
        let mut state = self.lock();
        let changes = state.alerts.step(now, report);
        self.keep(&mut state, &changes);
        let firing = owned(state.alerts.firing());
        // Under the lock, so that channels hear of rounds in their order.
        self.notifier.tell(now, &changes, firing);
        drop(state);
        for change in &changes {
            log(change);
            // Nobody may listen.
            let _ = self.changes.send(change.clone());
        }
        changes
    }

    fn keep(&self, state: &mut State, changes: &[Change]) {
        for change in changes {
            if change.kind == ChangeKind::Resolved {
                state.history.push_front(change.alert.clone());
                state.history.truncate(HISTORY_MAX);
            }
            if let Some(keeper) = &self.keeper {
                keeper.alert(&change.alert);
            }
        }
        let saved = state.alerts.saved();
        // While all is quiet, only the time of the last round would be written.
        if saved.differs_from(&state.saved) {
            if let Some(keeper) = &self.keeper {
                keeper.alerts(&saved);
            }
            state.saved = saved;
        }
    }

    /// What looks had in mind when it was kept last: without it a restart would call alerts off that go by the past hour, or
    /// by replicas that are gone.
    #[must_use]
    pub fn memory(&self) -> Option<Memory> {
        self.lock().memory.clone()
    }

    /// Keeps what looks have in mind for the next start, now and then.
    pub fn remember(&self, memory: Memory) {
        let mut state = self.lock();
        if state.memory.as_ref().is_some_and(|saved| !memory.is_due_after(saved)) {
            return;
        }
        if let Some(keeper) = &self.keeper {
            keeper.memory(&memory);
        }
        state.memory = Some(memory);
    }

    /// Changes from now on, for live events.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// All there is to know.
    #[must_use]
    pub fn view(&self) -> AlertsView {
        let channel =
            |(channel, last_delivery, waiting, lost): (super::channel::Channel, _, _, _)| ChannelView {
                name: channel.name,
                kind: channel.kind,
                severity_min: channel.severity_min,
                last_delivery,
                waiting,
                lost,
            };
        let state = self.lock();
        let is_over = |alert: &&Alert| alert.state == AlertState::Resolved;
        AlertsView {
            firing: owned(state.alerts.firing()),
            pending: owned(state.alerts.pending()),
            history: state.history.iter().filter(is_over).cloned().collect(),
            rules: state.alerts.rules().to_vec(),
            channels: self.notifier.channels().into_iter().map(channel).collect(),
        }
    }

    /// Sends a test to each channel.
    pub async fn test_delivery(&self) -> Vec<Delivery> {
        test_delivery(&self.channels).await
    }

    /// Ends deliveries, each after the one that is under way; what still waits is kept for the next start.
    pub async fn end(&self) {
        self.notifier.end().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands rounds to the alerts.
#[derive(Debug)]
pub struct AlertSink(pub Arc<AlertCenter>);

impl RoundSink for AlertSink {
    fn on_round(&mut self, round: &Round) {
        self.0.round(round.report.taken_at, &round.report);
        if let Some(memory) = round.observation.as_ref().and_then(|observed| observed.memory()) {
            self.0.remember(memory);
        }
    }
}

fn owned(alerts: Vec<&Alert>) -> Vec<Alert> {
    alerts.into_iter().cloned().collect()
}

fn log(change: &Change) {
    let Alert { rule, severity, title, text, .. } = &change.alert;
    match (change.kind, severity) {
        (ChangeKind::Fired, Severity::Critical) => {
            tracing::error!(alert = %rule, check = %title, "alert: {text}");
        }
        (ChangeKind::Fired, Severity::Warning) => {
            tracing::warn!(alert = %rule, check = %title, "alert: {text}");
        }
        (ChangeKind::Resolved, _) => {
            tracing::info!(alert = %rule, check = %title, "alert resolved: {text}");
        }
    }
}
