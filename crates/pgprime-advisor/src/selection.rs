//! Choosing indexes: which of many candidates are worth their space and their upkeep.
//!
//! [`select`] is a pure function of a [`CostMatrix`] (what queries cost with which candidates) and [`Limits`]. It knows
//! neither tables nor a database, so that it can be checked on any published matrix. It minimises the workload's cost with
//! the maintenance of what it chooses, never chooses an index without gain, and prefers smaller size, then fewer indexes,
//! then lower ids where costs are equal.
//!
//! How: what cannot matter is left out (`reduce`); Extend grows selections by the best benefit per byte and by other
//! criteria (`grow`), local improvement exchanges candidates (`improve`, `heuristics`); then branch and bound (`exact`)
//! with a Lagrangian bound (`bound`) proves that nothing is better, or how much better it could be at most.

mod bound;
mod error;
mod exact;
mod grow;
mod heuristics;
mod improve;
mod limits;
mod matrix;
mod names;
mod outcome;
mod problem;
mod reduce;
mod state;

pub use error::MatrixError;
pub use limits::Limits;
pub use matrix::{CandidateIndex, CostEntry, CostMatrix, WorkloadQuery};
pub use outcome::{ChosenIndex, QueryOutcome, Selection};

use names::Names;
use outcome::Search;
use problem::Problem;
use state::State;

/// Chooses candidates within the limits so that the workload, with the maintenance of what is chosen, costs least.
///
/// The same matrix and limits always give the same selection. Of more than about 40 candidates it may not be proven to be
/// the best one; [`Selection::gap_max`] then says how far from it it is at most.
///
/// # Errors
///
/// When the matrix is not valid.
pub fn select(matrix: &CostMatrix, limits: &Limits) -> Result<Selection, MatrixError> {
    let names = Names::new(matrix)?;
    let problem = Problem::new(&names, limits.capacity());
    let mut state = State::new(&problem);
    heuristics::search(&mut state, limits);
    let heuristic_steps = state.steps;
    let proof = (limits.exact_steps_max > 0).then(|| exact::solve(&mut state, limits.exact_steps_max));
    let chosen: Vec<u32> =
        state.chosen().into_iter().map(|candidate| problem.candidates[candidate as usize].rank).collect();
    let cost_before: f64 = matrix.queries.iter().map(|query| query.weight * query.cost).sum();
    let search = Search {
        total_cost_min: proof.map(|proof| cost_before - proof.net_max),
        is_proven_optimal: proof.is_some_and(|proof| proof.is_complete),
        steps: proof.map_or(heuristic_steps, |proof| heuristic_steps + proof.steps),
    };
    Ok(outcome::describe(&names, &chosen, &search))
}
