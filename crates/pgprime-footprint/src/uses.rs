//! What a text names and does, before any name is looked up.

use std::collections::BTreeSet;

use crate::catalog::Events;
use crate::footprint::{NotKept, NotKeptReason};

/// A name with its schema, where the text has one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
}

/// How much of a relation is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Extent {
    /// ONLY: without what inherits from it.
    Own,
    Whole,
}

/// A function that is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call {
    pub(crate) name: Name,
    /// `None` for procedures, whose numbers are not compared.
    pub(crate) arguments: Option<usize>,
}

/// What a text consists of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uses {
    pub(crate) statements: usize,
    /// Whether its last statement is a SELECT, VALUES or TABLE without INTO.
    pub(crate) is_query: bool,
    pub(crate) reads: BTreeSet<(Name, Extent)>,
    pub(crate) writes: BTreeSet<(Name, Events)>,
    /// Tables that it makes and fills.
    pub(crate) created: BTreeSet<Name>,
    /// Names of its own temporary tables.
    pub(crate) temporary: BTreeSet<String>,
    pub(crate) calls: BTreeSet<Call>,
    pub(crate) operators: BTreeSet<Name>,
    /// Types that values are made of.
    pub(crate) types: BTreeSet<String>,
    /// Names behind a dot: a column's, or a function's that takes the row.
    pub(crate) attributes: BTreeSet<String>,
    /// What stands in FROM of a SELECT that is nothing but a look at one relation.
    pub(crate) base: Option<Name>,
    pub(crate) against: BTreeSet<NotKept>,
    /// Why it cannot be told what it writes.
    pub(crate) anything: Option<String>,
    /// Whether it runs SQL that it puts together.
    pub(crate) is_dynamic: bool,
    /// Why a text in it could not be read.
    pub(crate) unparsed: Option<String>,
    /// Bodies of DO blocks in it.
    pub(crate) blocks: Vec<String>,
    pub(crate) controls: bool,
    pub(crate) changes_definitions: bool,
    pub(crate) changes_session: bool,
    pub(crate) leaves_traces: bool,
    /// Whether event triggers fire, although what names stand for stays.
    pub(crate) fires_event_triggers: bool,
}

impl Uses {
    pub(crate) fn against(&mut self, reason: NotKeptReason, object: impl Into<String>) {
        self.against.insert(NotKept { reason, object: object.into() });
    }

    pub(crate) fn anything(&mut self, because: impl Into<String>) {
        self.anything.get_or_insert(because.into());
    }

    /// A relation whose contents change.
    pub(crate) fn write(&mut self, name: Name, events: Events) {
        self.against(NotKeptReason::Writes, name.to_string());
        self.writes.insert((name, events));
    }
}

impl Name {
    /// Of two words or one; a database's name in front is left out.
    pub(crate) fn of_words(words: &[&str]) -> Option<Self> {
        match words {
            [] => None,
            [name] => Some(Self { schema: None, name: (*name).to_owned() }),
            [.., schema, name] => Some(Self { schema: Some((*schema).to_owned()), name: (*name).to_owned() }),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}
