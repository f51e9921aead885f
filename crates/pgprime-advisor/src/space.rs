//! What takes space in a database, what of it is waste, and what runs out: [`report`], and [`text`] for people.
//!
//! Tables and B-trees are estimated from the statistics of their columns; those that have the most to gain are measured
//! with pgstattuple where it is there and allowed. Where an estimate does not apply, [`NoEstimate`] says why. Waste is
//! what a rewrite would give back: dead rows, and room that is free already and waits for new ones.
//!
//! [`remember`] keeps sizes in a history and tells how tables have grown.
//!
//! Everything is read in one read-only transaction under short timeouts; no statement of a [`Remedy`] is ever run here.

mod autovacuum;
mod estimate;
mod estimates;
mod finding;
mod findings;
mod growth;
pub(crate) mod layout;
pub(crate) mod locked;
mod measure;
mod options;
mod relations;
mod reloptions;
mod remedy;
mod report;
mod sequences;
mod server;
mod surroundings;
mod text;
pub(crate) mod units;
mod waste;

pub use autovacuum::Autovacuum;
pub use pgprime_readonly::ReadError;

pub use finding::{Finding, FindingKind, Severity};
pub use growth::remember;
pub use options::{Measure, SpaceOptions};
pub use relations::{Growth, IndexSpace, Maintained, TableSpace};
pub use remedy::Remedy;
pub use report::{PartitionedSpace, SpaceReport, report};
pub use sequences::{SequenceColumn, SequenceSpace};
pub use server::Server;
pub use surroundings::{DatabaseAge, Holder, OrphanedSchema};
pub use text::text;
pub use waste::{NoEstimate, Waste, WasteFigure};

pub(crate) use findings::index_bloat;
pub(crate) use measure::Wanted;
pub(crate) use report::{Measured, relations};
pub(crate) use text::remedy as remedy_text;
