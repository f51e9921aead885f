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
const TRANSACTIONS_MIN: f64 = 100.0;
/// As good as an hour: what is remembered is a minute apart, in seconds.
const HOUR_S_MIN: f64 = 3_400.0;

pub(super) fn verdicts(seen: &Seen<'_>) -> Vec<Verdict> {
    let now = match &seen.now.counters {
        Ok(now) => now,
        Err(missing) => {
            return [DEADLOCKS, ROLLBACKS, CHECKSUMS, TEMP].map(|id| Verdict::unknown(id, missing)).into();
        }
    };
    let mut verdicts = vec![deadlocks(seen, now), rollbacks(seen, now), temp(seen, now)];
    // Without checksums nobody would see damage: that is no check, but something that is not seen.
    verdicts.extend(seen.now.server.has_checksums.then(|| checksums(now)));
    verdicts
}

/// What was added in the past hour, or in as much of it as was seen.
struct Lately {
    count: f64,
    span: String,
    /// Whether the whole hour was seen: what has not happened in a part of it may have happened in the rest.
    is_whole: bool,
}

impl Lately {
    fn of(seen: &Seen<'_>, now: &Counters, count: fn(&Counters) -> u64) -> Option<Self> {
        let (at_s, was) = seen.now.recent.counters_before(now)?;
        let span_s = seen.now.server.at_s - at_s;
        let count = added(count(now), count(&was))?;
        Some(Self { count, span: words::seconds(span_s), is_whole: span_s >= HOUR_S_MIN })
    }

    fn judge(&self, verdict: Verdict) -> Verdict {
        if self.is_whole { verdict } else { verdict.tentatively() }
    }
}

fn deadlocks(seen: &Seen<'_>, now: &Counters) -> Verdict {
    let Some(lately) = Lately::of(seen, now, |counters| counters.deadlocks) else {
        return Verdict::well(DEADLOCKS, FIRST_LOOK).tentatively();
    };
    let text = format!(
        "{} in the past {}, {} since statistics began.",
        words::number(lately.count),
        lately.span,
        words::number(now.deadlocks as f64)
    );
    lately
        .judge(Verdict::value(DEADLOCKS, lately.count, text))
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
        let text = format!(
            "{} of {} since the last look; a share of less than {TRANSACTIONS_MIN} says nothing.",
            words::number(rollbacks),
            words::plural(all as usize, "transaction")
        );
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

fn checksums(now: &Counters) -> Verdict {
    let failures = now.checksum_failures.unwrap_or(0);
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
    let Some(lately) = Lately::of(seen, now, |counters| counters.temp_bytes) else {
        return Verdict::well(TEMP, FIRST_LOOK).tentatively();
    };
    let text = format!("{} in the past {}.", words::bytes(lately.count), lately.span);
    lately
        .judge(Verdict::value(TEMP, lately.count, text))
        .action("See which statements do: pgprime slow-queries --order temp; give those more work_mem, or an index.")
        .statement("pgprime slow-queries --order temp")
}
