//! What is derived for a node from what was printed.

use serde::Serialize;

use super::measures::Buffers;

/// Figures of one node over all of its loops.
///
/// EXPLAIN prints averages per loop, and a node's time, cost and blocks contain those of the nodes below. What a node
/// took by itself is its total without theirs:
/// * Where several processes share the work, `loops` counts all of them; the time is divided by their number, so that
///   it is part of the time that passed.
/// * A SubPlan is part of the node at which it is shown. An InitPlan is part of the node whose condition names its
///   result, and a common table expression of the scans that read it, wherever they are: it is taken off there, and
///   only there, so that the times of all nodes add up to that of the root.
/// * Costs are those the planner counted for the root: the inner side of a nested loop is counted for each row of the
///   outer one, but never more than the join itself costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Processes that shared the work, on average; 1 outside of parallel plans.
    pub processes: f64,
    /// Time that passed with the nodes below, in milliseconds; nothing without ANALYZE and TIMING.
    pub total_ms: Option<f64>,
    /// Time that passed in this node alone, in milliseconds.
    pub self_ms: Option<f64>,
    /// Part of the root's cost with the nodes below, in the planner's units.
    pub total_cost: Option<f64>,
    /// Part of the root's cost of this node alone, in the planner's units.
    pub self_cost: Option<f64>,
    /// Blocks of this node alone.
    pub self_buffers: Option<Buffers>,
    /// How far the expected rows are off; nothing where the node may have been stopped early.
    pub estimate_error: Option<EstimateError>,
    /// This node with those below, as part of the whole (0 to 1): of time if measured, else of cost.
    pub total_share: f64,
    /// This node alone, as part of the whole (0 to 1): of time if measured, else of cost.
    pub self_share: f64,
}

/// How far the number of expected rows is off.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EstimateError {
    /// The larger number divided by the smaller one, each at least 1.
    pub factor: f64,
    /// Which one was larger.
    pub direction: Direction,
}

/// Whether more or fewer rows came than expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More came.
    Underestimated,
    /// Fewer came.
    Overestimated,
}

impl EstimateError {
    /// The error of `expected` rows when `actual` came.
    #[must_use]
    pub fn of(expected: f64, actual: f64) -> Self {
        let (expected, actual) = (expected.max(1.0), actual.max(1.0));
        if actual >= expected {
            Self { factor: actual / expected, direction: Direction::Underestimated }
        } else {
            Self { factor: expected / actual, direction: Direction::Overestimated }
        }
    }
}
