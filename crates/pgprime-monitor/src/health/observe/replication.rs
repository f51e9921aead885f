//! Who follows this server, what is kept for whom, and whom it follows.

use serde::{Deserialize, Serialize};
use tokio_postgres::{Error, Row};

use super::section::Section;
use super::server::Server;
use super::session::{Session, get, known_count};
use crate::health::down::Down;
use pgprime_readonly::Missing;

/// A replica that was not seen for this long is forgotten, in seconds: a day after it is not expected any more, so that it
/// can be said that it is not.
const REMEMBERED_S: f64 = EXPECTED_S + 86_400.0;
/// A replica is expected to come back for this long, in seconds.
const EXPECTED_S: f64 = 7.0 * 86_400.0;

/// What follows a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaKind {
    /// A server that replays all of its WAL.
    #[default]
    Standby,
    /// Somebody who reads changes from a logical slot, which outlasts him and tells when he is gone.
    Subscriber,
    /// Somebody who takes WAL and replays none, for as long as it takes: a base backup, `pg_receivewal`.
    Reader,
}

/// A server, subscriber or backup that follows this one.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Replica {
    /// As it calls itself.
    pub name: String,
    /// Its address; `None` over a Unix socket.
    pub address: Option<String>,
    /// What it does with what it gets.
    pub kind: ReplicaKind,
    /// `streaming`, `catchup` and so on; `None` where the role may not see it.
    pub state: Option<String>,
    /// `async`, `sync`, `quorum`, `potential`.
    pub sync_state: Option<String>,
    /// WAL not sent yet, in bytes.
    pub sent_lag_bytes: Option<i64>,
    /// … not written there.
    pub write_lag_bytes: Option<i64>,
    /// … not on its disk.
    pub flush_lag_bytes: Option<i64>,
    /// … not replayed.
    pub replay_lag_bytes: Option<i64>,
    /// Where it has replayed to.
    pub replay_position: Option<u64>,
    /// How long the WAL that it has replayed last took to get there.
    pub replay_lag_s: Option<f64>,
}

impl Replica {
    /// Whether it gets what is written as it is written.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        self.state.as_deref() == Some("streaming")
    }

    /// Whether it is a server that others count on.
    #[must_use]
    pub fn is_standby(&self) -> bool {
        self.kind == ReplicaKind::Standby
    }
}

/// A replication slot.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// `physical` or `logical`.
    pub kind: String,
    /// Whether somebody reads it.
    pub active: bool,
    /// `reserved`, `extended`, `unreserved` or `lost`.
    pub wal_status: Option<String>,
    /// WAL that is kept for it.
    pub retained_bytes: Option<u64>,
    /// WAL that can still be written before it is lost; `None` for no limit.
    pub safe_bytes: Option<i64>,
    /// Since when nobody reads it; from version 17 on.
    pub inactive_s: Option<f64>,
}

/// How a replica follows its primary.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Receiver {
    /// Whether anything receives.
    pub is_running: bool,
    /// `streaming` and so on; `None` where the role may not see it.
    pub status: Option<String>,
    /// The primary's host.
    pub host: Option<String>,
    /// The primary's port.
    pub port: Option<i32>,
    /// The slot that it reads.
    pub slot: Option<String>,
    /// Seconds since the last message.
    pub silent_s: Option<f64>,
    /// Whether replay is paused.
    pub is_paused: bool,
    /// WAL received and not replayed, in bytes; `None` where it never received any.
    pub replay_lag_bytes: Option<u64>,
    /// Where it has replayed to.
    pub replay_position: Option<u64>,
    /// Seconds since the commit that was replayed last.
    pub replayed_s_ago: Option<f64>,
}

impl Receiver {
    /// Whether it gets what is written as it is written. Where the role may not see the state, a receiver that is connected
    /// is taken for one that does.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        self.is_running && self.status.as_deref().is_none_or(|status| status == "streaming")
    }
}

/// A replica that was seen, over restarts of this server and of whoever looks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownReplica {
    /// As it calls itself.
    pub name: String,
    /// Its address.
    pub address: Option<String>,
    /// When it was last seen streaming, in seconds since 1970.
    pub seen_s: f64,
}

impl KnownReplica {
    /// Whether it is still expected to come back: within a week.
    #[must_use]
    pub fn is_expected(&self, now_s: f64) -> bool {
        now_s - self.seen_s < EXPECTED_S
    }
}

/// Replication as seen from this server.
#[derive(Clone, Debug)]
pub struct Replication {
    /// Who follows it, the furthest behind first.
    pub replicas: Section<Vec<Replica>>,
    /// Slots, those that keep the most first.
    pub slots: Section<Vec<Slot>>,
    /// Whom it follows, on a replica.
    pub receiver: Option<Section<Receiver>>,
    /// Replicas that were seen in the past eight days.
    pub known: Vec<KnownReplica>,
}

impl Replication {
    pub(super) fn missing(&self) -> impl Iterator<Item = &Missing> {
        let receiver = self.receiver.iter().filter_map(|receiver| receiver.as_ref().err());
        self.replicas.as_ref().err().into_iter().chain(self.slots.as_ref().err()).chain(receiver)
    }
}

pub(super) async fn read(
    session: &Session<'_>,
    server: &Server,
    before: &[KnownReplica],
) -> Result<Replication, Down> {
    let sql = include_str!("../../../sql/health_replicas.sql");
    let parse = |rows: &[Row]| rows.iter().map(replica).collect();
    let replicas = session.section("replicas", sql, &[], parse).await?;
    let sql = include_str!("../../../sql/health_slots.sql");
    let slots =
        session.section("replication slots", sql, &[], |rows| rows.iter().map(slot).collect()).await?;
    let receiver = match server.in_recovery {
        true => {
            let sql = include_str!("../../../sql/health_receiver.sql");
            let parse = |rows: &[Row]| rows.first().map(receiver).transpose().map(Option::unwrap_or_default);
            Some(session.section("how the replica follows", sql, &[], parse).await?)
        }
        false => None,
    };
    let known = remembered(before, replicas.as_deref().unwrap_or_default(), server.at_s);
    Ok(Replication { replicas, slots, receiver, known })
}

/// Those seen now, and those seen before that are gone. One that comes back has its name, and maybe another address: there
/// are as many of a name as there were.
fn remembered(before: &[KnownReplica], now: &[Replica], at_s: f64) -> Vec<KnownReplica> {
    let streaming = now.iter().filter(|replica| replica.is_standby() && replica.is_streaming());
    let mut known: Vec<KnownReplica> = streaming
        .map(|replica| KnownReplica {
            name: replica.name.clone(),
            address: replica.address.clone(),
            seen_s: at_s,
        })
        .collect();
    let before: Vec<&KnownReplica> =
        before.iter().filter(|replica| at_s - replica.seen_s < REMEMBERED_S).collect();
    let mut gone = before.clone();
    for replica in &known {
        let is_it = |was: &&KnownReplica| was.name == replica.name && was.address == replica.address;
        if let Some(at) = gone.iter().position(is_it) {
            gone.remove(at);
        }
    }
    for replica in gone {
        let named = |was: &KnownReplica| was.name == replica.name;
        let (here, were) =
            (known.iter().filter(|was| named(was)).count(), before.iter().filter(|was| named(was)).count());
        if here < were {
            known.push(replica.clone());
        }
    }
    known
}

fn replica(row: &Row) -> Result<Replica, Error> {
    Ok(Replica {
        name: get(row, "name")?,
        address: get(row, "address")?,
        kind: match get(row, "kind")? {
            "subscriber" => ReplicaKind::Subscriber,
            "reader" => ReplicaKind::Reader,
            _ => ReplicaKind::Standby,
        },
        state: get(row, "state")?,
        sync_state: get(row, "sync_state")?,
        sent_lag_bytes: get(row, "sent_lag_bytes")?,
        write_lag_bytes: get(row, "write_lag_bytes")?,
        flush_lag_bytes: get(row, "flush_lag_bytes")?,
        replay_lag_bytes: get(row, "replay_lag_bytes")?,
        replay_position: known_count(row, "replay_position")?,
        replay_lag_s: get(row, "replay_lag_s")?,
    })
}

fn slot(row: &Row) -> Result<Slot, Error> {
    Ok(Slot {
        name: get(row, "name")?,
        kind: get(row, "kind")?,
        active: get(row, "active")?,
        wal_status: get(row, "wal_status")?,
        retained_bytes: known_count(row, "retained_bytes")?,
        safe_bytes: get(row, "safe_bytes")?,
        inactive_s: get(row, "inactive_s")?,
    })
}

fn receiver(row: &Row) -> Result<Receiver, Error> {
    Ok(Receiver {
        is_running: get(row, "is_running")?,
        status: get(row, "status")?,
        host: get(row, "host")?,
        port: get(row, "port")?,
        slot: get(row, "slot")?,
        silent_s: get(row, "silent_s")?,
        is_paused: get(row, "is_paused")?,
        replay_lag_bytes: known_count(row, "replay_lag_bytes")?,
        replay_position: known_count(row, "replay_position")?,
        replayed_s_ago: get(row, "replayed_s_ago")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_remembered() {
        let replica = |name: &str| Replica {
            name: name.to_owned(),
            state: Some("streaming".to_owned()),
            ..Replica::default()
        };
        let names = |known: &[KnownReplica]| known.iter().map(|known| known.name.clone()).collect::<Vec<_>>();
        let first = remembered(&[], &[replica("a"), replica("b")], 100.0);
        assert_eq!(names(&first), ["a", "b"]);
        let second = remembered(&first, &[replica("b")], 200.0);
        assert_eq!(names(&second), ["b", "a"]);
        assert_eq!(names(&remembered(&second, &[replica("b")], 100.0 + 7.5 * 86_400.0)), ["b", "a"]);
        assert!(second[1].is_expected(6.9 * 86_400.0) && !second[1].is_expected(100.0 + 7.0 * 86_400.0));
        assert_eq!(names(&remembered(&second, &[replica("b")], 100.0 + 8.0 * 86_400.0)), ["b"]);
        let twins = remembered(&[], &[replica("walreceiver"), replica("walreceiver")], 100.0);
        assert_eq!(remembered(&twins, &[replica("walreceiver")], 110.0).len(), 2);
        let starting = Replica { state: Some("startup".to_owned()), ..replica("c") };
        assert!(remembered(&[], &[starting], 100.0).is_empty());
        for kind in [ReplicaKind::Subscriber, ReplicaKind::Reader] {
            let passing = Replica { kind, ..replica("pg_basebackup") };
            assert!(remembered(&[], &[passing], 100.0).is_empty());
        }
    }

    #[test]
    fn a_replica_that_comes_back_may_have_another_address() {
        let at = |address: &str| Replica {
            name: "r".to_owned(),
            address: Some(address.to_owned()),
            state: Some("streaming".to_owned()),
            ..Replica::default()
        };
        let addresses = |known: &[KnownReplica]| {
            known.iter().map(|known| known.address.clone().unwrap_or_default()).collect::<Vec<_>>()
        };
        let two = remembered(&[], &[at("1"), at("2")], 100.0);
        assert_eq!(addresses(&remembered(&two, &[at("2")], 110.0)), ["2", "1"]);
        assert_eq!(addresses(&remembered(&two, &[at("3")], 110.0)), ["3", "1"], "one of them is gone");
        let moved = remembered(&two, &[at("3"), at("4")], 110.0);
        assert_eq!(addresses(&moved), ["3", "4"]);
        assert_eq!(addresses(&remembered(&moved, &[at("3"), at("4"), at("5")], 120.0)).len(), 3);
    }
}
