//! Limits of a selection and of the search for it.

use serde::{Deserialize, Serialize};

/// What a selection may use, and how long the search for it may take.
///
/// The search is bounded by steps, not by time, so that the same matrix and limits always give the same selection. A step is
/// one entry of the matrix looked at: 100 million take about a second in an optimised build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The sum of the sizes of all chosen indexes; `None`: no limit.
    pub budget_bytes: Option<u64>,
    /// The number of chosen indexes; `None`: no limit.
    pub indexes_max: Option<usize>,
    /// Steps of the local improvement. With 0, the result is that of Extend alone.
    pub heuristic_steps_max: u64,
    /// Steps of the exact solver. With 0 it does not run, and nothing is said about the distance from the optimum.
    pub exact_steps_max: u64,
    /// What the random restarts of the improvement depend on.
    pub seed: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            budget_bytes: None,
            indexes_max: None,
            // Chosen so that 1,000 queries, 1,000 candidates and 20,000 entries take one or two seconds.
            heuristic_steps_max: 30_000_000,
            exact_steps_max: 120_000_000,
            seed: 0,
        }
    }
}

impl Limits {
    /// The default search within a budget.
    pub fn with_budget(budget_bytes: u64) -> Self {
        Self { budget_bytes: Some(budget_bytes), ..Self::default() }
    }

    /// What may be used.
    pub(super) fn capacity(&self) -> Capacity {
        Capacity {
            size_bytes: self.budget_bytes.unwrap_or(u64::MAX),
            indexes: self.indexes_max.unwrap_or(usize::MAX),
        }
    }
}

/// How much may be chosen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    /// In bytes, over all indexes.
    pub(super) size_bytes: u64,
    /// Their number.
    pub(super) indexes: usize,
}
