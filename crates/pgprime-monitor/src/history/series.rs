//! Names of series, what they are about, and their values.

use serde::{Deserialize, Serialize};

use crate::health::Unit;

/// The name of a series: the id of a check, such as `connections.used`, or of a figure, such as
/// `pooler.transactions_per_s`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeriesName(String);

/// Bytes of a name that are kept.
const NAME_BYTES_MAX: usize = 200;

impl SeriesName {
    /// A name; one that is too long is cut.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let end = (0..=NAME_BYTES_MAX.min(name.len())).rev().find(|at| name.is_char_boundary(*at));
        Self(name[..end.unwrap_or(0)].to_owned())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for SeriesName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a series holds values at moments, or what happened between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeriesKind {
    /// Values at moments.
    Gauge,
    /// Something per second, or a mean over the time since the value before.
    Rate,
}

/// What a series is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct About {
    /// Its title, such as `Connections in use`.
    pub title: String,
    /// The unit of its values.
    pub unit: Unit,
    /// What it belongs to, as in a health report, such as `connections`.
    pub group: String,
    /// What its values are.
    pub kind: SeriesKind,
}

/// A value for a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Which series.
    pub name: SeriesName,
    /// What it is about.
    pub about: About,
    /// The value; one that is not finite is not kept.
    pub value: f64,
}

/// A series that is kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeriesEntry {
    /// Its name.
    pub name: SeriesName,
    /// What it is about.
    #[serde(flatten)]
    pub about: About,
    /// When its first value was kept.
    pub first_at: jiff::Timestamp,
    /// When its last value was kept; up to an hour behind after a restart.
    pub last_at: jiff::Timestamp,
}

/// A stretch of a series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bucket {
    /// Its start, in seconds since 1970.
    pub at: i64,
    /// Mean of its values; `None` where there are none.
    pub mean: Option<f64>,
    /// The highest; `None` where there are none.
    pub max: Option<f64>,
}

/// A series between two moments.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Series {
    /// Its name.
    pub name: SeriesName,
    /// What it is about.
    #[serde(flatten)]
    pub about: About,
    /// The length of a bucket, in seconds.
    pub bucket_s: i64,
    /// Its buckets without a hole, oldest first.
    pub buckets: Vec<Bucket>,
}

/// The unit as it is kept: as it is written in JSON.
pub(super) fn unit_text(unit: Unit) -> String {
    serde_json::to_value(unit).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The reverse of [`unit_text`]; what a newer version wrote is a count.
pub(crate) fn unit_from(text: &str) -> Unit {
    const ALL: [Unit; 7] = [
        Unit::Percent,
        Unit::Seconds,
        Unit::Milliseconds,
        Unit::Bytes,
        Unit::Count,
        Unit::PerSecond,
        Unit::Transactions,
    ];
    ALL.into_iter().find(|unit| unit_text(*unit) == text).unwrap_or(Unit::Count)
}
