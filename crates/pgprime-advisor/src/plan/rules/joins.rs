//! Joins.

use super::context::{Context, Found, loops};
use super::sequential::is_in_loop;
use crate::plan::condition;
use crate::plan::finding::Unit;
use crate::plan::format;
use crate::plan::kind::Kind;
use crate::plan::model::{ConditionKind, Node};

pub(super) fn nested_loop(context: &Context<'_>) -> Vec<Found> {
    /// About where reading the whole inner side once is cheaper than looking rows up one by one.
    const LOOPS_MIN: f64 = 10_000.0;
    const INNER_SHARE_MIN: f64 = 0.1;
    let mut found = Vec::new();
    for node in context.nodes().filter(|node| node.kind == Kind::NestedLoop) {
        let (Some(outer), Some(inner)) = (node.outer(), node.inner()) else { continue };
        let times = match node.actual {
            Some(_) => loops(inner),
            None => outer.estimate.map_or(0.0, |estimate| estimate.rows),
        };
        let has_rule = inner.kind == Kind::Memoize
            || is_cartesian(context, node)
            || context.subtree(inner).any(|below| is_in_loop(context, below));
        if times < LOOPS_MIN || inner.figures.total_share < INNER_SHARE_MIN || has_rule {
            continue;
        }
        let text = format!("runs the inner side {} times", format::number(times));
        let mut here = Found::at(context, node, text).number("loops", times, Unit::Loops).number(
            "inner_share",
            inner.figures.total_share,
            Unit::Share,
        );
        if let Some(error) = outer.figures.estimate_error {
            here = here.number("outer_rows_off_by", error.factor, Unit::Factor);
        }
        found.push(here.advise(
            "For so many rows a hash or merge join reads each side once. If the outer side's rows were underestimated, \
             mend that first; if an index is only missing from the join's column on the other side, add it; otherwise try \
             the statement with SET LOCAL enable_nestloop = off to compare.",
        ));
    }
    found
}

pub(super) fn cartesian_product(context: &Context<'_>) -> Vec<Found> {
    let products = context.nodes().filter(|node| is_cartesian(context, node));
    let mut found = Vec::new();
    for node in products {
        let (outer, inner) = rows(node);
        let text = format!(
            "joins {} rows with {} each, without a condition",
            format::number(outer),
            format::number(inner)
        );
        found.push(
            Found::at(context, node, text)
                .number("outer_rows", outer, Unit::Rows)
                .number("inner_rows", inner, Unit::Rows)
                .number("rows", outer * inner, Unit::Rows)
                .advise(
                    "A join condition seems to be missing; if every pair is wanted, there is \
                    nothing to gain.",
                ),
        );
    }
    found
}

/// Rows of the outer side, and of the inner side for each.
fn rows(node: &Node) -> (f64, f64) {
    let of = |side: Option<&Node>| match side {
        Some(Node { actual: Some(actual), .. }) => actual.rows,
        Some(Node { estimate: Some(estimate), .. }) => estimate.rows,
        _ => 0.0,
    };
    (of(node.outer()), of(node.inner()))
}

fn is_cartesian(context: &Context<'_>, node: &Node) -> bool {
    const ROWS_MIN: f64 = 10_000.0;
    let (outer, inner) = rows(node);
    let is_large = outer > 1.0 && inner > 1.0 && outer * inner >= ROWS_MIN;
    node.kind == Kind::NestedLoop
        && is_large
        && node.conditions.is_empty()
        && node.inner().is_some_and(|inner| !may_depend(context, node, inner))
}

/// Whether the inner side may be read for the outer one's row, as far as conditions show it.
fn may_depend(context: &Context<'_>, node: &Node, inner: &Node) -> bool {
    let outer_names: Vec<String> = node.outer().map_or_else(Vec::new, |outer| {
        let names = context.subtree(outer).filter_map(|node| node.alias.as_ref().or(node.relation.as_ref()));
        names.flat_map(|name| [format!("{name}."), format!("\"{name}\".")]).collect()
    });
    let reads =
        |text: &str| text.contains('$') || outer_names.iter().any(|name| text.contains(name.as_str()));
    context.subtree(inner).any(|below| {
        // What a function is called with is only printed with VERBOSE; a column of the other side is usual.
        let is_hidden = matches!(
            below.kind,
            Kind::FunctionScan
                | Kind::TableFunctionScan
                | Kind::Result
                | Kind::ProjectSet
                | Kind::CustomScan
                | Kind::ForeignScan
        );
        is_hidden
            || below.conditions.iter().any(|condition| reads(&condition.text))
            || below.cache_key.as_deref().is_some_and(reads)
    })
}

pub(super) fn late_filter(context: &Context<'_>) -> Vec<Found> {
    const REMOVED_ROWS_MIN: f64 = 1000.0;
    const REMOVED_PER_KEPT_MIN: f64 = 9.0;
    let mut found = Vec::new();
    for (node, actual) in context.executed().filter(|(node, _)| node.kind.is_join()) {
        let texts = [ConditionKind::JoinFilter, ConditionKind::Filter].map(|kind| node.condition(kind));
        let Some(text) = texts.into_iter().flatten().find(|text| condition::has_or(text)) else { continue };
        let removed = (node.rows_removed.join_filter + node.rows_removed.filter) * actual.loops;
        let kept = actual.rows_total();
        if removed < REMOVED_ROWS_MIN || removed < REMOVED_PER_KEPT_MIN * kept {
            continue;
        }
        let sides = condition::comparisons(text).len();
        let explanation = format!(
            "{} rows were joined and only then thrown away, {} kept, by a condition with OR",
            format::number(removed),
            format::number(kept)
        );
        found.push(
            Found::at(context, node, explanation)
                .number("rows_removed", removed, Unit::Rows)
                .number("rows_kept", kept, Unit::Rows)
                .number("comparisons", f64::from(u32::try_from(sides).unwrap_or(u32::MAX)), Unit::Count)
                .advise(
                    "An OR over columns of both tables cannot be met before the join. Write it as a UNION of one query \
                     for each side, so that each starts with its own index.",
                ),
        );
    }
    found
}
