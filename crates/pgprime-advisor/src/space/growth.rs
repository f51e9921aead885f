//! How tables have grown, by sizes that a history keeps.

use std::time::Duration;

use jiff::Timestamp;

use super::relations::Growth;
use super::report::SpaceReport;
use crate::history::{History, HistoryError};

/// The name of the sizes in a history.
const NAME: &str = "table_bytes";
/// Tables whose sizes are kept, the largest first.
const TABLES_MAX: usize = 100;
/// Growth is told since this long ago, unless asked otherwise.
const SINCE: Duration = Duration::from_secs(30 * 86_400);

/// Tells how the largest tables have grown since they were first recorded, or since then, and records their sizes. The label is
/// the server's host and port.
///
/// # Errors
/// [`HistoryError`].
pub fn remember(
    history: &mut History,
    report: &mut SpaceReport,
    label: &str,
    since: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), HistoryError> {
    let from = since.or_else(|| now.checked_sub(SINCE).ok()).unwrap_or(now);
    let database = report.server.database.clone();
    for table in report.tables.iter_mut().take(TABLES_MAX) {
        let labels =
            [("server", label), ("database", database.as_str()), ("table", table.qualified.as_str())];
        let first = history.series(NAME, &labels, from, now)?.into_iter().next();
        table.growth = first.map(|point| Growth {
            bytes: table.total_bytes.cast_signed() - point.last as i64,
            seconds: now.duration_since(point.end).as_secs_f64(),
        });
        history.append(NAME, &labels, now, table.total_bytes as f64)?;
    }
    history.prune(now)
}
