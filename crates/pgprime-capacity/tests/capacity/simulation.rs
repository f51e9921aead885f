//! A queue simulated arrival by arrival, beside what the formulas predict.
//!
//! Requests arrive at random, wait in order of arrival, and take the connection that becomes free first. Times are in
//! units of the mean service time. A tolerance is the error of the formula, known from runs of millions of arrivals,
//! and the noise of these shorter ones, which other seeds make as large.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use fastrand::Rng;
use pgprime_capacity::{ServiceTime, Waiting};

/// Arrivals of one run that count, and those before them, while the queue fills.
const ARRIVALS: usize = 80_000;
const WARM_UP: usize = 6_000;
const SEEDS: u64 = 5;

/// Nanoseconds of simulated time for each mean service time, so that times order as integers.
const SCALE: f64 = 1e9;

struct Measured {
    wait_probability: f64,
    wait_mean: f64,
    wait_p99: f64,
}

/// Service times of mean 1 and the squared coefficient of variation `scv`: constant, exponential or lognormal.
fn service_time(rng: &mut Rng, scv: f64) -> f64 {
    if scv == 0.0 {
        return 1.0;
    }
    if scv == 1.0 {
        return exponential(rng);
    }
    let variance = scv.ln_1p();
    let normal = (2.0 * exponential(rng)).sqrt() * (std::f64::consts::TAU * rng.f64()).cos();
    (variance.sqrt() * normal - variance / 2.0).exp()
}

fn exponential(rng: &mut Rng) -> f64 {
    -(1.0 - rng.f64()).ln()
}

fn simulate(servers: u32, utilisation: f64, scv: f64) -> Measured {
    let mut waits = Vec::new();
    for seed in 1..=SEEDS {
        let mut rng = Rng::with_seed(seed);
        let mut free_at: BinaryHeap<Reverse<u64>> = (0..servers).map(|_| Reverse(0)).collect();
        let mut now = 0.0;
        for arrival in 0..WARM_UP + ARRIVALS {
            now += exponential(&mut rng) / (f64::from(servers) * utilisation);
            let Reverse(free) = free_at.pop().expect("as many as there are servers");
            let start = (free as f64 / SCALE).max(now);
            free_at.push(Reverse(((start + service_time(&mut rng, scv)) * SCALE) as u64));
            if arrival >= WARM_UP {
                waits.push(start - now);
            }
        }
    }
    let total = waits.len();
    let (_, &mut wait_p99, _) = waits.select_nth_unstable_by(total * 99 / 100, f64::total_cmp);
    Measured {
        wait_probability: waits.iter().filter(|wait| **wait > 0.0).count() as f64 / total as f64,
        wait_mean: waits.iter().sum::<f64>() / total as f64,
        wait_p99,
    }
}

/// Checks `(servers, utilisation, scv, tolerance of the mean, tolerance of the p99)`, tolerances as fractions.
fn check(cases: &[(u32, f64, f64, f64, f64)]) {
    for &(servers, utilisation, scv, mean_tolerance, p99_tolerance) in cases {
        let measured = simulate(servers, utilisation, scv);
        let service = ServiceTime::from_mean_and_scv(1.0, scv).expect("valid");
        let requests_per_s = f64::from(servers) * utilisation * 1000.0;
        let predicted = Waiting::at(requests_per_s, &service, servers).expect("not overloaded");
        let off = |predicted: f64, measured: f64| predicted / measured - 1.0;
        let (mean, p99) =
            (off(predicted.wait_ms_mean, measured.wait_mean), off(predicted.wait_ms_p99, measured.wait_p99));
        let case = format!("{servers} servers, utilisation {utilisation}, scv {scv}");
        let waiting = predicted.wait_probability - measured.wait_probability;
        assert!(waiting.abs() < 0.04, "{case}: probability of waiting off by {waiting:.3}");
        assert!(mean.abs() < mean_tolerance, "{case}: mean off by {mean:.3}");
        assert!(p99.abs() < p99_tolerance, "{case}: p99 off by {p99:.3}");
    }
}

#[test]
fn exponential_times_agree_with_erlang() {
    check(&[
        (1, 0.7, 1.0, 0.06, 0.08),
        (5, 0.8, 1.0, 0.06, 0.08),
        (25, 0.8, 1.0, 0.06, 0.08),
        (80, 0.85, 1.0, 0.10, 0.10),
    ]);
}

#[test]
fn constant_times_agree_with_the_correction() {
    check(&[(1, 0.8, 0.0, 0.06, 0.12), (5, 0.8, 0.0, 0.06, 0.15), (25, 0.8, 0.0, 0.08, 0.12)]);
}

#[test]
fn times_that_vary_little_agree_with_the_correction() {
    check(&[(5, 0.7, 0.25, 0.06, 0.14), (25, 0.8, 0.25, 0.08, 0.12)]);
}

#[test]
fn times_that_vary_much_agree_roughly() {
    check(&[
        (1, 0.7, 2.0, 0.10, 0.30),
        (5, 0.8, 2.0, 0.15, 0.20),
        (25, 0.8, 2.0, 0.25, 0.25),
        (25, 0.8, 4.0, 0.25, 0.30),
    ]);
}
