//! One statement.

use std::sync::Arc;

use pg_query::protobuf;

use super::error::SqlError;
use super::facts::Facts;
use super::hostile;
use super::kind::StatementKind;
use super::names::{FunctionName, OperatorName, TableName, TypeName};
use super::parser::{Parsed, parse_then};
use super::placeholders::ParameterPlace;
use super::refusal::Refusal;
use super::rewrite;
use super::safety;
use super::tree::Tree;

/// What pg_stat_statements of version 18 writes for the other constants of a list.
const SHORTENED_LIST: &str = "/*, ... */";

/// One statement that PostgreSQL's grammar takes.
#[derive(Clone, Debug)]
pub struct Statement(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    text: String,
    preparable: Option<String>,
    normalized: String,
    fingerprint: String,
    kind: StatementKind,
    tree: protobuf::Node,
    facts: Facts,
}

impl Statement {
    /// Reads a text that is one statement, with or without a semicolon and comments around it.
    ///
    /// `$1` and the places where pg_stat_statements puts it are read as parameters, `INTERVAL $1` included.
    ///
    /// # Errors
    /// [`SqlError`], with the place in the text where it goes wrong.
    pub fn parse(text: &str) -> Result<Self, SqlError> {
        parse_then(text, |parsed| {
            let facts = Facts::of(&Tree::of(&parsed.tree));
            let of_library = |error: pg_query::Error| SqlError::Parser { reason: error.to_string() };
            let Parsed { tree, start, end, tokens } = parsed;
            let own = text.get(start..end).unwrap_or(text);
            Ok(Self(Arc::new(Inner {
                preparable: rewrite::preparable(text, &tokens, &facts.edits, start, end),
                normalized: pg_query::normalize(own).map_err(of_library)?,
                fingerprint: pg_query::fingerprint(own, 0, 0).map_err(of_library)?.hex,
                kind: StatementKind::of(&facts, own),
                text: own.to_owned(),
                tree,
                facts,
            })))
        })
    }

    /// The statement as it was written, without a semicolon and comments around it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The statement as a server can prepare it: differs from [`Statement::text`] where pg_stat_statements has put a
    /// parameter for a constant that has to be one.
    #[must_use]
    pub fn preparable_text(&self) -> &str {
        self.0.preparable.as_deref().unwrap_or(&self.0.text)
    }

    /// The statement with its constants replaced by `$1`, `$2` …
    #[must_use]
    pub fn normalized(&self) -> &str {
        &self.0.normalized
    }

    /// The same for statements that differ only in constants and white space: 16 hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// What it does.
    #[must_use]
    pub fn kind(&self) -> &StatementKind {
        &self.0.kind
    }

    /// The parser's own tree, at most about three times [`super::NESTING_MAX`] nodes deep.
    #[must_use]
    pub fn tree(&self) -> &protobuf::Node {
        &self.0.tree
    }

    /// The highest number of its parameters, which is how many it has.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.0.facts.places.len()
    }

    /// Whether it has parameters.
    #[must_use]
    pub fn has_placeholders(&self) -> bool {
        self.parameters() > 0
    }

    /// What each of its parameters is compared with, in the order of their numbers.
    #[must_use]
    pub fn parameter_places(&self) -> &[ParameterPlace] {
        &self.0.facts.places
    }

    /// Whether pg_stat_statements has left constants of a list out, so that its plan is one for a shorter list.
    #[must_use]
    pub fn has_shortened_list(&self) -> bool {
        self.0.text.contains(SHORTENED_LIST)
    }

    /// The relations that it names, sorted; names of WITH left out.
    pub fn tables(&self) -> impl Iterator<Item = &TableName> {
        self.0.facts.tables.iter()
    }

    /// The functions that it calls by name, sorted; special syntax that stands for one included.
    pub fn functions(&self) -> impl Iterator<Item = &FunctionName> {
        self.0.facts.functions.iter()
    }

    /// Whether it may be executed to see how long it takes, as far as its text tells: it reads, with functions that are
    /// known to be harmless. What its names stand for in a database is another question.
    ///
    /// # Errors
    /// [`Refusal`]: what in it is not known to be harmless.
    pub fn executable(&self) -> Result<(), Refusal> {
        safety::executable(&self.0.kind, &self.0.facts)
    }

    /// Whether it may be planned, as far as its text tells: it has a plan, and calls no function that is known to do harm
    /// beyond the statement. Planning runs a statement's functions only if they are declared as having no effects.
    ///
    /// # Errors
    /// [`Refusal`]: what stands in its way.
    pub fn plannable(&self) -> Result<(), Refusal> {
        safety::has_plan(&self.0.kind)?;
        hostile::find(self.functions())
    }

    /// Every name of a relation, whether or not it stands for a query of WITH.
    pub fn relation_names(&self) -> impl Iterator<Item = &TableName> {
        self.0.facts.relation_names.iter()
    }

    /// The operators that it uses, sorted.
    pub fn operators(&self) -> impl Iterator<Item = &OperatorName> {
        self.0.facts.operators.iter()
    }

    /// The types that it names, sorted.
    pub fn types(&self) -> impl Iterator<Item = &TypeName> {
        self.0.facts.types.iter()
    }

    /// Names behind a dot: `b` of `a.b`, which is a function if `a` has no such column.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.0.facts.attributes.iter().map(String::as_str)
    }
}
