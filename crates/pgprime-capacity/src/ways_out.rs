//! What to change so that a load fits the budget, in numbers.

use crate::inputs::{Inputs, MAX_CONNECTIONS_MAX};
use crate::rounding::ceil_u32;
use crate::staffing::Workload;
use crate::text::{count, number};

/// Halvings of an interval until it is narrower than anyone can tell.
const HALVINGS: u32 = 40;

/// More servers than anyone would add.
const SERVERS_MAX: u32 = 1_000;

/// What can be done so that `workload`, which needs `needed` connections, fits the budget; each is enough alone.
pub(crate) fn ways_out(inputs: &Inputs, workload: &Workload, needed: u32) -> Vec<String> {
    let budget = inputs.budget();
    let raise = max_connections_for(inputs, needed).map(|max_connections| {
        format!(
            "raise max_connections from {} to {} (the database must have the memory and the cores for it)",
            number(f64::from(inputs.max_connections)),
            number(f64::from(max_connections))
        )
    });
    let shorten = service_ms_for(workload, budget).map(|service_ms| {
        let now = number(workload.service.mean_ms());
        format!(
            "bring the mean service time from {now} ms down to {} ms (slow queries, indexes)",
            number(service_ms)
        )
    });
    let cache = cached_percent_for(workload, budget)
        .map(|percent| format!("answer {percent} % of the requests from a cache, without the database"));
    let replicas = replicas_for(workload, budget).map(|replicas| {
        format!(
            "add {} as large as the primary and send {} % of the requests there (reads only)",
            count(replicas, "replica"),
            number((f64::from(replicas) * 100.0 / f64::from(replicas + 1)).ceil())
        )
    });
    [raise, shorten, cache, replicas].into_iter().flatten().collect()
}

/// The smallest `max_connections` whose budget is `needed`; `None` beyond what PostgreSQL can be set to.
fn max_connections_for(inputs: &Inputs, needed: u32) -> Option<u32> {
    let by_margin = ceil_u32(f64::from(needed) / inputs.safety_margin);
    let max_connections = by_margin.max(needed.saturating_add(inputs.reserved_connections));
    (max_connections <= MAX_CONNECTIONS_MAX).then_some(max_connections)
}

/// The longest mean service time in ms that fits, rounded down to three digits.
fn service_ms_for(workload: &Workload, budget: u32) -> Option<f64> {
    let factor = largest_factor(|factor| workload.with_service_times(factor).is_met_by(budget))?;
    let service_ms = workload.service.mean_ms() * factor;
    let step = 10_f64.powf(service_ms.log10().floor() - 2.0);
    Some((service_ms / step).floor() * step).filter(|service_ms| *service_ms > 0.0)
}

/// The least part of the requests, in whole percent, that must not reach the database.
fn cached_percent_for(workload: &Workload, budget: u32) -> Option<u32> {
    let factor = largest_factor(|factor| workload.with_rate_times(factor).is_met_by(budget))?;
    let percent = ((1.0 - factor) * 100.0).ceil() as u32;
    (percent < 100).then_some(percent)
}

/// The fewest replicas that fit the load when it is spread evenly over them and the primary.
fn replicas_for(workload: &Workload, budget: u32) -> Option<u32> {
    let fits = |servers: &u32| workload.with_rate_times(1.0 / f64::from(*servers)).is_met_by(budget);
    (2..=SERVERS_MAX).find(fits).map(|servers| servers - 1)
}

/// The largest factor up to 1 that fits, where every smaller one fits too; `None` when hardly anything fits.
fn largest_factor(fits: impl Fn(f64) -> bool) -> Option<f64> {
    let (mut fitting, mut too_large) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = (fitting + too_large) / 2.0;
        if fits(middle) {
            fitting = middle;
        } else {
            too_large = middle;
        }
    }
    (fitting > 1e-6).then_some(fitting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service_time::ServiceTime;

    fn overload() -> (Inputs, Workload) {
        let service = ServiceTime::exponential(20.0).expect("valid");
        let inputs = Inputs::new(5000.0, service, 5, 100);
        (inputs, Workload { requests_per_s: 5000.0, service, wait_ms_p99_target: None })
    }

    #[test]
    fn each_way_out_is_enough_and_hardly_more() {
        let (inputs, workload) = overload();
        let budget = inputs.budget();
        let needed = workload.smallest_size(1000);
        assert_eq!((budget, needed), (80, 125));

        let max_connections = max_connections_for(&inputs, needed).expect("PostgreSQL can have that many");
        let budget_with = |max_connections| Inputs { max_connections, ..inputs.clone() }.budget();
        assert_eq!((max_connections, budget_with(max_connections), budget_with(156)), (157, 125, 124));

        let service_ms = service_ms_for(&workload, budget).expect("a shorter time fits");
        assert!((service_ms - 12.8).abs() < 1e-9, "{service_ms}");
        assert!(workload.with_service_times(12.8 / 20.0).is_met_by(budget));
        assert!(!workload.with_service_times(12.9 / 20.0).is_met_by(budget));

        assert_eq!(cached_percent_for(&workload, budget), Some(36));
        assert!(workload.with_rate_times(0.64).is_met_by(budget));
        assert!(!workload.with_rate_times(0.65).is_met_by(budget));

        assert_eq!(replicas_for(&workload, budget), Some(1));
        assert_eq!(replicas_for(&workload, 40), Some(3));
    }

    #[test]
    fn what_does_not_help_is_not_offered() {
        let (inputs, workload) = overload();
        assert_eq!(max_connections_for(&inputs, 250_000), None);
        // No wait at all with one connection takes nearly no load at all.
        let patient = Workload { wait_ms_p99_target: Some(0.0), ..workload };
        let texts = ways_out(&Inputs { max_connections: 4, ..inputs }, &patient, 300_000);
        assert!(texts.iter().all(|text| !text.contains("NaN") && !text.contains(" 0 ms")), "{texts:?}");
    }
}
