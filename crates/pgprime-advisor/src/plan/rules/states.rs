//! Nodes in a state worth knowing.

use super::context::{Context, Found};
use crate::plan::finding::{Severity, Unit};
use crate::plan::label::label;
use crate::plan::model::Node;

pub(super) fn never_executed(context: &Context<'_>) -> Vec<Found> {
    const NAMES_MAX: usize = 3;
    let is_topmost = |node: &&Node| {
        node.is_never_executed() && context.parent(node).is_some_and(|above| !above.is_never_executed())
    };
    let nodes: Vec<&Node> = context.nodes().filter(is_topmost).collect();
    let Some(first) = nodes.first() else { return Vec::new() };
    let mut names: Vec<String> = nodes.iter().take(NAMES_MAX).map(|node| label(node)).collect();
    if nodes.len() > NAMES_MAX {
        names.push(format!("{} more", nodes.len() - NAMES_MAX));
    }
    let count = f64::from(u32::try_from(nodes.len()).unwrap_or(u32::MAX));
    let found = Found::at(
        context,
        first,
        format!("never ran, because no row asked for it: {}", names.join(", ")),
    )
    .severity(Severity::Note)
    .number("nodes", count, Unit::Count)
    .advise(
        "Nothing to do; with other values these parts may run and take time that this plan does not show.",
    );
    vec![found]
}

pub(super) fn disabled(context: &Context<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for node in context.nodes().filter(|node| is_disabled(node)) {
        found.push(
            Found::at(
                context,
                node,
                "was used although a setting such as enable_seqscan = off \
                forbids it: there is no other way"
                    .to_owned(),
            )
            .number("share", node.figures.self_share, Unit::Share)
            .advise(
                "Turn the setting on again: it makes the planner's costs useless for the \
                    rest of the plan. If another way is wanted, it needs an index.",
            ),
        );
    }
    found
}

/// Before 18 the cost says it: what a setting forbids costs so much more.
fn is_disabled(node: &Node) -> bool {
    const DISABLED_COST: f64 = 1e10;
    let costly = |node: &Node| node.estimate.is_some_and(|estimate| estimate.total_cost >= DISABLED_COST);
    node.is_disabled || costly(node) && !node.children.iter().any(costly)
}
