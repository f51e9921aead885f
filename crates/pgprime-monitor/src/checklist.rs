//! The tuning checklist, checked with evidence.
//!
//! [`gather`] reads what a database and its pooler show of themselves, [`check`] judges it: each item is met, not met, or
//! cannot be told, with the figures it is judged by and what to do. [`text`] is for people, [`fix_sql`] for psql. Settings
//! are those that [`pgprime_capacity::postgres`] calculates; what only the running monitor knows is told by [`Running`].
//!
//! Judging is pure. Gathering reads in transactions that change nothing, with limits on their time.

mod application;
mod database;
mod evidence;
mod gather;
mod item;
mod list;
mod memory;
mod monitoring;
mod query;
mod report;
mod settings;
mod text;
mod words;

pub use evidence::{
    Alerting, Caching, Counters, Evidence, IndexAdvice, IndexProblem, IndexReview, Pooling, Recorded,
    Running, ServerSeen, Statement, StatementKind, SuggestedIndex, SuggestedView, Table, Views, Workload,
};
pub use gather::{GatherError, GatherOptions, gather};
pub use list::check;
pub use report::{ChecklistReport, Counts, Fix, FixKind, Item, Level, Verdict};
pub use text::{fix_sql, text};

#[cfg(test)]
mod tests;
