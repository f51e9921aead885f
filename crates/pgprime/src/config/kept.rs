//! `[history]` and `[cache]`: what is kept, for how long, and in how many bytes.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use pgprime_advisor::history::Retention as StatementRetention;
use pgprime_monitor::history::Retention as SeriesRetention;
use serde::{Deserialize, Deserializer};

use crate::amount;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// Nobody compares with what is older, and calendars end.
const KEPT_MAX: Duration = Duration::from_secs(3_660 * 24 * 3_600);
/// A file that is smaller holds less than an hour.
const FILE_BYTES_MIN: u64 = 4 << 20;
const MEMORY_BYTES_MIN: u64 = 1 << 20;
const MEMORY_BYTES_MAX: u64 = 1 << 40;

/// `[history]`: the files of the past.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HistorySection {
    /// Where they are; `--state` wins over it.
    pub(crate) directory: Option<PathBuf>,
    /// Every round of checks is kept for this long; then minutes, then quarters of an hour.
    #[serde(deserialize_with = "time")]
    rounds_for: Duration,
    /// After this long nothing of a series is left.
    #[serde(deserialize_with = "time")]
    series_for: Duration,
    /// The file of series at most.
    #[serde(deserialize_with = "bytes")]
    series_size_max: u64,
    /// Between two readings of what statements did.
    #[serde(deserialize_with = "time")]
    pub(crate) statements_every: Duration,
    /// After this long nothing of it is left.
    #[serde(deserialize_with = "time")]
    statements_for: Duration,
    /// The file of statements at most.
    #[serde(deserialize_with = "bytes")]
    statements_size_max: u64,
}

impl Default for HistorySection {
    fn default() -> Self {
        let (series, statements) = (SeriesRetention::default(), StatementRetention::default());
        Self {
            directory: None,
            rounds_for: series.rounds_for,
            series_for: series.quarters_for,
            series_size_max: series.bytes_max,
            statements_every: MINUTE,
            statements_for: statements.days_for,
            statements_size_max: statements.bytes_max,
        }
    }
}

impl HistorySection {
    /// What holds for series. Minutes are kept for their usual time, as far as that fits in between.
    pub(crate) fn of_series(&self) -> SeriesRetention {
        let minutes_for = SeriesRetention::default().minutes_for.clamp(self.rounds_for, self.series_for);
        SeriesRetention {
            rounds_for: self.rounds_for,
            minutes_for,
            quarters_for: self.series_for,
            bytes_max: self.series_size_max,
        }
    }

    /// What holds for statements.
    pub(crate) fn of_statements(&self) -> StatementRetention {
        let usual = StatementRetention::default();
        StatementRetention {
            minutes_for: usual.minutes_for.min(self.statements_for),
            hours_for: usual.hours_for.min(self.statements_for),
            days_for: self.statements_for,
            bytes_max: self.statements_size_max,
        }
    }

    /// Whether it can be done.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        within("[history] rounds_for", self.rounds_for, HOUR, KEPT_MAX)?;
        within("[history] series_for", self.series_for, HOUR, KEPT_MAX)?;
        within("[history] statements_every", self.statements_every, 10 * SECOND, HOUR)?;
        within("[history] statements_for", self.statements_for, HOUR, KEPT_MAX)?;
        if self.series_for < self.rounds_for {
            bail!("[history] series_for is shorter than rounds_for: a round is part of its series");
        }
        for (name, size) in
            [("series_size_max", self.series_size_max), ("statements_size_max", self.statements_size_max)]
        {
            if size < FILE_BYTES_MIN {
                bail!("[history] {name}: give 4MB or more");
            }
        }
        Ok(())
    }
}

/// `[cache]`: for how long what was asked for is shown again without asking the database.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CacheSection {
    /// Figures whose declaration says nothing; taken into account where figures are read.
    #[serde(deserialize_with = "time")]
    figures_ttl: Duration,
    /// Statistics of statements, for REST and dashboard.
    #[serde(deserialize_with = "time")]
    pub(crate) statements_ttl: Duration,
    /// Advice on indexes, reports on space, the checklist.
    #[serde(deserialize_with = "time")]
    pub(crate) advice_ttl: Duration,
    /// Figures in memory at most.
    #[serde(deserialize_with = "bytes")]
    memory_max: u64,
    /// Whether to hear what other programs change, by the triggers or the publication of `pgprime cache`.
    pub(crate) listen: bool,
}

impl Default for CacheSection {
    fn default() -> Self {
        Self {
            figures_ttl: MINUTE,
            statements_ttl: 5 * SECOND,
            advice_ttl: MINUTE,
            memory_max: 16 << 20,
            listen: false,
        }
    }
}

impl CacheSection {
    pub(crate) fn memory_bytes_max(&self) -> usize {
        usize::try_from(self.memory_max).unwrap_or(usize::MAX)
    }

    /// Whether it can be done.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        within("[cache] figures_ttl", self.figures_ttl, SECOND, DAY)?;
        within("[cache] statements_ttl", self.statements_ttl, SECOND, HOUR)?;
        within("[cache] advice_ttl", self.advice_ttl, SECOND, DAY)?;
        if !(MEMORY_BYTES_MIN..=MEMORY_BYTES_MAX).contains(&self.memory_max) {
            bail!("[cache] memory_max: give 1MB to 1TB");
        }
        Ok(())
    }
}

pub(super) fn within(name: &str, time: Duration, least: Duration, most: Duration) -> anyhow::Result<()> {
    if (least..=most).contains(&time) {
        return Ok(());
    }
    bail!("{name}: give {} to {}", amount::time_text(least), amount::time_text(most));
}

pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    amount::time(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    amount::bytes(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(text: &str) -> Result<HistorySection, String> {
        let section: HistorySection = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        section.check().map_err(|error| error.to_string())?;
        Ok(section)
    }

    #[test]
    fn what_is_kept_is_what_was_asked_for() {
        assert_eq!(history("").unwrap().of_series(), SeriesRetention::default());
        assert_eq!(history("").unwrap().of_statements(), StatementRetention::default());
        let short =
            history("rounds_for = '2h'\nseries_for = '3d'\nstatements_for = '12h'\nseries_size_max = '8MB'")
                .unwrap();
        let (series, statements) = (short.of_series(), short.of_statements());
        assert_eq!((series.minutes_for, series.quarters_for, series.bytes_max), (3 * DAY, 3 * DAY, 8 << 20));
        assert_eq!((statements.minutes_for, statements.days_for), (12 * HOUR, 12 * HOUR));
        let long = history("rounds_for = '30d'").unwrap().of_series();
        assert_eq!((long.rounds_for, long.minutes_for), (30 * DAY, 30 * DAY));
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        for (text, said) in [
            ("rounds_for = '1m'", "[history] rounds_for: give 1h to 3660d"),
            ("rounds_for = '20d'\nseries_for = '10d'", "series_for is shorter than rounds_for"),
            ("series_size_max = '1MB'", "series_size_max: give 4MB or more"),
            ("series_size_max = '64'", "such as 64GB"),
            ("statements_every = '1s'", "statements_every: give 10s to 1h"),
            ("statements_for = 'soon'", "such as 30s"),
            ("series = '1d'", "unknown field `series`"),
        ] {
            let error = history(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
        let cache = |text: &str| toml::from_str::<CacheSection>(text).unwrap().check();
        assert!(cache("").is_ok());
        let said = cache("memory_max = '1kB'").unwrap_err().to_string();
        assert!(said.contains("[cache] memory_max: give 1MB"), "{said}");
        let said = cache("statements_ttl = '2h'").unwrap_err().to_string();
        assert!(said.contains("[cache] statements_ttl: give 1s to 1h"), "{said}");
    }
}
