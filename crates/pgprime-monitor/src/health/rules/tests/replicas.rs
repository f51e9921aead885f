//! Replication, as seen from a primary and from a replica.

use super::fixture::{GB, checked, failed, following, observation};
use super::*;
use crate::health::observe::{KnownReplica, Receiver, Replica, ReplicaKind, Replication, Slot};

fn replica(name: &str) -> Replica {
    Replica {
        name: name.to_owned(),
        state: Some("streaming".to_owned()),
        replay_lag_bytes: Some(0),
        sent_lag_bytes: Some(0),
        replay_position: Some(1_000),
        ..Replica::default()
    }
}

fn on_primary(change: impl Fn(&mut Replica) + 'static) -> Change {
    boxed(move |now| {
        let mut replica = replica("r1");
        change(&mut replica);
        now.replication.replicas = Ok(vec![replica]);
    })
}

#[test]
fn replicas_behind() {
    let lag = |seconds| on_primary(move |replica| replica.replay_lag_s = Some(seconds));
    let hidden = boxed(|now| {
        now.server.sees_all = false;
        now.replication.replicas = Ok(vec![Replica { state: None, ..replica("r1") }]);
    });
    let unseen = || boxed(|now| now.replication.replicas = failed());
    table(
        "replication.lag_s",
        &[
            (lag(9.9), Well),
            (lag(10.0), Warning),
            (lag(60.0), Critical),
            (hidden, Unknown),
            (unseen(), Unknown),
        ],
    );
    let bytes = |bytes: u64| on_primary(move |replica| replica.replay_lag_bytes = Some(bytes as i64));
    let mb = 1 << 20;
    table(
        "replication.lag_bytes",
        &[(bytes(64 * mb - 1), Well), (bytes(64 * mb), Warning), (bytes(GB), Critical), (unseen(), Unknown)],
    );
}

#[test]
fn a_replica_that_stands_still_is_told_by_what_was_written_since() {
    let mut look = observation(100.0);
    for second in [110.0, 120.0, 130.0] {
        let mut next = following(&look, second);
        next.server.wal_position = Some(1_000 + second as u64);
        look = next;
    }
    look.server.wal_position = Some(5_000);
    look.replication.replicas = Ok(vec![replica("r1")]);
    // The WAL was first seen beyond 1,000 at 110; the server's own figure is of before.
    let check = checked("replication.lag_s", &look, None);
    assert_eq!((check.value, check.status), (Some(20.0), Warning));
    assert_eq!(check.text, "r1 shows what was written 20 s ago.");
}

#[test]
fn missing_replicas() {
    let known = |seen_s| KnownReplica { name: "r1".to_owned(), address: None, seen_s };
    let mut now = observation(100.0);
    assert_eq!(checked("replication.broken", &now, None).status, Well);
    now.replication.known = vec![known(90.0)];
    let check = checked("replication.broken", &now, None);
    assert_eq!(
        (check.status, check.text.as_str()),
        (Critical, "0 of 1 streaming; r1 is gone, last seen 10 s ago.")
    );
    now.replication.replicas = Ok(vec![replica("r1")]);
    now.replication.known = vec![known(100.0)];
    assert_eq!(checked("replication.broken", &now, None).status, Well);
    let settings = Settings::from_toml("[health]\nreplicas = 2").unwrap();
    assert_eq!(status(&checks(&now, None, &settings), "replication.broken"), Critical);
    // Gone for good, as somebody has said.
    now.replication = Replication { replicas: Ok(Vec::new()), known: vec![known(90.0)], ..now.replication };
    let settings = Settings::from_toml("[health]\nreplicas = 0").unwrap();
    assert_eq!(status(&checks(&now, None, &settings), "replication.broken"), Well);
    // Nobody has said anything for a week.
    now.replication.known = vec![known(100.0 - 7.5 * 86_400.0)];
    let check = checked("replication.broken", &now, None);
    assert_eq!(
        (check.status, check.text.ends_with("r1 was not seen for a week and is given up.")),
        (Well, true)
    );
}

/// A base backup streams for as long as it lasts, `pg_receivewal` for as long as somebody wants it; a subscriber's slot tells
/// when it is gone.
#[test]
fn backups_and_subscribers_are_no_standbys() {
    let mut now = observation(100.0);
    let kinds = [ReplicaKind::Reader, ReplicaKind::Subscriber];
    let followers = kinds.map(|kind| Replica { kind, replay_lag_s: Some(30.0), ..replica("other") });
    now.replication.replicas = Ok(followers.to_vec());
    let check = checked("replication.broken", &now, None);
    assert_eq!((check.status, &*check.text), (Well, "There are no replicas, and none is expected."));
    let settings = Settings::from_toml("[health]\nreplicas = 1").unwrap();
    assert_eq!(status(&checks(&now, None, &settings), "replication.broken"), Critical);
    let lag = checked("replication.lag_s", &now, None);
    assert_eq!(
        (lag.status, lag.details.len()),
        (Warning, 1),
        "what a subscriber shows is old, what a backup takes is not"
    );
}

#[test]
fn slots_and_what_they_keep() {
    let slot = |retained: u64, active, wal_status: &'static str| {
        boxed(move |now| {
            now.replication.slots = Ok(vec![Slot {
                name: "s".to_owned(),
                active,
                wal_status: Some(wal_status.to_owned()),
                retained_bytes: Some(retained),
                ..Slot::default()
            }]);
        })
    };
    table(
        "replication.slots_retained",
        &[
            (slot(10 * GB - 1, true, "reserved"), Well),
            (slot(10 * GB, true, "extended"), Warning),
            (slot(50 * GB, true, "extended"), Critical),
            (slot(0, true, "unreserved"), Critical),
            (slot(0, true, "lost"), Critical),
            (boxed(|now| now.replication.slots = failed()), Unknown),
        ],
    );
    table(
        "replication.slots_inactive",
        &[(slot(0, true, "reserved"), Well), (slot(0, false, "reserved"), Warning)],
    );
}

#[test]
fn as_seen_from_a_replica() {
    let receiver = |change: fn(&mut Receiver)| {
        boxed(move |now| {
            now.server.in_recovery = true;
            let mut receiver = Receiver {
                is_running: true,
                silent_s: Some(1.0),
                replay_lag_bytes: Some(0),
                replay_position: Some(0),
                replayed_s_ago: Some(5_000.0),
                ..Receiver::default()
            };
            change(&mut receiver);
            now.replication.receiver = Some(Ok(receiver));
        })
    };
    table(
        "replication.receiver",
        &[
            (receiver(|_| {}), Well),
            (receiver(|receiver| receiver.silent_s = Some(60.0)), Warning),
            (receiver(|receiver| receiver.silent_s = Some(300.0)), Critical),
            (receiver(|receiver| receiver.is_running = false), Critical),
            (receiver(|receiver| receiver.silent_s = None), Unknown),
        ],
    );
    table(
        "replication.replay_delay_s",
        &[
            // All is replayed, so the age of the last commit says nothing.
            (receiver(|_| {}), Well),
            (
                receiver(|receiver| {
                    (receiver.replay_lag_bytes, receiver.replayed_s_ago) = (Some(1), Some(10.0))
                }),
                Warning,
            ),
            (receiver(|receiver| receiver.replay_lag_bytes = Some(1)), Critical),
            (receiver(|receiver| receiver.is_paused = true), Warning),
            // Nothing comes: that all of what has come is replayed says nothing.
            (receiver(|receiver| receiver.is_running = false), Unknown),
            (receiver(|receiver| receiver.status = Some("waiting".to_owned())), Unknown),
            (receiver(|receiver| receiver.status = Some("streaming".to_owned())), Well),
            (receiver(|receiver| (receiver.is_running, receiver.replay_lag_bytes) = (false, None)), Unknown),
            // What waits to be replayed is known to be that old at least.
            (
                receiver(|receiver| (receiver.is_running, receiver.replay_lag_bytes) = (false, Some(1))),
                Critical,
            ),
        ],
    );
    let mut now = observation(100.0);
    now.server.in_recovery = true;
    let ids: Vec<String> =
        checks(&now, None, &Settings::default()).into_iter().map(|check| check.id).collect();
    assert!(!ids.iter().any(|id| id.starts_with("vacuum.") || id == "indexes.unused_bytes"), "{ids:?}");
}

#[test]
fn what_came_a_moment_ago_is_no_delay_of_the_time_the_primary_was_at_rest() {
    let look = |at_s: f64, received: u64, before: Option<&Observation>| {
        let mut now = before.map_or_else(|| observation(at_s), |before| following(before, at_s));
        (now.server.in_recovery, now.server.wal_position) = (true, Some(received));
        let receiver = Receiver {
            is_running: true,
            silent_s: Some(1.0),
            replay_lag_bytes: Some(received - 1_000),
            replay_position: Some(1_000),
            replayed_s_ago: Some(5_000.0),
            ..Receiver::default()
        };
        now.replication.receiver = Some(Ok(receiver));
        now
    };
    let delay = |now: &Observation| checked("replication.replay_delay_s", now, None).value;
    let first = look(100.0, 1_000, None);
    let second = look(110.0, 2_000, Some(&first));
    assert_eq!(delay(&second), Some(0.0));
    let third = look(120.0, 3_000, Some(&second));
    assert_eq!(delay(&third), Some(10.0));
    // It waited before anybody looked.
    let early = look(100.0, 2_000, None);
    assert_eq!((delay(&early), delay(&look(110.0, 3_000, Some(&early)))), (Some(5_000.0), Some(5_000.0)));
}
