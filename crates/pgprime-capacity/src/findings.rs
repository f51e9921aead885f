//! What is wrong with a plan, or worth knowing, and what can be done.

use crate::plan::{Finding, Plan, Severity};
use crate::staffing::{UTILISATION_MAX, Workload};
use crate::text::{count, number, percent};
use crate::ways_out::ways_out;

/// After how long an overload is described.
const OVERLOAD_EXAMPLE_S: f64 = 60.0;

/// Service times that vary more than this make the waits estimates of little precision.
const SCV_PRECISE_MAX: f64 = 4.0;

/// All findings on `plan`, made for `peak`, the gravest first.
pub(crate) fn findings(plan: &Plan, peak: &Workload) -> Vec<Finding> {
    let all = [
        demand_exceeds_budget(plan, peak),
        target_not_met(plan, peak),
        pool_size_beyond_budget(plan),
        pool_size_too_small(plan, peak),
        instances_exceed_connections(plan),
        too_many_for_cores(plan),
        without_pooler_beyond_budget(plan),
        pools_without_connections(plan),
        service_time_varies(plan),
    ];
    let mut findings: Vec<Finding> = all.into_iter().flatten().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

fn finding(severity: Severity, code: &'static str, text: String, ways_out: Vec<String>) -> Option<Finding> {
    Some(Finding { severity, code, text, ways_out })
}

fn is_overloaded(plan: &Plan) -> bool {
    plan.at_max.wait_ms_mean.is_none()
}

fn demand_exceeds_budget(plan: &Plan, peak: &Workload) -> Option<Finding> {
    if !is_overloaded(plan) {
        return None;
    }
    let budget = plan.total_max_connections;
    let when = if plan.demand_connections < f64::from(budget) { "at the peak" } else { "all the time" };
    let text = format!(
        "{} requests/s of {} ms keep {} connections busy, but the database has {} for the service, so {when} {}. \
         {} are needed to stay within {} utilisation and a p99 wait of {} ms.",
        number(peak.requests_per_s),
        number(peak.service.mean_ms()),
        number(plan.demand_connections_peak),
        number(f64::from(budget)),
        backlog(plan.at_max.utilisation, peak.requests_per_s, plan.at_max.throughput_per_s),
        count(plan.needed_connections, "connection"),
        percent(UTILISATION_MAX),
        number(plan.wait_ms_p99_target),
    );
    let ways = ways_out(&plan.inputs, peak, plan.needed_connections);
    finding(Severity::Critical, "demand_exceeds_budget", text, ways)
}

/// How an overload grows: the backlog each second, and the wait that has come of it after a minute.
fn backlog(utilisation: f64, requests_per_s: f64, throughput_per_s: f64) -> String {
    let wait_s = (utilisation - 1.0) * OVERLOAD_EXAMPLE_S;
    format!(
        "the queue grows by {} requests every second and the wait after a minute of it is {} s",
        number((requests_per_s - throughput_per_s).max(0.0)),
        number(wait_s.max(0.0))
    )
}

fn target_not_met(plan: &Plan, peak: &Workload) -> Option<Finding> {
    let budget = plan.total_max_connections;
    if is_overloaded(plan) || plan.needed_connections <= budget {
        return None;
    }
    let text = format!(
        "{} would be needed to stay within {} utilisation and a p99 wait of {} ms at {} requests/s; the database has \
         {} for the service, which means {} utilisation and a p99 wait of {} ms.",
        count(plan.needed_connections, "connection"),
        percent(UTILISATION_MAX),
        number(plan.wait_ms_p99_target),
        number(peak.requests_per_s),
        number(f64::from(budget)),
        percent(plan.at_max.utilisation),
        number(plan.at_max.wait_ms_p99.unwrap_or_default()),
    );
    let misses_wait = plan.at_max.wait_ms_p99.is_some_and(|wait_ms| wait_ms > plan.wait_ms_p99_target);
    let was_asked = plan.inputs.wait_ms_p99_target.is_some();
    let severity = if misses_wait && was_asked { Severity::Critical } else { Severity::Warning };
    finding(severity, "target_not_met", text, ways_out(&plan.inputs, peak, plan.needed_connections))
}

fn pool_size_beyond_budget(plan: &Plan) -> Option<Finding> {
    let budget = plan.total_max_connections;
    let given = plan.inputs.pool_size.filter(|given| *given > budget)?;
    let text = format!(
        "A pool size of {} was given, but the database has {} for the service; the plan is made for {}.",
        number(f64::from(given)),
        count(budget, "connection"),
        number(f64::from(budget))
    );
    finding(Severity::Critical, "pool_size_beyond_budget", text, Vec::new())
}

fn pool_size_too_small(plan: &Plan, peak: &Workload) -> Option<Finding> {
    plan.inputs.pool_size?;
    let (size, budget) = (plan.pool_size, plan.total_max_connections);
    if size == budget || peak.is_met_by(size) {
        return None;
    }
    let ways = if plan.needed_connections <= budget {
        vec![format!("raise the pool size to {}", number(f64::from(plan.needed_connections)))]
    } else {
        Vec::new()
    };
    let Some(wait_ms_p99) = plan.wait_ms_p99 else {
        let text = format!(
            "{} requests/s of {} ms keep {} connections busy, but the pool has {}: {}.",
            number(peak.requests_per_s),
            number(peak.service.mean_ms()),
            number(plan.demand_connections_peak),
            number(f64::from(size)),
            backlog(plan.utilisation, peak.requests_per_s, plan.at_peak.throughput_per_s)
        );
        return finding(Severity::Critical, "pool_size_overloaded", text, ways);
    };
    let text = format!(
        "A pool of {} means {} utilisation and a p99 wait of {} ms, where {} and {} ms are wanted.",
        number(f64::from(size)),
        percent(plan.utilisation),
        number(wait_ms_p99),
        percent(UTILISATION_MAX),
        number(plan.wait_ms_p99_target)
    );
    finding(Severity::Warning, "pool_size_too_small", text, ways)
}

fn instances_exceed_connections(plan: &Plan) -> Option<Finding> {
    if plan.max_connections > 0 {
        return None;
    }
    let text = format!(
        "{} cannot have a connection each: the database has {} for the service. A pooler is needed between them.",
        count(plan.inputs.instances, "instance"),
        number(f64::from(plan.total_max_connections))
    );
    let ways = vec![
        format!("put one pooler with {} between", count(plan.pool_size, "connection")),
        format!("run at most {} without one", count(plan.total_max_connections, "instance")),
    ];
    finding(Severity::Warning, "instances_exceed_connections", text, ways)
}

/// The customary start for active connections, from the PostgreSQL wiki's page "Number Of Database Connections":
/// cores × 2 + spindles that turn at once.
fn too_many_for_cores(plan: &Plan) -> Option<Finding> {
    let cores = plan.inputs.cores?;
    let active_max = u64::from(cores) * 2 + u64::from(plan.inputs.spindles);
    let active_max = active_max as f64;
    if f64::from(plan.pool_size) <= active_max {
        return None;
    }
    let rule = format!("{cores} cores × 2 + {} = {}", plan.inputs.spindles, number(active_max));
    if plan.demand_connections_peak <= active_max {
        let text = format!(
            "The pool of {} is larger than the rule of thumb for active connections ({rule}), but at the peak only \
             {} are active on average.",
            number(f64::from(plan.pool_size)),
            number(plan.demand_connections_peak)
        );
        return finding(Severity::Info, "pool_size_above_cores", text, Vec::new());
    }
    let cores_needed = ((plan.demand_connections_peak - f64::from(plan.inputs.spindles)) / 2.0).ceil();
    let text = format!(
        "{} connections are active at the peak, more than the rule of thumb for this machine ({rule}). Beyond it they \
         wait for the processor rather than for each other, and the service time grows.",
        number(plan.demand_connections_peak)
    );
    let ways = vec![
        format!("use a machine with {} cores", number(cores_needed)),
        "measure whether the service time stays the same at this load: what waits for locks or disks needs no core"
            .to_owned(),
    ];
    finding(Severity::Warning, "demand_exceeds_cores", text, ways)
}

fn without_pooler_beyond_budget(plan: &Plan) -> Option<Finding> {
    let apart = &plan.without_pooler;
    if apart.fits_budget || plan.needed_connections > plan.total_max_connections {
        return None;
    }
    let text = format!(
        "Only a shared pool fits: {} with {} each would be {}, and the database has {} for the service.",
        count(plan.inputs.instances, "instance"),
        count(apart.connections_per_instance, "connection"),
        number(f64::from(apart.total_connections)),
        number(f64::from(plan.total_max_connections))
    );
    finding(Severity::Info, "needs_pooler", text, Vec::new())
}

fn pools_without_connections(plan: &Plan) -> Option<Finding> {
    let is_empty = plan.pools.iter().any(|pool| pool.share > 0.0 && pool.max_connections == 0);
    if plan.max_connections == 0 || !is_empty {
        return None;
    }
    let text = format!(
        "{} per instance are too few for a main, a read and an admin pool; those left out use the main pool.",
        count(plan.max_connections, "connection")
    );
    finding(Severity::Info, "pools_share_connections", text, Vec::new())
}

fn service_time_varies(plan: &Plan) -> Option<Finding> {
    let scv = plan.inputs.service.scv();
    if scv <= SCV_PRECISE_MAX {
        return None;
    }
    let text = format!(
        "Service times vary much (squared coefficient of variation {}): the waits are rough, and a few slow requests \
         make most of them.",
        number(scv)
    );
    let ways = vec!["give slow requests a pool of their own (admin), and plan the two apart".to_owned()];
    finding(Severity::Info, "service_time_varies", text, ways)
}
