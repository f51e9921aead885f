//! What is counted of a statement.

use serde::Serialize;

macro_rules! counters {
    ($($(#[$meta:meta])* $name:ident,)*) => {
        /// What is counted of a statement, over an interval or since the beginning. All of it can be added up.
        ///
        /// Counts are whole numbers, exact up to 2^53; times are in milliseconds. What a version of PostgreSQL does not
        /// count, or is set not to, is zero.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
        pub struct Counters {
            $($(#[$meta])* pub $name: f64,)*
        }

        impl Counters {
            /// Names of the fields, which are also the names of the columns they are kept in.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

            /// The values in the order of [`Counters::NAMES`].
            pub(crate) fn values(&self) -> [f64; Self::NAMES.len()] {
                [$(self.$name),*]
            }

            /// The reverse of [`Counters::values`], from whatever knows a value by its name.
            pub(crate) fn from_names<E>(mut value: impl FnMut(&'static str) -> Result<f64, E>) -> Result<Self, E> {
                Ok(Self { $($name: value(stringify!($name))?),* })
            }
        }
    };
}

counters! {
    /// Executions.
    calls,
    /// Times it was planned, with `pg_stat_statements.track_planning`.
    plans,
    /// Time of planning.
    plan_ms,
    /// Time of execution.
    exec_ms,
    /// Sum of the squares of the times of execution, in ms².
    exec_ms_squares,
    /// Rows returned or changed.
    rows,
    /// Blocks found in shared buffers.
    shared_hit_blocks,
    /// Blocks read into shared buffers.
    shared_read_blocks,
    /// Blocks dirtied in shared buffers.
    shared_dirtied_blocks,
    /// Blocks of shared buffers written by the statement itself.
    shared_written_blocks,
    /// Blocks of temporary tables found in memory.
    local_hit_blocks,
    /// Blocks of temporary tables read.
    local_read_blocks,
    /// Blocks of temporary tables dirtied.
    local_dirtied_blocks,
    /// Blocks of temporary tables written.
    local_written_blocks,
    /// Blocks of sorts, hashes and the like read from disk.
    temp_read_blocks,
    /// Blocks of sorts, hashes and the like written to disk.
    temp_written_blocks,
    /// Time of reading blocks of tables and indexes, with `track_io_timing`.
    read_ms,
    /// Time of writing blocks of tables and indexes, with `track_io_timing`.
    write_ms,
    /// Time of reading temporary blocks, with `track_io_timing`; since version 15.
    temp_read_ms,
    /// Time of writing temporary blocks, with `track_io_timing`; since version 15.
    temp_write_ms,
    /// Records of the write-ahead log.
    wal_records,
    /// Full images of pages in the write-ahead log.
    wal_page_images,
    /// Bytes of the write-ahead log.
    wal_bytes,
    /// Functions compiled; since version 15.
    jit_functions,
    /// Time of compiling: generation, inlining, optimization, emission and, since 17, deforming; since version 15.
    jit_ms,
    /// Parallel workers that were planned to be launched; since version 18.
    parallel_workers_planned,
    /// Parallel workers that were launched; since version 18.
    parallel_workers_launched,
}

impl Counters {
    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.zip(other, |mine, others| mine + others)
    }

    /// What was counted since `earlier`; never negative.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        self.zip(earlier, |now, then| (now - then).max(0.0))
    }

    /// Whether a counter is lower than it was, which only a new beginning explains. Sums of squares are calculated
    /// from rounded means, so they do not count.
    #[must_use]
    pub fn went_down_since(&self, earlier: &Self) -> bool {
        let exact = |values: [f64; Self::NAMES.len()]| {
            Self::NAMES
                .iter()
                .zip(values)
                .filter(|(name, _)| !name.ends_with("_squares"))
                .map(|(_, value)| value)
        };
        exact(self.values()).zip(exact(earlier.values())).any(|(now, then)| now < then)
    }

    /// Mean time of an execution; None without one.
    #[must_use]
    pub fn exec_ms_mean(&self) -> Option<f64> {
        (self.calls > 0.0).then(|| self.exec_ms / self.calls)
    }

    /// Standard deviation of the times of execution, over all of them as PostgreSQL has it; None without one.
    ///
    /// ```
    /// # use pgprime_advisor::history::Counters;
    /// // 1, 3 and 5 ms: the variance is the mean of the squares less the square of the mean, 35/3 − 9.
    /// let counters = Counters { calls: 3.0, exec_ms: 9.0, exec_ms_squares: 35.0, ..Counters::default() };
    /// let expected = (35.0_f64 / 3.0 - 9.0).sqrt();
    /// assert!((counters.exec_ms_stddev().unwrap() - expected).abs() < 1e-12);
    /// ```
    #[must_use]
    pub fn exec_ms_stddev(&self) -> Option<f64> {
        let mean = self.exec_ms_mean()?;
        Some((self.exec_ms_squares / self.calls - mean * mean).max(0.0).sqrt())
    }

    fn zip(&self, other: &Self, join: impl Fn(f64, f64) -> f64) -> Self {
        let others = other.values();
        let mut values = self.values().into_iter().zip(others).map(|(mine, other)| join(mine, other));
        let joined: Result<Self, std::convert::Infallible> =
            Self::from_names(|_name| Ok(values.next().unwrap_or(0.0)));
        match joined {
            Ok(counters) => counters,
        }
    }
}

/// The shortest and the longest execution of an interval, as far as they are known.
///
/// PostgreSQL keeps them since the beginning. One that moved within an interval happened in it; one that did not move only
/// bounds what happened.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Extremes {
    /// The longest execution that certainly happened in the interval, in milliseconds.
    pub max_seen_ms: Option<f64>,
    /// No execution of the interval took longer; infinite when nothing is known.
    pub max_bound_ms: f64,
    /// The shortest execution that certainly happened in the interval, in milliseconds.
    pub min_seen_ms: Option<f64>,
    /// No execution of the interval was shorter.
    pub min_bound_ms: f64,
}

impl Default for Extremes {
    fn default() -> Self {
        Self::NONE
    }
}

impl Extremes {
    /// Of an interval without executions.
    pub const NONE: Self =
        Self { max_seen_ms: None, max_bound_ms: 0.0, min_seen_ms: None, min_bound_ms: f64::INFINITY };
    /// Of an interval of which nothing is known.
    pub const UNKNOWN: Self =
        Self { max_seen_ms: None, max_bound_ms: f64::INFINITY, min_seen_ms: None, min_bound_ms: 0.0 };

    /// Both known exactly.
    #[must_use]
    pub fn exact(min_ms: f64, max_ms: f64) -> Self {
        Self {
            max_seen_ms: Some(max_ms),
            max_bound_ms: max_ms,
            min_seen_ms: Some(min_ms),
            min_bound_ms: min_ms,
        }
    }

    /// The longest execution, if it is known to belong to the interval.
    #[must_use]
    pub fn max_ms(&self) -> Option<f64> {
        self.max_seen_ms.filter(|seen| *seen >= self.max_bound_ms)
    }

    /// The shortest execution, if it is known to belong to the interval.
    #[must_use]
    pub fn min_ms(&self) -> Option<f64> {
        self.min_seen_ms.filter(|seen| *seen <= self.min_bound_ms)
    }

    /// Of both intervals together.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let either =
            |mine: Option<f64>, others: Option<f64>, choose: fn(f64, f64) -> f64| match (mine, others) {
                (Some(mine), Some(others)) => Some(choose(mine, others)),
                (mine, others) => mine.or(others),
            };
        Self {
            max_seen_ms: either(self.max_seen_ms, other.max_seen_ms, f64::max),
            max_bound_ms: self.max_bound_ms.max(other.max_bound_ms),
            min_seen_ms: either(self.min_seen_ms, other.min_seen_ms, f64::min),
            min_bound_ms: self.min_bound_ms.min(other.min_bound_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_differences_and_going_down() {
        let one =
            Counters { calls: 2.0, exec_ms: 10.0, exec_ms_squares: 60.0, rows: 4.0, ..Counters::default() };
        let two = one.plus(&one);
        assert_eq!((two.calls, two.exec_ms, two.rows), (4.0, 20.0, 8.0));
        assert_eq!(two.since(&one), one);
        assert_eq!(one.since(&two), Counters::default(), "never negative");
        assert!(one.went_down_since(&two) && !two.went_down_since(&one));
        let rounded = Counters { exec_ms_squares: 59.9, ..one };
        assert!(!rounded.went_down_since(&one), "sums of squares are rounded");
        assert_eq!((Counters::default().exec_ms_mean(), Counters::default().exec_ms_stddev()), (None, None));
        let same = Counters { calls: 3.0, exec_ms: 0.3, exec_ms_squares: 0.029_999, ..Counters::default() };
        assert_eq!(same.exec_ms_stddev(), Some(0.0), "rounding never makes it imaginary");
    }

    #[test]
    fn a_maximum_is_known_only_where_it_belongs() {
        let known = Extremes::exact(1.0, 50.0);
        let bounded = |max| Extremes { max_bound_ms: max, min_bound_ms: 0.5, ..Extremes::NONE };
        let table = [
            (known.union(&Extremes::NONE), Some(1.0), Some(50.0)),
            (known.union(&bounded(50.0)), None, Some(50.0)),
            (known.union(&bounded(51.0)), None, None),
            (known.union(&Extremes::exact(0.2, 7.0)), Some(0.2), Some(50.0)),
            (Extremes::NONE.union(&known), Some(1.0), Some(50.0)),
            (known.union(&Extremes::UNKNOWN), None, None),
            (Extremes::NONE, None, None),
        ];
        for (extremes, min, max) in table {
            assert_eq!((extremes.min_ms(), extremes.max_ms()), (min, max), "{extremes:?}");
        }
    }
}
