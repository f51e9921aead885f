//! Counts and times of executions.

use super::histogram::{Histogram, bucket};

/// One execution, as it ended. Times are in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Execution {
    pub(crate) exec_us: u64,
    bucket: usize,
    pub(crate) wait_us: u64,
    pub(crate) outcome: Outcome,
}

/// How an execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Failed,
}

impl Execution {
    #[inline]
    pub(crate) fn new(exec_us: u64, wait_us: u64, outcome: Outcome) -> Self {
        Self { exec_us, bucket: bucket(exec_us), wait_us, outcome }
    }
}

/// What is added up of executions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    calls: u64,
    errors: u64,
    exec_us: u64,
    exec_us_max: u64,
    exec: Histogram,
    /// Only of those that waited at all.
    waits: Option<Box<Waits>>,
}

#[derive(Clone, Debug, Default)]
struct Waits {
    count: u64,
    wait_us: u64,
    waits: Histogram,
}

impl Figures {
    #[inline]
    pub(crate) fn count(&mut self, execution: &Execution) {
        self.calls += 1;
        self.exec_us += execution.exec_us;
        self.exec_us_max = self.exec_us_max.max(execution.exec_us);
        self.exec.count(execution.bucket);
        if execution.wait_us > 0 || execution.outcome == Outcome::Failed {
            self.count_rarely(execution);
        }
    }

    #[cold]
    fn count_rarely(&mut self, execution: &Execution) {
        self.errors += u64::from(execution.outcome == Outcome::Failed);
        if execution.wait_us > 0 {
            let waits = self.waits.get_or_insert_default();
            waits.count += 1;
            waits.wait_us += execution.wait_us;
            waits.waits.count(bucket(execution.wait_us));
        }
    }

    /// A statement that failed before it was executed.
    pub(crate) fn count_error(&mut self) {
        self.errors += 1;
    }

    /// Adds the figures of others.
    pub(crate) fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.errors += other.errors;
        self.exec_us += other.exec_us;
        self.exec_us_max = self.exec_us_max.max(other.exec_us_max);
        self.exec.add(&other.exec);
        if let Some(theirs) = &other.waits {
            let waits = self.waits.get_or_insert_default();
            waits.count += theirs.count;
            waits.wait_us += theirs.wait_us;
            waits.waits.add(&theirs.waits);
        }
    }

    /// What came since `earlier`. The longest of all stays the longest, which may have been before.
    fn since(&self, earlier: &Self) -> Self {
        let waits = self.waits.as_ref().map(|waits| {
            let none = Waits::default();
            let before = earlier.waits.as_deref().unwrap_or(&none);
            Box::new(Waits {
                count: waits.count.saturating_sub(before.count),
                wait_us: waits.wait_us.saturating_sub(before.wait_us),
                waits: waits.waits.since(&before.waits),
            })
        });
        Self {
            calls: self.calls.saturating_sub(earlier.calls),
            errors: self.errors.saturating_sub(earlier.errors),
            exec_us: self.exec_us.saturating_sub(earlier.exec_us),
            exec_us_max: self.exec_us_max,
            exec: self.exec.since(&earlier.exec),
            waits,
        }
    }
}

/// What has been measured of executions, to be added up over workers.
#[derive(Clone, Debug, Default)]
pub struct Measured(pub(crate) Figures);

impl Measured {
    /// Adds what another worker has measured.
    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0);
    }

    /// What was measured since `earlier`, a former state of the same. `exec_us_max` remains that of all.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self(self.0.since(&earlier.0))
    }

    /// Executions, those that failed included.
    pub fn calls(&self) -> u64 {
        self.0.calls
    }

    /// Executions that failed, and statements that failed to be prepared.
    pub fn errors(&self) -> u64 {
        self.0.errors
    }

    /// Time of all executions in microseconds.
    pub fn exec_us(&self) -> u64 {
        self.0.exec_us
    }

    /// Time of the longest one in microseconds.
    pub fn exec_us_max(&self) -> u64 {
        self.0.exec_us_max
    }

    /// Mean time of an execution in microseconds.
    pub fn exec_us_mean(&self) -> u64 {
        self.0.exec_us / self.0.calls.max(1)
    }

    /// The time in microseconds that this share of the executions does not exceed, give or take 6 %.
    pub fn exec_us_quantile(&self, share: f64) -> u64 {
        self.0.exec.quantile(share).min(self.0.exec_us_max)
    }

    /// Executions for which a client had to wait for a server.
    pub fn waited(&self) -> u64 {
        self.0.waits.as_ref().map_or(0, |waits| waits.count)
    }

    /// Time of all waiting in microseconds.
    pub fn wait_us(&self) -> u64 {
        self.0.waits.as_ref().map_or(0, |waits| waits.wait_us)
    }

    /// Mean time of waiting in microseconds over all executions, those that did not wait included.
    pub fn wait_us_mean(&self) -> u64 {
        self.wait_us() / self.0.calls.max(1)
    }

    /// The time of waiting in microseconds that this share of all executions does not exceed.
    pub fn wait_us_quantile(&self, share: f64) -> u64 {
        let Some(waits) = &self.0.waits else { return 0 };
        let calls = self.0.calls.max(waits.count) as f64;
        // Those that did not wait come first.
        let rank = calls * share - (calls - waits.count as f64);
        if rank <= 0.0 { 0 } else { waits.waits.quantile(rank / waits.count as f64) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_shares_of_all_executions() {
        let mut measured = Measured::default();
        for number in 0..100u64 {
            let wait_us = if number < 2 { 1_000 } else { 0 };
            let outcome = if number == 0 { Outcome::Failed } else { Outcome::Done };
            measured.0.count(&Execution::new(number, wait_us, outcome));
        }
        assert_eq!((measured.calls(), measured.errors(), measured.waited()), (100, 1, 2));
        assert_eq!((measured.wait_us_mean(), measured.wait_us_quantile(0.98)), (20, 0));
        assert!(measured.wait_us_quantile(0.99).abs_diff(1_000) < 60);
        assert!(measured.exec_us_quantile(0.5).abs_diff(49) < 4);
        let mut sum = measured.clone();
        sum.add(&measured);
        assert_eq!((sum.calls(), sum.exec_us(), sum.exec_us_max()), (200, 2 * 4_950, 99));
        assert_eq!(sum.exec_us_quantile(0.99), measured.exec_us_quantile(0.99));
        let later = sum.since(&measured);
        assert_eq!((later.calls(), later.errors(), later.waited(), later.exec_us()), (100, 1, 2, 4_950));
        assert_eq!(later.exec_us_quantile(0.5), measured.exec_us_quantile(0.5));
        assert_eq!(measured.since(&sum).calls(), 0, "what began anew");
    }
}
