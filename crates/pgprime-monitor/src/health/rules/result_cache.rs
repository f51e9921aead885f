//! Whether the result cache is worth having.

use pgprime_cache::{LabelReport, Report};
use serde_json::json;

use crate::health::verdict::Verdict;
use crate::health::words;

const ID: &str = "result_cache.worth";

/// Fewer tell little of a share.
const REQUESTS_MIN: u64 = 1_000;

pub(super) fn verdict(report: &Report) -> Verdict {
    let requests = |label: &LabelReport| label.hits() + label.misses;
    let all = requests(&report.total);
    let Some(ratio) = report.total.hit_ratio().filter(|_| all >= REQUESTS_MIN) else {
        return Verdict::well(
            ID,
            format!("{} so far, too few to call it worth little.", words::plural(all as usize, "request")),
        );
    };
    let percent = ratio * 100.0;
    let saved = words::seconds(report.total.saved().as_secs_f64());
    let text = format!(
        "{} of {} were served without the database, which saved it {saved}.",
        words::percent(percent),
        words::plural(all as usize, "request")
    );
    let ratio_of = |label: &LabelReport| label.hit_ratio().unwrap_or(0.0);
    let mut labels: Vec<&LabelReport> = report.labels.iter().filter(|label| requests(label) > 0).collect();
    labels.sort_by(|one, other| ratio_of(one).total_cmp(&ratio_of(other)));
    let details = labels
        .iter()
        .map(|label| json!({ "label": label.label, "requests": requests(label), "hit_percent": ratio_of(label) * 100.0 }));
    Verdict::value(ID, percent, text).details(details).action(
        "Leave those with few hits uncached, or let them live longer; what is written often is not worth it.",
    )
}
