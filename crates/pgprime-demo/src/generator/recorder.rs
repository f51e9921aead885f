//! Latencies and errors of a run.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longest latency that is told apart, in microseconds; longer ones count as this.
const LATENCY_US_MAX: u64 = 600_000_000;
/// Error messages that are kept; all are counted.
const SAMPLES_MAX: usize = 5;

/// Errors of a run: of the server, of connections, and answers that are not the ones asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Errors {
    /// How many there were.
    pub count: u64,
    /// The first few different ones.
    pub samples: Vec<String>,
}

impl Errors {
    pub(crate) fn add(&mut self, text: impl Into<String>) {
        self.count += 1;
        let text = text.into();
        if self.samples.len() < SAMPLES_MAX && !self.samples.contains(&text) {
            self.samples.push(text);
        }
    }

    /// Those of another run, too.
    pub(crate) fn merge(&mut self, other: Self) {
        self.count += other.count;
        for text in other.samples {
            if self.samples.len() < SAMPLES_MAX && !self.samples.contains(&text) {
                self.samples.push(text);
            }
        }
    }
}

/// Percentiles of latencies.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// What was measured.
    pub name: String,
    /// Requests measured.
    pub count: u64,
    /// Median, in microseconds.
    pub p50_us: u64,
    /// 95th percentile, in microseconds.
    pub p95_us: u64,
    /// 99th percentile, in microseconds.
    pub p99_us: u64,
    /// The longest, in microseconds.
    pub max_us: u64,
}

impl Latency {
    fn of(name: &str, histogram: &Histogram<u64>) -> Self {
        Self {
            name: name.to_owned(),
            count: histogram.len(),
            p50_us: histogram.value_at_quantile(0.50),
            p95_us: histogram.value_at_quantile(0.95),
            p99_us: histogram.value_at_quantile(0.99),
            max_us: histogram.max(),
        }
    }
}

/// The latencies of runs, so that those of several can be added up.
#[derive(Clone, Debug)]
pub(crate) struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        Self(histogram())
    }
}

impl Times {
    /// Those of another run, too.
    pub(crate) fn add(&mut self, other: &Self) {
        let _ = self.0.add(&other.0);
    }

    /// Their percentiles.
    pub(crate) fn latency(&self, name: &str) -> Latency {
        Latency::of(name, &self.0)
    }
}

/// What a run measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// From the first request that counts to the end of the last.
    pub(crate) elapsed: Duration,
    /// Requests that were answered correctly.
    pub(crate) requests: u64,
    /// The same with the warm-up and the end of the run, which do not count otherwise.
    pub(crate) completed: u64,
    /// All kinds together.
    pub(crate) all: Latency,
    /// The latencies of all kinds.
    pub(crate) times: Times,
    /// Each kind, in the order of the workload.
    pub(crate) kinds: Vec<Latency>,
    pub(crate) errors: Errors,
    /// Most arrivals that waited for an idle client at one time.
    pub(crate) backlog_max: usize,
    /// Whether the run was stopped from outside before its limit.
    pub(crate) interrupted: bool,
}

impl Outcome {
    /// Requests per second.
    pub(crate) fn throughput(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.requests as f64 / seconds } else { 0.0 }
    }
}

/// How a run goes, told once per second.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    pub(crate) elapsed: Duration,
    /// Requests per second since the last time.
    pub(crate) throughput: f64,
    /// 99th percentile since the last time, in microseconds.
    pub(crate) p99_us: u64,
    /// Requests under way.
    pub(crate) busy: usize,
    /// Arrivals that wait for an idle client.
    pub(crate) backlog: usize,
    pub(crate) errors: u64,
}

/// Collects latencies, by kind and since the last progress report.
#[derive(Debug)]
pub(super) struct Recorder {
    kinds: Vec<(&'static str, Histogram<u64>)>,
    recent: Histogram<u64>,
}

impl Recorder {
    pub(super) fn new(kinds: &[&'static str]) -> Self {
        Self { kinds: kinds.iter().map(|name| (*name, histogram())).collect(), recent: histogram() }
    }

    pub(super) fn record(&mut self, kind: usize, latency_ns: u64) {
        let latency_us = latency_ns / 1000;
        self.recent.saturating_record(latency_us);
        if let Some((_, histogram)) = self.kinds.get_mut(kind) {
            histogram.saturating_record(latency_us);
        }
    }

    /// Number and 99th percentile of the latencies since the last call.
    pub(super) fn take_recent(&mut self) -> (u64, u64) {
        let recent = (self.recent.len(), self.recent.value_at_quantile(0.99));
        self.recent.reset();
        recent
    }

    /// All kinds together, and each of them.
    pub(super) fn latencies(&self) -> (Times, Vec<Latency>) {
        let mut all = histogram();
        for (_, histogram) in &self.kinds {
            let _ = all.add(histogram);
        }
        let kinds = self.kinds.iter().map(|(name, histogram)| Latency::of(name, histogram)).collect();
        (Times(all), kinds)
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("the bounds are constants in the allowed order")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_by_kind() {
        let mut recorder = Recorder::new(&["read", "write"]);
        for latency_ms in 1..=100_u64 {
            recorder.record(0, latency_ms * 1_000_000);
        }
        recorder.record(1, 5_000_000_000);
        let (mut times, kinds) = recorder.latencies();
        let all = times.latency("all");
        assert_eq!((all.count, kinds[0].count, kinds[1].count), (101, 100, 1));
        assert!((49_900..=50_100).contains(&kinds[0].p50_us), "{:?}", kinds[0]);
        assert!((98_900..=99_100).contains(&kinds[0].p99_us), "{:?}", kinds[0]);
        assert!((4_990_000..=5_010_000).contains(&all.max_us));
        times.add(&times.clone());
        assert_eq!((times.latency("twice").count, times.latency("twice").max_us), (202, all.max_us));
        assert_eq!(recorder.take_recent().0, 101);
        assert_eq!(recorder.take_recent().0, 0);
    }

    #[test]
    fn errors_keep_a_few_samples() {
        let mut errors = Errors::default();
        for number in 0..20 {
            errors.add(format!("error {}", number / 2));
        }
        assert_eq!((errors.count, errors.samples.len()), (20, 5));
        assert_eq!(errors.samples[1], "error 1");
    }
}
