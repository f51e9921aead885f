//! What each number of connections would mean.

use crate::plan::{CurvePoint, Plan};
use crate::queue::{Blocking, Waiting};
use crate::rounding::floor_u32;
use crate::staffing::Workload;

/// The points of a curve at most, besides the sizes of the plan.
const POINTS_MAX: u32 = 100;

/// From here on, further connections change nothing that could be seen.
const WAIT_PROBABILITY_SETTLED: f64 = 0.001;

/// What each number of connections would mean at the peak, in ascending order: from just under the demand to the
/// budget, or to where nothing changes any more. Where the budget is not enough, up to the connections needed.
///
/// At most about 100 points; the plan's `pool_size` and the end of the budget are always among them where the curve
/// reaches them.
pub fn curve(plan: &Plan) -> Vec<CurvePoint> {
    let workload = Workload {
        requests_per_s: plan.requests_per_s_peak,
        service: plan.inputs.service,
        wait_ms_p99_target: Some(plan.wait_ms_p99_target),
    };
    let budget = plan.total_max_connections;
    let from = floor_u32(workload.demand() * 0.95).min(plan.pool_size).max(1);
    let sizes_of_plan = if plan.needed_connections > budget {
        [plan.pool_size, budget, plan.needed_connections]
    } else {
        [plan.pool_size, plan.pool_size, plan.needed_connections]
    };
    let to = sizes_of_plan.into_iter().fold(settled(&workload, from, budget), u32::max);
    let step = ((to - from) / POINTS_MAX).max(1);
    let mut sizes: Vec<u32> = (from..=to).step_by(step as usize).chain(sizes_of_plan).chain([to]).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes.into_iter().map(|connections| point(&workload, connections)).collect()
}

/// The first size at which hardly a request waits; at most `limit`, at least `from`.
fn settled(workload: &Workload, from: u32, limit: u32) -> u32 {
    let mut blocking = Blocking::at(from, workload.demand());
    while blocking.servers < limit && blocking.wait_probability() > WAIT_PROBABILITY_SETTLED {
        blocking.add_server();
    }
    blocking.servers
}

/// What `connections` mean for `workload`.
pub(crate) fn point(workload: &Workload, connections: u32) -> CurvePoint {
    let (rate, demand) = (workload.requests_per_s, workload.demand());
    let waiting = Waiting::at(rate, &workload.service, connections);
    let throughput_max = f64::from(connections) * 1000.0 / workload.service.mean_ms();
    CurvePoint {
        connections,
        utilisation: demand / f64::from(connections),
        wait_probability: waiting.map(|waiting| waiting.wait_probability),
        wait_ms_mean: waiting.map(|waiting| waiting.wait_ms_mean),
        wait_ms_p95: waiting.map(|waiting| waiting.wait_ms_p95),
        wait_ms_p99: waiting.map(|waiting| waiting.wait_ms_p99),
        throughput_per_s: rate.min(throughput_max),
    }
}
