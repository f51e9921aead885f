//! The service with and without a heavy report beside it, in slices of both, so that a machine that gets faster or slower
//! meanwhile decides nothing.

use std::time::Duration;

use super::heavy::{Book, Heavy};
use super::office::Desk;
use super::report::{BesideReport, ServiceSide};
use crate::generator::{Errors, Generator, Limit, Outcome, RunOptions, Schedule, Times, Workload};

/// Whether the report is beside a slice. In this order, a machine that gets slower or faster, steadily or ever more so, is as
/// slow in both.
const ORDER: [bool; 8] = [false, true, true, false, true, false, false, true];
/// What a slice begins with and does not count: until the report is under way, or its end is over.
const SETTLE: Duration = Duration::from_millis(300);

/// What the slices are to be like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slices {
    /// Requests per second.
    pub(crate) rate: f64,
    /// All slices together.
    pub(crate) length: Duration,
    /// Seed of all choices.
    pub(crate) seed: u64,
}

impl Slices {
    fn run_options(self, number: u32) -> RunOptions {
        RunOptions { warm_up: SETTLE, ..self.step(self.length / ORDER.len() as u32, number) }
    }

    /// The same load for this time.
    pub(super) fn step(self, length: Duration, number: u32) -> RunOptions {
        RunOptions {
            schedule: Schedule::Open { rate: self.rate },
            limit: Limit::Duration(length),
            warm_up: Duration::ZERO,
            seed: self.seed.wrapping_add(number.into()),
        }
    }
}

/// One kind of slices.
#[derive(Default)]
pub(super) struct Side {
    times: Times,
    /// Of each slice by itself, in microseconds.
    p99_us: Vec<u64>,
    requests: u64,
    elapsed: Duration,
    errors: Errors,
}

impl Side {
    pub(super) fn add(&mut self, outcome: Outcome) {
        self.p99_us.push(outcome.times.latency("slice").p99_us);
        self.times.add(&outcome.times);
        self.requests += outcome.requests;
        self.elapsed += outcome.elapsed;
        self.errors.merge(outcome.errors);
    }

    pub(super) fn report(self, name: &str) -> ServiceSide {
        let seconds = self.elapsed.as_secs_f64();
        let requests_per_second = if seconds > 0.0 { self.requests as f64 / seconds } else { 0.0 };
        let latency = self.times.latency(name);
        ServiceSide { latency, slices_p99_us: self.p99_us, requests_per_second, errors: self.errors }
    }
}

/// Lets the load go on, with the report and without it in turn. `None` when it was interrupted.
pub(crate) fn beside_heavy_report<W: Workload>(
    generator: &mut Generator<'_, W>,
    desk: &Desk<'_>,
    slices: Slices,
    observe: &mut dyn FnMut(&str),
) -> anyhow::Result<Option<BesideReport>> {
    let (mut without, mut with) = (Side::default(), Side::default());
    let (mut book, at_a_time) = (Book::default(), desk.admin_connections());
    for (number, is_beside) in (0..).zip(ORDER) {
        observe(if is_beside { "beside the report" } else { "without the report" });
        let heavy = is_beside.then(|| Heavy::start(desk.runtime(), &desk.admin(), at_a_time));
        let outcome = generator.run(&slices.run_options(number), &mut |_| {})?;
        if let Some(heavy) = heavy {
            book.add(heavy.finish());
        }
        if outcome.interrupted {
            return Ok(None);
        }
        let side = if is_beside { &mut with } else { &mut without };
        side.add(outcome);
    }
    let report = book.report(at_a_time);
    Ok(Some(BesideReport { without: without.report("without"), with: with.report("with"), report }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_share_the_time_and_differ_in_their_seeds() {
        let slices = Slices { rate: 100.0, length: Duration::from_secs(8), seed: 3 };
        let options = [slices.run_options(0), slices.run_options(1)];
        assert!(matches!(options[0].limit, Limit::Duration(length) if length == Duration::from_secs(1)));
        assert_ne!(options[0].seed, options[1].seed);
    }

    #[test]
    fn neither_side_is_favoured() {
        // Of a machine whose speed changes as these powers of time, both sides see as much.
        for power in [0, 1, 2] {
            let sum = |side: bool| -> usize {
                (0_usize..)
                    .zip(ORDER)
                    .filter(|(_, is_beside)| *is_beside == side)
                    .map(|(at, _)| at.pow(power))
                    .sum()
            };
            assert_eq!(sum(true), sum(false), "{power}");
        }
    }

    #[test]
    fn a_side_adds_up_its_slices() {
        let outcome = || {
            let mut errors = Errors::default();
            errors.add("lost");
            Outcome { requests: 30, elapsed: Duration::from_secs(2), errors, ..Outcome::default() }
        };
        let mut side = Side::default();
        side.add(outcome());
        side.add(outcome());
        let report = side.report("with");
        assert!((report.requests_per_second - 15.0).abs() < 1e-9, "{report:?}");
        assert_eq!(report.slices_p99_us.len(), 2);
        assert_eq!((report.errors.count, report.errors.samples.len()), (2, 1));
    }
}
