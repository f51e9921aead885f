//! Validation: a matrix with numbers in place of ids.

use std::collections::HashMap;

use super::error::MatrixError;
use super::matrix::{CostEntry, CostMatrix};

/// A matrix that was found valid: its entries with places instead of ids.
pub(super) struct Names<'a> {
    /// The matrix.
    pub(super) matrix: &'a CostMatrix,
    /// The places of the candidates, ordered by id: a candidate's rank is its place in this list.
    pub(super) by_rank: Vec<usize>,
    /// The place of the query and the ranks of the candidates, ascending, of each entry.
    pub(super) entries: Vec<(usize, Vec<u32>)>,
}

impl CostMatrix {
    /// Reads a matrix from JSON and validates it.
    pub fn from_json(text: &str) -> Result<Self, MatrixError> {
        let matrix: Self = serde_json::from_str(text).map_err(MatrixError::Json)?;
        matrix.validate()?;
        Ok(matrix)
    }

    /// Says what is wrong with the matrix, if anything is.
    pub fn validate(&self) -> Result<(), MatrixError> {
        Names::new(self).map(|_| ())
    }
}

impl<'a> Names<'a> {
    /// Validates the matrix.
    pub(super) fn new(matrix: &'a CostMatrix) -> Result<Self, MatrixError> {
        let queries = places("query", matrix.queries.iter().map(|query| query.id.as_str()))?;
        let candidates = places("candidate", matrix.candidates.iter().map(|index| index.id.as_str()))?;
        check_numbers(matrix)?;
        check_sums(matrix)?;
        let mut by_rank: Vec<usize> = (0..matrix.candidates.len()).collect();
        by_rank.sort_by_key(|&place| &matrix.candidates[place].id);
        let mut ranks = vec![0_u32; by_rank.len()];
        for (rank, &place) in (0_u32..).zip(&by_rank) {
            ranks[place] = rank;
        }
        let mut entries = Vec::with_capacity(matrix.costs.len());
        for (entry, cost) in (1..).zip(&matrix.costs) {
            let query = *queries
                .get(cost.query.as_str())
                .ok_or_else(|| MatrixError::UnknownQuery { entry, id: cost.query.clone() })?;
            entries.push((query, members(entry, cost, &candidates, &ranks)?));
        }
        check_duplicates(matrix, &entries)?;
        Ok(Self { matrix, by_rank, entries })
    }

    /// The place of the candidate of a rank.
    pub(super) fn place(&self, rank: u32) -> usize {
        self.by_rank[rank as usize]
    }
}

fn places<'a>(
    kind: &'static str,
    ids: impl Iterator<Item = &'a str>,
) -> Result<HashMap<&'a str, usize>, MatrixError> {
    let mut places = HashMap::new();
    for (place, id) in ids.enumerate() {
        if id.is_empty() {
            return Err(MatrixError::EmptyId { kind, number: place + 1 });
        }
        if places.insert(id, place).is_some() {
            return Err(MatrixError::DuplicateId { kind, id: id.to_owned() });
        }
    }
    Ok(places)
}

fn check_numbers(matrix: &CostMatrix) -> Result<(), MatrixError> {
    let queries =
        matrix.queries.iter().flat_map(|q| [("the weight", &q.id, q.weight), ("the cost", &q.id, q.cost)]);
    let candidates = matrix.candidates.iter().flat_map(|c| {
        [("the maintenance cost", &c.id, c.maintenance_cost), ("the penalty cost", &c.id, c.penalty_cost)]
    });
    let entries = matrix.costs.iter().map(|e| ("the cost of an entry", &e.query, e.cost));
    for (what, id, value) in queries.chain(candidates).chain(entries) {
        if !value.is_finite() || value < 0.0 {
            return Err(MatrixError::InvalidNumber { what, id: id.clone(), value });
        }
    }
    Ok(())
}

fn check_sums(matrix: &CostMatrix) -> Result<(), MatrixError> {
    let sizes = matrix.candidates.iter().try_fold(0_u64, |sum, index| sum.checked_add(index.size_bytes));
    if sizes.is_none() {
        return Err(MatrixError::TooLarge { what: "sizes" });
    }
    let queries: f64 = matrix.queries.iter().map(|query| query.weight * query.cost).sum();
    let candidates: f64 =
        matrix.candidates.iter().map(|index| index.maintenance_cost + index.penalty_cost).sum();
    // Sums of products and squares are formed on the way, so some room is kept.
    if (queries + candidates) * 1e12 < f64::MAX {
        Ok(())
    } else {
        Err(MatrixError::TooLarge { what: "costs" })
    }
}

fn members(
    entry: usize,
    cost: &CostEntry,
    candidates: &HashMap<&str, usize>,
    ranks: &[u32],
) -> Result<Vec<u32>, MatrixError> {
    if cost.candidates.is_empty() {
        return Err(MatrixError::EmptyEntry { entry, query: cost.query.clone() });
    }
    let mut members = Vec::with_capacity(cost.candidates.len());
    for id in &cost.candidates {
        let place = candidates
            .get(id.as_str())
            .ok_or_else(|| MatrixError::UnknownCandidate { entry, id: id.clone() })?;
        let rank = ranks[*place];
        if members.contains(&rank) {
            return Err(MatrixError::RepeatedCandidate { entry, id: id.clone() });
        }
        members.push(rank);
    }
    members.sort_unstable();
    Ok(members)
}

fn check_duplicates(matrix: &CostMatrix, entries: &[(usize, Vec<u32>)]) -> Result<(), MatrixError> {
    let mut seen = HashMap::new();
    for (place, (query, members)) in entries.iter().enumerate() {
        if let Some(first) = seen.insert((*query, members.as_slice()), place) {
            let query = matrix.queries[*query].id.clone();
            return Err(MatrixError::DuplicateEntry { first: first + 1, second: place + 1, query });
        }
    }
    Ok(())
}
