//! Checkpoints, and how fast WAL is written.

use super::seen::{FIRST_LOOK, Seen, added, share};
use crate::health::observe::Checkpoints;
use crate::health::verdict::Verdict;
use crate::health::words;

const REQUESTED: &str = "checkpoints.requested_share";
const WAL: &str = "checkpoints.wal_bytes_per_s";

/// Fewer tell little of a share.
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
    let recent = seen.now.recent.checkpoints_since(now.reset_s).and_then(|(at_s, was)| {
        let (timed, requested) =
            (now.timed.checked_sub(was.timed)?, now.requested.checked_sub(was.requested)?);
        let since = format!("in the past {}", words::seconds(seen.now.server.at_s - at_s));
        Some((Checkpoints { timed, requested, ..now }, since))
    });
    let recent = recent.filter(|(counts, _)| counts.timed + counts.requested >= CHECKPOINTS_MIN);
    let (counts, since) = recent.unwrap_or_else(|| (now, "since statistics began".to_owned()));
    let all = counts.timed + counts.requested;
    if all < CHECKPOINTS_MIN {
        return Verdict::well(
            REQUESTED,
            format!("{} {since}, too few to tell.", words::plural(all as usize, "checkpoint")),
        );
    }
    let percent = share(counts.requested as f64, all as f64);
    let text = format!("{} of {all} {since} ({}).", counts.requested, words::percent(percent));
    let size = seen.now.server.wal_size_max_bytes;
    let statement = format!(
        "ALTER SYSTEM SET max_wal_size = '{}MB'; SELECT pg_reload_conf();",
        (size / (1 << 20)).saturating_mul(2)
    );
    Verdict::value(REQUESTED, percent, text)
        .action(format!(
            "Allow more WAL between checkpoints than {}, where the disk has room.",
            words::bytes(size as f64)
        ))
        .statement(statement)
}

fn wal(seen: &Seen<'_>) -> Verdict {
    let positions = seen.earlier.and_then(|earlier| {
        let bytes = added(seen.now.server.wal_position?, earlier.server.wal_position?)?;
        Some(bytes / (seen.now.server.at_s - earlier.server.at_s))
    });
    let Some(rate) = positions else { return Verdict::well(WAL, FIRST_LOOK) };
    let verb = if seen.now.server.in_recovery { "received" } else { "written" };
    Verdict::value(WAL, rate, format!("{}/s {verb} since the last look.", words::bytes(rate)))
        .action("Find out what writes so much: `pgprime slow-queries --order wal`.")
        .statement("pgprime slow-queries --order wal")
}
