//! The service with and without a heavy report beside it, in slices of both, so that a machine that gets faster or slower
//! meanwhile decides nothing.

use std::time::Duration;

use super::heavy::{Book, Heavy};
use super::office::Desk;
use super::report::{BesideReport, ServiceSide};
use crate::generator::{Errors, Generator, Limit, Outcome, RunOptions, Schedule, Times, Workload};

/// Whether the report is beside a slice. In this order, a machine that gets steadily slower or faster is as slow in both.
const ORDER: [bool; 4] = [false, true, true, false];
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
        RunOptions {
            schedule: Schedule::Open { rate: self.rate },
            limit: Limit::Duration(self.length / ORDER.len() as u32),
            warm_up: SETTLE,
            seed: self.seed.wrapping_add(number.into()),
        }
    }
}

/// One kind of slices.
#[derive(Default)]
struct Side {
    times: Times,
    requests: u64,
    elapsed: Duration,
    errors: Errors,
}

impl Side {
    fn add(&mut self, outcome: Outcome) {
        self.times.add(&outcome.times);
        self.requests += outcome.requests;
        self.elapsed += outcome.elapsed;
        self.errors.merge(outcome.errors);
    }

    fn report(self, name: &str) -> ServiceSide {
        let seconds = self.elapsed.as_secs_f64();
        let requests_per_second = if seconds > 0.0 { self.requests as f64 / seconds } else { 0.0 };
        ServiceSide { latency: self.times.latency(name), requests_per_second, errors: self.errors }
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
        assert!(matches!(options[0].limit, Limit::Duration(length) if length == Duration::from_secs(2)));
        assert_ne!(options[0].seed, options[1].seed);
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
        assert_eq!((report.errors.count, report.errors.samples.len()), (2, 1));
    }
}
