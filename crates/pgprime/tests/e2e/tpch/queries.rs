//! The 22 queries.

/// How many there are.
pub(super) const QUERIES: usize = 22;

const TEXT: &str = include_str!("queries.sql");

/// The file of the queries for a scale. TPC-H defines the fraction of Q11 as this.
pub(super) fn file(scale: f64) -> String {
    TEXT.replace("{fraction}", &format!("{:.10}", 0.0001 / scale))
}

/// The queries, Q1 first. None of them has a semicolon within.
pub(super) fn queries(scale: f64) -> Vec<String> {
    let file = file(scale);
    let lines = file.lines().filter(|line| !line.starts_with("--"));
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    let queries: Vec<String> =
        text.split(';').map(|query| query.trim().to_owned()).filter(|query| !query.is_empty()).collect();
    assert_eq!(queries.len(), QUERIES);
    queries
}

/// Whether ORDER BY leaves no choice: then rows are compared in their order.
pub(super) fn is_ordered(number: usize) -> bool {
    // Revenues and values of the others may be equal.
    !matches!(number, 3 | 5 | 10 | 11 | 18)
}
