//! What can be wrong with a cost matrix.

use thiserror::Error;

/// Why a cost matrix was refused. The caller's side; trying again does not help.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MatrixError {
    /// Not the documented JSON.
    #[error("the cost matrix is not in the documented format: {0}")]
    Json(#[source] serde_json::Error),
    /// A query or candidate whose id is empty.
    #[error("{kind} number {number} has an empty id")]
    EmptyId {
        /// `"query"` or `"candidate"`.
        kind: &'static str,
        /// Its place, counted from 1.
        number: usize,
    },
    /// Two queries or two candidates of one id.
    #[error("two {kind} entries have the id {id:?}")]
    DuplicateId {
        /// `"query"` or `"candidate"`.
        kind: &'static str,
        /// The id.
        id: String,
    },
    /// A number that is negative, infinite or not a number.
    #[error("{what} of {id:?} is {value}; a finite number of at least 0 is needed")]
    InvalidNumber {
        /// `"weight"`, `"cost"`, …
        what: &'static str,
        /// Of which query or candidate.
        id: String,
        /// What it is.
        value: f64,
    },
    /// An entry for a query that is not in the matrix.
    #[error("cost entry number {entry} is for the query {id:?}, which is not among the queries")]
    UnknownQuery {
        /// The entry's place, counted from 1.
        entry: usize,
        /// The id.
        id: String,
    },
    /// An entry with a candidate that is not in the matrix.
    #[error("cost entry number {entry} names the candidate {id:?}, which is not among the candidates")]
    UnknownCandidate {
        /// The entry's place, counted from 1.
        entry: usize,
        /// The id.
        id: String,
    },
    /// An entry without candidates.
    #[error(
        "cost entry number {entry} (query {query:?}) has no candidates; the cost without any belongs to the query"
    )]
    EmptyEntry {
        /// The entry's place, counted from 1.
        entry: usize,
        /// Its query.
        query: String,
    },
    /// An entry that names a candidate twice.
    #[error("cost entry number {entry} names the candidate {id:?} twice")]
    RepeatedCandidate {
        /// The entry's place, counted from 1.
        entry: usize,
        /// The id.
        id: String,
    },
    /// Two entries for one query and one set of candidates.
    #[error(
        "cost entries number {first} and {second} are for the same query {query:?} and the same candidates"
    )]
    DuplicateEntry {
        /// The place of the first, counted from 1.
        first: usize,
        /// The place of the second, counted from 1.
        second: usize,
        /// Their query.
        query: String,
    },
    /// Sizes or costs that cannot be added up.
    #[error("the {what} of the matrix add up to more than can be represented")]
    TooLarge {
        /// `"sizes"` or `"costs"`.
        what: &'static str,
    },
}
