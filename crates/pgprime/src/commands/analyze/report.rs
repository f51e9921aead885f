//! What was found out about a statement, for people and programs.

use pgprime_advisor::explain::{self, Explained};
use pgprime_advisor::indexes::{self, Advice};
use pgprime_advisor::plan::{PlanReport, Severity, render};
use serde::Serialize;

/// A plan with its problems, and how it came about if a database was asked for it.
#[derive(Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    explained: Option<Explained>,
    #[serde(flatten)]
    plan: PlanReport,
    /// Indexes that would help; None where no database was asked.
    indexes: Option<Advice>,
}

impl Report {
    pub(super) fn new(explained: Option<Explained>, plan: PlanReport, indexes: Option<Advice>) -> Self {
        Self { explained, plan, indexes }
    }

    pub(super) fn text(&self) -> String {
        let head = self.explained.as_ref().map(explain::text).unwrap_or_default();
        let gap = if head.is_empty() { "" } else { "\n" };
        let plan = render(&self.plan.plan, &self.plan.findings);
        let indexes = self.indexes.as_ref().map(|advice| format!("\n{}", indexes::text(advice)));
        format!("{head}{gap}{plan}{}", indexes.unwrap_or_default())
    }

    /// Whether there is no problem that takes much of the whole.
    pub(super) fn is_well(&self) -> bool {
        self.plan.findings.iter().all(|finding| finding.severity < Severity::Major)
    }
}
