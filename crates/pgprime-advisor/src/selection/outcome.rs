//! The result: what was chosen and what it does for each query.

use serde::Serialize;

use super::names::Names;

/// The chosen candidates and what they are worth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Selection {
    /// The chosen candidates, by id.
    pub chosen: Vec<ChosenIndex>,
    /// What the workload costs without any candidate: the sum of weight × cost.
    pub cost_before: f64,
    /// What the workload costs with the chosen ones, their maintenance not counted.
    pub cost_after: f64,
    /// The sum of the chosen candidates' maintenance costs.
    pub maintenance_cost: f64,
    /// The sum of the chosen candidates' penalties.
    pub penalty_cost: f64,
    /// What is to be as small as possible: `cost_after` with maintenance and penalties.
    pub total_cost: f64,
    /// No selection within the limits has a smaller total cost than this; `None` when the exact solver did not run.
    pub total_cost_min: Option<f64>,
    /// The size of all chosen candidates.
    pub size_bytes: u64,
    /// Whether it is shown that no selection within the limits has a smaller total cost.
    pub is_proven_optimal: bool,
    /// By which part the total cost may at most lie above the smallest possible one: 0.01 is one per cent. `None` when that is
    /// not known.
    pub gap_max: Option<f64>,
    /// What becomes of each query, in the order of the matrix.
    pub queries: Vec<QueryOutcome>,
    /// How many steps the search took (see [`super::Limits`]).
    pub steps: u64,
}

/// A chosen candidate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChosenIndex {
    /// Its id.
    pub id: String,
    /// Its size.
    pub size_bytes: u64,
    /// What writes pay for it.
    pub maintenance_cost: f64,
    /// How much dearer the queries would be without it, the others given.
    pub saved_cost: f64,
}

/// A query with the chosen candidates.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QueryOutcome {
    /// Its id.
    pub id: String,
    /// Its weight.
    pub weight: f64,
    /// The cost of one execution without any candidate.
    pub cost_before: f64,
    /// The cost of one execution with the chosen ones.
    pub cost_after: f64,
    /// The ids of the candidates that this takes; empty when none helps.
    pub candidates: Vec<String>,
}

/// How a selection was found.
pub(super) struct Search {
    /// The smallest total cost possible, if known.
    pub(super) total_cost_min: Option<f64>,
    /// Whether the selection is shown to be optimal.
    pub(super) is_proven_optimal: bool,
    /// Steps taken.
    pub(super) steps: u64,
}

/// Describes the selection of these ranks, ascending, from the matrix itself.
pub(super) fn describe(names: &Names<'_>, chosen: &[u32], search: &Search) -> Selection {
    let matrix = names.matrix;
    let best = best_entries(names, chosen, None);
    let id = |rank: u32| matrix.candidates[names.place(rank)].id.clone();
    let queries: Vec<QueryOutcome> = matrix
        .queries
        .iter()
        .zip(&best)
        .map(|(query, entry)| QueryOutcome {
            id: query.id.clone(),
            weight: query.weight,
            cost_before: query.cost,
            cost_after: entry.map_or(query.cost, |entry| matrix.costs[entry].cost),
            candidates: entry.map_or(Vec::new(), |e| names.entries[e].1.iter().map(|&r| id(r)).collect()),
        })
        .collect();
    let cost_after: f64 = queries.iter().map(|query| query.weight * query.cost_after).sum();
    let of_chosen = || chosen.iter().map(|&rank| &matrix.candidates[names.place(rank)]);
    let maintenance_cost: f64 = of_chosen().map(|index| index.maintenance_cost).sum();
    let penalty_cost: f64 = of_chosen().map(|index| index.penalty_cost).sum();
    let total_cost = cost_after + maintenance_cost + penalty_cost;
    let total_cost_min = search.total_cost_min.map(|min| min.clamp(0.0, total_cost));
    let gap_max = match total_cost_min {
        _ if search.is_proven_optimal => Some(0.0),
        Some(min) if min > 0.0 => Some(total_cost / min - 1.0),
        _ => None,
    };
    Selection {
        chosen: saved_costs(names, chosen, &best),
        cost_before: queries.iter().map(|query| query.weight * query.cost_before).sum(),
        cost_after,
        maintenance_cost,
        penalty_cost,
        total_cost,
        total_cost_min: if search.is_proven_optimal { Some(total_cost) } else { total_cost_min },
        size_bytes: of_chosen().map(|index| index.size_bytes).sum(),
        is_proven_optimal: search.is_proven_optimal,
        gap_max,
        queries,
        steps: search.steps,
    }
}

/// Of each query the entry that is used, if any: the cheapest, then the one with the fewest candidates, then by their ids.
fn best_entries(names: &Names<'_>, chosen: &[u32], without: Option<u32>) -> Vec<Option<usize>> {
    let matrix = names.matrix;
    let mut best: Vec<Option<usize>> = vec![None; matrix.queries.len()];
    let is_usable = |rank: &u32| chosen.binary_search(rank).is_ok() && Some(*rank) != without;
    for (place, (query, members)) in names.entries.iter().enumerate() {
        let cost = matrix.costs[place].cost;
        if cost >= matrix.queries[*query].cost || !members.iter().all(is_usable) {
            continue;
        }
        let is_better = best[*query].is_none_or(|other| {
            let other_members = &names.entries[other].1;
            let by_cost = cost.total_cmp(&matrix.costs[other].cost);
            by_cost.then(members.len().cmp(&other_members.len())).then(members.cmp(other_members)).is_lt()
        });
        if is_better {
            best[*query] = Some(place);
        }
    }
    best
}

fn saved_costs(names: &Names<'_>, chosen: &[u32], best: &[Option<usize>]) -> Vec<ChosenIndex> {
    let matrix = names.matrix;
    let cost = |query: usize, entry: Option<usize>| {
        entry.map_or(matrix.queries[query].cost, |entry| matrix.costs[entry].cost)
    };
    let saved = |rank: u32| {
        let without = best_entries(names, chosen, Some(rank));
        let dearer = |query: usize| {
            matrix.queries[query].weight * (cost(query, without[query]) - cost(query, best[query]))
        };
        (0..best.len()).map(dearer).sum()
    };
    chosen
        .iter()
        .map(|&rank| {
            let index = &matrix.candidates[names.place(rank)];
            ChosenIndex {
                id: index.id.clone(),
                size_bytes: index.size_bytes,
                maintenance_cost: index.maintenance_cost,
                saved_cost: saved(rank),
            }
        })
        .collect()
}
