//! What earlier looks of the past hour have seen, as far as later ones need it.

use std::collections::VecDeque;

use super::counters::{Checkpoints, Counters};

/// How far back samples go, in seconds.
const SPAN_S: f64 = 3_600.0;
/// Samples are at least this far apart.
const STEP_S: f64 = 5.0;
/// An hour of them, five seconds apart.
const SAMPLES_MAX: usize = 720;

/// Counters at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
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

/// Counters of the past hour, oldest first, since the server's last start.
#[derive(Clone, Debug, Default, PartialEq)]
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

    /// The oldest counters since the same reset, with their moment.
    #[must_use]
    pub fn counters_since(&self, reset_s: Option<f64>) -> Option<(f64, Counters)> {
        self.0
            .iter()
            .find_map(|sample| Some((sample.at_s, sample.counters.filter(|was| was.reset_s == reset_s)?)))
    }

    /// The oldest count of checkpoints since the same reset, with its moment.
    #[must_use]
    pub fn checkpoints_since(&self, reset_s: Option<f64>) -> Option<(f64, Checkpoints)> {
        self.0
            .iter()
            .find_map(|sample| Some((sample.at_s, sample.checkpoints.filter(|was| was.reset_s == reset_s)?)))
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
        assert_eq!(recent.counters_since(Some(2.0)).unwrap().0, 20.0);
        assert_eq!(recent.counters_since(None), None);
    }
}
