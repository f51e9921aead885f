//! Read-only looks at a database: one short transaction with limits, which leaves nothing behind, through a transaction
//! pooler too.
//!
//! Statements are unnamed and carry a comment behind their first word, by which pgprime's own are known in
//! pg_stat_statements: from version 18 on it does not keep comments in front. What a role may not see is no error but
//! something [`Missing`], with the statement that grants it.

mod error;
mod missing;
mod session;
mod version;

pub use error::ReadError;
pub use missing::Missing;
pub use session::{Attempt, Parameter, Session, Timeouts, column, count};
pub use version::server_version;
