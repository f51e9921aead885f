//! What a channel still has to hear: pure, with time given.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::alert::{Alert, AlertState, Change, ChangeKind};
use super::channel::{Channel, ChannelKind};
use super::message::{Message, Notice, NoticeKind};

/// Notices that wait; when there are more, the oldest are lost.
const WAITING_MAX: usize = 1_000;
/// Notices that go in one message.
const MESSAGE_MAX: usize = 100;
/// The first wait before trying again; each is twice the one before.
const BACKOFF: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(300);
/// A message that could not be delivered for this long is given up; what still fires is said again with the next repeat.
const GIVE_UP_AFTER: Duration = Duration::from_secs(3_600);

/// What a channel still has to hear, and what it has heard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Outbox {
    waiting: VecDeque<Waiting>,
    /// Firing alerts that were said, by id, and when.
    said: BTreeMap<String, Timestamp>,
    /// The number of the next notice.
    next: u64,
    trouble: Option<Trouble>,
    /// Notices that were never delivered.
    lost: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Waiting {
    number: u64,
    at: Timestamp,
    notice: Notice,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Trouble {
    since: Timestamp,
    attempts: u32,
    again_at: Timestamp,
}

/// What is to be done for a channel.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Next {
    /// Nothing, before this moment or a change.
    Idle(Option<Timestamp>),
    /// Send this, which ends with the notice of this number.
    Send(Message, u64),
}

/// What follows from a delivery that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It is tried again.
    Again,
    /// It is not, and this many notices are lost.
    GivenUp(usize),
}

impl Outbox {
    /// Takes note of what changed.
    pub(super) fn push(&mut self, channel: &Channel, now: Timestamp, changes: &[Change]) {
        for change in changes.iter().filter(|change| change.alert.severity >= channel.severity_min) {
            let event = match change.kind {
                ChangeKind::Fired => NoticeKind::Fired,
                ChangeKind::Resolved => NoticeKind::Resolved,
            };
            self.wait(now, Notice { event, alert: change.alert.clone() });
        }
    }

    fn wait(&mut self, at: Timestamp, notice: Notice) {
        // One notice for each alert: the last says what counts.
        self.waiting.retain(|waiting| waiting.notice.alert.id != notice.alert.id);
        self.waiting.push_back(Waiting { number: self.next, at, notice });
        self.next += 1;
        while self.waiting.len() > WAITING_MAX {
            self.waiting.pop_front();
            self.lost += 1;
        }
    }

    /// What is to be done now, given the alerts that fire.
    pub(super) fn next(
        &mut self,
        channel: &Channel,
        group_wait: Duration,
        now: Timestamp,
        firing: &[Alert],
    ) -> Next {
        let repeat_at = self.remind(channel, now, firing);
        let Some(first) = self.waiting.front() else { return Next::Idle(repeat_at) };
        let ready = match self.trouble {
            Some(trouble) => trouble.again_at,
            // A clock that was set back delays nothing.
            None => after(first.at.min(now), group_wait),
        };
        if now < ready && ready <= after(now, group_wait.max(BACKOFF_MAX)) {
            return Next::Idle(Some(repeat_at.map_or(ready, |repeat| repeat.min(ready))));
        }
        // PagerDuty takes one event at a time: what it refuses must not take others along.
        let most = if channel.kind == ChannelKind::Pagerduty { 1 } else { MESSAGE_MAX };
        let chosen: Vec<&Waiting> = self.waiting.iter().take(most).collect();
        let last = chosen.last().map_or(0, |waiting| waiting.number);
        let notices = chosen.into_iter().map(|waiting| waiting.notice.clone()).collect();
        Next::Send(Message { at: now, notices }, last)
    }

    /// Queues what still fires and was not said for long, or never; returns when the next is due.
    fn remind(&mut self, channel: &Channel, now: Timestamp, firing: &[Alert]) -> Option<Timestamp> {
        let mut next = None;
        for alert in firing {
            // Alertmanager suppresses for itself; what it does not hear of it takes for resolved. Others are not told again
            // of what is over already, as far as can be seen.
            let is_silent =
                (alert.is_suppressed || alert.is_clearing) && channel.kind != ChannelKind::Alertmanager;
            let is_waiting = self.waiting.iter().any(|waiting| waiting.notice.alert.id == alert.id);
            if is_silent || is_waiting || alert.severity < channel.severity_min {
                continue;
            }
            let (due, event) = match self.said.get(&alert.id) {
                Some(said) => (after(*said, channel.repeat), NoticeKind::Repeated),
                None => (now, NoticeKind::Fired),
            };
            if due <= now {
                self.wait(now, Notice { event, alert: alert.clone() });
            } else {
                next = Some(next.map_or(due, |known: Timestamp| known.min(due)));
            }
        }
        next
    }

    /// A message arrived.
    pub(super) fn delivered(&mut self, now: Timestamp, last: u64) {
        self.trouble = None;
        self.take(now, last);
    }

    /// A message did not arrive. One that is given up is said again soon, if it still fires, and not after `repeat` only.
    pub(super) fn failed(
        &mut self,
        now: Timestamp,
        last: u64,
        is_transient: bool,
        repeat: Duration,
    ) -> Failure {
        let mut trouble = self.trouble.unwrap_or(Trouble { since: now, attempts: 0, again_at: now });
        let lasts = Duration::try_from(now.duration_since(trouble.since)).unwrap_or_default();
        if !is_transient || lasts >= GIVE_UP_AFTER {
            self.trouble = None;
            let soon = now.checked_sub(repeat.saturating_sub(BACKOFF_MAX)).unwrap_or(now);
            let lost = self.take(soon, last);
            self.lost += lost as u64;
            return Failure::GivenUp(lost);
        }
        let backoff = BACKOFF.saturating_mul(1 << trouble.attempts.min(20)).min(BACKOFF_MAX);
        trouble.attempts += 1;
        trouble.again_at = after(now, backoff);
        self.trouble = Some(trouble);
        Failure::Again
    }

    /// Drops what was in the message ending with `last`, and remembers what it said.
    fn take(&mut self, now: Timestamp, last: u64) -> usize {
        let mut taken = 0;
        while self.waiting.front().is_some_and(|waiting| waiting.number <= last) {
            let Some(Waiting { notice, .. }) = self.waiting.pop_front() else { break };
            taken += 1;
            match notice.event {
                NoticeKind::Resolved => self.said.remove(&notice.alert.id),
                NoticeKind::Fired | NoticeKind::Repeated => self.said.insert(notice.alert.id, now),
            };
        }
        taken
    }

    /// Forgets what neither fires nor waits: alerts that ended while this process did not run are resolved by their
    /// rules, which says so here before.
    pub(super) fn forget(&mut self, firing: &[Alert]) {
        let waiting = &self.waiting;
        self.said.retain(|id, _| {
            firing.iter().any(|alert| alert.id == *id && alert.state == AlertState::Firing)
                || waiting.iter().any(|waiting| waiting.notice.alert.id == *id)
        });
    }

    /// Notices that were never delivered.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Notices that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

fn after(moment: Timestamp, wait: Duration) -> Timestamp {
    moment.checked_add(wait).unwrap_or(Timestamp::MAX)
}
