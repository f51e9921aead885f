//! Conditions that no index on the column can serve.

use super::context::{Context, Found, filter_comparisons, is_selective, table};
use crate::plan::condition::{self, Comparison, Wrapping};
use crate::plan::finding::Unit;
use crate::plan::model::Node;

pub(super) fn expression_on_column(context: &Context<'_>) -> Vec<Found> {
    let selective = context.nodes().filter(|node| is_selective(node));
    selective.flat_map(|node| at(context, node)).collect()
}

fn at(context: &Context<'_>, node: &Node) -> Vec<Found> {
    let mut found = Vec::new();
    for comparison in filter_comparisons(node) {
        let Some((wrapping, column)) = hidden(&comparison) else { continue };
        let left = condition::without_parentheses(comparison.left);
        let (advice, is_indexable) = advice(&wrapping, column);
        let statement = table(node).filter(|_| is_indexable);
        found.push(
            Found::at(context, node, format!("compares {left}, so that no index on {column} serves it"))
                .number("share", node.figures.total_share, Unit::Share)
                .advise(advice)
                .statement(
                    statement.map(|table| format!("CREATE INDEX CONCURRENTLY ON {table} (({left}));")),
                ),
        );
    }
    found
}

/// The column that a comparison with a constant hides, and how.
fn hidden<'a>(comparison: &Comparison<'a>) -> Option<(Wrapping<'a>, &'a str)> {
    let (wrapping, column) = condition::wrapped_column(comparison.left)?;
    let is_constant = condition::columns(comparison.right).is_empty();
    let is_hidden = match wrapping {
        // A varchar column is written this way, too; a number or date compared as text is none.
        Wrapping::Cast("text") => is_number_or_date(comparison.right),
        _ => true,
    };
    (is_constant && is_hidden).then_some((wrapping, column))
}

fn is_number_or_date(constant: &str) -> bool {
    let inside =
        constant.strip_prefix('\'').and_then(|rest| rest.split_once('\'')).map_or("", |(inside, _)| inside);
    let is_part = |letter: char| letter.is_ascii_hexdigit() || "-:. +".contains(letter);
    inside.chars().any(|letter| letter.is_ascii_digit()) && inside.chars().all(is_part)
}

fn advice(wrapping: &Wrapping<'_>, column: &str) -> (String, bool) {
    match wrapping {
        Wrapping::Function("date_trunc" | "date" | "EXTRACT" | "date_part" | "to_char")
        | Wrapping::Cast("date") => (
            format!(
                "Compare the column with a range instead: {column} >= start AND {column} < end; \
                    then a plain index on it serves."
            ),
            false,
        ),
        Wrapping::Cast(target) => (
            format!(
                "Write the constant in the column's type instead of casting {column} to {target} (a parameter that the \
                 client sends as {target} does the same); then a plain index on it serves."
            ),
            false,
        ),
        Wrapping::Function(name) => (
            format!(
                "An index on the expression serves, if {name} is immutable; or compare the column itself."
            ),
            true,
        ),
        Wrapping::Operator => (
            format!(
                "Bring the condition into a shape with {column} alone on one side, or make an index \
                    on the expression."
            ),
            true,
        ),
    }
}
