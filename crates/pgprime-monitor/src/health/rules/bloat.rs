//! Waste, as of the last report on space.

use crate::health::report::Status;
use crate::health::space::{SpaceSummary, WasteSummary};
use crate::health::verdict::Verdict;
use crate::health::words;

use super::seen::share;

/// Less than this is not worth a rewrite of anything.
const WASTED_BYTES_MIN: u64 = 100 << 20;

pub(super) fn verdicts(space: &SpaceSummary) -> Vec<Verdict> {
    vec![
        waste("bloat.tables", &space.tables, "tables", space),
        waste("bloat.indexes", &space.indexes, "indexes", space),
    ]
}

fn waste(id: &'static str, waste: &WasteSummary, what: &str, space: &SpaceSummary) -> Verdict {
    let percent = share(waste.wasted_bytes as f64, waste.total_bytes as f64);
    let at = space.taken_at.strftime("%H:%M UTC");
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
        .action("See what each statement locks before you run it: `pgprime bloat`.")
        .statement(statement.unwrap_or_else(|| "pgprime bloat".to_owned()));
    if waste.wasted_bytes < WASTED_BYTES_MIN { verdict.at_most(Status::Ok) } else { verdict }
}
