//! How finely figures are kept, for how long, and in how many bytes.

use std::time::Duration;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// For how long figures are kept, and how large the file may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Every round is kept for this long. Default 48 hours.
    pub rounds_for: Duration,
    /// Minutes are kept for this long. Default 14 days.
    pub minutes_for: Duration,
    /// Quarters of an hour are kept for this long. Default 400 days: a year can be compared with the one before.
    pub quarters_for: Duration,
    /// Bytes in use at most; when there are more, the oldest rounds go first, then minutes, then quarters. Default
    /// 256 MiB, enough for about 300 series.
    pub bytes_max: u64,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |days| Duration::from_secs(days * DAY as u64);
        Self { rounds_for: days(2), minutes_for: days(14), quarters_for: days(400), bytes_max: 256 << 20 }
    }
}

/// One way of keeping figures: in slots of a length, in chunks of a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tier {
    /// As they came, to the second, in hours.
    Rounds,
    /// Minutes, in hours.
    Minutes,
    /// Quarters of an hour, in days.
    Quarters,
}

const SERIES_BITS: u32 = 20;
const CHUNK_BITS: u32 = 30;

impl Tier {
    /// From the finest to the coarsest.
    pub(super) const ALL: [Self; 3] = [Self::Rounds, Self::Minutes, Self::Quarters];

    /// Seconds of a slot.
    pub(super) fn slot_s(self) -> i64 {
        match self {
            Self::Rounds => 1,
            Self::Minutes => 60,
            Self::Quarters => 900,
        }
    }

    /// Seconds that a value stands for.
    pub(super) fn value_s(self) -> i64 {
        match self {
            Self::Rounds => 10,
            Self::Minutes | Self::Quarters => self.slot_s(),
        }
    }

    /// Seconds of a chunk.
    pub(super) fn chunk_s(self) -> i64 {
        match self {
            Self::Rounds | Self::Minutes => HOUR,
            Self::Quarters => DAY,
        }
    }

    /// For how many seconds it is kept.
    pub(super) fn kept_s(self, retention: &Retention) -> i64 {
        let kept = match self {
            Self::Rounds => retention.rounds_for,
            Self::Minutes => retention.minutes_for,
            Self::Quarters => retention.quarters_for,
        };
        i64::try_from(kept.as_secs()).unwrap_or(i64::MAX)
    }

    /// The start of the chunk that holds a moment.
    pub(super) fn chunk_start(self, at: i64) -> i64 {
        at.div_euclid(self.chunk_s()) * self.chunk_s()
    }

    /// The key of a chunk: tier, chunk, series, from the highest bits to the lowest.
    pub(super) fn key(self, at: i64, series: u32) -> i64 {
        self.first_key(at) | i64::from(series) & ((1 << SERIES_BITS) - 1)
    }

    /// The lowest key of the chunks that hold a moment.
    pub(super) fn first_key(self, at: i64) -> i64 {
        let chunk = at.div_euclid(self.chunk_s()).clamp(0, (1 << CHUNK_BITS) - 1);
        (self as i64) << (SERIES_BITS + CHUNK_BITS) | chunk << SERIES_BITS
    }

    /// The lowest key of the tier.
    pub(super) fn lowest_key(self) -> i64 {
        self.first_key(0)
    }

    /// A key that is higher than all of the tier.
    pub(super) fn end_key(self) -> i64 {
        (self as i64 + 1) << (SERIES_BITS + CHUNK_BITS)
    }

    /// The moment at which the chunk of a key starts.
    pub(super) fn start_of(self, key: i64) -> i64 {
        (key >> SERIES_BITS & ((1 << CHUNK_BITS) - 1)) * self.chunk_s()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_tier_then_time_then_series() {
        let now = 1_763_900_000;
        let keys: Vec<i64> = Tier::ALL
            .iter()
            .flat_map(|tier| [tier.key(now, 1), tier.key(now, 900), tier.key(now + DAY, 1)])
            .collect();
        assert!(keys.is_sorted(), "{keys:?}");
        for tier in Tier::ALL {
            let key = tier.key(now, 77);
            assert_eq!(tier.start_of(key), tier.chunk_start(now));
            assert!(key >= tier.lowest_key() && key < tier.end_key());
        }
    }
}
