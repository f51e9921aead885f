//! What the planner says about a statement, with whatever hypothetical indexes there are.

use super::error::IndexesError;
use super::session::Session;
use crate::plan::{Node, Plan};

/// A plan's cost and the indexes in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Planned {
    pub(super) cost: f64,
    /// Names of indexes that it uses, hypothetical ones among them.
    pub(super) indexes: Vec<String>,
}

const STEP: &str = "plan the statement";

/// Plans it as it is. The inner error is the statement's own.
pub(super) async fn plan(
    session: &Session<'_>,
    text: &str,
) -> Result<Result<Plan, IndexesError>, IndexesError> {
    let json =
        session.attempt_text(STEP, &format!("EXPLAIN /* pgprime */ (FORMAT JSON, VERBOSE) {text}")).await?;
    Ok(json.and_then(|json| parsed(&json)))
}

/// Plans it for its cost alone. The inner error is the statement's own.
pub(super) async fn cost(
    session: &Session<'_>,
    text: &str,
) -> Result<Result<Planned, IndexesError>, IndexesError> {
    let json = session.attempt_text(STEP, &format!("EXPLAIN /* pgprime */ (FORMAT JSON) {text}")).await?;
    Ok(json.and_then(|json| parsed(&json)).map(|plan| {
        let mut indexes = Vec::new();
        collect(&plan.root, &mut indexes);
        Planned { cost: total(&plan), indexes }
    }))
}

/// The cost of the whole statement.
pub(super) fn total(plan: &Plan) -> f64 {
    plan.root.estimate.map_or(0.0, |estimate| estimate.total_cost)
}

fn parsed(json: &str) -> Result<Plan, IndexesError> {
    Plan::parse(json).map_err(|error| IndexesError::Answer { step: STEP, reason: error.to_string() })
}

fn collect(node: &Node, indexes: &mut Vec<String>) {
    if let Some(index) = node.index.as_ref().filter(|index| !indexes.contains(index)) {
        indexes.push(index.clone());
    }
    node.children.iter().for_each(|child| collect(child, indexes));
}
