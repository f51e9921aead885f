//! The pooler in front of the database, pgprime's own or PgBouncer, in one report.
//!
//! [`read_console`] asks either's console, [`of_handle`] the built-in one in the same process; [`read_sessions`] asks a console for
//! its clients and servers. [`rates`] tells what happened
//! between two reports, [`diagnose`] what is wrong and which setting changes it, [`check_settings`] how its settings compare
//! with a plan.

mod builtin;
mod console;
mod diagnosis;
mod rates;
mod report;
mod sessions;
mod settings;

pub use builtin::{latency, of_handle};
pub use console::{ConsoleError, read_console, read_version, settings as read_settings};
pub use diagnosis::{FindingSeverity, PoolerFinding, diagnose};
pub use rates::{PoolerRates, rates};
pub use report::{PoolerDatabase, PoolerKind, PoolerLatency, PoolerPool, PoolerReport, PoolerTotals};
pub use sessions::{PoolerSession, PoolerSessions, read_sessions};
pub use settings::check_settings;
