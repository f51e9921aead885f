//! The nodes of a plan in a row.

use super::model::{Node, Plan};

/// A node and its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'a> {
    pub(super) node: &'a Node,
    /// Index of the node above.
    pub(super) parent: Option<usize>,
    /// Index behind the last node below.
    pub(super) end: usize,
}

/// All nodes in the order of their ids: each before those below it, which stand together.
pub(super) fn steps(plan: &Plan) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    add(&plan.root, None, &mut steps);
    steps
}

fn add<'a>(node: &'a Node, parent: Option<usize>, steps: &mut Vec<Step<'a>>) {
    let at = steps.len();
    steps.push(Step { node, parent, end: at + 1 });
    for child in &node.children {
        add(child, Some(at), steps);
    }
    steps[at].end = steps.len();
}
