//! Why each number of a plan is what it is.

use crate::plan::{Amount, Plan, PoolKind, PoolShare, Reason, ServerKind};
use crate::staffing::UTILISATION_MAX;
use crate::text::{count, number, percent};

/// One reason for each number, in the order of a table.
pub(crate) fn reasons(plan: &Plan) -> Vec<Reason> {
    let mut reasons = service_reasons(plan);
    reasons.extend(pooler_reasons(plan));
    reasons.extend(waiting_reasons(plan));
    reasons.extend(instance_reasons(plan));
    reasons.extend(plan.pools.iter().map(|pool| pool_reason(plan, pool)));
    reasons.extend(user_reasons(plan));
    reasons
}

fn connections(name: &'static str, value: u32, text: String) -> Reason {
    Reason { name, value: Some(Amount::Count(value)), unit: "connections", text }
}

fn decimal(name: &'static str, value: Option<f64>, unit: &'static str, text: String) -> Reason {
    Reason { name, value: value.map(Amount::Decimal), unit, text }
}

fn service_reasons(plan: &Plan) -> Vec<Reason> {
    let inputs = &plan.inputs;
    let rate = number(inputs.requests_per_s);
    let (service, budget) = (number(inputs.service.mean_ms()), f64::from(plan.total_max_connections));
    let clamped = if plan.demand_connections > budget { ", cut down to the budget" } else { "" };
    let by_margin = f64::from(inputs.max_connections) * inputs.safety_margin;
    let left = inputs.max_connections - inputs.reserved_connections;
    let (max_connections, margin) = (number(f64::from(inputs.max_connections)), inputs.safety_margin);
    let budget_text = if by_margin <= f64::from(left) {
        format!("max_connections {max_connections} × safety margin {margin}")
    } else {
        format!("max_connections {max_connections} less the {} reserved", inputs.reserved_connections)
    };
    vec![
        decimal(
            "demand_connections",
            Some(plan.demand_connections),
            "connections",
            format!("{rate} requests/s × {service} ms: busy on average, by Little's law"),
        ),
        connections(
            "total_min_connections",
            plan.total_min_connections,
            format!("the demand, rounded up{clamped}"),
        ),
        connections("total_max_connections", plan.total_max_connections, budget_text),
        connections(
            "reserve_connections",
            plan.reserve_connections,
            format!(
                "kept free of the service for maintenance, migrations and monitoring, {} of them for superusers",
                inputs.reserved_connections
            ),
        ),
    ]
}

fn pooler_reasons(plan: &Plan) -> Vec<Reason> {
    vec![
        connections("pool_size", plan.pool_size, pool_size_text(plan)),
        connections(
            "pool_size_min",
            plan.pool_size_min,
            "kept open always: what the expected rate keeps busy, at most the pool size".to_owned(),
        ),
        connections("pool_size_reserve", plan.pool_size_reserve, reserve_text(plan)),
        connections(
            "without_pooler.total_connections",
            plan.without_pooler.total_connections,
            format!(
                "what the same waiting takes when each of {} has a pool of its own ({} each)",
                count(plan.inputs.instances, "instance"),
                number(f64::from(plan.without_pooler.connections_per_instance))
            ),
        ),
    ]
}

fn pool_size_text(plan: &Plan) -> String {
    if plan.inputs.pool_size.is_some_and(|given| given == plan.pool_size) {
        return format!("given; {} would be calculated", count(plan.needed_connections, "connection"));
    }
    let rule = format!(
        "the smallest size that at {} requests/s keeps at most {} busy and lets 99 of 100 requests wait {} ms at \
         most{}",
        number(plan.requests_per_s_peak),
        percent(UTILISATION_MAX),
        number(plan.wait_ms_p99_target),
        if plan.inputs.wait_ms_p99_target.is_some() { "" } else { " (one mean service time)" }
    );
    if plan.pool_size < plan.needed_connections {
        let needed = number(f64::from(plan.needed_connections));
        return format!("all the database has for the service; {needed} would be {rule}");
    }
    if plan.inputs.pool_size.is_some() {
        return "all the database has for the service; a larger size was given".to_owned();
    }
    rule
}

fn reserve_text(plan: &Plan) -> String {
    let deviation = "for bursts: one standard deviation of the busy connections at the peak, √demand";
    if plan.pool_size + plan.pool_size_reserve == plan.total_max_connections {
        format!("{deviation}, as far as the budget goes")
    } else {
        deviation.to_owned()
    }
}

fn waiting_reasons(plan: &Plan) -> Vec<Reason> {
    let size = plan.pool_size;
    let demand = number(plan.demand_connections_peak);
    let no_end = "none: the queue grows as long as the overload lasts".to_owned();
    let mean = plan.at_peak.wait_probability.map_or(no_end.clone(), |wait_probability| {
        format!("by Erlang C: {} of the requests wait at the peak", percent(wait_probability))
    });
    let p99 = plan.wait_ms_p99.map_or(no_end, |wait_ms| {
        let within = if wait_ms <= plan.wait_ms_p99_target { "within" } else { "beyond" };
        format!(
            "99 of 100 requests wait no longer; {within} the {} ms wanted",
            number(plan.wait_ms_p99_target)
        )
    });
    vec![
        decimal(
            "utilisation",
            Some(plan.utilisation),
            "",
            format!("{demand} busy of {} at the peak", number(f64::from(size))),
        ),
        decimal("wait_ms_mean", plan.wait_ms_mean, "ms", mean),
        decimal("wait_ms_p99", plan.wait_ms_p99, "ms", p99),
    ]
}

fn instance_reasons(plan: &Plan) -> Vec<Reason> {
    let instances = count(plan.inputs.instances, "instance");
    let min = plan.total_min_connections.div_ceil(plan.inputs.instances);
    let clamped = if min > plan.min_connections { ", cut down to the maximum" } else { "" };
    vec![
        connections(
            "min_connections",
            plan.min_connections,
            format!(
                "{} over {instances}, rounded up{clamped}",
                number(f64::from(plan.total_min_connections))
            ),
        ),
        connections(
            "max_connections",
            plan.max_connections,
            format!("{} over {instances}, rounded down", number(f64::from(plan.total_max_connections))),
        ),
    ]
}

fn pool_reason(plan: &Plan, pool: &PoolShare) -> Reason {
    let name = match pool.pool {
        PoolKind::Main => "pools.main",
        PoolKind::Read => "pools.read",
        PoolKind::Admin => "pools.admin",
    };
    let server = match pool.server {
        ServerKind::Primary => "on the primary",
        ServerKind::Replica => "on the replica",
    };
    let text = format!(
        "{} of the {} per instance {server}; at least {}",
        percent(pool.share),
        number(f64::from(plan.max_connections)),
        number(f64::from(pool.min_connections))
    );
    connections(name, pool.max_connections, text)
}

fn user_reasons(plan: &Plan) -> Vec<Reason> {
    let Some(users) = plan.inputs.users else { return Vec::new() };
    let (users, instances) = (number(f64::from(users)), count(plan.inputs.instances, "instance"));
    let size = number(f64::from(plan.pool_size));
    vec![
        decimal("users_per_instance", plan.users_per_instance, "users", format!("{users} over {instances}")),
        decimal(
            "users_per_connection",
            plan.users_per_connection,
            "users",
            format!("users of one instance over the pool of {size}"),
        ),
        decimal(
            "users_per_connection_overall",
            plan.users_per_connection_overall,
            "users",
            format!("{users} over the pool of {size}"),
        ),
    ]
}

/// What was assumed because it was not given.
pub(crate) fn notes(plan: &Plan) -> Vec<String> {
    let inputs = &plan.inputs;
    let mut notes = Vec::new();
    if inputs.requests_per_s_peak.is_none() {
        notes.push(format!(
            "No peak was given, so the expected {} requests/s count as the peak. Plan for peaks: give --peak-rps.",
            number(inputs.requests_per_s)
        ));
    }
    notes.push(
        "Requests arrive independently of each other (Poisson) and wait in order of arrival; bursts from one source, \
         such as a batch job, wait longer."
            .to_owned(),
    );
    notes.push(
        "The pool size is for one pool; poolers hold one for each pair of user and database. With several, divide it \
         by their load."
            .to_owned(),
    );
    if inputs.has_replica {
        notes.push(
            "The replica is taken to have the primary's max_connections and margin, and only the read pool on it; \
             the pooler's size covers all requests, so that the primary can answer them when the replica is away."
                .to_owned(),
        );
    }
    notes
}
