//! Index advice for a whole workload: what there is of it so far.
//!
//! A [`Workload`] is statements with their weights. Candidates come from their parse trees and the catalogs ([`generate`],
//! pure, from what [`catalog`] has read and [`uses`] found in the trees). What statements cost with them, the selection
//! by [`selection`](crate::selection) and its verification are still to come, and nothing outside uses this yet.

mod advice;
mod candidate;
mod catalog;
mod conditions;
mod error;
mod existing;
mod expression;
mod generate;
mod inventory;
mod options;
mod partial;
mod query;
mod selectivity;
mod session;
mod size;
mod source;
mod split;
mod table_use;
mod uses;
mod workload;

pub use advice::Hint;
pub use error::{IndexesError, WorkloadError};
pub use options::AdviceOptions;
pub use query::WorkloadQuery;
pub use workload::Workload;
