//! What statements cost with sets of candidates, asked of the planner with hypothetical indexes.
//!
//! Asking for every set is out of the question. Each candidate alone, then all of a statement at once, which tells the set
//! that the planner likes best; taking those away one after the other tells of smaller ones; and growing from the best
//! single one tells what goes well with it.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use super::candidate::Candidate;
use super::error::IndexesError;
use super::hypothetical::{Hypothetical, is_possible};
use super::inventory::Inventory;
use super::planned::{self, Planned};
use super::session::Session;
use super::size::size_bytes;
use super::weighed::Query;

/// Less than this share of a statement's cost is no gain: hypothetical indexes and real ones differ by as much.
pub(super) const GAIN_SHARE_MIN: f64 = 0.05;
/// How often the best set is taken apart.
const APART_MAX: usize = 6;
/// Candidates that are tried beside the best one, and how often the best of them is added.
const BESIDE_MAX: usize = 8;
const GROWTH_MAX: usize = 3;

/// What statements cost with sets of candidates: by the statement's place and the candidates' places, ascending.
pub(super) type Entries = BTreeMap<(usize, Vec<usize>), f64>;

/// Adds what is known of a set, if it is a gain.
pub(super) fn add(entries: &mut Entries, query: usize, members: Vec<usize>, cost: f64, cost_without: f64) {
    if members.is_empty() || cost > cost_without * (1.0 - GAIN_SHARE_MIN) {
        return;
    }
    let known = entries.entry((query, members)).or_insert(cost);
    *known = known.min(cost);
}

/// Asks the planner.
pub(super) struct Asker<'a, 'c> {
    pub(super) session: &'a Session<'c>,
    pub(super) inventory: &'a Inventory,
    pub(super) candidates: &'a [Candidate],
    pub(super) queries: &'a [Query],
    pub(super) entries: Entries,
    /// Candidates that HypoPG does not take.
    pub(super) refused: HashSet<usize>,
    /// When to stop.
    pub(super) deadline: Instant,
    hypothetical: Hypothetical,
}

impl<'a, 'c> Asker<'a, 'c> {
    pub(super) fn new(
        session: &'a Session<'c>,
        inventory: &'a Inventory,
        candidates: &'a [Candidate],
        queries: &'a [Query],
        deadline: Instant,
    ) -> Self {
        let impossible = |(_, one): &(usize, &Candidate)| !is_possible(one, inventory);
        let refused = candidates.iter().enumerate().filter(impossible).map(|(place, _)| place).collect();
        let (entries, hypothetical) = (Entries::new(), Hypothetical::default());
        Self { session, inventory, candidates, queries, entries, refused, deadline, hypothetical }
    }

    pub(super) fn is_late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Each candidate alone, with every statement that it concerns.
    pub(super) async fn ask_singles(&mut self) -> Result<(), IndexesError> {
        for place in 0..self.candidates.len() {
            if self.is_late() {
                break;
            }
            if !self.create(place).await? {
                continue;
            }
            for query in 0..self.queries.len() {
                if self.queries[query].candidates.binary_search(&place).is_ok() {
                    self.ask(query).await?;
                }
            }
            self.hypothetical.remove(self.session, place).await?;
        }
        Ok(())
    }

    /// What goes together, the dearest statements first.
    pub(super) async fn ask_sets(&mut self) -> Result<(), IndexesError> {
        let mut order: Vec<usize> = (0..self.queries.len()).collect();
        order.sort_by(|a, b| self.queries[*b].total().total_cmp(&self.queries[*a].total()));
        for query in order {
            let promising = self.promising(query);
            if promising.len() < 2 || self.is_late() {
                continue;
            }
            self.take_apart(query, &promising).await?;
            if self.queries[query].uses.tables.len() > 1 {
                self.grow(query, &promising).await?;
            }
        }
        Ok(())
    }

    /// A statement's candidates that HypoPG takes, those with the greatest gain alone first.
    fn promising(&self, query: usize) -> Vec<usize> {
        let alone = |place: usize| self.entries.get(&(query, vec![place])).copied().unwrap_or(f64::INFINITY);
        let mut promising: Vec<usize> = self.queries[query].candidates.clone();
        promising.retain(|place| !self.refused.contains(place));
        promising.sort_by(|a, b| alone(*a).total_cmp(&alone(*b)));
        promising
    }

    /// The set that the planner likes best, and what it likes when the largest of that is not there.
    async fn take_apart(&mut self, query: usize, promising: &[usize]) -> Result<(), IndexesError> {
        for place in promising {
            if self.hypothetical.room() == 0 {
                break;
            }
            self.create(*place).await?;
        }
        for _ in 0..APART_MAX {
            let used = self.ask(query).await?;
            let size = |place: &usize| size_bytes(&self.candidates[*place], self.inventory);
            let Some(largest) = used.into_iter().max_by_key(size) else { break };
            self.hypothetical.remove(self.session, largest).await?;
        }
        self.hypothetical.clear(self.session).await
    }

    /// From the best one on, what goes well with it.
    async fn grow(&mut self, query: usize, promising: &[usize]) -> Result<(), IndexesError> {
        let mut best: Option<(usize, f64)> = None;
        let mut tried: Vec<usize> = promising.iter().take(BESIDE_MAX).copied().collect();
        for _ in 0..=GROWTH_MAX {
            let before = best.map_or(self.queries[query].cost, |(_, cost)| cost);
            best = None;
            for place in tried.clone() {
                if self.is_late() {
                    break;
                }
                if !self.create(place).await? {
                    continue;
                }
                let cost =
                    self.planned(query).await?.map(|planned| (self.note(query, &planned), planned.cost));
                self.hypothetical.remove(self.session, place).await?;
                let gain = cost.filter(|(used, _)| used.contains(&place)).map(|(_, cost)| cost);
                best = match (gain, best) {
                    (Some(cost), other) if other.is_none_or(|(_, least)| cost < least) => Some((place, cost)),
                    (_, other) => other,
                };
            }
            let Some((place, _)) = best.filter(|(_, cost)| *cost < before * (1.0 - GAIN_SHARE_MIN)) else {
                break;
            };
            self.create(place).await?;
            tried.retain(|other| *other != place);
        }
        self.hypothetical.clear(self.session).await
    }

    /// These statements with all of these at once.
    pub(super) async fn ask_together(
        &mut self,
        chosen: &[usize],
        queries: &[usize],
    ) -> Result<(), IndexesError> {
        for place in chosen {
            self.create(*place).await?;
        }
        for query in queries {
            let own = &self.queries[*query].candidates;
            if chosen.iter().any(|place| own.binary_search(place).is_ok()) {
                self.ask(*query).await?;
            }
        }
        self.hypothetical.clear(self.session).await
    }

    /// False when HypoPG does not take it.
    async fn create(&mut self, place: usize) -> Result<bool, IndexesError> {
        if self.refused.contains(&place) || self.hypothetical.room() == 0 {
            return Ok(false);
        }
        let candidate = &self.candidates[place];
        match self.hypothetical.create(self.session, self.inventory, place, candidate).await? {
            Ok(()) => Ok(true),
            Err(error) => {
                tracing::debug!(%error, index = candidate.id(self.inventory), "HypoPG does not take it");
                self.refused.insert(place);
                Ok(false)
            }
        }
    }

    /// Plans the statement with what there is, and notes what that says. Returns the candidates that the plan uses.
    async fn ask(&mut self, query: usize) -> Result<Vec<usize>, IndexesError> {
        let planned = self.planned(query).await?;
        Ok(planned.map(|planned| self.note(query, &planned)).unwrap_or_default())
    }

    async fn planned(&self, query: usize) -> Result<Option<Planned>, IndexesError> {
        let text = &self.queries[query].plannable.text;
        // One that cannot be planned now, as a table is locked, says nothing.
        Ok(planned::cost(self.session, text).await?.ok())
    }

    fn note(&mut self, query: usize, planned: &Planned) -> Vec<usize> {
        let used = self.hypothetical.used(&planned.indexes);
        add(&mut self.entries, query, used.clone(), planned.cost, self.queries[query].cost);
        used
    }
}
