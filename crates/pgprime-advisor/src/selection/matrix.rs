//! The cost matrix: what is known about queries, candidate indexes and their costs together.

use serde::{Deserialize, Serialize};

/// Queries, candidate indexes, and what each query costs with sets of candidates.
///
/// The cost of a query under a selection is the smallest of its cost without any candidate and the costs of all its
/// entries whose candidates are all selected. So an entry is a promise: with at least these indexes, the query costs no
/// more than this. Costs may have any unit, as long as all have the same one: that of `maintenance_cost` and `penalty_cost`
/// is a cost times a weight.
///
/// # Format
///
/// Order does not matter. Fields other than these are refused, so that a misspelt one is not silently ignored.
///
/// ```
/// # use pgprime_advisor::selection::{CostMatrix, Limits, select};
/// let matrix = CostMatrix::from_json(r#"{
///   "description": "optional: where the numbers come from",
///   "queries": [
///     {"id": "orders of a customer", "weight": 1000, "cost": 250.0},
///     {"id": "customers with their orders", "weight": 10, "cost": 9000.0}
///   ],
///   "candidates": [
///     {"id": "orders(customer_id)", "size_bytes": 2000000, "maintenance_cost": 300.0,
///      "table": "orders", "columns": ["customer_id"]},
///     {"id": "customers(region)", "size_bytes": 1000000, "penalty_cost": 5.0}
///   ],
///   "costs": [
///     {"query": "orders of a customer", "candidates": ["orders(customer_id)"], "cost": 4.5},
///     {"query": "customers with their orders", "candidates": ["customers(region)"], "cost": 8000.0},
///     {"query": "customers with their orders",
///      "candidates": ["customers(region)", "orders(customer_id)"], "cost": 700.0}
///   ]
/// }"#)?;
/// let selection = select(&matrix, &Limits::with_budget(4_000_000))?;
/// assert_eq!(selection.cost_before, 1000.0 * 250.0 + 10.0 * 9000.0);
/// assert_eq!(selection.cost_after, 1000.0 * 4.5 + 10.0 * 700.0);
/// assert!(selection.is_proven_optimal);
/// # Ok::<(), pgprime_advisor::selection::MatrixError>(())
/// ```
///
/// # Converting a published matrix
///
/// Index selection studies publish what-if costs in one of three shapes:
///
/// - **One cost for each query and index** (a table with a column "no index"): `cost` of a query is its "no index" column;
///   each other cell becomes an entry with one candidate. Cells that are no cheaper than "no index" may be left out, they
///   change nothing. Such a matrix cannot say what two indexes do together: the better one of them counts.
/// - **One cost for each query and combination of indexes** (as for integer programs, where combinations are numbered and
///   a second table lists the indexes of each): combination 0 or the empty one is the query's `cost`; every other becomes an
///   entry with the indexes of that combination. Combinations hold at most one index for each table of a query, often
///   two or three indexes in all; nothing has to be added for larger selections, as the cheapest entry that is
///   covered counts. A measured combination that is dearer than a part of it is harmless for the same reason.
/// - **A saving for each query, table and index** (additive models): the saving of a combination is the sum over its
///   tables, so write one entry for each combination of at most one index per table, with `cost` less that sum.
///
/// A query's number of executions is its `weight` (1 where the study has none). Sizes in kilobytes, megabytes or pages have
/// to be multiplied out to bytes, and the budget likewise. Where no maintenance is given, leave it out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostMatrix {
    /// Where the numbers come from; not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The workload.
    pub queries: Vec<WorkloadQuery>,
    /// The indexes to choose from.
    pub candidates: Vec<CandidateIndex>,
    /// What queries cost with candidates.
    pub costs: Vec<CostEntry>,
}

/// A query of the workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadQuery {
    /// Unique among the queries.
    pub id: String,
    /// How often it is executed, or its share of the workload; at least 0.
    #[serde(default = "one")]
    pub weight: f64,
    /// The cost of one execution without any candidate; at least 0.
    pub cost: f64,
}

/// An index that could be created.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CandidateIndex {
    /// Unique among the candidates.
    pub id: String,
    /// The space it needs.
    pub size_bytes: u64,
    /// What writes pay for it over the whole workload, in the unit of weight × cost; at least 0.
    #[serde(default)]
    pub maintenance_cost: f64,
    /// What it has to gain beyond its maintenance to be worth having, in the same unit; at least 0.
    #[serde(default)]
    pub penalty_cost: f64,
    /// Its table; with `columns`, tells which candidates widen which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Its key columns in order; may be empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

/// The cost of a query with a set of candidates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostEntry {
    /// The query's id.
    pub query: String,
    /// The ids of the candidates that are used together: at least one, each once, in any order.
    pub candidates: Vec<String>,
    /// The cost of one execution with them; at least 0. One that is no less than the query's own changes nothing.
    pub cost: f64,
}

fn one() -> f64 {
    1.0
}
