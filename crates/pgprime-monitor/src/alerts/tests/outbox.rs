//! What a channel still has to hear, by the clock.

use std::time::Duration;

use jiff::Timestamp;

use super::support::{channel, report};
use crate::alerts::message::NoticeKind;
use crate::alerts::outbox::{Failure, Next, Outbox};
use crate::alerts::{Alert, Alerts, Change, Channel, ChannelKind, Rule, Severity};
use crate::health::Status;

const GROUP_WAIT: Duration = Duration::from_secs(10);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_763_888_400 + seconds).unwrap()
}

/// Changes of some alerts, by rules that fire and resolve at once.
struct Source(Alerts);

impl Source {
    fn new() -> Self {
        let rule = |check: &str, severity| {
            let mut rule = Rule::new(check, severity, Duration::ZERO);
            rule.clear_after = Duration::ZERO;
            rule
        };
        Self(Alerts::new(vec![
            rule("connections.used", Severity::Critical),
            rule("disk.free", Severity::Warning),
        ]))
    }

    fn step(&mut self, seconds: i64, bad: &[&str]) -> Vec<Change> {
        let status = |id: &'static str, status| {
            if bad.contains(&id) { (id, status, 95.0) } else { (id, Status::Ok, 50.0) }
        };
        let statuses = [status("connections.used", Status::Critical), status("disk.free", Status::Warning)];
        self.0.step(at(seconds), &report(at(seconds), &statuses))
    }

    fn firing(&self) -> Vec<Alert> {
        self.0.firing().into_iter().cloned().collect()
    }
}

/// What is sent now: event and check; and the number that it ends with.
fn sent(
    outbox: &mut Outbox,
    channel: &Channel,
    seconds: i64,
    firing: &[Alert],
) -> Option<(Vec<(NoticeKind, String)>, u64)> {
    match outbox.next(channel, GROUP_WAIT, at(seconds), firing) {
        Next::Idle(_) => None,
        Next::Send(message, last) => {
            let notices = message.notices.into_iter().map(|notice| (notice.event, notice.alert.check));
            Some((notices.collect(), last))
        }
    }
}

#[test]
fn what_changes_together_goes_together() {
    let (mut source, mut outbox) = (Source::new(), Outbox::default());
    let channel = channel(ChannelKind::Webhook, "http://x/");
    outbox.push(&channel, at(0), &source.step(0, &["connections.used"]));
    assert_eq!(outbox.next(&channel, GROUP_WAIT, at(0), &source.firing()), Next::Idle(Some(at(10))));
    outbox.push(&channel, at(8), &source.step(8, &["connections.used", "disk.free"]));
    let (notices, last) = sent(&mut outbox, &channel, 10, &source.firing()).unwrap();
    let fired = |check: &str| (NoticeKind::Fired, check.to_owned());
    assert_eq!(notices, [fired("connections.used"), fired("disk.free")]);
    // Over while the message is on its way: said afterwards.
    outbox.push(&channel, at(11), &source.step(11, &["disk.free"]));
    outbox.delivered(at(12), last);
    let (notices, last) = sent(&mut outbox, &channel, 21, &source.firing()).unwrap();
    assert_eq!(notices, [(NoticeKind::Resolved, "connections.used".to_owned())]);
    outbox.delivered(at(21), last);
    assert_eq!(outbox.waiting(), 0);
}

#[test]
fn what_still_fires_is_said_again_and_suppressed_alerts_are_not() {
    let (mut source, mut outbox) = (Source::new(), Outbox::default());
    let channel = channel(ChannelKind::Slack, "http://x/");
    outbox.push(&channel, at(0), &source.step(0, &["connections.used"]));
    let (_, last) = sent(&mut outbox, &channel, 10, &source.firing()).unwrap();
    outbox.delivered(at(10), last);
    let again = 10 + 4 * 3_600;
    assert_eq!(outbox.next(&channel, GROUP_WAIT, at(11), &source.firing()), Next::Idle(Some(at(again))));
    let mut suppressed = source.firing();
    suppressed[0].is_suppressed = true;
    assert_eq!(outbox.next(&channel, GROUP_WAIT, at(again), &suppressed), Next::Idle(None));
    // Well again, though not for long enough to say so.
    let mut clearing = source.firing();
    clearing[0].is_clearing = true;
    assert_eq!(outbox.next(&channel, GROUP_WAIT, at(again), &clearing), Next::Idle(None));
    let alertmanager = Channel { kind: ChannelKind::Alertmanager, ..channel.clone() };
    let due = outbox.clone().next(&alertmanager, GROUP_WAIT, at(again), &clearing);
    assert_ne!(due, Next::Idle(None), "what it does not hear of it takes for resolved");
    assert_eq!(sent(&mut outbox, &channel, again, &source.firing()), None, "with what changes at that time");
    let (notices, _) = sent(&mut outbox, &channel, again + 10, &source.firing()).unwrap();
    assert_eq!(notices, [(NoticeKind::Repeated, "connections.used".to_owned())]);
}

#[test]
fn a_channel_that_is_new_hears_of_what_fires_if_it_is_grave_enough() {
    let (mut source, mut outbox) = (Source::new(), Outbox::default());
    source.step(0, &["connections.used", "disk.free"]);
    let channel = Channel { severity_min: Severity::Critical, ..channel(ChannelKind::Slack, "http://x/") };
    assert_eq!(sent(&mut outbox, &channel, 0, &source.firing()), None);
    let (notices, _) = sent(&mut outbox, &channel, 10, &source.firing()).unwrap();
    assert_eq!(notices, [(NoticeKind::Fired, "connections.used".to_owned())]);
}

#[test]
fn trying_again_takes_longer_each_time_and_ends() {
    let (mut source, mut outbox) = (Source::new(), Outbox::default());
    let channel = channel(ChannelKind::Webhook, "http://x/");
    outbox.push(&channel, at(0), &source.step(0, &["connections.used"]));
    let (mut now, mut waits) = (10, Vec::new());
    let lost = loop {
        let (_, last) = sent(&mut outbox, &channel, now, &source.firing()).unwrap();
        if let Failure::GivenUp(lost) = outbox.failed(at(now), last, true, channel.repeat) {
            break lost;
        }
        let Next::Idle(Some(again)) = outbox.next(&channel, GROUP_WAIT, at(now), &source.firing()) else {
            panic!("waits before trying again");
        };
        let wait = again.as_second() - at(now).as_second();
        waits.push(wait);
        now += wait;
    };
    assert_eq!(waits[..11], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    assert!((3_600..4_000).contains(&(now - 10)), "{now}");
    assert_eq!((lost, outbox.lost(), outbox.waiting()), (1, 1, 0));
    // It still fires: said again after a while, not at once, and not after the usual hours only.
    assert_eq!(sent(&mut outbox, &channel, now + 60, &source.firing()), None);
    assert_eq!(
        outbox.next(&channel, GROUP_WAIT, at(now + 301), &source.firing()),
        Next::Idle(Some(at(now + 311)))
    );
    let (notices, _) = sent(&mut outbox, &channel, now + 311, &source.firing()).unwrap();
    assert_eq!(notices.len(), 1);
}

#[test]
fn what_cannot_work_is_given_up_at_once() {
    let (mut source, mut outbox) = (Source::new(), Outbox::default());
    let channel = channel(ChannelKind::Webhook, "http://x/");
    outbox.push(&channel, at(0), &source.step(0, &["connections.used"]));
    let (_, last) = sent(&mut outbox, &channel, 10, &source.firing()).unwrap();
    assert_eq!(outbox.failed(at(10), last, false, channel.repeat), Failure::GivenUp(1));
}

#[test]
fn the_queue_is_bounded() {
    let mut outbox = Outbox::default();
    let channel = channel(ChannelKind::Webhook, "http://x/");
    let made: Vec<Change> = {
        let mut one = Source::new().step(0, &["disk.free"]);
        let change = one.remove(0);
        (0..1_500)
            .map(|n| Change {
                alert: Alert { id: format!("n{n}"), ..change.alert.clone() },
                ..change.clone()
            })
            .collect()
    };
    outbox.push(&channel, at(3_000), &made);
    assert_eq!(outbox.waiting(), 1_000);
    assert_eq!(outbox.lost(), 500);
    let (notices, _) = sent(&mut outbox, &channel, 4_000, &[]).unwrap();
    assert_eq!(notices.len(), 100, "in messages of a bounded size");
}
