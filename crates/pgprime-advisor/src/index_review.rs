//! Indexes that cost more than they give, and foreign keys that lack one: [`review`], and [`text`] for people.
//!
//! Never proposed for want of use: indexes that enforce something (primary keys, unique and exclusion constraints, unique
//! indexes), that name rows for replication or order a table, and the only one that supports a foreign key. Of a
//! partitioned index the whole is judged, not its parts. Nothing is ever changed here.

mod catalog;
mod finding;
mod foreign_keys;
mod invalid;
mod options;
mod overlap;
mod review;
mod statements;
mod text;
mod unused;

pub use finding::{Confidence, IndexFinding, IndexProblem};
pub use invalid::is_leftover;
pub use options::ReviewOptions;
pub use review::{IndexReview, StatisticsAge, StatisticsSince, review};
pub use statements::duplicates;
pub use text::text;

pub(crate) use statements::{free_name, quoted};
