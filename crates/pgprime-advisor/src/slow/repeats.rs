//! A hint at N+1 patterns from counters alone.

use serde::Serialize;

use super::text;
use crate::history::StatementTotals;

/// Fewer executions are not worth a hint.
const CALLS_MIN: f64 = 1_000.0;
/// A statement that is run so often for each row of another, give or take this share, is in step with it.
const STEP_TOLERANCE: f64 = 0.02;
/// The statement that sets the others off returns at least so many rows.
const ROWS_PER_CALL_MIN: f64 = 2.0;
/// So often at least: anything is in step with something that ran a few times.
const PARENT_CALLS_MIN: f64 = 10.0;
const HINTS_MAX: usize = 5;

/// A statement that may be run once for each row of another, instead of once for all. It is a weak hint: that the numbers
/// of two statements agree proves nothing. Only who sees the order of the statements can say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RepeatHint {
    /// The statement that is run often, as `pgprime analyze --query-id` takes it.
    pub query_id: String,
    /// Its text, on one line.
    pub text: String,
    /// The statement that returns about as many rows.
    pub parent_query_id: String,
    /// Its text, on one line.
    pub parent_text: String,
    /// Executions of the former.
    pub calls: u64,
    /// Rows that the former returns, on average.
    pub rows_per_call: f64,
    /// Executions of the latter.
    pub parent_calls: u64,
    /// Rows that the latter returned, all together.
    pub parent_rows: u64,
    /// Executions of the former for each row of the latter: close to 1.
    pub calls_per_parent_row: f64,
    /// The time that the former took, in milliseconds.
    pub exec_ms: f64,
}

/// The hints in these statements, the most expensive first.
pub(super) fn hints(statements: &[&StatementTotals]) -> Vec<RepeatHint> {
    let is_repeated = |statement: &&&StatementTotals| {
        let counters = &statement.counters;
        counters.calls >= CALLS_MIN && counters.rows <= counters.calls && reads_by_key(text_of(statement))
    };
    let hint = |child: &&StatementTotals| {
        let parent = statements.iter().filter(|parent| is_in_step(child, parent));
        // Of several the one whose numbers agree best.
        let distance = |parent: &StatementTotals| (child.counters.calls / parent.counters.rows - 1.0).abs();
        let parent = parent.min_by(|one, other| distance(one).total_cmp(&distance(other)))?;
        Some(told(child, parent))
    };
    let mut hints: Vec<RepeatHint> = statements.iter().filter(is_repeated).filter_map(hint).collect();
    hints.sort_by(|one, other| other.exec_ms.total_cmp(&one.exec_ms));
    hints.truncate(HINTS_MAX);
    hints
}

fn text_of(statement: &StatementTotals) -> &str {
    statement.identity.text.as_deref().unwrap_or_default()
}

/// `SELECT … WHERE … = $n`, and nothing that makes one row of many.
fn reads_by_key(text: &str) -> bool {
    let words = text::words(text);
    let is_select = words.first().is_some_and(|word| word == "select");
    let begins = words.iter().position(|word| word == "where");
    let is_parameter = |word: &String| word.starts_with('$');
    let compares = |words: &[String]| words.windows(2).any(|pair| pair[0] == "=" && is_parameter(&pair[1]));
    let aggregates = ["group", "distinct", "count", "sum", "min", "max", "avg"];
    is_select
        && begins.is_some_and(|begin| words.get(begin..).is_some_and(compares))
        && !words.iter().any(|word| aggregates.contains(&word.as_str()))
}

fn is_in_step(child: &StatementTotals, parent: &StatementTotals) -> bool {
    let (mine, others) = (&child.identity, &parent.identity);
    let is_other = mine.key.query_id != others.key.query_id;
    let is_same_place = mine.key.database_oid == others.key.database_oid
        && mine.key.user_oid == others.key.user_oid
        && mine.key.toplevel
        && others.key.toplevel;
    let counters = &parent.counters;
    is_other
        && is_same_place
        && counters.calls >= PARENT_CALLS_MIN
        && counters.rows / counters.calls >= ROWS_PER_CALL_MIN
        && (child.counters.calls / counters.rows - 1.0).abs() <= STEP_TOLERANCE
        && text::words(text_of(parent)).first().is_some_and(|word| word == "select")
}

fn told(child: &StatementTotals, parent: &StatementTotals) -> RepeatHint {
    RepeatHint {
        query_id: child.identity.key.query_id.to_string(),
        text: text::one_line(text_of(child)),
        parent_query_id: parent.identity.key.query_id.to_string(),
        parent_text: text::one_line(text_of(parent)),
        calls: child.counters.calls as u64,
        rows_per_call: child.counters.rows / child.counters.calls,
        parent_calls: parent.counters.calls as u64,
        parent_rows: parent.counters.rows as u64,
        calls_per_parent_row: child.counters.calls / parent.counters.rows,
        exec_ms: child.counters.exec_ms,
    }
}
