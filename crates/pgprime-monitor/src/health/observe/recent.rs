//! What earlier looks of the past hour have seen, as far as later ones need it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::counters::{Checkpoints, Counters};

/// How far back samples go, in seconds.
const SPAN_S: f64 = 3_600.0;
/// Samples are at least this far apart.
const STEP_S: f64 = 5.0;
/// An hour of them, five seconds apart.
const SAMPLES_MAX: usize = 720;
/// What is written down of it is this far apart, in seconds.
const KEPT_STEP_S: f64 = 60.0;

/// Counters at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// By the server's clock, in seconds since 1970.
    pub at_s: f64,
    /// Where the WAL ended.
    pub wal_position: Option<u64>,
    /// What the database had counted.
    pub counters: Option<Counters>,
    /// Checkpoints so far.
    pub checkpoints: Option<Checkpoints>,
}

/// Counters of the past hour, oldest first. Of before the server's last start there is only what the database had counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recent(VecDeque<Sample>);

impl Recent {
    /// With one more sample, without those that are too old by now.
    #[must_use]
    pub fn with(mut self, sample: Sample, now_s: f64) -> Self {
        if self.0.back().is_none_or(|last| sample.at_s - last.at_s >= STEP_S) {
            self.0.push_back(sample);
        }
        while self.0.len() > SAMPLES_MAX || self.0.front().is_some_and(|first| now_s - first.at_s > SPAN_S) {
            self.0.pop_front();
        }
        self
    }

    /// Seconds since the first moment at which the WAL had gone beyond `position`, as far as was seen.
    #[must_use]
    pub fn seconds_since_wal_was_beyond(&self, position: u64, now_s: f64) -> Option<f64> {
        let beyond = self.0.iter().find(|sample| sample.wal_position.is_some_and(|wal| wal > position))?;
        Some((now_s - beyond.at_s).max(0.0))
    }

    /// How far back it goes, in seconds.
    #[must_use]
    pub fn span_s(&self, now_s: f64) -> Option<f64> {
        self.0.front().map(|first| (now_s - first.at_s).max(0.0))
    }

    /// The oldest counters that have led to these, with their moment. After a crash the server counts anew without saying so.
    #[must_use]
    pub fn counters_before(&self, now: &Counters) -> Option<(f64, Counters)> {
        let goes_on = |was: &Counters| {
            is_same(was.reset_s, now.reset_s)
                && was.commits <= now.commits
                && was.deadlocks <= now.deadlocks
                && was.temp_bytes <= now.temp_bytes
        };
        self.0.iter().find_map(|sample| Some((sample.at_s, sample.counters.filter(goes_on)?)))
    }

    /// The oldest count of checkpoints since the same reset, with its moment.
    #[must_use]
    pub fn checkpoints_since(&self, reset_s: Option<f64>) -> Option<(f64, Checkpoints)> {
        let of_reset = |was: &Checkpoints| is_same(was.reset_s, reset_s);
        self.0.iter().find_map(|sample| Some((sample.at_s, sample.checkpoints.filter(of_reset)?)))
    }

    /// As much of it as is worth writing down.
    pub(super) fn by_minutes(&self) -> Self {
        let mut kept: VecDeque<Sample> = VecDeque::new();
        for sample in &self.0 {
            if kept.back().is_none_or(|last| sample.at_s - last.at_s >= KEPT_STEP_S) {
                kept.push_back(*sample);
            }
        }
        Self(kept)
    }

    /// What of it holds after the server was started again.
    pub(super) fn of_an_earlier_run(&self) -> Self {
        let before = |sample: &Sample| Sample { wal_position: None, checkpoints: None, ..*sample };
        Self(self.0.iter().map(before).collect())
    }
}

/// Equal, whether or not one of them was written down in between.
fn is_same(one: Option<f64>, other: Option<f64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => (one - other).abs() < 0.001,
        (None, None) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_s: f64, wal: u64) -> Sample {
        Sample { at_s, wal_position: Some(wal), counters: Some(Counters::default()), checkpoints: None }
    }

    #[test]
    fn an_hour_is_kept_in_steps() {
        let mut recent = Recent::default();
        for second in 0..8_000 {
            let at = f64::from(second);
            recent = recent.with(sample(at, second as u64), at);
        }
        assert_eq!(recent.0.len(), 720);
        assert_eq!(recent.0.front().unwrap().at_s, 4_400.0);
        assert!(recent.clone().with(sample(20_000.0, 1), 20_000.0).0.len() == 1);
    }

    #[test]
    fn how_long_a_position_has_been_passed() {
        let mut recent = Recent::default();
        for (at, wal) in [(100.0, 10), (110.0, 10), (120.0, 30), (130.0, 30)] {
            recent = recent.with(sample(at, wal), at);
        }
        for (position, expected) in [(5, Some(40.0)), (10, Some(20.0)), (29, Some(20.0)), (30, None)] {
            assert_eq!(recent.seconds_since_wal_was_beyond(position, 140.0), expected, "{position}");
        }
    }

    #[test]
    fn counters_of_another_reset_do_not_count() {
        let old = Sample {
            counters: Some(Counters { reset_s: Some(1.0), ..Counters::default() }),
            ..sample(10.0, 0)
        };
        let new = Sample {
            counters: Some(Counters { reset_s: Some(2.0), ..Counters::default() }),
            ..sample(20.0, 0)
        };
        let recent = Recent::default().with(old, 30.0).with(new, 30.0);
        let now = |reset_s| Counters { reset_s, ..Counters::default() };
        assert_eq!(recent.counters_before(&now(Some(2.0))).unwrap().0, 20.0);
        assert_eq!(recent.counters_before(&now(None)), None);
    }

    #[test]
    fn counters_from_before_a_crash_do_not_count() {
        let counted = |at_s, deadlocks| Sample {
            counters: Some(Counters { deadlocks, ..Counters::default() }),
            ..sample(at_s, 0)
        };
        let recent = Recent::default().with(counted(10.0, 5), 30.0).with(counted(20.0, 0), 30.0);
        let since = |deadlocks| {
            recent.counters_before(&Counters { deadlocks, ..Counters::default() }).map(|(at_s, _)| at_s)
        };
        assert_eq!((since(5), since(1)), (Some(10.0), Some(20.0)));
    }

    #[test]
    fn what_is_written_down_is_the_same_when_it_is_read() {
        let mut recent = Recent::default();
        for second in 0..400 {
            let at = 1_763_888_400.123_456_7 + f64::from(second);
            recent = recent.with(Sample { checkpoints: Some(Checkpoints::default()), ..sample(at, 1) }, at);
        }
        let kept = recent.by_minutes();
        assert_eq!(kept.0.len(), 7);
        let read: Recent = serde_json::from_str(&serde_json::to_string(&kept).unwrap()).unwrap();
        assert!(read.counters_before(&Counters::default()).is_some());
        assert!(
            read.checkpoints_since(None).is_some()
                && read.of_an_earlier_run().checkpoints_since(None).is_none()
        );
    }
}
