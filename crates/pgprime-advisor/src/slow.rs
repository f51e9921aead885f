//! Slow statements, from pg_stat_statements by deltas between snapshots. Nothing is ever reset.
//!
//! [`snapshot`] reads everything at one moment, [`delta`] tells what happened between two of them, [`record`] keeps that
//! in a [`History`](crate::history::History), and [`report`] finds the slow ones of a period: what was recorded
//! ([`recorded`]), what happened between two snapshots ([`between`]), or all since the reset ([`since_reset`]).

mod console;
mod delta;
mod error;
mod period;
mod pooler;
mod read;
mod render;
mod repeats;
mod report;
mod since;
mod snapshot;
pub(crate) mod text;

pub use console::{ConsoleError, pooler_captures, pooler_statements};
pub use delta::{compare, delta};
pub use error::SlowError;
pub use period::{Basis, Period, between, known, record, recorded, since_reset};
pub use pooler::{PoolerCapture, PoolerFigures, PoolerRepeat, PoolerStatement, PoolerStatements};
pub use read::{snapshot, snapshot_except};
pub use render::{missing as missing_text, text as report_text};
pub use repeats::RepeatHint;
pub use report::{Databases, IfNone, Order, ReportOptions, SlowReport, SlowStatement, Sums, Trend, report};
pub use since::{SinceError, since};
pub use snapshot::{Hidden, Server, Snapshot, Tracking};
pub use text::is_own;
