//! Leaves out what cannot matter: entries and candidates that are in no best selection, or only in one no better than
//! another without them.

use std::collections::{HashMap, HashSet};

use super::limits::Capacity;

/// An entry while it may still be left out.
#[derive(Clone, Debug)]
pub(super) struct RawEntry {
    /// Its query.
    pub(super) query: u32,
    /// What it saves over the query without any candidate, times the weight.
    pub(super) gain: f64,
    /// Its candidates, ascending.
    pub(super) members: Vec<u32>,
}

/// What a candidate uses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Price {
    /// Its size.
    pub(super) size_bytes: u64,
    /// Its maintenance and penalty.
    pub(super) upkeep: f64,
}

/// The entries that matter, sorted by query, then from the largest gain.
pub(super) fn reduce(mut entries: Vec<RawEntry>, prices: &[Price], capacity: Capacity) -> Vec<RawEntry> {
    entries.retain(|entry| entry.gain > 0.0 && fits(entry, prices, capacity));
    sort(&mut entries);
    entries = without_dominated_entries(entries);
    without_unprofitable_candidates(&mut entries, prices);
    without_dominated_candidates(&mut entries, prices);
    entries
}

fn fits(entry: &RawEntry, prices: &[Price], capacity: Capacity) -> bool {
    let size: u64 = entry.members.iter().map(|&member| prices[member as usize].size_bytes).sum();
    size <= capacity.size_bytes && entry.members.len() <= capacity.indexes
}

/// By query, then larger gains, then fewer candidates, then lower ranks.
fn sort(entries: &mut [RawEntry]) {
    entries.sort_by(|a, b| {
        a.query
            .cmp(&b.query)
            .then(b.gain.total_cmp(&a.gain))
            .then(a.members.len().cmp(&b.members.len()))
            .then_with(|| a.members.cmp(&b.members))
    });
}

/// Drops an entry when some of its candidates alone do as well.
fn without_dominated_entries(entries: Vec<RawEntry>) -> Vec<RawEntry> {
    let mut kept: Vec<RawEntry> = Vec::with_capacity(entries.len());
    let mut first_of_query = 0;
    let mut sets: HashSet<Vec<u32>> = HashSet::new();
    for entry in entries {
        if kept.last().is_some_and(|last| last.query != entry.query) {
            first_of_query = kept.len();
            sets.clear();
        }
        // All kept entries of this query have at least this gain.
        let others = &kept[first_of_query..];
        let is_dominated = if entry.members.len() < 12 && 1 << entry.members.len() < others.len() {
            subsets(&entry.members).any(|subset| sets.contains(&subset))
        } else {
            others.iter().any(|other| is_subset(&other.members, &entry.members))
        };
        if !is_dominated {
            sets.insert(entry.members.clone());
            kept.push(entry);
        }
    }
    kept
}

fn subsets(members: &[u32]) -> impl Iterator<Item = Vec<u32>> + '_ {
    (1_u32..1 << members.len()).map(|mask| {
        (0..members.len()).filter(|place| mask >> place & 1 == 1).map(|place| members[place]).collect()
    })
}

fn is_subset(part: &[u32], whole: &[u32]) -> bool {
    part.iter().all(|member| whole.binary_search(member).is_ok())
}

/// Drops candidates whose upkeep is no less than all they could ever save.
fn without_unprofitable_candidates(entries: &mut Vec<RawEntry>, prices: &[Price]) {
    loop {
        let mut potential = vec![0.0_f64; prices.len()];
        let mut counted = vec![u32::MAX; prices.len()];
        for entry in &*entries {
            for &member in &entry.members {
                // Entries come from the largest gain of a query down: the first of a candidate is its most.
                if counted[member as usize] != entry.query {
                    counted[member as usize] = entry.query;
                    potential[member as usize] += entry.gain;
                }
            }
        }
        let before = entries.len();
        let pays = |member: &u32| potential[*member as usize] > prices[*member as usize].upkeep;
        entries.retain(|entry| entry.members.iter().all(pays));
        if entries.len() == before {
            return;
        }
    }
}

/// Drops a candidate in whose place another one does at least as well everywhere, and is no larger and no dearer.
fn without_dominated_candidates(entries: &mut Vec<RawEntry>, prices: &[Price]) {
    let mut table = Table::new(entries, prices.len());
    let mut is_dropped = vec![false; prices.len()];
    // The higher ranks first: of two equal candidates the one with the lower id stays.
    for candidate in (0..prices.len()).rev() {
        let Some(&first) = table.entries_of[candidate].first() else { continue };
        let rivals: Vec<u32> = table.members_of[entries[first].query as usize].clone();
        let is_dominated = rivals.iter().any(|&rival| {
            rival as usize != candidate
                && !is_dropped[rival as usize]
                && is_no_dearer(prices[rival as usize], prices[candidate])
                && table.can_replace(entries, candidate, rival)
        });
        if is_dominated {
            is_dropped[candidate] = true;
            table.forget(entries, candidate);
        }
    }
    entries.retain(|entry| !entry.members.iter().any(|&member| is_dropped[member as usize]));
}

fn is_no_dearer(a: Price, b: Price) -> bool {
    a.size_bytes <= b.size_bytes && a.upkeep <= b.upkeep
}

/// Entries by candidate and by query and members.
struct Table {
    entries_of: Vec<Vec<usize>>,
    members_of: Vec<Vec<u32>>,
    gains: HashMap<(u32, Vec<u32>), f64>,
}

impl Table {
    fn new(entries: &[RawEntry], candidates: usize) -> Self {
        let queries = entries.last().map_or(0, |entry| entry.query as usize + 1);
        let mut table = Self {
            entries_of: vec![Vec::new(); candidates],
            members_of: vec![Vec::new(); queries],
            gains: HashMap::with_capacity(entries.len()),
        };
        for (place, entry) in entries.iter().enumerate() {
            for &member in &entry.members {
                table.entries_of[member as usize].push(place);
                table.members_of[entry.query as usize].push(member);
            }
            table.gains.insert((entry.query, entry.members.clone()), entry.gain);
        }
        for members in &mut table.members_of {
            members.sort_unstable();
            members.dedup();
        }
        table
    }

    /// Whether every entry of `candidate` has one that is as good with `rival` instead.
    fn can_replace(&self, entries: &[RawEntry], candidate: usize, rival: u32) -> bool {
        self.entries_of[candidate].iter().all(|&place| {
            let entry = &entries[place];
            let mut members: Vec<u32> =
                entry.members.iter().map(|&m| if m as usize == candidate { rival } else { m }).collect();
            members.sort_unstable();
            members.dedup();
            // An entry with some of these members would do as well; only the two likely ones are looked up.
            [members, vec![rival]].into_iter().any(|members| {
                self.gains.get(&(entry.query, members)).is_some_and(|&gain| gain >= entry.gain)
            })
        })
    }

    /// Entries with a dropped candidate are no replacement for others.
    fn forget(&mut self, entries: &[RawEntry], candidate: usize) {
        for place in std::mem::take(&mut self.entries_of[candidate]) {
            self.gains.remove(&(entries[place].query, entries[place].members.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(query: u32, gain: f64, members: &[u32]) -> RawEntry {
        RawEntry { query, gain, members: members.to_vec() }
    }

    fn kept(entries: Vec<RawEntry>, prices: &[(u64, f64)]) -> Vec<(u32, Vec<u32>)> {
        let prices: Vec<Price> =
            prices.iter().map(|&(size_bytes, upkeep)| Price { size_bytes, upkeep }).collect();
        let capacity = Capacity { size_bytes: 100, indexes: 3 };
        reduce(entries, &prices, capacity).into_iter().map(|entry| (entry.query, entry.members)).collect()
    }

    #[test]
    fn entries_that_cannot_matter_are_left_out() {
        let entries = vec![
            entry(0, 5.0, &[0]),
            entry(0, 5.0, &[0, 1]),
            entry(0, 0.0, &[1]),
            entry(0, -1.0, &[2]),
            entry(1, 9.0, &[1]),
            entry(1, 12.0, &[0, 1]),
            entry(1, 99.0, &[3]),
        ];
        let prices = [(10, 0.0), (10, 0.0), (10, 0.0), (101, 0.0)];
        assert_eq!(kept(entries, &prices), [(0, vec![0]), (1, vec![0, 1]), (1, vec![1])]);
    }

    #[test]
    fn a_candidate_that_cannot_pay_takes_its_entries_along() {
        // Candidate 1 saves at most 4 together with 0; without it, 0 saves only 3.
        let entries = vec![entry(0, 4.0, &[0, 1]), entry(0, 3.0, &[0])];
        assert_eq!(kept(entries.clone(), &[(1, 3.5), (1, 4.0)]), []);
        assert_eq!(kept(entries, &[(1, 2.5), (1, 4.0)]), [(0, vec![0])]);
    }

    #[test]
    fn of_equal_candidates_the_first_stays() {
        let entries = vec![entry(0, 4.0, &[0]), entry(0, 4.0, &[1]), entry(0, 3.0, &[2])];
        assert_eq!(kept(entries.clone(), &[(5, 0.0), (5, 0.0), (5, 0.0)]), [(0, vec![0])]);
        assert_eq!(kept(entries, &[(6, 0.0), (5, 0.0), (4, 0.0)]), [(0, vec![1]), (0, vec![2])]);
    }

    #[test]
    fn a_candidate_that_is_better_with_its_rival_stays() {
        let entries = vec![entry(0, 6.0, &[0, 1]), entry(0, 4.0, &[0]), entry(0, 4.0, &[1])];
        assert_eq!(kept(entries, &[(5, 0.0), (5, 0.0)]).len(), 3);
    }
}
