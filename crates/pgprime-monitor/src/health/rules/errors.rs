//! What went wrong: deadlocks, rollbacks, damage, and sorts that did not fit memory.

use super::seen::{FIRST_LOOK, Seen, added, share};
use crate::health::observe::Counters;
use crate::health::verdict::Verdict;
use crate::health::words;

const DEADLOCKS: &str = "errors.deadlocks";
const ROLLBACKS: &str = "errors.rollback_share";
const CHECKSUMS: &str = "errors.checksum_failures";
const TEMP: &str = "errors.temp_bytes";

/// Fewer transactions tell little of a share.
const TRANSACTIONS_MIN: f64 = 50.0;

pub(super) fn verdicts(seen: &Seen<'_>) -> Vec<Verdict> {
    let now = match &seen.now.counters {
        Ok(now) => now,
        Err(missing) => {
            return [DEADLOCKS, ROLLBACKS, CHECKSUMS, TEMP].map(|id| Verdict::unknown(id, missing)).into();
        }
    };
    vec![deadlocks(seen, now), rollbacks(seen, now), checksums(seen, now), temp(seen, now)]
}

/// What was added in the past hour, and in which time, in words.
fn in_the_past_hour(seen: &Seen<'_>, now: &Counters, count: fn(&Counters) -> u64) -> Option<(f64, String)> {
    let (at_s, was) = seen.now.recent.counters_since(now.reset_s)?;
    Some((added(count(now), count(&was))?, words::seconds(seen.now.server.at_s - at_s)))
}

fn deadlocks(seen: &Seen<'_>, now: &Counters) -> Verdict {
    let Some((count, span)) = in_the_past_hour(seen, now, |counters| counters.deadlocks) else {
        return Verdict::well(DEADLOCKS, FIRST_LOOK);
    };
    let text = format!(
        "{} in the past {span}, {} since statistics began.",
        words::number(count),
        words::number(now.deadlocks as f64)
    );
    Verdict::value(DEADLOCKS, count, text)
        .action("The server's log names both statements: have all transactions lock in the same order.")
}

fn rollbacks(seen: &Seen<'_>, now: &Counters) -> Verdict {
    let before = seen.earlier.and_then(|earlier| earlier.counters.as_ref().ok());
    let before = before.filter(|before| before.reset_s == now.reset_s);
    let between = before.and_then(|before| {
        Some((added(now.commits, before.commits)?, added(now.rollbacks, before.rollbacks)?))
    });
    let Some((commits, rollbacks)) = between else { return Verdict::well(ROLLBACKS, FIRST_LOOK) };
    let all = commits + rollbacks;
    if all < TRANSACTIONS_MIN {
        let text =
            format!("{} since the last look, too few to tell.", words::plural(all as usize, "transaction"));
        return Verdict::well(ROLLBACKS, text);
    }
    let percent = share(rollbacks, all);
    let text = format!(
        "{} of {} since the last look.",
        words::percent(percent),
        words::plural(all as usize, "transaction")
    );
    Verdict::value(ROLLBACKS, percent, text)
        .action("Look at the server's log and the application's: errors, timeouts, or ROLLBACK as a way to end reads.")
}

fn checksums(seen: &Seen<'_>, now: &Counters) -> Verdict {
    let Some(failures) = now.checksum_failures.filter(|_| seen.now.server.has_checksums) else {
        return Verdict::well(CHECKSUMS, "Checksums are off, so damage would not be seen.");
    };
    let text = match failures {
        0 => "None was seen.".to_owned(),
        count => {
            format!("{} were read since statistics began.", words::plural(count as usize, "damaged block"))
        }
    };
    Verdict::value(CHECKSUMS, failures as f64, text)
        .action("Move to a replica or a backup now, and look at disk and memory of this machine; the log names the blocks.")
        .statement("SELECT datname, checksum_failures, checksum_last_failure FROM pg_stat_database WHERE checksum_failures > 0;")
}

fn temp(seen: &Seen<'_>, now: &Counters) -> Verdict {
    let Some((bytes, span)) = in_the_past_hour(seen, now, |counters| counters.temp_bytes) else {
        return Verdict::well(TEMP, FIRST_LOOK);
    };
    Verdict::value(TEMP, bytes, format!("{} in the past {span}.", words::bytes(bytes)))
        .action("See which statements do: `pgprime slow-queries --order temp`; give those more work_mem, or an index.")
        .statement("pgprime slow-queries --order temp")
}
