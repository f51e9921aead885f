//! The load that sizes are made for: options first, then what was measured, then assumptions, each of which is told.

use pgprime_capacity::{InputError, Inputs, Plan, ServiceTime, plan};
use pgprime_planner::observe::{Mix, Observation};

use super::options::Arguments;

/// Fewer calls than this are chance.
const CALLS_FEW: u64 = 1_000;
/// A mean over days and nights hides the busy hours.
const PEAK_FACTOR: f64 = 4.0;
/// More variation than this cannot be planned with.
const SCV_MAX: f64 = 1_000.0;
/// Assumed where nothing was measured: a few queries of a few milliseconds each, for a service of some size.
const SERVICE_MS: f64 = 20.0;
const REQUESTS_PER_S: f64 = 1_000.0;
/// PostgreSQL's own defaults.
const MAX_CONNECTIONS: u32 = 100;
const RESERVED_CONNECTIONS: u32 = 3;
/// Connections that a pool has at the least where sizes rest on statements: two for each core, as a transaction holds
/// its connection between its statements too.
const PER_CORE: u32 = 2;
const CORES: u32 = 4;

/// Sizes, and what they rest on.
#[derive(Debug)]
pub(super) struct Sizes {
    pub(super) plan: Plan,
    /// Whether the pool is larger than what was measured needs.
    pub(super) is_raised: bool,
    /// A sentence each.
    pub(super) assumptions: Vec<String>,
}

impl Sizes {
    pub(super) fn new(
        arguments: &Arguments,
        observation: &Observation,
        cores: Option<u32>,
    ) -> Result<Self, InputError> {
        let measured = Measured::of(observation);
        let mut assumptions = Vec::new();
        let max_connections = observation.max_connections().unwrap_or(MAX_CONNECTIONS);
        let service = service(arguments, measured.as_ref(), &mut assumptions)?;
        let mut inputs = Inputs::new(1.0, service, arguments.instances, max_connections);
        inputs.reserved_connections = observation.reserved_connections().unwrap_or(RESERVED_CONNECTIONS);
        inputs.users = Some(arguments.users);
        inputs.has_replica = observation.replicas.iter().any(|replica| !replica.is_logical);
        inputs.cores = cores;
        let (rate, peak) = match (arguments.rps, &measured) {
            (Some(rate), _) => (rate, rate),
            (None, Some(measured)) => (measured.calls_per_s, measured.rate_peak(&mut assumptions)),
            (None, None) => {
                let rate = assumed_rate(&inputs, &mut assumptions);
                (rate, rate)
            }
        };
        (inputs.requests_per_s, inputs.requests_per_s_peak) = (rate, Some(peak));
        let mut sized = plan(&inputs)?;
        let least = least_size(cores).min(sized.total_max_connections);
        let is_raised = arguments.service_ms.is_none() && measured.is_some() && sized.pool_size < least;
        if is_raised {
            assumptions.push(format!(
                "What statements take was measured, not how long transactions hold their connection: a pool of {} would do \
                 for the statements, and it has {least}, two for each core.",
                sized.pool_size
            ));
            inputs.pool_size = Some(least);
            sized = plan(&inputs)?;
        }
        assumptions.extend(sized.notes.iter().cloned());
        Ok(Self { plan: sized, is_raised, assumptions })
    }
}

fn least_size(cores: Option<u32>) -> u32 {
    cores.unwrap_or(CORES).saturating_mul(PER_CORE)
}

/// What pg_stat_statements says, where it has seen enough.
struct Measured {
    mix: Mix,
    calls_per_s: f64,
}

impl Measured {
    fn of(observation: &Observation) -> Option<Self> {
        let statements = observation.statements.as_ref()?;
        let mix = statements.all.filter(|mix| mix.calls >= CALLS_FEW && mix.mean_ms > 0.0)?;
        Some(Self { mix, calls_per_s: statements.calls_per_second }).filter(|seen| seen.calls_per_s > 0.0)
    }

    fn rate_peak(&self, assumptions: &mut Vec<String>) -> f64 {
        let peak = self.calls_per_s * PEAK_FACTOR;
        assumptions.push(format!(
            "The busiest moment has {PEAK_FACTOR} times the mean of {:.1} statements per second that was measured (--rps).",
            self.calls_per_s
        ));
        peak
    }
}

fn service(
    arguments: &Arguments,
    measured: Option<&Measured>,
    assumptions: &mut Vec<String>,
) -> Result<ServiceTime, InputError> {
    match (arguments.service_ms, measured) {
        (Some(ms), _) => ServiceTime::exponential(ms),
        (None, Some(seen)) => {
            assumptions.push(format!(
                "A request is one statement of {:.3} ms, as measured. Where it is a transaction of several, give --rps and \
                 --service-ms for the whole of it.",
                seen.mix.mean_ms
            ));
            ServiceTime::from_mean_and_scv(seen.mix.mean_ms, seen.mix.scv.min(SCV_MAX))
        }
        (None, None) => {
            assumptions.push(format!(
                "A request holds its connection for {SERVICE_MS} ms on average (--service-ms). Measure it: every size \
                 follows from it."
            ));
            ServiceTime::exponential(SERVICE_MS)
        }
    }
}

/// The usual, or half of what the database can carry.
fn assumed_rate(inputs: &Inputs, assumptions: &mut Vec<String>) -> f64 {
    let usable = inputs.max_connections.saturating_sub(inputs.reserved_connections).max(1);
    let half = f64::from(usable) * inputs.safety_margin / 2.0 / inputs.service.mean_ms() * 1_000.0;
    let rate = REQUESTS_PER_S.min(half.floor().max(1.0));
    assumptions.push(format!(
        "{rate} requests per second at the busiest moment (--rps), as the database has not measured enough of them."
    ));
    rate
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn arguments(more: &[&str]) -> Arguments {
        Line::parse_from([&["init"], more].concat()).arguments
    }

    #[test]
    fn a_load_that_is_assumed_can_be_carried() {
        for max_connections in [10, 20, 100, 500] {
            let service = ServiceTime::exponential(SERVICE_MS).unwrap();
            let mut inputs = Inputs::new(1.0, service, 1, max_connections);
            let mut said = Vec::new();
            inputs.requests_per_s = assumed_rate(&inputs, &mut said);
            assert!(plan(&inputs).unwrap().is_feasible(), "{max_connections}: {}", inputs.requests_per_s);
            assert!(said[0].contains("--rps"));
        }
    }

    #[test]
    fn options_win_over_what_was_measured() {
        let seen = Measured {
            mix: Mix {
                statements: 9,
                calls: 5_000,
                mean_ms: 2.0,
                stddev_ms: 2.0,
                scv: 1.0,
                p95_ms: Some(6.0),
            },
            calls_per_s: 10.0,
        };
        let mut said = Vec::new();
        let given = service(&arguments(&["--service-ms", "5"]), Some(&seen), &mut said).unwrap();
        assert!((given.mean_ms() - 5.0).abs() < 1e-9 && said.is_empty());
        let taken = service(&arguments(&[]), Some(&seen), &mut said).unwrap();
        assert!((taken.mean_ms() - 2.0).abs() < 1e-9 && said[0].contains("2.000 ms"));
        assert!((seen.rate_peak(&mut said) - 40.0).abs() < 1e-9);
        assert!(service(&arguments(&["--service-ms", "0"]), None, &mut said).is_err());
    }
}
