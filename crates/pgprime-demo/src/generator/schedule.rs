//! When requests begin.

use std::time::Duration;

/// When the next request begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Schedule {
    /// Closed loop: every client asks again as soon as it has its answer. Shows the highest throughput.
    Closed,
    /// Open loop: requests arrive as a Poisson process and go to clients that are idle, whatever the server does.
    /// Latency counts from the arrival, so a stall delays everything that arrives meanwhile, as it does for users.
    Open {
        /// Arrivals per second over all clients.
        rate: f64,
    },
}

/// When a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// After this time; requests under way are awaited.
    Duration(Duration),
    /// After this many requests.
    Requests(u64),
}

/// The arrivals of a Poisson process: gaps are exponentially distributed.
#[derive(Debug)]
pub(crate) struct Arrivals {
    rate: f64,
    next_ns: u64,
    random: fastrand::Rng,
}

impl Arrivals {
    /// Arrivals at `rate` per second, the first one a gap after `start_ns`.
    pub(crate) fn new(rate: f64, start_ns: u64, seed: u64) -> Self {
        let mut arrivals = Self { rate, next_ns: start_ns, random: fastrand::Rng::with_seed(seed) };
        arrivals.advance();
        arrivals
    }

    /// When the next request arrives.
    pub(crate) fn next_ns(&self) -> u64 {
        self.next_ns
    }

    /// Goes on to the arrival after the next.
    pub(crate) fn advance(&mut self) {
        let uniform = 1.0 - self.random.f64();
        let gap_ns = -uniform.ln() / self.rate * 1e9;
        self.next_ns = self.next_ns.saturating_add(gap_ns as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_come_at_their_rate_and_vary() {
        let mut arrivals = Arrivals::new(1000.0, 0, 5);
        let mut gaps = Vec::new();
        for _ in 0..10_000 {
            let before = arrivals.next_ns();
            arrivals.advance();
            gaps.push(arrivals.next_ns() - before);
        }
        let mean_ns = gaps.iter().sum::<u64>() / 10_000;
        assert!((950_000..1_050_000).contains(&mean_ns), "{mean_ns}");
        // Of exponential gaps, 1 − 1/e are below the mean.
        let below = gaps.iter().filter(|gap| **gap < 1_000_000).count();
        assert!((6_100..6_550).contains(&below), "{below}");
    }
}
