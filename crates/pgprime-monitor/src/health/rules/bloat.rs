//! Waste, and sequences that come to their end, as of the last report on space.

use crate::health::report::Status;
use crate::health::settings::Settings;
use crate::health::space::{SequenceSummary, SpaceSummary, WasteSummary};
use crate::health::verdict::Verdict;
use crate::health::words;

use super::seen::share;

const SEQUENCES: &str = "database.sequences_used";
/// Less than this is not worth a rewrite of anything.
const WASTED_BYTES_MIN: u64 = 100 << 20;

pub(super) fn verdicts(space: &SpaceSummary, settings: &Settings) -> Vec<Verdict> {
    vec![
        sequences(&space.sequences, settings),
        waste("bloat.tables", &space.tables, "tables", (space, settings)),
        waste("bloat.indexes", &space.indexes, "indexes", (space, settings)),
    ]
}

/// From where on a value is a warning, or worse.
fn limit(id: &str, settings: &Settings) -> f64 {
    settings.thresholds(id).map_or(f64::INFINITY, |at| at.warning.min(at.critical))
}

fn waste(
    id: &'static str,
    waste: &WasteSummary,
    what: &str,
    (space, settings): (&SpaceSummary, &Settings),
) -> Verdict {
    let percent = share(waste.wasted_bytes as f64, waste.total_bytes as f64);
    let at = space.taken_at.strftime("%H:%M UTC");
    let is_bad = |bytes: u64| {
        bytes >= WASTED_BYTES_MIN && share(bytes as f64, waste.total_bytes as f64) >= limit(id, settings)
    };
    // Where even all of what is not seen would be too little, it need not be seen.
    let unsure = waste.unseen.as_ref().filter(|_| {
        !is_bad(waste.wasted_bytes) && is_bad(waste.wasted_bytes.saturating_add(waste.unseen_bytes))
    });
    if let Some(missing) = unsure {
        let text = format!(
            "Cannot be told for {} of {}, {}: {}.",
            words::bytes(waste.unseen_bytes as f64),
            words::bytes(waste.total_bytes as f64),
            missing.what,
            missing.why
        );
        return Verdict::unknown(id, missing).saying(text).details(&waste.worst).action(
            "pg_monitor is enough for the largest where the extension pgstattuple is installed; pgprime bloat shows what is \
             seen.",
        );
    }
    let text = match waste.worst.first() {
        None => format!("No {what} are worth a rewrite, as of {at}."),
        Some(first) => format!(
            "{} of {} ({}) are waste in {} of them, {} first; as of {at}.",
            words::bytes(waste.wasted_bytes as f64),
            words::bytes(waste.total_bytes as f64),
            words::percent(percent),
            waste.worst.len(),
            first.name
        ),
    };
    let statement = waste.worst.first().and_then(|first| first.statement.clone());
    let verdict = Verdict::value(id, percent, text)
        .details(&waste.worst)
        .action(
            "pgprime bloat lists what helps, with the lock that each statement takes. VACUUM FULL, CLUSTER and REINDEX \
             without CONCURRENTLY keep reads and writes of the table waiting until they are done; pg_repack and REINDEX \
             CONCURRENTLY do not.",
        )
        .statement(statement.unwrap_or_else(|| "pgprime bloat".to_owned()));
    if waste.wasted_bytes < WASTED_BYTES_MIN { verdict.at_most(Status::Ok) } else { verdict }
}

fn sequences(sequences: &SequenceSummary, settings: &Settings) -> Verdict {
    let fullest = sequences.fullest.first();
    let used_percent = fullest.map_or(0.0, |first| first.used_percent);
    if let Some(missing) = sequences.unseen.as_ref().filter(|_| used_percent < limit(SEQUENCES, settings)) {
        let text = format!("Cannot be told {}: {}.", missing.what, missing.why);
        return Verdict::unknown(SEQUENCES, missing).saying(text);
    }
    let Some(first) = fullest else { return Verdict::well(SEQUENCES, "There are no sequences that end.") };
    let text = match &first.summary {
        Some(summary) => format!("{}: {summary}", first.name),
        None => format!("The fullest is {}, {} used.", first.name, words::percent(used_percent)),
    };
    let near = sequences.fullest.iter().filter(|sequence| sequence.summary.is_some());
    Verdict::value(SEQUENCES, used_percent, text)
        .details(near)
        .action(
            "Widen what ends first. A wider column writes its table anew and keeps all reads and writes waiting meanwhile: on \
             a large table add a bigint column, fill it in batches and swap the two. pgprime bloat lists each sequence with \
             what helps.",
        )
        .statement(first.statement.clone().unwrap_or_else(|| "pgprime bloat".to_owned()))
}
