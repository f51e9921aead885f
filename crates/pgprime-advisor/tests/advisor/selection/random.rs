//! Random matrices, and the best selection by trying all.

use pgprime_advisor::selection::{CandidateIndex, CostEntry, CostMatrix, Limits, WorkloadQuery};

/// The same numbers for the same seed.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(super) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// How many of what a random matrix has.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) queries: usize,
    pub(super) candidates: usize,
    pub(super) entries_per_query: usize,
    /// Whole numbers up to this, for many ties; `None`: fractions over four orders of magnitude.
    pub(super) whole_max: Option<usize>,
}

fn amount(random: &mut Random, whole_max: Option<usize>) -> f64 {
    match whole_max {
        Some(max) => random.below(max + 1) as f64,
        None => 10_f64.powf(4.0 * random.fraction()),
    }
}

/// A matrix whose entries have one to three candidates of any kind.
pub(super) fn matrix(seed: u64, shape: Shape) -> CostMatrix {
    let mut random = Random(seed);
    let has_maintenance = random.below(2) == 1;
    let candidates: Vec<CandidateIndex> = (0..shape.candidates)
        .map(|number| {
            let size_bytes = 1 + amount(&mut random, shape.whole_max) as u64;
            let mut columns = vec![format!("k{}", random.below(3))];
            columns.extend((0..random.below(3)).map(|depth| format!("d{depth}")));
            let share = if has_maintenance { 0.3 } else { 0.0 };
            CandidateIndex {
                id: format!("i{number:04}"),
                size_bytes,
                maintenance_cost: (amount(&mut random, shape.whole_max) * share).floor(),
                penalty_cost: 0.0,
                table: Some(format!("t{}", number % 3)),
                columns,
            }
        })
        .collect();
    let mut queries = Vec::new();
    let mut costs = Vec::new();
    for number in 0..shape.queries {
        let id = format!("q{number:04}");
        let cost = 1.0 + amount(&mut random, shape.whole_max);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..shape.entries_per_query {
            let mut members: Vec<usize> =
                (0..1 + random.below(3)).map(|_| random.below(shape.candidates)).collect();
            members.sort_unstable();
            members.dedup();
            if seen.insert(members.clone()) {
                let mut with = cost * 1.1 * random.fraction();
                if shape.whole_max.is_some() {
                    with = with.floor();
                }
                let candidates = members.into_iter().map(|member| format!("i{member:04}")).collect();
                costs.push(CostEntry { query: id.clone(), candidates, cost: with });
            }
        }
        queries.push(WorkloadQuery { id, weight: 1.0 + random.below(5) as f64, cost });
    }
    CostMatrix { description: None, queries, candidates, costs }
}

/// A share of the size of all candidates.
pub(super) fn budget(matrix: &CostMatrix, share: f64) -> u64 {
    let all: u64 = matrix.candidates.iter().map(|index| index.size_bytes).sum();
    (all as f64 * share) as u64
}

/// The best selection by trying all: its total cost and its ids. Ties go to smaller size, fewer, lower ids.
pub(super) fn by_trying_all(matrix: &CostMatrix, limits: &Limits) -> (f64, Vec<String>) {
    let place = |id: &String| matrix.candidates.iter().position(|index| &index.id == id).unwrap();
    let query = |id: &String| matrix.queries.iter().position(|query| &query.id == id).unwrap();
    let entries: Vec<(usize, u32, f64)> = matrix
        .costs
        .iter()
        .map(|entry| {
            let mask = entry.candidates.iter().fold(0_u32, |mask, id| mask | 1 << place(id));
            (query(&entry.query), mask, entry.cost)
        })
        .collect();
    let mut best: Option<(f64, u64, Vec<usize>)> = None;
    for mask in 0_u32..1 << matrix.candidates.len() {
        let chosen: Vec<usize> =
            (0..matrix.candidates.len()).filter(|place| mask >> place & 1 == 1).collect();
        let size: u64 = chosen.iter().map(|&place| matrix.candidates[place].size_bytes).sum();
        if limits.budget_bytes.is_some_and(|budget| size > budget)
            || limits.indexes_max.is_some_and(|max| chosen.len() > max)
        {
            continue;
        }
        let mut costs: Vec<f64> = matrix.queries.iter().map(|query| query.cost).collect();
        for &(query, members, cost) in &entries {
            if members & mask == members {
                costs[query] = costs[query].min(cost);
            }
        }
        let upkeep = |place: &usize| {
            matrix.candidates[*place].maintenance_cost + matrix.candidates[*place].penalty_cost
        };
        let total = costs.iter().zip(&matrix.queries).map(|(cost, query)| query.weight * cost).sum::<f64>()
            + chosen.iter().map(upkeep).sum::<f64>();
        let is_better = best.as_ref().is_none_or(|(best_total, best_size, best_chosen)| {
            let is_tie = (total - best_total).abs() <= 1e-9 * best_total.max(1.0);
            if !is_tie {
                return total < *best_total;
            }
            (size, chosen.len(), &chosen) < (*best_size, best_chosen.len(), best_chosen)
        });
        if is_better {
            best = Some((total, size, chosen));
        }
    }
    let (total, _, chosen) = best.unwrap();
    (total, chosen.into_iter().map(|place| matrix.candidates[place].id.clone()).collect())
}
