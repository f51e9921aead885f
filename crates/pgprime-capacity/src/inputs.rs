//! What a plan is made from.

use serde::Serialize;

use crate::error::{InputError, InputProblem, at_most, not_negative, positive};
use crate::rounding::floor_u32;
use crate::service_time::ServiceTime;

/// PostgreSQL's own limit of `max_connections`.
pub(crate) const MAX_CONNECTIONS_MAX: u32 = 262_143;

/// More connections busy at once than any plan is for, even with many databases.
const DEMAND_MAX: f64 = 1_000_000.0;

/// The largest rate, count and time accepted; beyond them it is a slip of the unit.
const REQUESTS_PER_S_MAX: f64 = 1e9;
const COUNT_MAX: u32 = 100_000;
const WAIT_MS_MAX: f64 = 86_400_000.0;

/// How far the shares may be from adding up to 1.
const SHARES_TOLERANCE: f64 = 0.001;

/// What a plan is made from: the load, the limits, and what is asked of the result.
///
/// [`Inputs::new`] takes what has no sensible default; every other field is set afterwards.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inputs {
    /// Requests per second to be expected (`rps`).
    pub requests_per_s: f64,
    /// Requests per second at the busiest moment (`peak-rps`). Without it the expected rate is taken as the peak.
    pub requests_per_s_peak: Option<f64>,
    /// How long a request holds its connection (`service-ms` and what goes with it).
    pub service: ServiceTime,
    /// Instances of the application (`instances`).
    pub instances: u32,
    /// Concurrent users (`users`).
    pub users: Option<u32>,
    /// `max_connections` of the database (`db-max-connections`).
    pub max_connections: u32,
    /// Connections the database keeps for itself (`reserved-connections`): `superuser_reserved_connections` and
    /// `reserved_connections`. Default 3, which is PostgreSQL's.
    pub reserved_connections: u32,
    /// The fraction of `max_connections` that the service may use (`safety-margin`). Default 0.8, so that
    /// maintenance, migrations and monitoring always find a connection.
    pub safety_margin: f64,
    /// Cores of the database's machine (`cores`).
    pub cores: Option<u32>,
    /// Disks that work independently (`spindles`). Default 1, which also stands for an SSD.
    pub spindles: u32,
    /// The wait in ms that 99 of 100 requests stay within (`p99-wait-ms`). Without it: one mean service time.
    pub wait_ms_p99_target: Option<f64>,
    /// Evaluate this pool size instead of calculating one (`pool-size`).
    pub pool_size: Option<u32>,
    /// Whether reads go to a replica with connections of its own (`replica`).
    pub has_replica: bool,
    /// How an instance's connections are divided over its pools (`shares`).
    pub shares: Shares,
}

/// The fractions of an instance's connections for its three pools. They add up to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Shares {
    /// For the service's transactions. Default 0.7.
    pub main: f64,
    /// For reads. Default 0.2.
    pub read: f64,
    /// For long analytical queries. Default 0.1, so that a heavy report never takes the service's connections.
    pub admin: f64,
}

impl Default for Shares {
    fn default() -> Self {
        Shares { main: 0.7, read: 0.2, admin: 0.1 }
    }
}

impl Inputs {
    /// Inputs with the defaults named at each field.
    pub fn new(requests_per_s: f64, service: ServiceTime, instances: u32, max_connections: u32) -> Self {
        Inputs {
            requests_per_s,
            requests_per_s_peak: None,
            service,
            instances,
            users: None,
            max_connections,
            reserved_connections: 3,
            safety_margin: 0.8,
            cores: None,
            spindles: 1,
            wait_ms_p99_target: None,
            pool_size: None,
            has_replica: false,
            shares: Shares::default(),
        }
    }
}

impl Inputs {
    /// The rate that the sizes are made for: the peak, else the expected rate.
    pub fn requests_per_s_planned(&self) -> f64 {
        self.requests_per_s_peak.unwrap_or(self.requests_per_s)
    }

    /// Whether a plan can be made from these inputs.
    ///
    /// # Errors
    /// For the first input that makes no sense, by its name and with what to give instead.
    pub fn validate(&self) -> Result<(), InputError> {
        self.validate_load()?;
        self.validate_counts()?;
        self.validate_budget()?;
        self.shares.validate()
    }

    fn validate_load(&self) -> Result<(), InputError> {
        positive("rps", self.requests_per_s, "give the requests per second to be expected, such as 1000")?;
        at_most("rps", self.requests_per_s, REQUESTS_PER_S_MAX)?;
        if let Some(peak) = self.requests_per_s_peak {
            positive(
                "peak-rps",
                peak,
                "give the requests per second at the busiest moment, or leave it out",
            )?;
            at_most("peak-rps", peak, REQUESTS_PER_S_MAX)?;
            let expected = self.requests_per_s;
            if peak < expected {
                return Err(InputError::new("peak-rps", InputProblem::PeakBelowExpected { peak, expected }));
            }
        }
        if let Some(target) = self.wait_ms_p99_target {
            let hint = "give the wait in ms that 99 of 100 requests stay within, 0 for none";
            not_negative("p99-wait-ms", target, hint)?;
            at_most("p99-wait-ms", target, WAIT_MS_MAX)?;
        }
        let (requests_per_s, service_ms) = (self.requests_per_s_planned(), self.service.mean_ms());
        let demand = requests_per_s * service_ms / 1000.0;
        if demand > DEMAND_MAX {
            let input = if self.requests_per_s_peak.is_some() { "peak-rps" } else { "rps" };
            let problem =
                InputProblem::DemandTooLarge { requests_per_s, service_ms, demand, max: DEMAND_MAX };
            return Err(InputError::new(input, problem));
        }
        Ok(())
    }

    fn validate_counts(&self) -> Result<(), InputError> {
        count(
            "instances",
            self.instances,
            COUNT_MAX,
            "give the number of instances of the application, at least 1",
        )?;
        let optional = [
            ("users", self.users, u32::MAX, "give the number of concurrent users, or leave it out"),
            ("cores", self.cores, COUNT_MAX, "give the cores of the database's machine, or leave it out"),
            ("pool-size", self.pool_size, MAX_CONNECTIONS_MAX, "give a size to evaluate, or leave it out"),
        ];
        for (input, value, max, hint) in optional {
            value.map_or(Ok(()), |value| count(input, value, max, hint))?;
        }
        at_most("spindles", f64::from(self.spindles), f64::from(COUNT_MAX))
    }

    fn validate_budget(&self) -> Result<(), InputError> {
        let (max_connections, reserved) = (self.max_connections, self.reserved_connections);
        let hint = "give max_connections of the database, which PostgreSQL sets to 100";
        count("db-max-connections", max_connections, MAX_CONNECTIONS_MAX, hint)?;
        let safety_margin = self.safety_margin;
        if !(safety_margin > 0.0 && safety_margin <= 1.0) {
            return Err(InputError::new(
                "safety-margin",
                InputProblem::NotAFraction { value: safety_margin },
            ));
        }
        if reserved >= max_connections {
            let problem = InputProblem::NothingLeft { reserved, max_connections };
            return Err(InputError::new("reserved-connections", problem));
        }
        if self.budget() == 0 {
            let problem = InputProblem::BudgetBelowOne { safety_margin, max_connections };
            return Err(InputError::new("safety-margin", problem));
        }
        Ok(())
    }

    /// Connections the service may use: what the margin allows, and never those reserved.
    pub(crate) fn budget(&self) -> u32 {
        let by_margin = floor_u32(f64::from(self.max_connections) * self.safety_margin);
        by_margin.min(self.max_connections.saturating_sub(self.reserved_connections))
    }
}

impl Shares {
    fn validate(&self) -> Result<(), InputError> {
        const INPUT: &str = "shares";
        for share in [self.main, self.read, self.admin] {
            not_negative(INPUT, share, "give a fraction from 0 to 1 for each pool")?;
        }
        positive(INPUT, self.main, "the main pool needs a share, such as 0.7")?;
        let sum = self.main + self.read + self.admin;
        if (sum - 1.0).abs() > SHARES_TOLERANCE {
            return Err(InputError::new(INPUT, InputProblem::SharesDoNotAddUp { sum }));
        }
        Ok(())
    }
}

fn count(input: &'static str, value: u32, max: u32, hint: &'static str) -> Result<(), InputError> {
    positive(input, f64::from(value), hint)?;
    at_most(input, f64::from(value), f64::from(max))
}
