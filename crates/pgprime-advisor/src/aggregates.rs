//! Aggregations that are asked for again and again, as definitions of materialized views: [`suggest`].
//!
//! A statement that groups or aggregates, takes time and is repeated may be computed once for all who ask. `definition` turns it
//! into a view, purely from its text; `suggest` asks the planner what the view and reading it cost, and weighs what readers save
//! against what refreshing takes.

mod definition;
mod suggest;
mod suggestion;
mod text;

pub use suggest::{ViewOptions, suggest};
pub use suggestion::{Unsuitable, ViewSuggestion, ViewSuggestions};
pub use text::text;
