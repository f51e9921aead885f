//! Checkpoints, and how fast WAL is written.

use super::seen::{FIRST_LOOK, Seen, added, share};
use crate::health::observe::Checkpoints;
use crate::health::verdict::Verdict;
use crate::health::words;

const REQUESTED: &str = "checkpoints.requested_share";
const WAL: &str = "checkpoints.wal_bytes_per_s";

/// Fewer in an hour are no burden, whatever asked for them.
const CHECKPOINTS_MIN: u64 = 5;

pub(super) fn verdicts(seen: &Seen<'_>) -> Vec<Verdict> {
    // A replica's are those of its primary, which is where they are set.
    let requested = (!seen.now.server.in_recovery).then(|| requested(seen));
    requested.into_iter().chain([wal(seen)]).collect()
}

fn requested(seen: &Seen<'_>) -> Verdict {
    let now = match &seen.now.checkpoints {
        Ok(now) => *now,
        Err(missing) => return Verdict::unknown(REQUESTED, missing),
    };
    // Those before are of no account: the settings may have been others.
    let recent = seen.now.recent.checkpoints_since(now.reset_s).and_then(|(at_s, was)| {
        let (timed, requested) =
            (now.timed.checked_sub(was.timed)?, now.requested.checked_sub(was.requested)?);
        let since = format!("in the past {}", words::seconds(seen.now.server.at_s - at_s));
        Some((Checkpoints { timed, requested, ..now }, since))
    });
    let Some((counts, since)) = recent else { return Verdict::well(REQUESTED, FIRST_LOOK) };
    let all = counts.timed + counts.requested;
    if all < CHECKPOINTS_MIN {
        let all = words::plural(all as usize, "checkpoint");
        let text = format!("{all} {since}, {} of them forced: too few to be a burden.", counts.requested);
        return Verdict::well(REQUESTED, text);
    }
    let percent = share(counts.requested as f64, all as f64);
    let text = format!("{} of {all} {since} ({}).", counts.requested, words::percent(percent));
    let size = seen.now.server.wal_size_max_bytes;
    Verdict::value(REQUESTED, percent, text)
        .action(format!(
            "Allow more WAL between checkpoints than {}, where the disk has room: the checklist calculates how much for the \
             machine.",
            words::bytes(size as f64)
        ))
        .statement("pgprime checklist")
}

fn wal(seen: &Seen<'_>) -> Verdict {
    let positions = seen.earlier.and_then(|earlier| {
        let bytes = added(seen.now.server.wal_position?, earlier.server.wal_position?)?;
        Some(bytes / (seen.now.server.at_s - earlier.server.at_s))
    });
    let Some(rate) = positions else { return Verdict::well(WAL, FIRST_LOOK) };
    let verb = if seen.now.server.in_recovery { "received" } else { "written" };
    Verdict::value(WAL, rate, format!("{}/s {verb} since the last look.", words::bytes(rate)))
        .action("Find out what writes so much: pgprime slow-queries --order wal.")
        .statement("pgprime slow-queries --order wal")
}
