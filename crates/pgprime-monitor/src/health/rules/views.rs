//! Declared materialized views.

use pgprime_views::{Decision, Reason, Status as Views, ViewStatus};
use serde_json::json;

use crate::health::verdict::Verdict;
use crate::health::words;

pub(super) fn verdicts(views: &Views) -> Vec<Verdict> {
    if views.views.is_empty() {
        return Vec::new();
    }
    vec![failing(views), stale(views)]
}

fn failing(views: &Views) -> Verdict {
    let failing: Vec<&ViewStatus> = views.views.iter().filter(|view| view.is_failing).collect();
    let text = match failing.first() {
        None => format!("{}, none failing.", words::plural(views.views.len(), "view")),
        Some(first) => format!(
            "{} of {}; {}: {}",
            failing.len(),
            words::plural(views.views.len(), "view"),
            first.view,
            first.error.as_deref().unwrap_or("its refresh fails.")
        ),
    };
    let statement =
        failing.first().map_or(String::new(), |view| format!("pgprime views refresh {}", view.view));
    let details = failing
        .iter()
        .map(|view| json!({ "view": view.view, "failures": view.failures, "error": view.error }));
    Verdict::value("views.failing", failing.len() as f64, text)
        .details(details)
        .action("Mend what the error says, then refresh it by hand.")
        .statement(statement)
}

fn stale(views: &Views) -> Verdict {
    let late: Vec<&ViewStatus> = views.views.iter().filter(|view| is_late(view)).collect();
    let text = match late.first() {
        None => format!("{}, all within their budgets.", words::plural(views.views.len(), "view")),
        Some(first) if !first.exists => format!("{} is declared and not there.", first.view),
        Some(first) => format!(
            "{} of {}; {} is {} old.",
            late.len(),
            words::plural(views.views.len(), "view"),
            first.view,
            words::seconds(first.age_s.unwrap_or(0.0))
        ),
    };
    let statement = match late.first() {
        Some(first) if first.exists => format!("pgprime views refresh {}", first.view),
        _ => "pgprime views apply".to_owned(),
    };
    let details = late.iter().map(
        |view| json!({ "view": view.view, "exists": view.exists, "age_s": view.age_s, "next": view.next }),
    );
    Verdict::value("views.stale", late.len() as f64, text)
        .details(details)
        .action("Is a scheduler running (pgprime run)? pgprime views status says what each waits for.")
        .statement(statement)
}

/// A scheduler that runs would be at it.
fn is_late(view: &ViewStatus) -> bool {
    let by_budget =
        matches!(view.next, Decision::Refresh { reason: Reason::Age | Reason::Changes | Reason::First });
    !view.exists || by_budget
}
