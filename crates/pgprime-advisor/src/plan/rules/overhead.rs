//! Time that no node took.

use super::context::{Context, Found};
use crate::plan::finding::Unit;
use crate::plan::format;

const SHARE_MIN: f64 = 0.1;
/// Less is not worth a thought.
const MS_MIN: f64 = 1.0;

pub(super) fn jit(context: &Context<'_>) -> Vec<Found> {
    let (Some(jit), Some(whole)) = (context.plan.jit, context.plan.whole_ms()) else { return Vec::new() };
    let share = jit.total_ms / whole;
    if share < SHARE_MIN || jit.total_ms < MS_MIN {
        return Vec::new();
    }
    let text =
        format!("compiling took {} of {}", format::milliseconds(jit.total_ms), format::milliseconds(whole));
    let found = Found::of_plan(context, share, text)
        .number("jit", jit.total_ms, Unit::Milliseconds)
        .number("share", share, Unit::Share)
        .number("inlining_and_optimization", jit.inlining_ms + jit.optimization_ms, Unit::Milliseconds)
        .advise(
            "Compiling pays for statements that run for seconds. Raise jit_above_cost, or turn it \
                off for this kind of work.",
        )
        .statement(Some("SET LOCAL jit = off;".to_owned()));
    vec![found]
}

pub(super) fn triggers(context: &Context<'_>) -> Vec<Found> {
    let Some(whole) = context.plan.whole_ms() else { return Vec::new() };
    let mut found = Vec::new();
    for trigger in &context.plan.triggers {
        let ms = trigger.time_ms.unwrap_or(0.0);
        if ms / whole < SHARE_MIN || ms < MS_MIN {
            continue;
        }
        let name = trigger.constraint.as_ref().unwrap_or(&trigger.name);
        let text =
            format!("{name} took {} in {} calls", format::milliseconds(ms), format::number(trigger.calls));
        let advice = match trigger.constraint {
            Some(_) => {
                "A foreign key is checked on the table that refers: it needs an index on the \
                    columns that refer."
            }
            None => {
                "See what the trigger's function does for each row; one FOR EACH STATEMENT with \
                    transition tables may do."
            }
        };
        found.push(
            Found::of_plan(context, ms / whole, text)
                .number("trigger_time", ms, Unit::Milliseconds)
                .number("calls", trigger.calls, Unit::Count)
                .number("share", ms / whole, Unit::Share)
                .advise(advice),
        );
    }
    found
}

pub(super) fn planning(context: &Context<'_>) -> Vec<Found> {
    const PLANNING_MS_MIN: f64 = 5.0;
    let (Some(planning), Some(whole)) = (context.plan.planning_ms, context.plan.whole_ms()) else {
        return Vec::new();
    };
    if planning < PLANNING_MS_MIN || planning <= whole {
        return Vec::new();
    }
    let text =
        format!("planning took {}, running {}", format::milliseconds(planning), format::milliseconds(whole));
    let share = planning / (planning + whole);
    let found = Found::of_plan(context, share, text)
        .number("planning", planning, Unit::Milliseconds)
        .number("execution", whole, Unit::Milliseconds)
        .number("share", share, Unit::Share)
        .advise(
            "Prepare the statement once and run it often (plan_cache_mode = force_generic_plan where values do not \
             matter); join fewer tables and partitions, or lower join_collapse_limit.",
        );
    vec![found]
}

pub(super) fn outside(context: &Context<'_>) -> Vec<Found> {
    let plan = context.plan;
    /// What EXPLAIN ANALYZE takes for a row that it counts and throws away.
    const MS_PER_ROW: f64 = 0.000_2;
    let (Some(whole), Some(root)) = (plan.whole_ms(), plan.root.figures.total_ms) else { return Vec::new() };
    // The rest of compiling is tidied up behind the plan.
    if plan.jit.is_some() {
        return Vec::new();
    }
    let triggers: f64 = plan.triggers.iter().filter_map(|trigger| trigger.time_ms).sum();
    // In the log the statement was run for its client, not for EXPLAIN.
    let counted =
        if plan.query_text.is_none() { plan.root.actual.map_or(0.0, |actual| actual.rows) } else { 0.0 };
    let outside = whole - root - triggers - counted * MS_PER_ROW;
    let serialization = plan.serialization.as_ref().and_then(|found| found.time_ms).unwrap_or(0.0);
    if outside / whole < SHARE_MIN || outside < MS_MIN {
        return Vec::new();
    }
    let text = format!(
        "{} of {} passed outside of the plan: starting, converting and sending rows",
        format::milliseconds(outside),
        format::milliseconds(whole)
    );
    let found = Found::of_plan(context, outside / whole, text)
        .number("outside", outside, Unit::Milliseconds)
        .number("share", outside / whole, Unit::Share)
        .number("serialization", serialization, Unit::Milliseconds)
        .advise(
            "Ask for fewer rows and columns (large values are fetched and unpacked here), and \
            see whether the client takes them fast enough.",
        );
    vec![found]
}
