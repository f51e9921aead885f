//! When to try again, and after which pause.

use std::time::Duration;

/// How often and for how long an operation is tried again, where that is safe.
///
/// The pause before attempt *n* is drawn evenly from zero to `pause_first` × 2ⁿ⁻¹, at most `pause_max` ("full jitter"), so
/// that many clients of one incident do not come back at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included. Default 5: four conflicts in a row say that waiting is not the cure.
    pub attempts_max: u32,
    /// No attempt begins later than this after the first. Default 10 s, as long as a request waits for a connection.
    pub time_max: Duration,
    /// The longest pause before the second attempt. Default 20 ms, about the length of a transaction.
    pub pause_first: Duration,
    /// The longest pause of all. Default 1 s.
    pub pause_max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts_max: 5,
            time_max: Duration::from_secs(10),
            pause_first: Duration::from_millis(20),
            pause_max: Duration::from_secs(1),
        }
    }
}

impl RetryPolicy {
    /// One attempt, whatever happens.
    pub const NEVER: Self = Self {
        attempts_max: 1,
        time_max: Duration::ZERO,
        pause_first: Duration::ZERO,
        pause_max: Duration::ZERO,
    };

    /// The pause after `failed` attempts (1 or more), or `None` when it is time to give up. `random` is from 0 to 1.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use pgprime_client::RetryPolicy;
    /// let policy = RetryPolicy::default();
    /// assert_eq!(policy.pause(1, Duration::ZERO, 1.0), Some(Duration::from_millis(20)));
    /// assert_eq!(policy.pause(3, Duration::ZERO, 0.5), Some(Duration::from_millis(40)));
    /// assert_eq!(policy.pause(5, Duration::ZERO, 0.5), None);
    /// ```
    pub fn pause(&self, failed: u32, elapsed: Duration, random: f64) -> Option<Duration> {
        let doublings = failed.saturating_sub(1).min(31);
        let pause_longest = self.pause_first.saturating_mul(1 << doublings).min(self.pause_max);
        let pause = pause_longest.mul_f64(random.clamp(0.0, 1.0));
        (failed < self.attempts_max && elapsed + pause <= self.time_max).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_attempts_end() {
        let policy =
            RetryPolicy { attempts_max: 9, time_max: Duration::from_secs(60), ..RetryPolicy::default() };
        let longest: Vec<Option<u128>> = (1..=9)
            .map(|failed| policy.pause(failed, Duration::ZERO, 1.0).map(|pause| pause.as_millis()))
            .collect();
        let expected = [20, 40, 80, 160, 320, 640, 1_000, 1_000].map(Some);
        assert_eq!(longest[..8], expected);
        assert_eq!(longest[8], None);
        assert_eq!(policy.pause(4, Duration::ZERO, 0.0), Some(Duration::ZERO));
    }

    #[test]
    fn time_is_bounded_too() {
        let policy = RetryPolicy::default();
        assert!(policy.pause(1, Duration::from_secs(9), 1.0).is_some());
        assert_eq!(policy.pause(1, Duration::from_millis(9_990), 1.0), None);
        assert_eq!(policy.pause(u32::MAX, Duration::ZERO, 1.0), None);
        assert_eq!(RetryPolicy::NEVER.pause(1, Duration::ZERO, 0.0), None);
    }
}
