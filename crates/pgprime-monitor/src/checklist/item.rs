//! One item: what it is, and what is found of it.

use super::evidence::Evidence;
use super::report::{Fix, FixKind, Item, Level, Verdict};
use crate::health::Missing;

/// An item of the list.
pub(super) struct Definition {
    pub(super) id: &'static str,
    pub(super) level: Level,
    pub(super) title: &'static str,
    /// Why it matters, for an item that has nothing better to say.
    pub(super) matters: &'static str,
    pub(super) judge: fn(&Evidence) -> Judged,
}

impl Definition {
    pub(super) fn item(&self, evidence: &Evidence) -> Item {
        let judged = (self.judge)(evidence);
        Item {
            id: self.id,
            level: self.level,
            title: self.title,
            verdict: judged.verdict,
            evidence: judged.evidence,
            why: judged.why.unwrap_or_else(|| self.matters.to_owned()),
            needs_restart: judged.needs_restart && judged.fix.is_some(),
            fix: judged.fix,
        }
    }
}

/// What is found of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    pub(super) evidence: String,
    pub(super) why: Option<String>,
    pub(super) fix: Option<Fix>,
    pub(super) needs_restart: bool,
}

impl Judged {
    fn new(verdict: Verdict, evidence: impl Into<String>) -> Self {
        Self { verdict, evidence: evidence.into(), why: None, fix: None, needs_restart: false }
    }

    pub(super) fn met(evidence: impl Into<String>) -> Self {
        Self::new(Verdict::Met, evidence)
    }

    pub(super) fn not_met(evidence: impl Into<String>) -> Self {
        Self::new(Verdict::NotMet, evidence)
    }

    pub(super) fn cannot_tell(evidence: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(Verdict::CannotTell, evidence).because(why)
    }

    /// A part that could not be seen, with what would show it.
    pub(super) fn unseen(missing: &Missing) -> Self {
        let judged = Self::cannot_tell(format!("{} cannot be seen", missing.what), missing.why.clone());
        match &missing.statement {
            Some(statement) => judged.sql(statement.clone()),
            None => judged,
        }
    }

    /// What only the running monitor knows.
    pub(super) fn not_running(what: &str) -> Self {
        let why = format!(
            "only a running pgprime knows {what}: start pgprime run, or say where it is with --api-url"
        );
        let command = "pgprime run".to_owned();
        Self::cannot_tell("pgprime run was not asked", why).fix(FixKind::Command, command)
    }

    pub(super) fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    pub(super) fn sql(self, text: impl Into<String>) -> Self {
        self.fix(FixKind::Sql, text)
    }

    /// Statements that a replica refuses: there somebody has to run them elsewhere.
    pub(super) fn sql_on_primary(self, evidence: &Evidence, text: impl Into<String>) -> Self {
        match evidence.server.in_recovery {
            true => self.advice(format!("on the primary: {}", text.into())),
            false => self.sql(text),
        }
    }

    pub(super) fn advice(self, text: impl Into<String>) -> Self {
        self.fix(FixKind::Advice, text)
    }

    pub(super) fn fix(mut self, kind: FixKind, text: impl Into<String>) -> Self {
        self.fix = Some(Fix { kind, text: text.into() });
        self
    }

    pub(super) fn after_restart(mut self) -> Self {
        self.needs_restart = true;
        self
    }
}
