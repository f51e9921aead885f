//! A workload with its candidates: what is weighed.

use std::collections::HashMap;

use super::advice::Hint;
use super::candidate::Candidate;
use super::generate;
use super::inventory::Inventory;
use super::options::AdviceOptions;
use super::statements::Plannable;
use super::table_use::{Item, TableUse, Uses};
use crate::plan::Plan;
use crate::sql::{StatementKind, Tree};

/// A statement with its plan as it is, and the candidates that may concern it.
pub(super) struct Query {
    pub(super) plannable: Plannable,
    pub(super) uses: Uses,
    pub(super) plan: Plan,
    /// The planner's cost as it is.
    pub(super) cost: f64,
    /// Places of candidates, ascending.
    pub(super) candidates: Vec<usize>,
}

impl Query {
    /// What it costs over the whole workload.
    pub(super) fn total(&self) -> f64 {
        self.plannable.query.weight * self.cost
    }

    fn rows_written(&self) -> f64 {
        let input = self.plan.root.children.first().and_then(|child| child.estimate);
        let rows = self.plannable.query.rows.or_else(|| input.map(|estimate| estimate.rows));
        self.plannable.query.weight * rows.unwrap_or(1.0)
    }

    /// Rows that an index gets new entries for, over the whole workload.
    fn entries(&self, candidate: &Candidate, inventory: &Inventory) -> f64 {
        let StatementKind::Write { command } = self.plannable.statement.kind() else { return 0.0 };
        if !self.uses.written.contains(&candidate.relation) {
            return 0.0;
        }
        match *command {
            // The entries go with the next vacuum, which goes through the index anyway.
            "DELETE" => 0.0,
            "UPDATE" if !self.assigns_to(candidate) => {
                let figures = &candidate.table(inventory).figures;
                let all = figures.updated + figures.hot_updated;
                let others = if all > 0.0 { figures.updated / all } else { 0.5 };
                self.rows_written() * others
            }
            _ => self.rows_written(),
        }
    }

    /// Whether an UPDATE sets a column that is in the index.
    fn assigns_to(&self, candidate: &Candidate) -> bool {
        let tree = Tree::of(self.plannable.statement.tree());
        let Some(update) = tree.node().filter(|node| node.name == "UpdateStmt") else { return true };
        let mut targets =
            update.list("target_list").iter().filter_map(Tree::node).map(|node| node.text("name"));
        targets.any(|name| {
            let has = |item: &Item| item.columns.iter().any(|column| column == name);
            candidate.keys.iter().any(|key| has(&key.item))
                || candidate.include.iter().any(has)
                || candidate.predicate.as_ref().is_some_and(|predicate| predicate.sql.contains(name))
        })
    }
}

/// Rows that a candidate gets entries for, over the whole workload.
pub(super) fn entries(queries: &[Query], candidate: &Candidate, inventory: &Inventory) -> f64 {
    queries.iter().map(|query| query.entries(candidate, inventory)).sum()
}

/// Candidates for all queries, those of the dearest queries first, and hints beside them.
pub(super) fn candidates(
    inventory: &Inventory,
    queries: &mut [Query],
    options: &AdviceOptions,
) -> (Vec<Candidate>, Vec<Hint>) {
    let mut hints: Vec<Hint> = Vec::new();
    let mut lists: Vec<std::vec::IntoIter<Candidate>> = Vec::new();
    let mut by_cost: Vec<&Query> = queries.iter().collect();
    by_cost.sort_by(|a, b| b.total().total_cmp(&a.total()));
    for table_use in by_cost.iter().flat_map(|query| &query.uses.tables) {
        let relation = &inventory.relations[table_use.relation];
        if !relation.is_indexable() || relation.figures.rows < options.table_rows_min {
            continue;
        }
        let generated = generate::candidates(inventory, table_use);
        lists.push(generated.candidates.into_iter());
        generated.hints.into_iter().for_each(|hint| {
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        });
    }
    let candidates = in_turns(lists, inventory, options.candidates_max);
    for query in queries {
        let concerns =
            |candidate: &Candidate| query.uses.tables.iter().any(|table_use| concerns(candidate, table_use));
        query.candidates =
            candidates.iter().enumerate().filter(|(_, one)| concerns(one)).map(|(place, _)| place).collect();
    }
    (candidates, hints)
}

/// One of each list in turn, so that no query takes all there may be.
fn in_turns(
    mut lists: Vec<std::vec::IntoIter<Candidate>>,
    inventory: &Inventory,
    max: usize,
) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut known: HashMap<String, ()> = HashMap::new();
    while candidates.len() < max && !lists.is_empty() {
        lists.retain_mut(|list| {
            let fresh = list.find(|one| !known.contains_key(&one.id(inventory)));
            let Some(candidate) = fresh.filter(|_| candidates.len() < max) else { return false };
            known.insert(candidate.id(inventory), ());
            candidates.push(candidate);
            true
        });
    }
    candidates
}

/// Whether the query looks for the first key of the candidate in the table.
fn concerns(candidate: &Candidate, table_use: &TableUse) -> bool {
    let Some(first) = candidate.keys.first().filter(|_| candidate.relation == table_use.relation) else {
        return false;
    };
    let conditions = table_use.conditions.iter().chain(&table_use.alternatives).map(|one| &one.item);
    let order = table_use.order.iter().map(|key| &key.item);
    let others = table_use.groups.iter().chain(&table_use.extremes);
    conditions.chain(order).chain(others).any(|item| *item == first.item)
        || candidate.predicate.is_some() && !table_use.conditions.is_empty()
}
