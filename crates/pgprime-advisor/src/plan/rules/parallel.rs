//! Parallel plans.

use super::context::{Context, Found};
use crate::plan::finding::{Severity, Unit};

pub(super) fn workers_not_launched(context: &Context<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (node, _) in context.executed() {
        let (Some(planned), Some(launched)) = (node.workers_planned, node.workers_launched) else { continue };
        if launched >= planned {
            continue;
        }
        #[allow(clippy::cast_precision_loss, reason = "a handful")]
        let (wanted, came) = (planned as f64, launched as f64);
        // With more workers it would take part of the time; how large a part is anyone's guess.
        let severity =
            Severity::of_share(node.figures.total_share * (1.0 - came / wanted)).min(Severity::Major);
        found.push(
            Found::at(context, node, format!("{launched} of {planned} workers could be started"))
                .severity(severity)
                .number("workers_planned", wanted, Unit::Count)
                .number("workers_launched", came, Unit::Count)
                .advise(
                    "All of max_parallel_workers (or max_worker_processes) were busy. Raise them if there are processors \
                     to spare, or lower max_parallel_workers_per_gather so that statements get what they plan with.",
                ),
        );
    }
    found
}
