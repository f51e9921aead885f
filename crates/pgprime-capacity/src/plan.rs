//! What a plan says: every size, the waiting it means, the reasons and the findings.

use std::fmt;

use serde::Serialize;

use crate::inputs::Inputs;
use crate::text;

/// Every size, the waiting it means, and why.
///
/// "Over the service" counts all instances together, which is also what one pooler between them and the database
/// holds; "per instance" is for pools inside the application that reach the database without a pooler between.
/// No number in it is NaN or infinite: what does not exist is `None`, in JSON `null`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// What the plan was made from.
    pub inputs: Inputs,
    /// Requests per second that the sizes are made for: the peak, or the expected rate where no peak was given.
    pub requests_per_s_peak: f64,
    /// The p99 wait in ms that the pool size meets: as asked for, else one mean service time.
    pub wait_ms_p99_target: f64,
    /// Connections busy on average at the expected rate: rate × service time, by Little's law.
    pub demand_connections: f64,
    /// The same at the peak.
    pub demand_connections_peak: f64,
    /// Connections the service needs at the least, over the service: the demand rounded up, at most the budget.
    pub total_min_connections: u32,
    /// Connections the service may use at the most, over the service: the database's budget.
    pub total_max_connections: u32,
    /// Connections kept free of the service: for maintenance, migrations, monitoring and superusers.
    pub reserve_connections: u32,
    /// Minimum per instance; never above `max_connections`.
    pub min_connections: u32,
    /// Maximum per instance. Zero when there are more instances than connections.
    pub max_connections: u32,
    /// The calculated size over the service, the pooler's `default_pool_size`; or the size that was to be evaluated.
    pub pool_size: u32,
    /// The pooler's `min_pool_size`; never above `pool_size`.
    pub pool_size_min: u32,
    /// The pooler's `reserve_pool_size`, on top of `pool_size` and within the budget.
    pub pool_size_reserve: u32,
    /// The smallest size that meets utilisation and wait at the peak, whatever the budget.
    pub needed_connections: u32,
    /// Demand ÷ `pool_size` at the peak; 1 or more is an overload.
    pub utilisation: f64,
    /// Mean wait in ms at `pool_size` and the peak; `None` when overloaded.
    pub wait_ms_mean: Option<f64>,
    /// Wait in ms that 99 of 100 requests stay within, at `pool_size` and the peak; `None` when overloaded.
    pub wait_ms_p99: Option<f64>,
    /// `pool_size` at the peak, in full.
    pub at_peak: CurvePoint,
    /// `pool_size` at the expected rate.
    pub at_expected: CurvePoint,
    /// `total_min_connections` at the peak.
    pub at_min: CurvePoint,
    /// `total_max_connections` at the peak.
    pub at_max: CurvePoint,
    /// What it takes when each instance has a pool of its own and none is shared.
    pub without_pooler: WithoutPooler,
    /// Users ÷ instances.
    pub users_per_instance: Option<f64>,
    /// Users of one instance for each connection of the pool: users ÷ instances ÷ `pool_size`.
    pub users_per_connection: Option<f64>,
    /// Users of all instances for each connection of the pool: users ÷ `pool_size`.
    pub users_per_connection_overall: Option<f64>,
    /// The pools of each instance, main, read and admin.
    pub pools: Vec<PoolShare>,
    /// What is wrong or worth knowing, the gravest first.
    pub findings: Vec<Finding>,
    /// Why each size is what it is, in the order of a table.
    pub reasons: Vec<Reason>,
    /// What was assumed because it was not given.
    pub notes: Vec<String>,
}

impl Plan {
    /// Whether the load can be carried within the budget: no finding is critical.
    pub fn is_feasible(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity < Severity::Critical)
    }
}

/// What a number of connections means for the load.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CurvePoint {
    /// Connections, over the service.
    pub connections: u32,
    /// Demand ÷ connections; 1 or more is an overload.
    pub utilisation: f64,
    /// The fraction of requests that wait at all; `None` when overloaded, as are the following.
    pub wait_probability: Option<f64>,
    /// Mean wait in ms over all requests.
    pub wait_ms_mean: Option<f64>,
    /// Wait in ms that 95 of 100 requests stay within.
    pub wait_ms_p95: Option<f64>,
    /// Wait in ms that 99 of 100 requests stay within.
    pub wait_ms_p99: Option<f64>,
    /// Requests per second that are answered: those that arrive, or what the connections can do.
    pub throughput_per_s: f64,
}

/// What it takes when no pooler shares connections between instances: each has the load divided by their number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WithoutPooler {
    /// Smallest size per instance that meets utilisation and wait.
    pub connections_per_instance: u32,
    /// The same over all instances.
    pub total_connections: u32,
    /// Whether that is within the budget.
    pub fits_budget: bool,
    /// Mean wait in ms at that size.
    pub wait_ms_mean: Option<f64>,
    /// Wait in ms that 99 of 100 requests stay within, at that size.
    pub wait_ms_p99: Option<f64>,
}

/// One pool of an instance.
///
/// The pools on one server together hold at most the instance's connections; a pool of size 0 has no connections of
/// its own and uses the main pool's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PoolShare {
    /// Which pool.
    pub pool: PoolKind,
    /// Which server its connections count on.
    pub server: ServerKind,
    /// Its fraction of the instance's connections on that server.
    pub share: f64,
    /// Least connections per instance; never above `max_connections`.
    pub min_connections: u32,
    /// Most connections per instance.
    pub max_connections: u32,
}

/// The pools inside an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolKind {
    /// The service's transactions.
    Main,
    /// Reads, on the replica where there is one.
    Read,
    /// Long analytical queries.
    Admin,
}

/// The server that a pool's connections count on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerKind {
    /// The server that takes writes.
    Primary,
    /// A streaming replica.
    Replica,
}

/// Something wrong or worth knowing about a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// How grave it is.
    pub severity: Severity,
    /// A stable name for programs: `demand_exceeds_budget`.
    pub code: &'static str,
    /// What it is, with the numbers.
    pub text: String,
    /// What can be done, each with its number.
    pub ways_out: Vec<String>,
}

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Works, but not as well as asked.
    Warning,
    /// Does not work.
    Critical,
}

/// Why a number of the plan is what it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reason {
    /// The field of [`Plan`] (`pool_size`) that this is about.
    pub name: &'static str,
    /// Its value; `None` where there is none, as for the wait under overload.
    pub value: Option<Amount>,
    /// Its unit: `connections`, `ms`, `users`, or empty for a ratio.
    pub unit: &'static str,
    /// Why, in a sentence.
    pub text: String,
}

/// A number to show: a count stays whole.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Amount {
    /// A whole number.
    Count(u32),
    /// Anything else.
    Decimal(f64),
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = match *self {
            Amount::Count(count) => f64::from(count),
            Amount::Decimal(value) => value,
        };
        f.pad(&text::number(value))
    }
}
