//! The size of a pool at run time, from the load observed.
//!
//! The pool reports what happened since its last report, at any interval it likes, and asks for the size it should
//! have now. The load is averaged twice, over a short and over a long time, and the larger of the two counts: a rise
//! is followed as quickly as by the short average, a fall as slowly as by the long one, and a short burst, which hardly
//! moves the long one, is forgotten quickly. Unlike one average that rises faster than it falls, neither is biased by
//! the noise of a steady load.

use std::time::{Duration, Instant};

use crate::service_time::ServiceTime;
use crate::staffing::Workload;

/// What a pool saw since the observation before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// Requests for a connection that arrived, whether or not they got one.
    pub arrivals: u64,
    /// Requests that returned their connection.
    pub completions: u64,
    /// How long those that returned had held it, all together.
    pub held: Duration,
    /// Connections in use now: counts those that have been held for so long that none has returned.
    pub in_use: u32,
}

/// The damped load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Arrivals per second.
    pub requests_per_s: f64,
    /// Mean time in ms that a request holds its connection; 0 until one has been returned.
    pub hold_ms_mean: f64,
    /// Connections the load keeps busy: rate × hold time by Little's law, and at least those in use on average.
    pub demand_connections: f64,
}

/// How quickly the estimate follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damping {
    /// Time constant of the short average, which a rise follows. Default 2 s: a few hundred requests of a busy
    /// service, and less than users take to notice.
    pub rise: Duration,
    /// Time constant of the long average, which a fall follows. Default 60 s: longer than it is quiet between the
    /// waves of a busy service, so that connections are not closed to be opened again.
    pub fall: Duration,
}

impl Default for Damping {
    fn default() -> Self {
        Damping { rise: Duration::from_secs(2), fall: Duration::from_secs(60) }
    }
}

/// Estimates the load of one pool, and from it the size the pool should have now.
///
/// ```
/// use std::time::{Duration, Instant};
/// use pgprime_capacity::sizing::{Damping, LoadEstimator, Observation};
///
/// let start = Instant::now();
/// let mut estimator = LoadEstimator::new(Damping::default(), start);
/// // In one second 200 requests came, and as many returned their connection after 20 ms each: 4 busy on average.
/// let observation =
///     Observation { arrivals: 200, completions: 200, held: Duration::from_secs(4), in_use: 4 };
/// estimator.observe(start + Duration::from_secs(1), observation);
/// assert_eq!(estimator.target(2, 16), 7);
/// assert_eq!(estimator.target(2, 5), 5);
/// ```
#[derive(Clone, Debug)]
pub struct LoadEstimator {
    observed_at: Instant,
    short: Average,
    long: Average,
}

impl LoadEstimator {
    /// Begins to observe at `now`.
    pub fn new(damping: Damping, now: Instant) -> Self {
        LoadEstimator {
            observed_at: now,
            short: Average::new(damping.rise),
            long: Average::new(damping.fall),
        }
    }

    /// Takes in what happened between the observation before and `now`. To be called when nothing happened, too.
    pub fn observe(&mut self, now: Instant, observation: Observation) {
        let interval_s = now.saturating_duration_since(self.observed_at).as_secs_f64();
        self.observed_at = self.observed_at.max(now);
        self.short.add(interval_s, &observation);
        self.long.add(interval_s, &observation);
    }

    /// The load now; `None` before the first observation over some time.
    pub fn load(&self) -> Option<Load> {
        let (short, long) = (self.short.load()?, self.long.load()?);
        Some(if short.demand_connections > long.demand_connections { short } else { long })
    }

    /// The size that the load needs, never outside `min..=max` (where they contradict each other, `max`).
    ///
    /// By the rule of a plan's pool size: at most 80 % of the connections busy, and 99 of 100 requests wait no longer
    /// than one mean hold time. `min` while nothing is known.
    pub fn target(&self, min: u32, max: u32) -> u32 {
        let demand = self.load().map_or(0.0, |load| load.demand_connections);
        size_for(demand, max).max(min).min(max)
    }
}

/// Less demand than this is none: a connection that is in use for a thousandth of the time need not be kept.
const DEMAND_NONE: f64 = 0.001;

/// The smallest size for `demand` busy connections; `limit` when that many would not do.
fn size_for(demand: f64, limit: u32) -> u32 {
    if demand < DEMAND_NONE {
        return 0;
    }
    // The target is relative to the hold time, so that only their product matters and any unit will do.
    let second = ServiceTime::exponential(1000.0).expect("a second is a valid service time");
    Workload { requests_per_s: demand, service: second, wait_ms_p99_target: None }.smallest_size(limit)
}

/// Sums in which what is older counts less, by e^(−age ÷ time constant).
///
/// The seconds are such a sum as well, so that a rate is right from the first observation on.
#[derive(Clone, Copy, Debug)]
struct Average {
    time_constant_s: f64,
    seconds: f64,
    arrivals: f64,
    completions: f64,
    held_s: f64,
    in_use_seconds: f64,
}

impl Average {
    fn new(time_constant: Duration) -> Self {
        Average {
            time_constant_s: time_constant.as_secs_f64().max(1e-3),
            seconds: 0.0,
            arrivals: 0.0,
            completions: 0.0,
            held_s: 0.0,
            in_use_seconds: 0.0,
        }
    }

    fn add(&mut self, interval_s: f64, observation: &Observation) {
        let age = interval_s / self.time_constant_s;
        let kept = (-age).exp();
        // What happened is spread evenly over the interval, whose beginning counts less than its end already.
        let weight = if age > 0.0 { -(-age).exp_m1() / age } else { 1.0 };
        self.seconds = self.seconds * kept + interval_s * weight;
        self.arrivals = self.arrivals * kept + observation.arrivals as f64 * weight;
        self.in_use_seconds =
            self.in_use_seconds * kept + f64::from(observation.in_use) * interval_s * weight;
        // In silence the hold times known stay the best guess: they keep the weight of one request.
        let is_silent = observation.completions == 0;
        let kept = if is_silent { kept.max(1.0 / self.completions).min(1.0) } else { kept };
        self.completions = self.completions * kept + observation.completions as f64 * weight;
        self.held_s =
            self.held_s * kept + if is_silent { 0.0 } else { observation.held.as_secs_f64() * weight };
    }

    fn load(&self) -> Option<Load> {
        if self.seconds <= 0.0 {
            return None;
        }
        let requests_per_s = self.arrivals / self.seconds;
        let hold_s_mean = if self.completions > 0.0 { self.held_s / self.completions } else { 0.0 };
        let in_use = self.in_use_seconds / self.seconds;
        let demand_connections = (requests_per_s * hold_s_mean).max(in_use);
        Some(Load { requests_per_s, hold_ms_mean: hold_s_mean * 1000.0, demand_connections })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one second of a load looks like to the pool.
    fn second_of(requests: u64, hold_ms: u64) -> Observation {
        let held = Duration::from_millis(requests * hold_ms);
        let in_use = u32::try_from(requests * hold_ms / 1000).expect("small loads only");
        Observation { arrivals: requests, completions: requests, held, in_use }
    }

    /// The targets within 2..=40 after each second of the phases `(seconds, requests per second, hold time in ms)`.
    fn targets(phases: &[(u32, u64, u64)]) -> Vec<u32> {
        let start = Instant::now();
        let mut estimator = LoadEstimator::new(Damping::default(), start);
        let mut targets = Vec::new();
        for &(seconds, requests, hold_ms) in phases {
            for _ in 0..seconds {
                let now = start + Duration::from_secs(targets.len() as u64 + 1);
                estimator.observe(now, second_of(requests, hold_ms));
                targets.push(estimator.target(2, 40));
            }
        }
        targets
    }

    #[test]
    fn a_steady_load_has_its_size_from_the_first_second() {
        // Expected are the sizes of a plan: at most 80 % busy, p99 wait at most one hold time.
        let cases = [(1000, 20, 25), (200, 20, 7), (50, 20, 4), (10, 1000, 14), (1, 1, 2), (10_000, 20, 40)];
        for (requests, hold_ms, expected) in cases {
            let targets = targets(&[(30, requests, hold_ms)]);
            assert!(
                targets.iter().all(|&target| target == expected),
                "{requests}/s × {hold_ms} ms: {targets:?}"
            );
        }
    }

    #[test]
    fn the_interval_does_not_matter() {
        let start = Instant::now();
        for interval_ms in [10_u64, 100, 1000, 30_000] {
            let mut estimator = LoadEstimator::new(Damping::default(), start);
            for step in 1..=(60_000 / interval_ms) {
                let requests = interval_ms;
                let held = Duration::from_millis(requests * 20);
                let now = start + Duration::from_millis(step * interval_ms);
                let observation = Observation { arrivals: requests, completions: requests, held, in_use: 20 };
                estimator.observe(now, observation);
            }
            assert_eq!(estimator.target(2, 40), 25, "every {interval_ms} ms");
        }
    }

    #[test]
    fn a_rise_is_followed_within_seconds() {
        let targets = targets(&[(60, 100, 20), (10, 1000, 20)]);
        assert_eq!(targets[59], 5);
        let after = |seconds: usize| targets[59 + seconds];
        assert!(after(1) >= 11, "a third of the way after one second: {targets:?}");
        assert!(after(5) >= 22, "nearly there after five: {targets:?}");
        assert_eq!(after(10), 25);
        assert!(targets[59..].windows(2).all(|pair| pair[0] <= pair[1]), "{targets:?}");
    }

    #[test]
    fn a_fall_is_followed_within_minutes() {
        let targets = targets(&[(300, 1000, 20), (400, 100, 20)]);
        let after = |seconds: usize| targets[299 + seconds];
        assert!(after(10) >= 21, "hardly moved after ten seconds");
        assert!((8..=14).contains(&after(60)), "two thirds of the way after a minute: {}", after(60));
        assert_eq!(after(400), 5);
        assert!(targets[300..].windows(2).all(|pair| pair[0] >= pair[1]));
    }

    #[test]
    fn silence_leads_to_the_minimum() {
        let targets = targets(&[(60, 1000, 20), (600, 0, 0)]);
        assert_eq!(*targets.last().expect("there are targets"), 2);
    }

    #[test]
    fn a_short_burst_after_a_long_time_is_forgotten_quickly() {
        let targets = targets(&[(300, 100, 20), (1, 2000, 20), (30, 100, 20)]);
        assert_eq!(targets[299], 5);
        assert!(targets[300] >= 15, "followed: {}", targets[300]);
        assert!(*targets.last().expect("there are targets") <= 6, "forgotten: {targets:?}");
    }

    #[test]
    fn hold_times_survive_silence() {
        let start = Instant::now();
        let mut estimator = LoadEstimator::new(Damping::default(), start);
        estimator.observe(start + Duration::from_secs(1), second_of(100, 20));
        let day = Duration::from_secs(86_400);
        estimator.observe(start + day, Observation::default());
        assert_eq!(estimator.target(0, 16), 0);
        let load = estimator.load().expect("there were observations");
        assert!((load.hold_ms_mean - 20.0).abs() < 1e-6, "{load:?}");
        estimator
            .observe(start + day + Duration::from_secs(5), Observation { arrivals: 2500, ..second_of(0, 0) });
        assert!(estimator.target(0, 16) >= 10, "arrivals alone count, with the hold time known");
    }

    #[test]
    fn connections_that_never_return_count_as_demand() {
        let start = Instant::now();
        let mut estimator = LoadEstimator::new(Damping::default(), start);
        let observation = Observation { arrivals: 6, in_use: 6, ..Observation::default() };
        estimator.observe(start + Duration::from_secs(1), observation);
        assert_eq!(estimator.target(2, 16), 9, "6 busy: at most 80 % of 9, and the waits short enough");
    }

    #[test]
    fn the_target_stays_within_its_bounds() {
        let start = Instant::now();
        let mut estimator = LoadEstimator::new(Damping::default(), start);
        assert_eq!(estimator.load(), None);
        assert_eq!(estimator.target(3, 16), 3);
        // An observation over no time at all says nothing yet, and one that goes back in time does no harm.
        estimator.observe(start, second_of(1000, 20));
        assert_eq!(estimator.target(3, 16), 3);
        let endless =
            Observation { arrivals: u64::MAX, completions: 1, held: Duration::MAX, in_use: u32::MAX };
        estimator.observe(start + Duration::from_nanos(1), endless);
        estimator.observe(start, endless);
        for (min, max, expected) in [(3, 16, 16), (0, 0, 0), (7, 7, 7), (9, 5, 5)] {
            assert_eq!(estimator.target(min, max), expected, "{min}..={max}");
        }
    }
}
