//! What values were before, by which trends are told.

use std::collections::{BTreeMap, VecDeque};

use super::report::{HealthReport, Thresholds, Trend};

/// Values of checks in the past.
pub trait Past {
    /// The value of a check some time ago, and how many seconds; the longer ago the better, up to about an hour.
    fn before(&self, id: &str) -> Option<(f64, f64)>;
}

/// Values of this process's own rounds, for an hour: a past where no history is kept.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    values: BTreeMap<String, VecDeque<(i64, f64)>>,
    now_s: i64,
}

/// How far back values are kept.
const SPAN_S: i64 = 3_600;
/// One a minute is enough for a trend.
const STEP_S: i64 = 60;
/// What is nearer is no trend.
const AGE_S_MIN: i64 = 60;

impl Remembered {
    /// Takes the values of a report.
    pub fn remember(&mut self, report: &HealthReport) {
        let now_s = report.taken_at.as_second();
        self.now_s = now_s;
        for check in &report.checks {
            let Some(value) = check.value else { continue };
            let values = self.values.entry(check.id.clone()).or_default();
            if values.back().is_none_or(|(at, _)| now_s - at >= STEP_S || now_s < *at) {
                values.push_back((now_s, value));
            }
            while values.front().is_some_and(|(at, _)| now_s - at > SPAN_S || now_s < *at) {
                values.pop_front();
            }
        }
    }
}

impl Past for Remembered {
    fn before(&self, id: &str) -> Option<(f64, f64)> {
        let (at, value) = self.values.get(id)?.front()?;
        let age = self.now_s - at;
        (age >= AGE_S_MIN).then_some((*value, age as f64))
    }
}

/// How a value moves, and when it is where nobody wants it at this pace.
#[must_use]
pub fn trend(value: f64, before: (f64, f64), thresholds: Option<Thresholds>) -> Option<Trend> {
    let (before, seconds) = before;
    if !(seconds > 0.0 && before.is_finite() && value.is_finite()) {
        return None;
    }
    let pace = (value - before) / seconds;
    let until = thresholds.filter(|at| at.critical.is_finite()).map(|at| (at.critical - value) / pace);
    // A pace of nothing gives no number, one away from the threshold a moment in the past.
    let seconds_until_critical = until.filter(|until| until.is_finite() && *until > 0.0);
    Some(Trend { before, seconds, seconds_until_critical })
}

/// As [`trend`], for how long something lasts that goes on: it grows by a second each second, whatever was before.
#[must_use]
pub fn trend_of_duration(seconds: f64, before: (f64, f64), thresholds: Option<Thresholds>) -> Option<Trend> {
    let left = thresholds.filter(|at| at.critical.is_finite()).map(|at| at.critical - seconds);
    // Where nothing lasts there is nothing to come.
    let seconds_until_critical = left.filter(|left| *left > 0.0 && seconds > 0.0);
    Some(Trend { seconds_until_critical, ..trend(seconds, before, thresholds)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_says_when() {
        let above = Some(Thresholds { warning: 80.0, critical: 90.0 });
        let below = Some(Thresholds { warning: 20.0, critical: 10.0 });
        for (value, before, thresholds, expected) in [
            // 10 points in 100 s: 20 more take 200 s.
            (70.0, (60.0, 100.0), above, Some(200.0)),
            (60.0, (70.0, 100.0), above, None),
            (60.0, (60.0, 100.0), above, None),
            (95.0, (90.0, 100.0), above, None),
            (30.0, (40.0, 100.0), below, Some(200.0)),
            (30.0, (20.0, 100.0), below, None),
            (30.0, (20.0, 100.0), None, None),
        ] {
            let trend = trend(value, before, thresholds).unwrap();
            assert_eq!(trend.seconds_until_critical, expected, "{value} after {before:?}");
        }
        assert_eq!(trend(1.0, (1.0, 0.0), above), None);
    }

    #[test]
    fn what_goes_on_grows_by_a_second_each_second() {
        let at = Some(Thresholds { warning: 60.0, critical: 600.0 });
        for (seconds, before, expected) in [
            // Another one has begun 90 s ago; that before was older, or was none.
            (90.0, (0.0, 3_000.0), Some(510.0)),
            (90.0, (300.0, 60.0), Some(510.0)),
            (600.0, (540.0, 60.0), None),
            (0.0, (300.0, 60.0), None),
        ] {
            let trend = trend_of_duration(seconds, before, at).unwrap();
            assert_eq!(trend.seconds_until_critical, expected, "{seconds}");
        }
    }
}
