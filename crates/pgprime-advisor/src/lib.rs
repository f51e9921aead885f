//! The query optimizer: slow queries, plans and their problems, verified index advice, bloat.
//!
//! It changes nothing in a database unless told to apply a suggestion, takes no lock that a client could wait for, and says
//! what it could not see and why.

pub mod aggregates;
pub mod explain;
pub mod history;
pub mod index_review;
pub mod indexes;
pub mod plan;
pub mod selection;
pub mod slow;
pub mod space;

pub use pgprime_readonly::Missing;
pub use pgprime_sql as sql;
