//! Index advice for a whole workload: [`advise`], [`for_statement`], and [`apply()`] when asked to.
//!
//! A [`Workload`] is statements with their weights. Candidates come from their parse trees and the catalogs (`uses`,
//! `catalog`, `generate`); what each statement costs with sets of them comes from the planner, with hypothetical indexes of
//! HypoPG (`costs`), and where that extension is not to be had from a formula of our own (`estimate`), which the advice then
//! says. The choice among them is [`selection`](crate::selection)'s. What it chose is planned once more, all together and
//! without each one in turn: what then saves too little goes, and what a smaller index does as well is left to that.
//!
//! Nothing of a workload is ever executed, but for reads that [`apply()`] measures. Advice is read-only and has short limits;
//! hypothetical indexes are seen by no other session and taken away at the end.

mod advice;
mod advise;
mod applied_text;
mod apply;
mod candidate;
mod catalog;
mod choice;
mod conditions;
mod costs;
mod error;
mod estimate;
mod existing;
mod expression;
mod generate;
mod hypothetical;
mod inventory;
mod options;
mod partial;
mod planned;
mod query;
mod selectivity;
mod session;
mod size;
mod source;
mod split;
mod statements;
mod suggestion;
mod table_use;
mod text;
mod uses;
mod weighed;
mod workload;

pub use advice::{Advice, Confidence, CostMethod, Gain, Hint, QueryAdvice, SkippedQuery, Suggestion};
pub use advise::{advise, for_statement};
pub use applied_text::applied_text;
pub use apply::{Applied, ApplyOptions, ApplyOutcome, MeasuredBy, Measurement, apply, clean_up};
pub use error::{IndexesError, WorkloadError};
pub use options::AdviceOptions;
pub use query::WorkloadQuery;
pub use text::text;
pub use workload::Workload;
