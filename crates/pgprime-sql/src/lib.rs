//! Statements, read with PostgreSQL's own grammar.
//!
//! [`Statement::parse`] takes exactly one statement and says what it is, what it refers to and whether it may be executed
//! to see how long it takes. Nothing here talks to a database.
//!
//! The tree of a parsed text is first turned into a plain one that keeps every node by its name, so that nothing is
//! overlooked by a walk that forgets a kind of node: what must hold for all of a statement is decided over *all* nodes,
//! and a kind of node that is not known to be harmless keeps the statement from being executed.

mod error;
mod facts;
mod harmless;
mod hostile;
mod kind;
mod names;
mod nesting;
mod parser;
mod placeholders;
mod plpgsql;
mod position;
mod refusal;
mod rewrite;
mod safety;
mod scopes;
mod script;
mod statement;
mod tree;

pub use error::SqlError;
pub use kind::StatementKind;
pub use names::{FunctionName, OperatorName, TableName, TypeName};
pub use nesting::NESTING_MAX;
pub use parser::TEXT_BYTES_MAX;
pub use placeholders::{ColumnPlace, ParameterPlace};
pub use plpgsql::PlpgsqlBody;
pub use position::Position;
pub use refusal::{Refusal, RefusalReason};
pub use script::with_statements;
pub use statement::Statement;

pub use harmless::{HARMLESS_FUNCTIONS, HARMLESS_NODES};
pub use names::quoted;
pub use tree::{Node, Tree};
