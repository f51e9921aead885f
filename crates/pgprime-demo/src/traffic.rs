//! Runs the insurance load against any server that holds the sample data.

use std::sync::atomic::AtomicBool;

use serde::Serialize;

use crate::data::dataset::Dataset;
use crate::generator::{Errors, Generator, Latency, Limit, Outcome, RunOptions, Schedule};
use crate::mix::{InsuranceMix, Statements};
use crate::server::Server;

/// What load to make.
#[derive(Clone, Debug)]
pub struct TrafficOptions {
    /// Client connections.
    pub clients: usize,
    /// Requests per second over all clients, arriving at random; `None`: as many as the server answers.
    pub rate: Option<f64>,
    /// When it is over.
    pub limit: Limit,
    /// How reads are executed.
    pub statements: Statements,
    /// Seed of all choices.
    pub seed: u64,
}

/// What the load measured.
#[derive(Clone, Debug, Serialize)]
pub struct TrafficReport {
    /// Requests answered correctly.
    pub requests: u64,
    /// Of those, per second.
    pub requests_per_second: f64,
    /// Latency over all requests.
    pub latency: Latency,
    /// Latency by kind of request.
    pub kinds: Vec<Latency>,
    /// Refused requests, wrong answers, lost connections.
    pub errors: Errors,
    /// Most arrivals that waited at one time because no client was idle.
    pub backlog_max: usize,
    /// Whether it was stopped before its limit.
    pub interrupted: bool,
}

impl From<Outcome> for TrafficReport {
    fn from(outcome: Outcome) -> Self {
        Self {
            requests: outcome.requests,
            requests_per_second: outcome.throughput(),
            latency: outcome.all,
            kinds: outcome.kinds,
            errors: outcome.errors,
            backlog_max: outcome.backlog_max,
            interrupted: outcome.interrupted,
        }
    }
}

impl TrafficOptions {
    /// What the generator needs to know.
    pub(crate) fn run_options(&self) -> RunOptions {
        let schedule = self.rate.map_or(Schedule::Closed, |rate| Schedule::Open { rate });
        RunOptions { schedule, limit: self.limit, warm_up: std::time::Duration::ZERO, seed: self.seed }
    }

    /// What clients ask.
    pub(crate) fn workload(&self, data: &Dataset) -> InsuranceMix {
        InsuranceMix::new(*data, self.statements, self.seed)
    }
}

/// Logs in the clients and runs the load. Setting `stop` ends it early.
///
/// # Errors
/// A client cannot log in. Errors of requests are counted in the report.
pub fn run_traffic(
    server: &Server,
    data: &Dataset,
    options: &TrafficOptions,
    stop: &AtomicBool,
) -> anyhow::Result<TrafficReport> {
    let mut generator = Generator::new(server, options.workload(data), stop)?;
    generator.login(options.clients, &mut |_| {})?;
    Ok(generator.run(&options.run_options(), &mut |_| {})?.into())
}
