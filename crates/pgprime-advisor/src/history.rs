//! An embedded history: what statements did, interval by interval, and any other number over time.
//!
//! It is one SQLite file, readable by its owner alone, which several processes may use at once. What is old is kept in
//! coarser intervals and then dropped, and the file's size is bounded: see [`Retention`]. A file that is damaged or of
//! another program is refused and left as it is.
//!
//! All calls block for as long as the disk takes. Time is passed in, never asked for.

mod columns;
mod counters;
mod error;
mod file;
mod query;
mod reading;
mod retention;
mod series;
mod write;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use counters::{Counters, Extremes};
pub use error::HistoryError;
pub use reading::{
    Coverage, Entry, Events, Identity, Interval, Reading, SourceKey, StatementKey, StatementTotals, Totals,
    Usage, UsagePoint,
};
pub use retention::Retention;
pub use series::Point;

/// A history in a file.
#[derive(Debug)]
pub struct History {
    connection: Connection,
    path: PathBuf,
    retention: Retention,
}

impl History {
    /// Opens the file; where there is none, it is created with its folder, readable by their owner alone.
    ///
    /// # Errors
    /// [`HistoryError`]; a file that cannot be used is left as it is.
    pub fn open(path: &Path, retention: Retention) -> Result<Self, HistoryError> {
        Ok(Self { connection: file::open(path)?, path: path.to_owned(), retention })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes in use, without pages that are free.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn bytes(&self) -> Result<u64, HistoryError> {
        retention::used_bytes(&self.connection).map_err(|error| self.error(error))
    }

    /// The servers that something is known of.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn sources(&self) -> Result<Vec<SourceKey>, HistoryError> {
        query::sources(&self.connection).map_err(|error| self.error(error))
    }

    /// The statements whose texts are kept already.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn known(&self, source: &SourceKey) -> Result<Vec<StatementKey>, HistoryError> {
        query::known(&self.connection, source).map_err(|error| self.error(error))
    }

    /// What was read last: the next interval begins there.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn last_reading(&self, source: &SourceKey) -> Result<Option<Reading>, HistoryError> {
        query::last_reading(&self.connection, source).map_err(|error| self.error(error))
    }

    /// Keeps what happened since the last reading, as `compare` finds it, and this reading in the place of the last.
    /// Whatever other processes do meanwhile, nothing is kept twice; a reading that is not newer than the last is not
    /// kept. Returns the interval; None for the first reading of a source, and for one that was not kept.
    ///
    /// # Errors
    /// [`HistoryError`]; nothing is kept then.
    pub fn record(
        &mut self,
        source: &SourceKey,
        reading: &Reading,
        identities: &[Identity],
        compare: impl FnOnce(&Reading, &Reading) -> Interval,
    ) -> Result<Option<Interval>, HistoryError> {
        self.change(|transaction| write::record(transaction, source, reading, identities, compare))
    }

    /// What all statements did between two moments; None when nothing is recorded. An interval that lies across a bound
    /// belongs to the side where its middle is, so that periods that follow one another share none.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn totals(
        &self,
        source: &SourceKey,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Option<Totals>, HistoryError> {
        query::totals(&self.connection, source, from, to).map_err(|error| self.error(error))
    }

    /// All that is recorded of a source; None when nothing is.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn coverage(&self, source: &SourceKey) -> Result<Option<Coverage>, HistoryError> {
        query::coverage(&self.connection, source, Timestamp::MIN, Timestamp::MAX)
            .map_err(|error| self.error(error))
    }

    /// The last interval, as kept, that has a part between two moments; None when there is none.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn coverage_around(
        &self,
        source: &SourceKey,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Option<Coverage>, HistoryError> {
        query::coverage_around(&self.connection, source, from, to).map_err(|error| self.error(error))
    }

    /// What one statement did, interval by interval, oldest first.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn statement_series(
        &self,
        source: &SourceKey,
        key: StatementKey,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<UsagePoint>, HistoryError> {
        query::statement_series(&self.connection, source, key, from, to).map_err(|error| self.error(error))
    }

    /// Keeps a number under a name and labels, such as `table_bytes` with `table = public.quotes`.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn append(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        at: Timestamp,
        value: f64,
    ) -> Result<(), HistoryError> {
        self.change(|transaction| series::append(transaction, name, labels, at, value))
    }

    /// The numbers kept under a name and labels between two moments, oldest first.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn series(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Point>, HistoryError> {
        series::points(&self.connection, name, labels, from, to).map_err(|error| self.error(error))
    }

    /// Rolls up and drops what is old, and keeps the file below its size. Cheap when there is nothing to do: to be called
    /// after each recording.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn prune(&mut self, now: Timestamp) -> Result<(), HistoryError> {
        let retention = self.retention;
        self.change(|transaction| retention::prune(transaction, &retention, now))?;
        retention::give_back(&self.connection).map_err(|error| self.error(error))
    }

    /// All or nothing. The lock for writing is taken first, so that nothing read in between can be outdated.
    fn change<T>(
        &mut self,
        action: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, HistoryError> {
        let connection = &mut self.connection;
        let done =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).and_then(|transaction| {
                let value = action(&transaction)?;
                transaction.commit()?;
                Ok(value)
            });
        done.map_err(|error| self.error(error))
    }

    fn error(&self, source: rusqlite::Error) -> HistoryError {
        HistoryError::sql(self.path.clone(), source)
    }
}
