//! The problems that are looked for.

mod conditions;
mod context;
mod estimates;
mod index_scans;
mod joins;
mod limits;
mod memory;
mod overhead;
mod parallel;
mod repetition;
mod sequential;
mod states;

use super::finding::Finding;
use super::model::Plan;
use context::{Context, Found};

/// One problem that is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name in JSON.
    pub id: &'static str,
    /// What it finds, in few words.
    pub title: &'static str,
    check: fn(&Context<'_>) -> Vec<Found>,
}

const fn rule(id: &'static str, title: &'static str, check: fn(&Context<'_>) -> Vec<Found>) -> Rule {
    Rule { id, title, check }
}

/// All rules.
pub const RULES: &[Rule] = &[
    rule("seq_scan_filter", "Sequential scan for few rows", sequential::selective_filter),
    rule("seq_scan_in_loop", "Sequential scan again and again", sequential::in_loop),
    rule("dead_rows", "Many blocks for few rows", sequential::dead_rows),
    rule("index_filter", "Index leads to rows that are thrown away", index_scans::filters_most),
    rule("heap_fetches", "Index-only scan goes to the table", index_scans::heap_fetches),
    rule("lossy_bitmap", "Bitmap too large for work_mem", index_scans::lossy_bitmap),
    rule(
        "expression_on_column",
        "Cast or function hides a column from indexes",
        conditions::expression_on_column,
    ),
    rule("row_estimate", "Row estimate far off", estimates::far_off),
    rule("stale_statistics", "Statistics out of date", estimates::stale),
    rule("sort_on_disk", "Sort on disk", memory::sort_on_disk),
    rule("hash_on_disk", "Hash table on disk", memory::hash_on_disk),
    rule("temp_blocks", "Temporary files", memory::temp_blocks),
    rule("memoize", "Cache that forgets", memory::memoize),
    rule("nested_loop", "Nested loop over many rows", joins::nested_loop),
    rule("cartesian_product", "Every row with every other", joins::cartesian_product),
    rule("late_filter", "Rows joined, then thrown away by OR", joins::late_filter),
    rule("large_offset", "Rows read and skipped by OFFSET", limits::large_offset),
    rule("order_by_limit", "Index chosen for the order, not for the filter", limits::order_by_limit),
    rule("correlated_subplan", "Subquery run for each row", repetition::correlated_subplan),
    rule("cte_scans", "Common table expression read again and again", repetition::cte_scans),
    rule("workers_not_launched", "Parallel workers missing", parallel::workers_not_launched),
    rule("jit", "Just-in-time compilation takes long", overhead::jit),
    rule("trigger_time", "Triggers take long", overhead::triggers),
    rule("planning_time", "Planning takes longer than running", overhead::planning),
    rule("time_outside", "Time outside of the plan", overhead::outside),
    rule("never_executed", "Parts never executed", states::never_executed),
    rule("disabled_node", "A disabled kind of node was used", states::disabled),
];

/// The problems of a plan, the gravest first, then in the order of the nodes.
///
/// Of a plan that was not executed only those that the planner's estimates show; they are marked.
#[must_use]
pub fn find_problems(plan: &Plan) -> Vec<Finding> {
    let context = Context::of(plan);
    let mut findings: Vec<Finding> = Vec::new();
    for rule in RULES {
        let found = (rule.check)(&context);
        findings.extend(found.into_iter().map(|found| found.named(rule.id, rule.title)));
    }
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then(a.node.cmp(&b.node)));
    findings
}
