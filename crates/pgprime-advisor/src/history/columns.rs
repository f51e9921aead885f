//! Columns of counters, moments and extremes.

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::Value;

use super::counters::{Counters, Extremes};

/// Columns of [`Extremes`], and how two rows become one.
const EXTREMES: &[(&str, Join)] = &[
    ("min_seen_ms", Join::Min),
    ("min_bound_ms", Join::Min),
    ("max_seen_ms", Join::Max),
    ("max_bound_ms", Join::Max),
];

/// How the values of two intervals become that of both.
#[derive(Debug, Clone, Copy)]
pub(super) enum Join {
    /// The lower; an unknown one does not count.
    Min,
    /// The higher; an unknown one does not count.
    Max,
    /// The sum.
    Sum,
    /// That of the later interval.
    Last,
}

/// Columns of a table that hold what is joined when intervals are.
pub(super) struct Columns(Vec<(&'static str, Join)>);

impl Columns {
    /// Of the table `usage`, beside its key.
    pub(super) fn of_usage() -> Self {
        let span = [("start_at", Join::Min), ("end_at", Join::Max)];
        let counters = Counters::NAMES.iter().map(|name| (*name, Join::Sum));
        Self(span.into_iter().chain(EXTREMES.iter().copied()).chain(counters).collect())
    }

    /// Of the table `coverage`, beside its key.
    pub(super) fn of_coverage() -> Self {
        let span = [("start_at", Join::Min), ("end_at", Join::Max)];
        let counts = ["recordings", "restarts", "resets", "evictions", "vanished", "begun_anew"];
        Self(span.into_iter().chain(counts.map(|name| (name, Join::Sum))).collect())
    }

    /// Of the table `point`, beside its key.
    pub(super) fn of_point() -> Self {
        Self(vec![
            ("start_at", Join::Min),
            // The last value goes by the end before this row changes it.
            ("last", Join::Last),
            ("end_at", Join::Max),
            ("count", Join::Sum),
            ("sum", Join::Sum),
            ("min", Join::Min),
            ("max", Join::Max),
        ])
    }

    /// `a, b, c`
    pub(super) fn names(&self) -> String {
        self.0.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// As many placeholders as columns, the first with this number.
    pub(super) fn placeholders(&self, first: usize) -> String {
        (first..first + self.0.len()).map(|number| format!("?{number}")).collect::<Vec<_>>().join(", ")
    }

    /// The columns of many rows as one, under their own names.
    pub(super) fn aggregates(&self, prefix: &str) -> String {
        let aggregate = |(name, join): &(&str, Join)| {
            let column = format!("{prefix}{name}");
            let value = match join {
                Join::Min => format!("min({column})"),
                Join::Max => format!("max({column})"),
                Join::Sum => format!("sum({column})"),
                Join::Last => {
                    format!("json_extract(json_group_array({column} ORDER BY {prefix}end_at), '$[#-1]')")
                }
            };
            format!("{value} AS {name}")
        };
        self.0.iter().map(aggregate).collect::<Vec<_>>().join(", ")
    }

    /// What makes an insertion an addition to the row that is there.
    pub(super) fn additions(&self, table: &str) -> String {
        let addition = |(name, join): &(&str, Join)| {
            let (old, new) = (format!("{table}.{name}"), format!("excluded.{name}"));
            let value = match join {
                Join::Min => format!("min(coalesce({old}, {new}), coalesce({new}, {old}))"),
                Join::Max => format!("max(coalesce({old}, {new}), coalesce({new}, {old}))"),
                Join::Sum => format!("{old} + {new}"),
                Join::Last => format!("iif(excluded.end_at >= {table}.end_at, {new}, {old})"),
            };
            format!("{name} = {value}")
        };
        self.0.iter().map(addition).collect::<Vec<_>>().join(", ")
    }
}

/// A moment as it is kept.
pub(super) fn micros(moment: Timestamp) -> i64 {
    moment.as_microsecond()
}

/// A moment that was kept; one that no calendar knows is the end of time.
pub(super) fn moment(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// A number that is never negative.
pub(super) fn count(row: &Row<'_>, name: &str) -> rusqlite::Result<u64> {
    let number: i64 = row.get(name)?;
    Ok(u64::try_from(number).unwrap_or(0))
}

pub(super) fn counters(row: &Row<'_>) -> rusqlite::Result<Counters> {
    Counters::from_names(|name| row.get(name))
}

pub(super) fn extremes(row: &Row<'_>) -> rusqlite::Result<Extremes> {
    Ok(Extremes {
        max_seen_ms: row.get("max_seen_ms")?,
        max_bound_ms: row.get("max_bound_ms")?,
        min_seen_ms: row.get("min_seen_ms")?,
        min_bound_ms: row.get("min_bound_ms")?,
    })
}

/// The values of a row of `usage` from its start on, in the order of [`Columns::of_usage`].
pub(super) fn usage_values(
    start: Timestamp,
    end: Timestamp,
    extremes: &Extremes,
    counters: &Counters,
) -> impl Iterator<Item = Value> {
    let seen = |value: Option<f64>| value.map_or(Value::Null, Value::Real);
    let head = [
        Value::Integer(micros(start)),
        Value::Integer(micros(end)),
        seen(extremes.min_seen_ms),
        Value::Real(extremes.min_bound_ms),
        seen(extremes.max_seen_ms),
        Value::Real(extremes.max_bound_ms),
    ];
    head.into_iter().chain(counters.values().map(Value::Real))
}
