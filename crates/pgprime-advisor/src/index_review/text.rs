//! The review for people.

use super::finding::IndexFinding;
use super::review::{IndexReview, StatisticsSince};
use crate::space::layout::{wrap, wrap_sql};
use crate::space::remedy_text;
use crate::space::units::{ago, bytes};

/// The review for people: each finding with its statement, its lock and its undo. Lines of at most 100 columns.
#[must_use]
pub fn text(review: &IndexReview) -> String {
    let since = match review.statistics.since {
        StatisticsSince::Reset => "since they were reset",
        StatisticsSince::ServerStart => "at least, since the server started",
    };
    let mut text = wrap(
        &format!(
            "{} indexes in database {}; scans are counted for {} ({since}).",
            review.indexes,
            review.server.database,
            ago(Some(review.statistics.seconds))
        ),
        0,
    );
    if review.findings.is_empty() {
        text += "\nNo findings.\n";
    } else {
        text +=
            &format!("\nFindings: {}; {} to be had back\n", review.findings.len(), bytes(review.freed_bytes));
    }
    text.extend(review.findings.iter().map(finding));
    if !review.missing.is_empty() {
        text += "\nNot seen\n";
    }
    for missing in &review.missing {
        text += &wrap(&format!("{}: {}.", missing.what, missing.why), 2);
        text.extend(missing.statement.as_ref().map(|statement| wrap_sql(statement, 6)));
    }
    text
}

fn finding(finding: &IndexFinding) -> String {
    let object = finding.index.as_ref().unwrap_or(&finding.table);
    let size = finding.freed_bytes.map_or_else(String::new, |size| format!(", frees {}", bytes(size)));
    let title = format!(
        "{}: {object}: {}{size} (confidence {})",
        finding.severity.to_string().to_uppercase(),
        finding.problem,
        finding.confidence
    );
    let mut text = "\n".to_owned() + &wrap(&title, 2) + &wrap(&finding.reason, 4);
    text.extend(finding.remedies.iter().map(remedy_text));
    if let Some(undo) = &finding.undo {
        text += &wrap("undo:", 4);
        text += &wrap_sql(&undo.statement, 6);
    }
    text
}
