//! Replicas, slots, and on a replica how it follows.

use super::seen::Seen;
use crate::health::observe::{KnownReplica, Observation, Receiver, Replica, ReplicaKind, Slot};
use crate::health::report::Status;
use crate::health::verdict::Verdict;
use crate::health::words;

const LAG: &str = "replication.lag_s";
const LAG_BYTES: &str = "replication.lag_bytes";
const RETAINED: &str = "replication.slots_retained";
const INACTIVE: &str = "replication.slots_inactive";
const BROKEN: &str = "replication.broken";
const RECEIVER: &str = "replication.receiver";
const DELAY: &str = "replication.replay_delay_s";

pub(super) fn verdicts(seen: &Seen<'_>) -> Vec<Verdict> {
    let mut verdicts = replicas(seen);
    verdicts.extend(slots(seen));
    verdicts.extend(follows(seen));
    verdicts
}

fn replicas(seen: &Seen<'_>) -> Vec<Verdict> {
    let replicas = match &seen.now.replication.replicas {
        Ok(replicas) => replicas,
        Err(missing) => return [LAG, LAG_BYTES, BROKEN].map(|id| Verdict::unknown(id, missing)).into(),
    };
    let hidden = !seen.now.server.sees_all && replicas.iter().any(|replica| replica.state.is_none());
    if hidden {
        return [LAG, LAG_BYTES, BROKEN].map(|id| Verdict::hidden(id, seen.now.server.grant())).into();
    }
    // Whoever takes WAL for a backup shows nothing that could be old.
    let followers: Vec<&Replica> =
        replicas.iter().filter(|replica| replica.kind != ReplicaKind::Reader).collect();
    vec![lag(seen.now, &followers), lag_bytes(&followers), broken(seen, replicas)]
}

/// How old what a replica shows is. The server tells how long what was replayed last took, which says nothing while replay
/// stands still: then the moment counts at which the WAL was first seen beyond what is replayed.
fn lag_of(now: &Observation, replica: &Replica) -> f64 {
    let standing = replica.replay_position.and_then(|replayed| {
        let is_behind = now.server.wal_position.is_some_and(|wal| wal > replayed);
        is_behind.then(|| now.recent.seconds_since_wal_was_beyond(replayed, now.server.at_s))?
    });
    replica.replay_lag_s.unwrap_or(0.0).max(standing.unwrap_or(0.0))
}

fn lag(now: &Observation, replicas: &[&Replica]) -> Verdict {
    let slowest = replicas.iter().map(|replica| (*replica, lag_of(now, replica)));
    let Some((slowest, lag_s)) = slowest.max_by(|one, other| one.1.total_cmp(&other.1)) else {
        return Verdict::well(LAG, "There are no replicas.");
    };
    let text = match lag_s {
        lag if lag <= 0.0 => {
            format!("{} with all that is written here.", words::plural(replicas.len(), "replica"))
        }
        _ => format!("{} shows what was written {} ago.", slowest.name, words::seconds(lag_s)),
    };
    Verdict::value(LAG, lag_s, text).details(replicas).action(
        "On the replica: is replay paused, does a long statement hold it up (max_standby_streaming_delay), are its disks as \
         fast as here?",
    )
}

fn lag_bytes(replicas: &[&Replica]) -> Verdict {
    let behind = replicas.iter().filter_map(|replica| Some((*replica, replica.replay_lag_bytes?.max(0))));
    let Some((slowest, bytes)) = behind.max_by_key(|(_, bytes)| *bytes) else {
        return Verdict::well(LAG_BYTES, "There are no replicas.");
    };
    let sent = slowest.sent_lag_bytes.unwrap_or(0).max(0);
    let text = format!(
        "{} has {} to replay, {} of it not sent yet.",
        slowest.name,
        words::bytes(bytes as f64),
        words::bytes(sent as f64)
    );
    let action = match sent > bytes / 2 {
        true => "Most of it is not sent yet: look at the network, and at whether the replica reads at all.",
        false => "It has arrived and is not replayed: look at the replica's disk and its long statements.",
    };
    Verdict::value(LAG_BYTES, bytes as f64, text).details(replicas).action(action)
}

fn broken(seen: &Seen<'_>, replicas: &[Replica]) -> Verdict {
    let at_s = seen.now.server.at_s;
    let streaming = replicas.iter().filter(|replica| replica.is_standby() && replica.is_streaming()).count();
    let (known, given_up): (Vec<&KnownReplica>, Vec<&KnownReplica>) =
        seen.now.replication.known.iter().partition(|replica| replica.is_expected(at_s));
    let expected = seen.settings.replicas.map_or(known.len(), |count| count as usize);
    let missing = expected.saturating_sub(streaming);
    let gone: Vec<_> = known.into_iter().filter(|replica| replica.seen_s < at_s).collect();
    let text = match (missing, gone.first()) {
        (0, _) => {
            let text = match (expected, streaming) {
                (0, 0) => "There are no replicas, and none is expected.".to_owned(),
                _ => format!("{} streaming.", words::plural(streaming, "replica")),
            };
            match given_up.first() {
                Some(first) => format!("{text} {} was not seen for a week and is given up.", first.name),
                None => text,
            }
        }
        (_, Some(first)) => format!(
            "{streaming} of {expected} streaming; {} is gone, last seen {} ago.",
            first.name,
            words::seconds(at_s - first.seen_s)
        ),
        (_, None) => format!("{streaming} of {expected} streaming."),
    };
    Verdict::value(BROKEN, missing as f64, text)
        .details(gone)
        .action(
            "Look at the replica's log: is it up, does it reach this server, is the WAL that it needs still there? If it is \
             gone for good, say how many there are to be: replicas in [health].",
        )
        .statement("SELECT application_name, client_addr, state, sync_state FROM pg_stat_replication;")
}

fn slots(seen: &Seen<'_>) -> Vec<Verdict> {
    match &seen.now.replication.slots {
        Err(missing) => vec![Verdict::unknown(RETAINED, missing), Verdict::unknown(INACTIVE, missing)],
        Ok(slots) => vec![retained(seen, slots), inactive(slots)],
    }
}

fn retained(seen: &Seen<'_>, slots: &[Slot]) -> Verdict {
    let is_ending = |slot: &&Slot| matches!(slot.wal_status.as_deref(), Some("unreserved" | "lost"));
    let Some(largest) = slots.iter().max_by_key(|slot| slot.retained_bytes) else {
        return Verdict::well(RETAINED, "There are no slots.");
    };
    let bytes = largest.retained_bytes.unwrap_or(0) as f64;
    let (status, text) = match slots.iter().find(is_ending) {
        Some(slot) if slot.wal_status.as_deref() == Some("lost") => {
            (Status::Critical, format!("{} has lost WAL that its reader needs.", slot.name))
        }
        Some(slot) => {
            (Status::Critical, format!("{} is about to lose WAL that its reader needs.", slot.name))
        }
        None => (Status::Ok, format!("{} keeps {}.", largest.name, words::bytes(bytes))),
    };
    let action = match (status, seen.now.server.slot_wal_max_bytes) {
        (Status::Critical, _) => {
            "What reads it has to be set up anew once it is lost. Let it catch up now, or drop the slot."
        }
        (_, None) => {
            "Start what reads it, or drop the slot; max_slot_wal_keep_size bounds what a slot may keep."
        }
        (_, Some(_)) => "Start what reads it, or drop the slot, before its limit is reached.",
    };
    let worst = slots.iter().find(is_ending).unwrap_or(largest);
    Verdict::value(RETAINED, bytes, text)
        .at_least(status)
        .details(slots)
        .action(action)
        .statement(format!("SELECT pg_drop_replication_slot({});", quoted(&worst.name)))
}

fn inactive(slots: &[Slot]) -> Verdict {
    let idle: Vec<&Slot> = slots.iter().filter(|slot| !slot.active).collect();
    let text = match idle.first() {
        None if slots.is_empty() => "There are no slots.".to_owned(),
        None => format!("{}, all read.", words::plural(slots.len(), "slot")),
        Some(first) => {
            let since =
                first.inactive_s.map_or(String::new(), |seconds| format!(" for {}", words::seconds(seconds)));
            format!(
                "{} of {}; nobody reads {}{since}.",
                idle.len(),
                words::plural(slots.len(), "slot"),
                first.name
            )
        }
    };
    let statement = idle
        .first()
        .map_or(String::new(), |slot| format!("SELECT pg_drop_replication_slot({});", quoted(&slot.name)));
    Verdict::value(INACTIVE, idle.len() as f64, text)
        .details(idle)
        .action("Start what reads it; drop the slot if that never comes back.")
        .statement(statement)
}

fn follows(seen: &Seen<'_>) -> Vec<Verdict> {
    match &seen.now.replication.receiver {
        None => Vec::new(),
        Some(Err(missing)) => vec![Verdict::unknown(RECEIVER, missing), Verdict::unknown(DELAY, missing)],
        Some(Ok(receiver)) => vec![heard(seen, receiver), delay(seen, receiver)],
    }
}

fn heard(seen: &Seen<'_>, receiver: &Receiver) -> Verdict {
    const ACTION: &str =
        "Look at this server's log: does it reach its primary, and is the WAL that it needs still there?";
    if !receiver.is_running {
        let text = "Nothing receives from the primary; what is shown here grows older.";
        return Verdict::fixed(RECEIVER, Status::Critical, text).action(ACTION);
    }
    let Some(silent_s) = receiver.silent_s else {
        return Verdict::hidden(RECEIVER, seen.now.server.grant());
    };
    let host = receiver.host.as_deref().unwrap_or("its primary");
    let text = format!("The last message of {host} came {} ago.", words::seconds(silent_s));
    Verdict::value(RECEIVER, silent_s, text).details([receiver]).action(ACTION)
}

fn delay(seen: &Seen<'_>, receiver: &Receiver) -> Verdict {
    let paused = if receiver.is_paused { "Replay is paused. " } else { "" };
    let verdict = match (receiver.replay_lag_bytes, delay_of(seen.now, receiver)) {
        (None | Some(0), _) if !receiver.is_streaming() => return untold(receiver, paused),
        (Some(0), _) => Verdict::value(DELAY, 0.0, format!("{paused}All is replayed that has come.")),
        (_, Some(delay_s)) => {
            // What the primary has written since its connection was lost is older still, or there is nothing.
            let at_least = if receiver.is_streaming() { "" } else { "at least " };
            let text = format!("{paused}What is shown here is {at_least}{} old.", words::seconds(delay_s));
            Verdict::value(DELAY, delay_s, text)
        }
        (_, None) => Verdict::well(DELAY, format!("{paused}Nothing was replayed since its start.")),
    };
    let verdict = verdict.details([receiver]);
    match receiver.is_paused {
        true => verdict
            .at_least(Status::Warning)
            .action("Let replay go on, unless somebody wants it to stand still.")
            .statement("SELECT pg_wal_replay_resume();"),
        false => verdict.action(
            "Long statements here may hold up replay (max_standby_streaming_delay), or its disks are slower than the \
             primary's.",
        ),
    }
}

/// All is replayed that has come, and nothing comes: the primary may have been at rest ever since, or far ahead.
fn untold(receiver: &Receiver, paused: &str) -> Verdict {
    let since = receiver.replayed_s_ago.map_or(String::new(), |seconds| {
        format!(" The last commit that was replayed is {} old.", words::seconds(seconds))
    });
    let text = format!(
        "{paused}Cannot be told: all is replayed that has come, but nothing comes from the primary.{since}"
    );
    Verdict::fixed(DELAY, Status::Unknown, text).details([receiver])
}

/// How old what a replica shows is, while it has WAL to replay. The age of the commit that was replayed last is too much
/// where the primary was at rest before: what came since the last look is young. Where the WAL that waits had come before
/// the oldest look that is remembered, that age is all there is.
fn delay_of(now: &Observation, receiver: &Receiver) -> Option<f64> {
    let replayed = receiver.replay_position?;
    match (
        now.recent.seconds_since_wal_was_beyond(replayed, now.server.at_s),
        now.recent.span_s(now.server.at_s),
    ) {
        (Some(waits_s), Some(span_s)) if waits_s < span_s => Some(waits_s),
        (Some(waits_s), _) => Some(receiver.replayed_s_ago.unwrap_or(waits_s).max(waits_s)),
        (None, Some(_)) => Some(0.0),
        (None, None) => receiver.replayed_s_ago,
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
