//! A seeded simulation of the pooler's state machine.
//!
//! It drives [`pgprime_pooler::core::Core`] with fake clients, fake PostgreSQL servers and simulated time. After every
//! step the invariants are checked, and every answer is compared with what a direct connection would have given.
//! `PGPRIME_SEED=n` replays one seed with a trace; `PGPRIME_SEEDS=n` runs so many.

mod backend;
mod check;
mod client;
mod plan;
mod script;
mod server;
mod sql;
mod steps;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use plan::Theme;
use world::{Tally, World};

const STEPS: usize = 1_500;

fn run(theme: Theme, test: &str, seeds: u64) -> Tally {
    let mut total = Tally::default();
    if let Some(seed) = number("PGPRIME_SEED") {
        total += World::new(theme, seed, true).run(STEPS);
        return total;
    }
    for seed in 0..number("PGPRIME_SEEDS").unwrap_or(seeds) {
        match catch_unwind(AssertUnwindSafe(|| World::new(theme, seed, false).run(STEPS))) {
            Ok(tally) => total += tally,
            Err(failure) => {
                eprintln!("seed {seed} fails; to see it step by step:");
                eprintln!(
                    "PGPRIME_SEED={seed} cargo test -p pgprime-pooler --test simulation {test} -- --nocapture"
                );
                resume_unwind(failure);
            }
        }
    }
    eprintln!("{test}: {total:?}");
    total
}

/// Whether many seeds were run, so that what seldom happens can be expected.
fn is_long_run() -> bool {
    number("PGPRIME_SEED").is_none() && number("PGPRIME_SEEDS").is_none()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn simple_queries() {
    let tally = run(Theme::Simple, "simple_queries", 400);
    assert!(!is_long_run() || (tally.executed > 5_000 && tally.cancelled > 50), "{tally:?}");
}

#[test]
fn extended_protocol() {
    let tally = run(Theme::Extended, "extended_protocol", 500);
    assert!(!is_long_run() || (tally.executed > 5_000 && tally.cancelled > 50), "{tally:?}");
}

#[test]
fn faults() {
    let tally = run(Theme::Faults, "faults", 700);
    assert!(!is_long_run() || (tally.executed > 5_000 && tally.outdated > tally.unhealed), "{tally:?}");
}

#[test]
fn several_workers() {
    let tally = run(Theme::Workers, "several_workers", 400);
    assert!(!is_long_run() || (tally.executed > 5_000 && tally.lent > 500), "{tally:?}");
}
