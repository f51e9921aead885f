//! What is measured of statements, applications and users: counts, times, waits, errors, repeats, slow parameters.
//!
//! Each statement, application and user has a [`Place`], which clients, prepared statements and the queues of servers
//! carry along, so that an execution is counted without looking anything up. Everything is bounded; what has no line
//! of its own is counted in a line of all others, so that totals stay right.

mod capture;
mod figures;
mod histogram;
mod in_flight;
mod lines;
mod measures;
mod pages;
mod repeats;
mod table;
mod text;
mod tokens;

pub(crate) use capture::Sample;
pub use capture::{CaptureSettings, Redaction};
pub use figures::Measured;
pub(crate) use figures::{Execution, Outcome};
pub(crate) use in_flight::{InFlight, Portal, Prepared};
pub use measures::MeasureSettings;
pub(crate) use measures::{ClientMeasure, Measures, PlaceInPool, Unknown};
pub use pages::{CapturedRow, MeasuredPage, MeasuredPart, NameRow, RepeatRow, StatementRow};
pub(crate) use repeats::Surrounding;
pub(crate) use table::Place;
pub(crate) use text::TEXT_BYTES_MAX;
