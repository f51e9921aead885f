//! From inputs to a plan.

use crate::curve::point;
use crate::error::InputError;
use crate::findings::findings;
use crate::inputs::Inputs;
use crate::plan::{Plan, WithoutPooler};
use crate::pools::pools;
use crate::queue::Waiting;
use crate::reasons::{notes, reasons};
use crate::rounding::ceil_u32;
use crate::staffing::Workload;

/// No load that passes validation needs this many connections.
const NEEDED_MAX: u32 = 10_000_000;

/// Calculates every size from `inputs`.
///
/// Example: 1,000 requests/s of 20 ms, 5 instances, `max_connections` 100 and a safety margin of 0.8 give at least 20
/// connections over the service and 4 per instance, at most 80 and 16, and a pool of 25.
///
/// # Errors
/// When an input makes no sense; the error names it and says what to give instead.
pub fn plan(inputs: &Inputs) -> Result<Plan, InputError> {
    inputs.validate()?;
    let mut plan = sizes(inputs);
    let workload = peak_workload(inputs);
    plan.findings = findings(&plan, &workload);
    plan.reasons = reasons(&plan);
    plan.notes = notes(&plan);
    Ok(plan)
}

/// The plan without its words.
fn sizes(inputs: &Inputs) -> Plan {
    let peak = peak_workload(inputs);
    let expected = Workload { requests_per_s: inputs.requests_per_s, ..peak };
    let budget = inputs.budget();
    let needed = peak.smallest_size(NEEDED_MAX);
    let total_min = ceil_u32(expected.demand()).clamp(1, budget);
    let max_connections = budget / inputs.instances;
    let min_connections = total_min.div_ceil(inputs.instances).min(max_connections);
    let pool_size = inputs.pool_size.unwrap_or(needed).min(budget);
    let at_peak = point(&peak, pool_size);
    let users = inputs.users.map(f64::from);
    let users_per_instance = users.map(|users| users / f64::from(inputs.instances));
    Plan {
        inputs: inputs.clone(),
        requests_per_s_peak: peak.requests_per_s,
        wait_ms_p99_target: peak.wait_ms_p99_target(),
        demand_connections: expected.demand(),
        demand_connections_peak: peak.demand(),
        total_min_connections: total_min,
        total_max_connections: budget,
        reserve_connections: inputs.max_connections - budget,
        min_connections,
        max_connections,
        pool_size,
        pool_size_min: total_min.min(pool_size),
        pool_size_reserve: ceil_u32(peak.demand().sqrt()).min(budget - pool_size),
        needed_connections: needed,
        utilisation: at_peak.utilisation,
        wait_ms_mean: at_peak.wait_ms_mean,
        wait_ms_p99: at_peak.wait_ms_p99,
        at_peak,
        at_expected: point(&expected, pool_size),
        at_min: point(&peak, total_min),
        at_max: point(&peak, budget),
        without_pooler: without_pooler(inputs, &peak),
        users_per_instance,
        users_per_connection: users_per_instance.map(|users| users / f64::from(pool_size)),
        users_per_connection_overall: users.map(|users| users / f64::from(pool_size)),
        pools: pools(inputs, min_connections, max_connections),
        findings: Vec::new(),
        reasons: Vec::new(),
        notes: Vec::new(),
    }
}

fn peak_workload(inputs: &Inputs) -> Workload {
    Workload {
        requests_per_s: inputs.requests_per_s_planned(),
        service: inputs.service,
        wait_ms_p99_target: inputs.wait_ms_p99_target,
    }
}

fn without_pooler(inputs: &Inputs, peak: &Workload) -> WithoutPooler {
    let of_one = peak.with_rate_times(1.0 / f64::from(inputs.instances));
    let connections_per_instance = of_one.smallest_size(NEEDED_MAX);
    let total_connections = connections_per_instance.saturating_mul(inputs.instances);
    let waiting = Waiting::at(of_one.requests_per_s, &of_one.service, connections_per_instance);
    WithoutPooler {
        connections_per_instance,
        total_connections,
        fits_budget: total_connections <= inputs.budget(),
        wait_ms_mean: waiting.map(|waiting| waiting.wait_ms_mean),
        wait_ms_p99: waiting.map(|waiting| waiting.wait_ms_p99),
    }
}
