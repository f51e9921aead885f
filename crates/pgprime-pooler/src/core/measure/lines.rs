//! The lines of the tables: statements, applications, users.

use std::collections::VecDeque;
use std::sync::Arc;

use super::capture::Captured;
use super::figures::{Execution, Figures};
use super::table::{Line, Place};
use super::text::{self, Kind};

/// Sources that a statement is told with.
const SOURCES_MAX: usize = 4;
/// What stands for everything that has no line of its own.
const OTHERS: &str = "(other)";

/// Which pool a statement runs in.
#[derive(Debug)]
pub(crate) struct PoolName {
    pub(crate) database: Box<str>,
    pub(crate) user: Box<str>,
}

/// What makes a statement: its pool and its text without constants.
#[derive(Debug)]
pub(crate) struct StatementName {
    pub(crate) pool: Arc<PoolName>,
    pub(crate) normalized: Box<[u8]>,
}

impl StatementName {
    pub(crate) fn others() -> Arc<Self> {
        let pool = Arc::new(PoolName { database: "".into(), user: "".into() });
        Arc::new(Self { pool, normalized: OTHERS.as_bytes().into() })
    }

    /// Whether it is this text in this pool.
    pub(crate) fn is(&self, pool: &Arc<PoolName>, normalized: &[u8]) -> bool {
        Arc::ptr_eq(&self.pool, pool) && *self.normalized == *normalized
    }

    pub(crate) fn text(&self) -> String {
        text::shown(&self.normalized)
    }
}

/// One statement.
#[derive(Debug)]
pub(crate) struct StatementLine {
    pub(crate) name: Arc<StatementName>,
    pub(crate) kind: Kind,
    pub(crate) figures: Figures,
    /// Who sent it, the last newcomer first.
    pub(crate) sources: [Place; SOURCES_MAX],
    pub(crate) captured: VecDeque<Captured>,
    /// The types of its parameters as the server has told them, where they are asked for.
    pub(crate) types: Box<[u8]>,
}

impl StatementLine {
    pub(crate) fn new(name: Arc<StatementName>) -> Self {
        Self {
            kind: text::kind(&name.normalized),
            name,
            figures: Figures::default(),
            sources: [Place::UNKNOWN; SOURCES_MAX],
            captured: VecDeque::new(),
            types: Box::default(),
        }
    }

    #[inline]
    pub(crate) fn count(&mut self, execution: &Execution, source: Place) {
        self.figures.count(execution);
        if self.sources[0] != source {
            self.note_source(source);
        }
    }

    fn note_source(&mut self, source: Place) {
        if !self.sources.contains(&source) {
            self.sources.rotate_right(1);
            self.sources[0] = source;
        }
    }
}

impl Line for StatementLine {
    fn others() -> Self {
        Self::new(StatementName::others())
    }

    fn absorb(&mut self, gone: &Self) {
        self.figures.add(&gone.figures);
    }
}

/// An application and the user it logs in as: one line for both, so that an execution is counted once for both tables.
#[derive(Debug)]
pub(crate) struct SourceLine {
    pub(crate) application: Box<str>,
    pub(crate) user: Box<str>,
    pub(crate) figures: Figures,
}

impl SourceLine {
    pub(crate) fn new(application: &str, user: &str) -> Self {
        Self { application: application.into(), user: user.into(), figures: Figures::default() }
    }
}

impl Line for SourceLine {
    fn others() -> Self {
        Self::new(OTHERS, OTHERS)
    }

    fn absorb(&mut self, gone: &Self) {
        self.figures.add(&gone.figures);
    }
}
