//! What there is to say about a database's indexes, for people and programs.

use pgprime_advisor::Missing;
use pgprime_advisor::index_review::{self, IndexReview};
use pgprime_advisor::indexes::{self, Advice, Applied, ApplyOutcome};
use pgprime_advisor::slow;
use pgprime_advisor::space::Severity;
use serde::Serialize;

/// Advice, the review of what exists, and what came of applying.
#[derive(Serialize)]
pub(super) struct Report {
    /// None where there is no workload; `missing` says why.
    pub(super) advice: Option<Advice>,
    pub(super) missing: Vec<Missing>,
    /// What was said about the time that the workload is from.
    pub(super) notes: Vec<String>,
    pub(super) review: IndexReview,
    /// None when nothing was to be applied.
    pub(super) applied: Option<Vec<Applied>>,
}

impl Report {
    pub(super) fn text(&self) -> String {
        let mut parts = Vec::new();
        match &self.advice {
            Some(advice) => parts.push(indexes::text(advice)),
            None => parts
                .push(format!("No advice on indexes: {}", slow::missing_text(&self.missing).trim_start())),
        }
        parts.extend(self.notes.iter().map(|note| format!("{note}\n")));
        parts.extend(self.applied.as_ref().map(|applied| indexes::applied_text(applied)));
        parts.push(index_review::text(&self.review));
        parts.join("\n")
    }

    /// Whether nothing is left to be done.
    pub(super) fn is_well(&self) -> bool {
        let is_applied = match &self.applied {
            Some(applied) => applied.iter().all(|one| !matches!(one.outcome, ApplyOutcome::Failed { .. })),
            None => self.advice.as_ref().is_none_or(|advice| advice.suggestions.is_empty()),
        };
        is_applied && self.review.findings.iter().all(|finding| finding.severity < Severity::Warning)
    }
}
