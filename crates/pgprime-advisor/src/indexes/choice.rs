//! From costs to a choice: the matrix for the selection, and what a choice comes to. Pure.

use super::candidate::Candidate;
use super::costs::{Entries, GAIN_SHARE_MIN};
use super::error::IndexesError;
use super::inventory::Inventory;
use super::options::AdviceOptions;
use super::size::{size_bytes, write_cost};
use super::weighed::{self, Query};
use crate::selection::{self, CandidateIndex, CostEntry, CostMatrix, Limits, Selection, WorkloadQuery};

/// An index that is smaller may leave so much of a statement's cost as it is without any.
const SIMPLER_SHARE_MAX: f64 = 0.01;

/// What is needed to choose, apart from the costs.
pub(super) struct Choices<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) queries: &'a [Query],
    pub(super) candidates: &'a [Candidate],
    pub(super) options: &'a AdviceOptions,
    /// What an index has to save at least, as a share of what the workload costs as it is.
    pub(super) share_of_before_min: f64,
}

impl Choices<'_> {
    /// What the workload costs as it is.
    pub(super) fn cost_before(&self) -> f64 {
        self.queries.iter().map(Query::total).sum()
    }

    /// What writes pay for a candidate.
    pub(super) fn write_cost(&self, place: usize) -> f64 {
        let candidate = &self.candidates[place];
        let rows = weighed::entries(self.queries, candidate, self.inventory);
        rows * write_cost(candidate, self.inventory)
    }

    /// What an index has to save beyond what writes pay for it. Measured by what remains when all is there: where one
    /// statement dwarfs the others, those still count.
    pub(super) fn saving_min(&self, entries: &Entries) -> f64 {
        let all: Vec<usize> = (0..self.candidates.len()).collect();
        let least = self.cost_with(entries, &all) * self.options.saved_share_min;
        least.max(self.cost_before() * self.share_of_before_min)
    }

    /// The best choice among the candidates, by place, ascending.
    pub(super) fn select(&self, entries: &Entries) -> Result<(Vec<usize>, Selection), IndexesError> {
        let limits = Limits {
            budget_bytes: self.options.budget_bytes,
            indexes_max: Some(self.options.indexes_max),
            ..Limits::default()
        };
        let selection = selection::select(&self.matrix(entries), &limits)?;
        let mut chosen: Vec<usize> =
            selection.chosen.iter().filter_map(|index| index.id.parse().ok()).collect();
        chosen.sort_unstable();
        Ok((chosen, selection))
    }

    fn matrix(&self, entries: &Entries) -> CostMatrix {
        let queries = self.queries.iter().enumerate().map(|(place, query)| WorkloadQuery {
            id: place.to_string(),
            weight: query.plannable.query.weight,
            cost: query.cost,
        });
        let penalty_cost = self.saving_min(entries);
        let candidates = self.candidates.iter().enumerate().map(|(place, candidate)| CandidateIndex {
            id: place.to_string(),
            size_bytes: size_bytes(candidate, self.inventory),
            maintenance_cost: self.write_cost(place),
            penalty_cost,
            table: Some(candidate.table(self.inventory).qualified.clone()),
            columns: candidate.keys.iter().map(|key| key.item.sql.clone()).collect(),
        });
        let costs = entries.iter().map(|((query, members), cost)| CostEntry {
            query: query.to_string(),
            candidates: members.iter().map(usize::to_string).collect(),
            cost: *cost,
        });
        CostMatrix {
            description: None,
            queries: queries.collect(),
            candidates: candidates.collect(),
            costs: costs.collect(),
        }
    }

    /// Of each statement its cost with these candidates, and which of them that takes.
    pub(super) fn outcome(&self, entries: &Entries, chosen: &[usize]) -> Vec<(f64, Vec<usize>)> {
        let of_query = |(place, query): (usize, &Query)| {
            let from = (place, Vec::new());
            let to = (place + 1, Vec::new());
            let covered = entries
                .range(from..to)
                .filter(|((_, members), _)| members.iter().all(|member| chosen.contains(member)));
            let best =
                covered.min_by(|(one, a), (other, b)| a.total_cmp(b).then(one.1.len().cmp(&other.1.len())));
            match best {
                Some(((_, members), cost)) if *cost < query.cost => (*cost, members.clone()),
                _ => (query.cost, Vec::new()),
            }
        };
        self.queries.iter().enumerate().map(of_query).collect()
    }

    /// The statements that use one of these.
    pub(super) fn users(&self, entries: &Entries, chosen: &[usize], place: usize) -> Vec<usize> {
        let outcome = self.outcome(entries, chosen).into_iter().enumerate();
        outcome.filter(|(_, (_, used))| used.contains(&place)).map(|(query, _)| query).collect()
    }

    /// What the workload costs with these candidates, writes not counted.
    pub(super) fn cost_with(&self, entries: &Entries, chosen: &[usize]) -> f64 {
        let outcome = self.outcome(entries, chosen);
        self.queries.iter().zip(outcome).map(|(query, (cost, _))| query.plannable.query.weight * cost).sum()
    }

    /// What the workload costs more without one of these, where a statement costs clearly more.
    pub(super) fn saving(&self, entries: &Entries, chosen: &[usize], place: usize) -> f64 {
        let others: Vec<usize> = chosen.iter().copied().filter(|other| *other != place).collect();
        let pairs = self.outcome(entries, &others).into_iter().zip(self.outcome(entries, chosen));
        let saved = |(query, ((without, _), (with, _))): (&Query, ((f64, _), (f64, _)))| match with
            < without * (1.0 - GAIN_SHARE_MIN)
        {
            true => query.plannable.query.weight * (without - with),
            false => 0.0,
        };
        self.queries.iter().zip(pairs).map(saved).sum()
    }

    /// Whether no statement costs clearly more with the latter than with the former, compared with what both spare it.
    pub(super) fn is_as_good(&self, entries: &Entries, chosen: &[usize], instead: &[usize]) -> bool {
        let pairs = self.outcome(entries, chosen).into_iter().zip(self.outcome(entries, instead));
        self.queries.iter().zip(pairs).all(|(query, ((cost, _), (other, _)))| {
            other <= cost / (1.0 - GAIN_SHARE_MIN) || other - cost <= query.cost * SIMPLER_SHARE_MAX
        })
    }

    /// Smaller candidates that may do as well as this one: beginnings of it, the same with less in it, or of fewer rows.
    pub(super) fn smaller(&self, place: usize) -> Vec<usize> {
        let one = &self.candidates[place];
        let size = |candidate: &Candidate| size_bytes(candidate, self.inventory);
        let columns = |candidate: &Candidate| candidate.keys.len() + candidate.include.len();
        let is_less = |other: &Candidate| {
            let is_beginning = one.keys.starts_with(&other.keys) && columns(other) < columns(one);
            other.predicate == one.predicate && is_beginning
        };
        let is_of_fewer_rows = |other: &Candidate| one.predicate.is_none() && other.predicate.is_some();
        let is_smaller = |other: &&Candidate| {
            other.relation == one.relation
                && other.method == one.method
                && size(other) <= size(one)
                && (is_less(other) || is_of_fewer_rows(other))
        };
        let all = self.candidates.iter().enumerate().filter(|(_, other)| is_smaller(other));
        let mut smaller: Vec<usize> = all.map(|(place, _)| place).collect();
        smaller.sort_by_key(|place| size(&self.candidates[*place]));
        smaller
    }

    /// Whether all that a candidate gives is the beginning of another one.
    pub(super) fn is_beginning(&self, place: usize, chosen: &[usize]) -> bool {
        let one = &self.candidates[place];
        chosen.iter().filter(|other| **other != place).map(|other| &self.candidates[*other]).any(|other| {
            one.relation == other.relation
                && one.method == other.method
                && one.predicate == other.predicate
                && other.keys.starts_with(&one.keys)
        })
    }
}
