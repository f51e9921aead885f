//! History: series of figures over time, for charts and trends.
//!
//! [`figures`] says which series a round gives. [`SeriesStore`] keeps them in one SQLite file, bounded in age and size;
//! [`Recorder`] does so beside the rounds, which never wait for the disk.

mod codec;
mod error;
mod figures;
pub(crate) mod file;
mod read;
mod recorder;
mod seal;
mod series;
mod sink;
mod store;
#[cfg(test)]
mod tests;
mod tier;

pub use error::StoreError;
pub(crate) use figures::busiest;
pub use figures::{Round, figures};
pub use recorder::Recorder;
pub(crate) use series::unit_from;
pub use series::{About, Bucket, Figure, Series, SeriesEntry, SeriesKind, SeriesName};
pub use sink::{CacheSource, HistorySink};
pub use store::{NAMES_MAX, POINTS_MAX, SERIES_MAX, SeriesStore};
pub use tier::Retention;
