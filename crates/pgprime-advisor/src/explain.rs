//! Plans of statements, from a live database, without harm to it.
//!
//! [`explain`] plans a statement and, if asked to and if it is safe, executes it to measure it. What makes that safe:
//!
//! 1. One statement, read with PostgreSQL's grammar, sent by the extended protocol, which takes no second one.
//! 2. It is planned only, unless execution is asked for. What changes or locks rows is planned only, whatever is asked for.
//! 3. A statement is executed only if every kind of node in it is known to be harmless, and every function it names is one
//!    of a list of PostgreSQL's own that change nothing, tell of no file, do not wait, and run no SQL of their own.
//! 4. Before it is executed, the catalogs of the database are asked what its names stand for: functions of the same name in
//!    other schemas, operators, casts, columns that are functions, types with checks, views with all that they refer to,
//!    row-level security, generated columns, foreign tables. Anything that is not PostgreSQL's own or an extension's
//!    operator is a reason not to execute it.
//! 5. A role that is a superuser executes nothing, unless that is allowed explicitly.
//! 6. All is done in one read-only transaction with short limits on statements and on waiting for locks, and
//!    that is rolled back. Statements that are prepared in it are deallocated, whatever happens.
//!
//! What it does not keep from happening: planning itself calls functions that are declared IMMUTABLE or STABLE with
//! constants, as it does for every client; a function of the database's own with a false declaration can then act, in a
//! read-only transaction, even when nothing is executed. Executing a statement takes the server's time and memory, up to the
//! limit. And somebody who changes the database in the moment between check and execution is not kept from it.
//!
//! Parameters (`$1`) get the values that are given, else captured ones, else samples of what the columns hold that they are
//! compared with; and if there are none, the plan is the one for any values (the generic plan).

mod check;
mod error;
mod literal;
mod parameters;
mod references;
mod request;
mod run;
mod samples;
mod session;
mod text;
mod texts;
mod values;

pub use error::ExplainError;
pub use parameters::{ParameterSource, ParameterValue, Parameters};
pub use request::{Execution, ExplainRequest, Explained, Limits, Superuser};
pub use run::explain;
pub use text::text;
pub use texts::statement_text;
