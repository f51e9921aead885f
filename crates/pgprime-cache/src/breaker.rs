//! When Redis is left alone, and when it is tried again: a pure state machine that takes the time.

use std::time::Duration;

use tokio::time::Instant;

/// What the breaker goes by; see [`RedisConfig`](crate::RedisConfig) for each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) failures_max: u32,
    pub(crate) pause_first: Duration,
    pub(crate) pause_max: Duration,
    /// After this time a probe nobody heard of again is taken for lost.
    pub(crate) probe_max: Duration,
}

/// Exits: closed → open by failures; open → half open when the pause is over; half open → closed or open by its probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// `pause` is what ended just before: failing again soon afterwards, the next is longer.
    Closed {
        failures: u32,
        pause: Duration,
        since: Instant,
    },
    Open {
        until: Instant,
        pause: Duration,
    },
    HalfOpen {
        until: Instant,
        pause: Duration,
    },
}

/// How bad a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Too slow, or refused: some in a row are too many.
    Passing,
    /// The connection is gone.
    Lost,
}

/// What may be done with Redis now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Pass,
    /// One caller is to try whether it is back.
    Probe,
    Refuse {
        until: Instant,
    },
}

#[derive(Debug)]
pub(crate) struct Breaker {
    rules: Rules,
    state: State,
}

impl Breaker {
    /// Nothing is known of Redis yet: the first to ask is a probe.
    pub(crate) fn new(rules: Rules, now: Instant) -> Breaker {
        Breaker { rules, state: State::Open { until: now, pause: Duration::ZERO } }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn admit(&mut self, now: Instant) -> Admission {
        match self.state {
            State::Closed { .. } => Admission::Pass,
            State::Open { until, .. } | State::HalfOpen { until, .. } if now < until => {
                Admission::Refuse { until }
            }
            State::Open { pause, .. } | State::HalfOpen { pause, .. } => {
                self.state = State::HalfOpen { until: now + self.rules.probe_max, pause };
                Admission::Probe
            }
        }
    }

    pub(crate) fn succeeded(&mut self, now: Instant) {
        self.state = match self.state {
            // An answer that arrives after the breaker opened is no probe's.
            State::Open { .. } => return,
            State::HalfOpen { pause, .. } => State::Closed { failures: 0, pause, since: now },
            State::Closed { pause, since, .. } => State::Closed { failures: 0, pause, since },
        };
    }

    /// `random`: 0 to 1. Says whether this failure opened the breaker.
    pub(crate) fn failed(&mut self, failure: Failure, now: Instant, random: f64) -> bool {
        match self.state {
            State::Closed { failures, pause, since }
                if failure == Failure::Passing && failures + 1 < self.rules.failures_max =>
            {
                self.state = State::Closed { failures: failures + 1, pause, since };
                false
            }
            State::Closed { pause, since, .. } => {
                // What comes and goes is not well again: each outage lasts longer, and less is said of it.
                let is_stable = now.saturating_duration_since(since) >= self.rules.pause_max;
                let before = if is_stable { Duration::ZERO } else { pause };
                self.open((before * 2).max(self.rules.pause_first), now, random);
                true
            }
            State::HalfOpen { pause, .. } => {
                self.open((pause * 2).max(self.rules.pause_first), now, random);
                false
            }
            // Operations run side by side: those begun before the breaker opened do not count again.
            State::Open { .. } => false,
        }
    }

    fn open(&mut self, pause: Duration, now: Instant, random: f64) {
        let pause = pause.min(self.rules.pause_max);
        let until = now + pause.mul_f64(1.0 - 0.5 * random.clamp(0.0, 1.0));
        self.state = State::Open { until, pause };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const RULES: Rules = Rules {
        failures_max: 3,
        pause_first: Duration::from_millis(100),
        pause_max: Duration::from_secs(1),
        probe_max: Duration::from_secs(2),
    };

    fn closed(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(RULES, now);
        assert_eq!(breaker.admit(now), Admission::Probe);
        breaker.succeeded(now);
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_does_not_let_them_add_up() {
        let now = Instant::now();
        let mut breaker = closed(now);
        for _ in 0..10 {
            assert!(!breaker.failed(Failure::Passing, now, 0.0));
            assert!(!breaker.failed(Failure::Passing, now, 0.0));
            breaker.succeeded(now);
        }
        assert!(!breaker.failed(Failure::Passing, now, 0.0));
        assert!(!breaker.failed(Failure::Passing, now, 0.0));
        assert_eq!(breaker.admit(now), Admission::Pass);
        assert!(breaker.failed(Failure::Passing, now, 0.0));
        assert_eq!(breaker.admit(now), Admission::Refuse { until: now + 100 * MS });
        assert!(!breaker.failed(Failure::Passing, now, 0.0), "already open");
        breaker.succeeded(now);
        assert_eq!(breaker.admit(now), Admission::Refuse { until: now + 100 * MS }, "a late answer");
    }

    #[test]
    fn a_lost_connection_opens_it_at_once() {
        let now = Instant::now();
        let mut breaker = closed(now);
        assert!(breaker.failed(Failure::Lost, now, 0.0));
        assert!(matches!(breaker.state(), State::Open { .. }));
    }

    #[test]
    fn one_caller_probes_and_pauses_double_up_to_their_bound() {
        let mut now = Instant::now();
        let mut breaker = closed(now);
        breaker.failed(Failure::Lost, now, 0.0);
        for pause in [100, 200, 400, 800, 1000, 1000] {
            assert!(matches!(breaker.admit(now + (pause - 1) * MS), Admission::Refuse { .. }), "{pause}");
            now += pause * MS;
            assert_eq!(breaker.admit(now), Admission::Probe);
            assert!(matches!(breaker.admit(now), Admission::Refuse { .. }), "one probe at a time");
            breaker.failed(Failure::Passing, now, 0.0);
        }
        now += 1000 * MS;
        assert_eq!(breaker.admit(now), Admission::Probe);
        breaker.succeeded(now);
        assert_eq!(breaker.admit(now), Admission::Pass);
    }

    #[test]
    fn what_comes_and_goes_is_left_alone_for_longer_each_time_until_it_has_been_well_for_a_while() {
        let mut now = Instant::now();
        let mut breaker = closed(now);
        for pause in [100, 200, 400, 800, 1000, 1000] {
            assert!(breaker.failed(Failure::Lost, now, 0.0), "{pause}");
            assert!(matches!(breaker.admit(now + (pause - 1) * MS), Admission::Refuse { .. }), "{pause}");
            now += pause * MS;
            assert_eq!(breaker.admit(now), Admission::Probe);
            breaker.succeeded(now);
            now += 999 * MS;
            breaker.succeeded(now);
        }
        now += MS;
        assert!(breaker.failed(Failure::Lost, now, 0.0));
        assert_eq!(breaker.admit(now), Admission::Refuse { until: now + 100 * MS });
    }

    #[test]
    fn a_probe_that_is_never_heard_of_again_is_replaced() {
        let now = Instant::now();
        let mut breaker = Breaker::new(RULES, now);
        assert_eq!(breaker.admit(now), Admission::Probe);
        assert!(matches!(breaker.admit(now + 1999 * MS), Admission::Refuse { .. }));
        assert_eq!(breaker.admit(now + 2000 * MS), Admission::Probe);
    }

    #[test]
    fn pauses_are_shortened_by_half_at_most() {
        let now = Instant::now();
        for (random, pause) in [(0.0, 100), (0.5, 75), (1.0, 50), (9.0, 50)] {
            let mut breaker = closed(now);
            breaker.failed(Failure::Lost, now, random);
            assert_eq!(breaker.admit(now), Admission::Refuse { until: now + pause * MS });
        }
    }
}
