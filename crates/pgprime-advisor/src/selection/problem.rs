//! The matrix laid out for the search: only what matters, by place, with savings instead of costs.

use std::collections::HashMap;
use std::ops::Range;

use super::limits::Capacity;
use super::names::Names;
use super::reduce::{Price, RawEntry, reduce};

/// A candidate that may be chosen.
#[derive(Clone, Debug, Default)]
pub(super) struct Candidate {
    /// Its rank in the matrix.
    pub(super) rank: u32,
    /// Its size.
    pub(super) size_bytes: u64,
    /// Its maintenance and penalty.
    pub(super) upkeep: f64,
    /// Its entries, ascending.
    pub(super) entries: Vec<u32>,
    /// Its queries, ascending.
    pub(super) queries: Vec<u32>,
    /// Candidates whose columns begin with all of this one's.
    pub(super) wider: Vec<u32>,
}

/// An entry: with all its members, its query saves `gain`.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// What it saves over the query without any candidate, times the weight.
    pub(super) gain: f64,
    /// Where its members are in [`Problem::members`].
    pub(super) members: Range<usize>,
    /// Which set of several candidates it is.
    pub(super) bundle: Option<u32>,
}

/// One candidate of one entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// The candidate.
    pub(super) candidate: u32,
    /// The pair of query and candidate.
    pub(super) pair: u32,
}

/// A query's places in the lists of the problem.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    /// Its entries, from the largest gain.
    pub(super) entries: Range<usize>,
    /// Its pairs of query and candidate.
    pub(super) pairs: Range<usize>,
}

/// Choose candidates within the capacity so that the savings of the queries, less upkeep, are largest.
///
/// Candidates are in the order of their ids, so that the lower place is the lexically smaller id.
#[derive(Debug)]
pub(super) struct Problem {
    /// What may be used.
    pub(super) capacity: Capacity,
    /// The candidates.
    pub(super) candidates: Vec<Candidate>,
    /// The queries that can save something.
    pub(super) queries: Vec<Query>,
    /// The entries, by query.
    pub(super) entries: Vec<Entry>,
    /// The members of all entries.
    pub(super) members: Vec<Member>,
    /// The candidate of each pair of a query and a candidate.
    pub(super) pairs: Vec<u32>,
    /// The distinct sets of several candidates.
    pub(super) bundles: Vec<Vec<u32>>,
    /// Differences up to this much are rounding.
    pub(super) tolerance: f64,
}

impl Problem {
    /// Lays out a matrix.
    pub(super) fn new(names: &Names<'_>, capacity: Capacity) -> Self {
        let prices: Vec<Price> = (0..names.by_rank.len())
            .map(|rank| {
                let index = &names.matrix.candidates[names.by_rank[rank]];
                Price { size_bytes: index.size_bytes, upkeep: index.maintenance_cost + index.penalty_cost }
            })
            .collect();
        let entries = reduce(raw_entries(names), &prices, capacity);
        let mut ranks: Vec<u32> = entries.iter().flat_map(|entry| entry.members.iter().copied()).collect();
        ranks.sort_unstable();
        ranks.dedup();
        let candidates = ranks
            .iter()
            .map(|&rank| {
                let Price { size_bytes, upkeep } = prices[rank as usize];
                Candidate { rank, size_bytes, upkeep, ..Candidate::default() }
            })
            .collect();
        let mut problem = Self {
            capacity,
            candidates,
            queries: Vec::new(),
            entries: Vec::with_capacity(entries.len()),
            members: Vec::new(),
            pairs: Vec::new(),
            bundles: Vec::new(),
            tolerance: 0.0,
        };
        let mut bundles = HashMap::new();
        for of_query in entries.chunk_by(|a, b| a.query == b.query) {
            problem.add_query(of_query, &ranks, &mut bundles);
        }
        problem.link_wider(names);
        problem
    }

    /// The members of an entry.
    pub(super) fn members_of(&self, entry: usize) -> &[Member] {
        &self.members[self.entries[entry].members.clone()]
    }

    /// The size of some candidates together.
    pub(super) fn size_of(&self, candidates: &[u32]) -> u64 {
        candidates.iter().map(|&candidate| self.candidates[candidate as usize].size_bytes).sum()
    }

    fn add_query(&mut self, entries: &[RawEntry], ranks: &[u32], bundles: &mut HashMap<Vec<u32>, u32>) {
        let query = place(self.queries.len());
        let first_pair = self.pairs.len();
        let first_entry = self.entries.len();
        let members: Vec<Vec<u32>> = entries.iter().map(|entry| positions(&entry.members, ranks)).collect();
        let mut pairs: Vec<u32> = members.iter().flatten().copied().collect();
        pairs.sort_unstable();
        pairs.dedup();
        for &candidate in &pairs {
            self.candidates[candidate as usize].queries.push(query);
        }
        for (raw, members) in entries.iter().zip(members) {
            let entry = place(self.entries.len());
            let first_member = self.members.len();
            for &candidate in &members {
                self.candidates[candidate as usize].entries.push(entry);
                let pair = place(first_pair + position(candidate, &pairs));
                self.members.push(Member { candidate, pair });
            }
            let bundle = (members.len() > 1).then(|| self.bundle(members, bundles));
            let members = first_member..self.members.len();
            self.entries.push(Entry { gain: raw.gain, members, bundle });
        }
        self.pairs.extend(pairs);
        // Sums of so many numbers keep ten digits at least.
        self.tolerance += entries[0].gain * 1e-10;
        self.queries
            .push(Query { entries: first_entry..self.entries.len(), pairs: first_pair..self.pairs.len() });
    }

    fn bundle(&mut self, members: Vec<u32>, known: &mut HashMap<Vec<u32>, u32>) -> u32 {
        *known.entry(members).or_insert_with_key(|members| {
            self.bundles.push(members.clone());
            place(self.bundles.len() - 1)
        })
    }

    /// Finds which candidates have all the columns of another and more.
    fn link_wider(&mut self, names: &Names<'_>) {
        let keys: Vec<_> = self
            .candidates
            .iter()
            .map(|candidate| {
                let index = &names.matrix.candidates[names.place(candidate.rank)];
                (index.table.as_deref(), index.columns.as_slice())
            })
            .collect();
        let mut by_first: HashMap<_, Vec<usize>> = HashMap::new();
        for (place, (table, columns)) in keys.iter().enumerate() {
            if let (Some(table), Some(first)) = (table, columns.first()) {
                by_first.entry((*table, first)).or_default().push(place);
            }
        }
        for group in by_first.values() {
            for &narrow in group {
                let (_, columns) = keys[narrow];
                let is_wider =
                    |&&wide: &&usize| keys[wide].1.len() > columns.len() && keys[wide].1.starts_with(columns);
                self.candidates[narrow].wider = group.iter().filter(is_wider).map(|&w| place(w)).collect();
            }
        }
    }
}

fn raw_entries(names: &Names<'_>) -> Vec<RawEntry> {
    let mut entries = Vec::with_capacity(names.entries.len());
    for ((query, members), entry) in names.entries.iter().zip(&names.matrix.costs) {
        let of = &names.matrix.queries[*query];
        let gain = of.weight * (of.cost - entry.cost);
        entries.push(RawEntry { query: place(*query), gain, members: members.clone() });
    }
    entries
}

fn positions(members: &[u32], sorted: &[u32]) -> Vec<u32> {
    members.iter().map(|&member| place(position(member, sorted))).collect()
}

fn position(value: u32, sorted: &[u32]) -> usize {
    sorted.binary_search(&value).expect("the list was made from these values")
}

/// A place as it is stored.
fn place(place: usize) -> u32 {
    u32::try_from(place).expect("a matrix of more than four billion entries does not fit into memory")
}
