//! What was found out about a statement, for people and programs.

use pgprime_advisor::explain::{self, Explained};
use pgprime_advisor::plan::{PlanReport, Severity, render};
use serde::Serialize;

/// A plan with its problems, and how it came about if a database was asked for it.
#[derive(Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    explained: Option<Explained>,
    #[serde(flatten)]
    plan: PlanReport,
}

impl Report {
    /// Indexes that would help go here: they need the statement and its plan, and become a field beside them.
    pub(super) fn new(explained: Option<Explained>, plan: PlanReport) -> Self {
        Self { explained, plan }
    }

    pub(super) fn text(&self) -> String {
        let head = self.explained.as_ref().map(explain::text).unwrap_or_default();
        let gap = if head.is_empty() { "" } else { "\n" };
        format!("{head}{gap}{}", render(&self.plan.plan, &self.plan.findings))
    }

    /// Whether there is no problem that takes much of the whole.
    pub(super) fn is_well(&self) -> bool {
        self.plan.findings.iter().all(|finding| finding.severity < Severity::Major)
    }
}
