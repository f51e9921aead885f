//! Words for evidence.

use super::evidence::Statement;

/// Letters of a statement that fit a line of evidence.
const STATEMENT_LETTERS_MAX: usize = 70;

/// The beginning of a statement.
pub(super) fn beginning(statement: &Statement) -> String {
    shortened(&statement.text)
}

/// The beginning of a text.
pub(super) fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= STATEMENT_LETTERS_MAX {
        return line;
    }
    let mut short: String = line.chars().take(STATEMENT_LETTERS_MAX - 1).collect();
    short.push('…');
    short
}

/// The first few, and how many more there are.
pub(super) fn listed(names: &[String], count_max: usize) -> String {
    let more = names.len().saturating_sub(count_max);
    let shown = names.iter().take(count_max).cloned().collect::<Vec<_>>().join(", ");
    match more {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// A value for SQL, in quotes.
pub(super) fn literal(value: &str) -> String {
    let doubled = value.replace('\'', "''");
    // A backslash needs the other notation, whatever standard_conforming_strings says.
    if doubled.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}
