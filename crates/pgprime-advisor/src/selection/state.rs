//! A selection that is being changed, with what each candidate is worth, kept up to date change by change.

use std::cmp::Ordering;

use super::problem::Problem;

const NONE: u32 = u32::MAX;

/// A selection under change.
///
/// A change looks only at the entries of the queries that the changed candidate is in.
#[derive(Clone, Debug)]
pub(super) struct State<'p> {
    /// What is to be solved.
    pub(super) problem: &'p Problem,
    is_chosen: Vec<bool>,
    /// Of each entry, how many members are not chosen.
    missing: Vec<u32>,
    /// Of each query, its best entry.
    best: Vec<u32>,
    /// Of each pair of query and candidate, its share of `worth`.
    pair_worth: Vec<f64>,
    worth: Vec<f64>,
    entry_worth: Vec<f64>,
    bundle_worth: Vec<f64>,
    gain: f64,
    upkeep: f64,
    size_bytes: u64,
    count: usize,
    changes: Vec<u32>,
    /// Entries looked at so far.
    pub(super) steps: u64,
}

/// How good a selection is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Standing {
    /// What the queries save, less upkeep.
    pub(super) net: f64,
    /// The size of all chosen candidates.
    pub(super) size_bytes: u64,
    /// Their number.
    pub(super) count: usize,
}

impl Standing {
    /// The better one is greater: larger savings, then smaller size, then fewer candidates.
    pub(super) fn compare(&self, other: &Self, tolerance: f64) -> Ordering {
        if (self.net - other.net).abs() > tolerance {
            return self.net.total_cmp(&other.net);
        }
        other.size_bytes.cmp(&self.size_bytes).then(other.count.cmp(&self.count))
    }
}

impl<'p> State<'p> {
    /// Nothing is chosen.
    pub(super) fn new(problem: &'p Problem) -> Self {
        let mut state = Self {
            problem,
            is_chosen: vec![false; problem.candidates.len()],
            missing: problem.entries.iter().map(|entry| length(entry.members.len())).collect(),
            best: vec![NONE; problem.queries.len()],
            pair_worth: vec![0.0; problem.pairs.len()],
            worth: vec![0.0; problem.candidates.len()],
            entry_worth: vec![0.0; problem.entries.len()],
            bundle_worth: vec![0.0; problem.bundles.len()],
            gain: 0.0,
            upkeep: 0.0,
            size_bytes: 0,
            count: 0,
            changes: Vec::new(),
            steps: 0,
        };
        for query in 0..problem.queries.len() {
            state.refresh(query);
        }
        state
    }

    /// Whether a candidate is chosen.
    pub(super) fn is_chosen(&self, candidate: u32) -> bool {
        self.is_chosen[candidate as usize]
    }

    /// The chosen candidates, ascending.
    pub(super) fn chosen(&self) -> Vec<u32> {
        (0..length(self.is_chosen.len())).filter(|&candidate| self.is_chosen(candidate)).collect()
    }

    /// What the queries save more with the candidate than without it; the upkeep is not considered.
    pub(super) fn worth(&self, candidate: u32) -> f64 {
        self.worth[candidate as usize]
    }

    /// [`Self::worth`], less the upkeep.
    pub(super) fn net_worth(&self, candidate: u32) -> f64 {
        self.worth(candidate) - self.problem.candidates[candidate as usize].upkeep
    }

    /// What a pair of a query and a candidate adds to the candidate's worth.
    pub(super) fn pair_worth(&self, pair: usize) -> f64 {
        self.pair_worth[pair]
    }

    /// What the queries of a set save with all of it beyond what they save now; only where two or more are missing.
    pub(super) fn bundle_worth(&self, bundle: usize) -> f64 {
        self.bundle_worth[bundle]
    }

    /// How good the selection is.
    pub(super) fn standing(&self) -> Standing {
        Standing { net: self.gain - self.upkeep, size_bytes: self.size_bytes, count: self.count }
    }

    /// Whether the selection is within the capacity.
    pub(super) fn is_within_capacity(&self) -> bool {
        let capacity = self.problem.capacity;
        self.size_bytes <= capacity.size_bytes && self.count <= capacity.indexes
    }

    /// Whether candidates of this size and number could be added.
    pub(super) fn has_room(&self, size_bytes: u64, count: usize) -> bool {
        let capacity = self.problem.capacity;
        self.count.saturating_add(count) <= capacity.indexes
            && self.size_bytes.saturating_add(size_bytes) <= capacity.size_bytes
    }

    /// Chooses a candidate, or gives it up.
    pub(super) fn toggle(&mut self, candidate: u32) {
        let place = candidate as usize;
        let problem = self.problem;
        let of = &problem.candidates[place];
        let is_added = !self.is_chosen[place];
        self.is_chosen[place] = is_added;
        for &entry in &of.entries {
            let missing = &mut self.missing[entry as usize];
            *missing = if is_added { *missing - 1 } else { *missing + 1 };
        }
        if is_added {
            self.size_bytes += of.size_bytes;
            self.count += 1;
            self.upkeep += of.upkeep;
        } else {
            self.size_bytes -= of.size_bytes;
            self.count -= 1;
            self.upkeep -= of.upkeep;
        }
        self.steps += of.entries.len() as u64;
        for &query in &of.queries {
            self.refresh(query as usize);
        }
        self.changes.push(candidate);
    }

    /// Chooses exactly these candidates; earlier changes cannot be undone any more.
    pub(super) fn choose(&mut self, chosen: &[u32]) {
        let mut is_wanted = vec![false; self.is_chosen.len()];
        for &candidate in chosen {
            is_wanted[candidate as usize] = true;
        }
        for candidate in 0..length(self.is_chosen.len()) {
            if self.is_chosen(candidate) != is_wanted[candidate as usize] {
                self.toggle(candidate);
            }
        }
        self.changes.clear();
    }

    /// Where the changes made so far end.
    pub(super) fn mark(&self) -> usize {
        self.changes.len()
    }

    /// Undoes all changes after a mark.
    pub(super) fn undo_to(&mut self, mark: usize) {
        while self.changes.len() > mark {
            let candidate = self.changes[self.changes.len() - 1];
            self.toggle(candidate);
            self.changes.truncate(self.changes.len() - 2);
        }
    }

    /// Makes a change; undoes it when the selection is not better afterwards or not within the capacity.
    pub(super) fn attempt(&mut self, change: impl FnOnce(&mut Self)) -> bool {
        let before = self.standing();
        let mark = self.mark();
        change(self);
        let is_better = self.is_within_capacity()
            && match self.standing().compare(&before, self.problem.tolerance) {
                Ordering::Greater => true,
                Ordering::Less => false,
                Ordering::Equal => self.has_lower_ids_since(mark),
            };
        if !is_better {
            self.undo_to(mark);
        }
        is_better
    }

    /// Of two selections of one number of candidates, the one with the lowest candidate that only one of them has comes first.
    fn has_lower_ids_since(&self, mark: usize) -> bool {
        let mut changed = self.changes[mark..].to_vec();
        changed.sort_unstable();
        let lowest = changed.chunk_by(|a, b| a == b).find(|toggles| toggles.len() % 2 == 1);
        lowest.is_some_and(|toggles| self.is_chosen(toggles[0]))
    }

    /// Works out anew what a query saves and what candidates are worth to it.
    fn refresh(&mut self, query: usize) {
        let problem = self.problem;
        let of = &problem.queries[query];
        let best = of.entries.clone().find(|&entry| self.missing[entry] == 0);
        let best_gain = best.map_or(0.0, |entry| problem.entries[entry].gain);
        let before = self.best[query];
        if before != NONE {
            self.gain -= problem.entries[before as usize].gain;
        }
        self.gain += best_gain;
        self.best[query] = best.map_or(NONE, length);
        for pair in of.pairs.clone() {
            self.worth[problem.pairs[pair] as usize] -= self.pair_worth[pair];
            self.pair_worth[pair] = 0.0;
        }
        for entry in of.entries.clone() {
            self.refresh_unused(entry, best_gain);
        }
        if let Some(best) = best {
            self.refresh_used(query, best);
        }
        for pair in of.pairs.clone() {
            self.worth[problem.pairs[pair] as usize] += self.pair_worth[pair];
        }
        self.steps += (of.entries.len() + of.pairs.len()) as u64;
    }

    /// What is gained when the missing members of an entry are added.
    fn refresh_unused(&mut self, entry: usize, best_gain: f64) {
        let problem = self.problem;
        let more = (problem.entries[entry].gain - best_gain).max(0.0);
        if self.missing[entry] == 1 && more > 0.0 {
            let missing = problem.members_of(entry).iter().find(|m| !self.is_chosen[m.candidate as usize]);
            if let Some(missing) = missing {
                let worth = &mut self.pair_worth[missing.pair as usize];
                *worth = worth.max(more);
            }
        }
        if let Some(bundle) = problem.entries[entry].bundle {
            let worth = if self.missing[entry] >= 2 { more } else { 0.0 };
            self.bundle_worth[bundle as usize] += worth - self.entry_worth[entry];
            self.entry_worth[entry] = worth;
        }
    }

    /// What is lost when a member of a query's best entry is given up.
    fn refresh_used(&mut self, query: usize, best: usize) {
        let problem = self.problem;
        for member in problem.members_of(best) {
            let mut others = best + 1..problem.queries[query].entries.end;
            let next = others.find(|&entry| {
                self.missing[entry] == 0
                    && problem.members_of(entry).iter().all(|other| other.candidate != member.candidate)
            });
            let next_gain = next.map_or(0.0, |entry| problem.entries[entry].gain);
            self.pair_worth[member.pair as usize] = problem.entries[best].gain - next_gain;
        }
    }
}

fn length(length: usize) -> u32 {
    u32::try_from(length).expect("a problem's places fit into 32 bits, or it could not have been made")
}
