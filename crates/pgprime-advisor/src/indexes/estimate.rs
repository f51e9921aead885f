//! What statements would cost with candidates, by a formula of our own: for servers without HypoPG. Pure.
//!
//! The plan without the candidates is taken as it is, with the planner's row counts. Scans of a candidate's table get the
//! cost of a scan of the index, after PostgreSQL's own formulas (`access`), and the nodes above lose what that spares: a
//! sort that the index's order makes needless, the rows behind a LIMIT, the whole other side of a join that becomes a probe
//! for each row (`tree`). Where it is unclear, nothing is gained: what remains of the plan is never made cheaper, and no
//! index is taken to help that would read more than a fifth of the table row by row.

mod access;
mod matching;
mod tree;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use super::candidate::Candidate;
use super::inventory::Inventory;
use super::table_use::Uses;
use crate::plan::Plan;
use tree::{Chosen, Tree};

/// Estimates of one statement.
const ESTIMATES_MAX: usize = 64;
/// Candidates of a table that are tried together with those of others, the best by themselves first.
const COMBINED_PER_TABLE_MAX: usize = 3;
/// Tables of which candidates are tried together.
const COMBINED_TABLES_MAX: usize = 4;
/// A cost that is lower by less than this share is none that can be told from rounding.
const GAIN_SHARE_MIN: f64 = 0.001;
/// Nor is one that is lower by less than so many pages read at random: the planner counts whole pages, by which an index
/// that exists and one of the same rows that is only supposed to may differ at either end.
const GAIN_PAGES_MIN: f64 = 2.0;

/// What a statement costs with candidates.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Estimated {
    /// The candidates' numbers, ascending. With others besides, it costs as much or less.
    pub(super) candidates: Vec<usize>,
    /// In the planner's unit.
    pub(super) cost: f64,
}

/// What one statement costs with the candidates, of each by itself and of combinations of one for each table, as far as
/// they make it cheaper than its plan. `uses` are what it looks for in its tables, `candidates` have the numbers by which
/// the result names them.
pub(super) fn estimates(
    inventory: &Inventory,
    uses: &Uses,
    plan: &Plan,
    candidates: &[(usize, &Candidate)],
) -> Vec<Estimated> {
    let Some(estimate) = plan.root.estimate else { return Vec::new() };
    let tree = Tree { inventory, matched: matching::matched(inventory, uses, plan) };
    let gain_min = GAIN_PAGES_MIN * inventory.server.random_page_cost;
    let cost_max = estimate.total_cost - gain_min.max(estimate.total_cost * GAIN_SHARE_MIN);
    let cost = |chosen: &[(usize, &Candidate)]| {
        let by_table: Chosen<'_> = chosen.iter().map(|(_, one)| (one.relation, *one)).collect();
        tree.cost(plan, &by_table)
    };
    let mut singles: Vec<(usize, &Candidate, f64)> =
        candidates.iter().map(|(number, one)| (*number, *one, cost(&[(*number, *one)]))).collect();
    singles.sort_by(|a, b| a.2.total_cmp(&b.2).then(a.0.cmp(&b.0)));
    let is_gain = |cost: f64| cost < cost_max;
    let mut all: Vec<Estimated> = singles
        .iter()
        .filter(|(.., cost)| is_gain(*cost))
        .map(|(number, _, cost)| Estimated { candidates: vec![*number], cost: *cost })
        .collect();
    for combination in combinations(&singles) {
        if all.len() >= ESTIMATES_MAX {
            break;
        }
        let together = cost(&combination);
        let mut numbers: Vec<usize> = combination.iter().map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        let is_part = |one: &Estimated| one.candidates.iter().all(|number| numbers.contains(number));
        let cheapest = all.iter().filter(|one| is_part(one)).map(|one| one.cost).fold(cost_max, f64::min);
        if together < cheapest * (1.0 - GAIN_SHARE_MIN) {
            all.push(Estimated { candidates: numbers, cost: together });
        }
    }
    all.truncate(ESTIMATES_MAX);
    all
}

type Numbered<'a> = Vec<(usize, &'a Candidate)>;

/// Up to one candidate of each table, two tables at least; fewer tables first, so that parts are known before the whole.
fn combinations<'a>(singles: &[(usize, &'a Candidate, f64)]) -> Vec<Numbered<'a>> {
    let mut order: Vec<usize> = Vec::new();
    let mut by_table: HashMap<usize, Numbered<'a>> = HashMap::new();
    for (number, candidate, _) in singles {
        let list = by_table.entry(candidate.relation).or_default();
        if list.is_empty() {
            order.push(candidate.relation);
        }
        if list.len() < COMBINED_PER_TABLE_MAX {
            list.push((*number, *candidate));
        }
    }
    order.truncate(COMBINED_TABLES_MAX);
    let mut all: Vec<Numbered<'a>> = vec![Vec::new()];
    for table in &order {
        let longer: Vec<Numbered<'a>> = all
            .iter()
            .flat_map(|start| by_table[table].iter().map(|one| [start.as_slice(), &[*one]].concat()))
            .collect();
        all.extend(longer);
    }
    all.retain(|combination| combination.len() > 1);
    all.sort_by_key(Vec::len);
    all
}
