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
use world::World;

const STEPS: usize = 500;

fn run(theme: Theme, test: &str, seeds: u64) {
    if let Some(seed) = number("PGPRIME_SEED") {
        World::new(theme, seed, true).run(STEPS);
        return;
    }
    for seed in 0..number("PGPRIME_SEEDS").unwrap_or(seeds) {
        let outcome = catch_unwind(AssertUnwindSafe(|| World::new(theme, seed, false).run(STEPS)));
        if let Err(failure) = outcome {
            eprintln!("seed {seed} fails; to see it step by step:");
            eprintln!("PGPRIME_SEED={seed} cargo test -p pgprime-pooler --test simulation {test} -- --nocapture");
            resume_unwind(failure);
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn simple_queries() {
    run(Theme::Simple, "simple_queries", 500);
}

#[test]
fn extended_protocol() {
    run(Theme::Extended, "extended_protocol", 500);
}

#[test]
fn faults() {
    run(Theme::Faults, "faults", 600);
}

#[test]
fn several_workers() {
    run(Theme::Workers, "several_workers", 400);
}
