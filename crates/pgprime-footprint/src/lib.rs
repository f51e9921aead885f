//! What a statement reads and writes.
//!
//! [`Schema::load`] takes what a database's catalogs say at one moment; [`Schema::footprint`] then tells, without asking the
//! database again, which tables a text depends on and changes: through views, partitions, inheritance, cascades of foreign
//! keys, triggers, rules and functions, and whether its result may be kept.
//!
//! It never guesses in the direction of less: what it cannot see through counts as reading what must not be kept
//! ([`Footprint::kept`]), and as writing anything ([`Writes::Anything`]).

mod builtin;
mod catalog;
mod footprint;
mod known;
mod links;
mod load;
mod reading;
mod schema;
mod trace;
mod uses;
mod utility;
mod walk;

pub use builtin::{TIME_BYTES_MAX, has_relative_time};
pub use footprint::{Control, Footprint, NotKept, NotKeptReason, Writes};
pub use load::LoadError;
pub use schema::Schema;
