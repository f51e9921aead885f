//! When a view is to be refreshed, and lengths of time as people write them.

use std::fmt;
use std::time::Duration;

use croner::Cron;
use croner::parser::CronParser;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An interval below this would have the database do nothing else.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Far enough for every purpose, and far from where times end.
const INTERVAL_MAX: Duration = Duration::from_secs(366 * 86_400);

/// When a view is to be refreshed: every so often, or at times of the clock.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// This long after it was last refreshed, or last found to be up to date: `15m`, `1h30m`.
    Every(Duration),
    /// At these times: a cron pattern of five fields, `0 3 * * *`.
    At(Box<CronTimes>),
}

/// A cron pattern, with its time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct CronTimes {
    cron: Cron,
    time_zone: TimeZone,
}

impl Schedule {
    /// Reads an interval or a cron pattern; a pattern is for times of UTC.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(every) = duration(text) {
            return if (INTERVAL_MIN..=INTERVAL_MAX).contains(&every) {
                Ok(Self::Every(every))
            } else {
                Err(format!("{text}: an interval is from 1s to 366d"))
            };
        }
        let cron = CronParser::new().parse(text).map_err(|error| {
            let why = misfit(text).unwrap_or_else(|| error.to_string());
            format!("{text:?} is neither an interval, as 15m, nor a cron pattern: {why}")
        })?;
        let times = Self::At(Box::new(CronTimes { cron, time_zone: TimeZone::UTC }));
        match times.next_after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(times),
            None => Err(format!("{text:?} has no time that ever comes")),
        }
    }

    /// The same times of the clock of another zone, as `Europe/Berlin`; an interval is the same everywhere.
    ///
    /// # Errors
    /// There is no such zone.
    pub fn in_time_zone(self, name: &str) -> Result<Self, String> {
        let time_zone =
            TimeZone::get(name).map_err(|_| format!("{name:?} is not a time zone; try Europe/Berlin"))?;
        Ok(match self {
            Self::At(times) => Self::At(Box::new(CronTimes { time_zone, ..*times })),
            every @ Self::Every(_) => every,
        })
    }

    /// The first time after `last`; `None` where there is none before time ends.
    #[must_use]
    pub fn next_after(&self, last: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every(every) => Some(later(last, *every)),
            Self::At(times) => {
                let last = last.to_zoned(times.time_zone.clone());
                times.cron.find_next_occurrence(&last, false).ok().map(|next| next.timestamp())
            }
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(every) => formatter.write_str(&duration_text(*every)),
            Self::At(times) => formatter.write_str(times.cron.as_str()),
        }
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Which field of a pattern is wrong, if it is one alone.
fn misfit(text: &str) -> Option<String> {
    const FIELDS: [&str; 5] = ["minute", "hour", "day of the month", "month", "day of the week"];
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Some(format!("that has five fields, {}; here are {}", FIELDS.join(", "), fields.len()));
    }
    let alone = |place: usize, field: &str| {
        let mut pattern = ["*"; FIELDS.len()];
        pattern.iter_mut().skip(place).take(1).for_each(|one| *one = field);
        CronParser::new().parse(&pattern.join(" ")).err()
    };
    fields.iter().zip(FIELDS).enumerate().find_map(|(place, (field, name))| {
        alone(place, field).map(|error| format!("its {name}, {field}: {error}"))
    })
}

/// `time` and this long after, or the end of time.
pub(crate) fn later(time: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// From `earlier` to `now`; nothing where that is not earlier.
pub(crate) fn since(earlier: Timestamp, now: Timestamp) -> Duration {
    now.duration_since(earlier).try_into().unwrap_or(Duration::ZERO)
}

/// A length of time: `90s`, `15m`, `1h30m`, `7d`; `None` for what is none.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|letter: char| letter.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        millis = millis.checked_add(number.parse::<u64>().ok()?.checked_mul(unit_ms)?)?;
        rest = after;
    }
    (!text.is_empty()).then(|| Duration::from_millis(millis))
}

/// A length of time as [`duration`] reads it, in at most two units.
pub(crate) fn duration_text(duration: Duration) -> String {
    const UNITS: [(u64, &str); 5] =
        [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    for (unit, name) in UNITS {
        if rest >= unit && parts.len() < 2 {
            parts.push(format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.concat() }
}

/// Serde's way of reading a [`Duration`] written as in `15m`.
pub(crate) mod duration_field {
    use super::{Deserialize, Deserializer, Duration, Serializer, duration, duration_text};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let read = duration(text.trim()).filter(|read| !read.is_zero() && *read <= super::INTERVAL_MAX);
        read.map(Some).ok_or_else(|| {
            serde::de::Error::custom(format!("{text:?} is not a length of time; write 90s, 15m, 1h30m or 7d"))
        })
    }

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.serialize_str(&duration_text(*value)),
            None => serializer.serialize_none(),
        }
    }
}

/// The same for what is always said.
pub(crate) mod length {
    use super::{Deserializer, Duration, Serializer, duration_field};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        // It is never nothing: what cannot be read is refused.
        Ok(duration_field::deserialize(deserializer)?.unwrap_or_default())
    }

    pub(crate) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        duration_field::serialize(&Some(*value), serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, zone: Option<&str>, last: &str) -> Option<String> {
        let schedule = Schedule::parse(schedule).unwrap();
        let schedule = zone.map_or(schedule.clone(), |zone| schedule.in_time_zone(zone).unwrap());
        schedule.next_after(last.parse().unwrap()).map(|next| next.to_string())
    }

    #[test]
    fn times() {
        let spring = "2025-03-29T12:00:00Z";
        for (schedule, zone, last, expected) in [
            ("15m", None, "2025-01-01T00:00:00Z", "2025-01-01T00:15:00Z"),
            ("1h30m", None, "2025-01-01T00:00:00Z", "2025-01-01T01:30:00Z"),
            ("*/15 * * * *", None, "2025-01-01T00:00:00Z", "2025-01-01T00:15:00Z"),
            ("*/15 * * * *", None, "2025-01-01T00:14:59.9Z", "2025-01-01T00:15:00Z"),
            ("0 3 * * *", None, spring, "2025-03-30T03:00:00Z"),
            ("0 4 * * *", Some("Europe/Berlin"), spring, "2025-03-30T02:00:00Z"),
            // An hour that is skipped in spring.
            ("30 2 * * *", Some("Europe/Berlin"), spring, "2025-03-30T01:00:00Z"),
            // One that comes twice in autumn: once, and not again in its second hour.
            ("30 2 * * *", Some("Europe/Berlin"), "2025-10-25T12:00:00Z", "2025-10-26T00:30:00Z"),
            ("30 2 * * *", Some("Europe/Berlin"), "2025-10-26T00:30:00Z", "2025-10-27T01:30:00Z"),
            ("*/15 * * * *", Some("Europe/Berlin"), "2025-10-26T00:45:00Z", "2025-10-26T01:00:00Z"),
            ("0 * * * *", Some("Europe/Berlin"), "2025-03-30T00:00:00Z", "2025-03-30T01:00:00Z"),
            ("*/7 * * * *", None, "2025-01-01T00:56:00Z", "2025-01-01T01:00:00Z"),
            // Day of the month or of the week, whichever comes first, as cron has it.
            ("0 3 13 * 5", None, "2025-01-01T00:00:00Z", "2025-01-03T03:00:00Z"),
            ("0 3 13 * 5", None, "2025-01-10T12:00:00Z", "2025-01-13T03:00:00Z"),
            ("0 0 29 2 *", None, "2025-03-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("@daily", None, "2025-01-01T00:00:00Z", "2025-01-02T00:00:00Z"),
            ("0 3 * * SUN", None, "2025-01-01T00:00:00Z", "2025-01-05T03:00:00Z"),
            ("0 3 * * 7", None, "2025-01-01T00:00:00Z", "2025-01-05T03:00:00Z"),
        ] {
            assert_eq!(next(schedule, zone, last).as_deref(), Some(expected), "{schedule}");
        }
    }

    #[test]
    fn what_is_refused() {
        for text in [
            "",
            "soon",
            "0s",
            "500ms",
            "9999d",
            "1000 years",
            "-5m",
            "1.5h",
            "99999999999999999999d",
            "61 * * * *",
            "* * *",
            "15",
            "0 0 30 2 *",
            "*/0 * * * *",
            "0 3 * * MOO",
            "0 24 * * *",
            "0 3 0 * *",
            "é * * * *",
        ] {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
        for (text, said) in [
            ("61 * * * *", "its minute, 61: "),
            ("0 3 * * MOO", "its day of the week, MOO: "),
            ("0 3 0 * *", "its day of the month, 0: "),
            ("* * *", "five fields, minute, hour, day of the month, month, day of the week; here are 3"),
        ] {
            let error = Schedule::parse(text).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
        assert!(Schedule::parse("0 3 * * *").unwrap().in_time_zone("Mars/Olympus").is_err());
    }

    #[test]
    fn durations() {
        for (text, millis) in [
            ("90s", Some(90_000)),
            ("1h30m", Some(5_400_000)),
            ("7d", Some(604_800_000)),
            ("", None),
            ("5x", None),
        ] {
            assert_eq!(duration(text).map(|read| read.as_millis()), millis, "{text}");
        }
        assert_eq!(duration("99999999999999999999d"), None);
        assert_eq!(duration_text(Duration::from_secs(5_400)), "1h30m");
        assert_eq!(duration_text(Duration::from_millis(1_250)), "1s250ms");
    }
}
