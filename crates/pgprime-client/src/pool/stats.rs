//! What a pool counts.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::report::{ClosedTotals, Percentiles};

/// Counters since the start.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) arrivals: u64,
    pub(super) acquired: u64,
    pub(super) waited: u64,
    pub(super) exhausted: u64,
    pub(super) connect_errors: u64,
    pub(super) opened: u64,
    pub(super) closed: ClosedTotals,
    pub(super) leaked: u64,
    pub(super) cleaned: u64,
    pub(super) completions: u64,
    pub(super) held: Duration,
}

/// Why a connection is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Lifetime,
    Idle,
    Died,
    Unclean,
    Discarded,
    Evicted,
    Shutdown,
}

impl ClosedTotals {
    pub(super) fn count(&mut self, end: End) {
        let total = match end {
            End::Lifetime => &mut self.lifetime,
            End::Idle => &mut self.idle,
            End::Died => &mut self.died,
            End::Unclean => &mut self.unclean,
            End::Discarded => &mut self.discarded,
            End::Evicted => &mut self.evicted,
            End::Shutdown => &mut self.shutdown,
        };
        *total += 1;
    }
}

/// The longest time told apart: an hour, in µs.
const TIME_US_MAX: u64 = 3_600_000_000;

/// Times of the last one to two minutes: what an average since the start would hide.
#[derive(Debug)]
pub(super) struct Recent {
    current: Histogram<u32>,
    /// Times of zero not in `current` yet: counting them one by one is most of what a check-out would record.
    zeros: u64,
    previous: Histogram<u32>,
}

impl Recent {
    pub(super) fn new() -> Self {
        let empty =
            || Histogram::new_with_bounds(1, TIME_US_MAX, 2).expect("the bounds are constants in range");
        Self { current: empty(), zeros: 0, previous: empty() }
    }

    /// Counts a time; microseconds are as fine as it gets.
    pub(super) fn record(&mut self, time: Duration) {
        self.current.saturating_record(u64::try_from(time.as_micros()).unwrap_or(TIME_US_MAX));
    }

    /// Counts a time of zero.
    pub(super) fn record_zero(&mut self) {
        self.zeros += 1;
    }

    /// A minute is over.
    pub(super) fn turn(&mut self) {
        add_zeros(&mut self.current, std::mem::take(&mut self.zeros));
        std::mem::swap(&mut self.current, &mut self.previous);
        self.current.reset();
    }

    pub(super) fn percentiles(&self) -> Percentiles {
        let mut all = self.current.clone();
        add_zeros(&mut all, self.zeros);
        if all.add(&self.previous).is_err() || all.is_empty() {
            return Percentiles::default();
        }
        let ms = |us: u64| us as f64 / 1_000.0;
        Percentiles {
            p50: ms(all.value_at_quantile(0.5)),
            p95: ms(all.value_at_quantile(0.95)),
            p99: ms(all.value_at_quantile(0.99)),
            max: ms(all.max()),
        }
    }
}

fn add_zeros(times: &mut Histogram<u32>, zeros: u64) {
    times.saturating_record_n(0, u32::try_from(zeros).unwrap_or(u32::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_after_two_minutes_and_is_off_by_a_hundredth_at_most() {
        let mut recent = Recent::new();
        assert_eq!(recent.percentiles(), Percentiles::default());
        for ms in 2..=100 {
            recent.record(Duration::from_millis(ms));
        }
        recent.record_zero();
        recent.turn();
        let found = recent.percentiles();
        for (found, expected) in [(found.p50, 50.0), (found.p95, 95.0), (found.p99, 99.0), (found.max, 100.0)]
        {
            assert!((found / expected - 1.0_f64).abs() < 0.01, "{found} for {expected}");
        }
        recent.turn();
        assert_eq!(recent.percentiles(), Percentiles::default());
        recent.record(Duration::MAX);
        assert!(recent.percentiles().max >= 3_600_000.0);
    }
}
