//! The advice for people.

use super::advice::{Advice, CostMethod, Gain, Suggestion};
use crate::Missing;
use crate::slow;
use crate::space::layout::{wrap, wrap_sql};
use crate::space::units::{ago, amount, bytes};

/// Statements that are listed beside a suggestion, and such that could not be planned.
const GAINS_MAX: usize = 5;
const SKIPPED_MAX: usize = 5;
/// Columns of a line.
const WIDTH: usize = 100;

/// The advice for people: what it comes to, each suggestion with its statement, gains and undo. Lines of at most 100 columns,
/// but for statements.
#[must_use]
pub fn text(advice: &Advice) -> String {
    let mut text = wrap(&summary(advice), 0);
    for (place, suggestion) in advice.suggestions.iter().enumerate() {
        text += &shown(advice, place + 1, suggestion);
    }
    for hint in &advice.hints {
        text += "\n";
        text += &wrap(&format!("Hint: {}: {}", hint.table, hint.reason), 0);
        text.extend(hint.statements.iter().map(|statement| wrap_sql(statement, 4)));
    }
    text += &skipped(advice);
    if !advice.missing.is_empty() {
        text += "\nNot seen\n";
    }
    text.extend(advice.missing.iter().map(missing));
    text
}

fn summary(advice: &Advice) -> String {
    let over =
        advice.workload_seconds.map(|seconds| format!(" of {}", ago(Some(seconds)))).unwrap_or_default();
    let by = match advice.method {
        CostMethod::Hypopg => "the planner's costs with hypothetical indexes",
        CostMethod::Estimated => "ESTIMATED costs, as the planner cannot be asked without HypoPG",
    };
    let count = advice.queries.len();
    let noun = if count == 1 { "statement" } else { "statements" };
    let head = format!("Index advice for {count} {noun}{over}, by {by}: ");
    if advice.suggestions.is_empty() {
        return format!("{head}no index is worth its upkeep, of {} that were weighed.", advice.candidates);
    }
    let budget = advice
        .budget_bytes
        .map(|budget| format!(" of {} that they may take", bytes(budget)))
        .unwrap_or_default();
    format!(
        "{head}{} of {} candidates save {} of the workload's cost (from {} to {}, writes pay {}) and take {}{budget}.",
        advice.suggestions.len(),
        advice.candidates,
        percent(advice.saved_share),
        cost(advice.cost_before),
        cost(advice.cost_after),
        cost(advice.write_cost),
        bytes(advice.size_bytes)
    )
}

fn shown(advice: &Advice, number: usize, suggestion: &Suggestion) -> String {
    let mut text = format!("\n{number}. {}\n", suggestion.name);
    text.extend(suggestion.statements.iter().map(|statement| wrap_sql(statement, 3)));
    let writes = match suggestion.writes_per_second {
        Some(rate) if rate >= 0.05 => format!(", of which there are {rate:.1} a second"),
        _ => String::new(),
    };
    text += &wrap(
        &format!(
            "saves {} of the workload; takes {}; makes each write of a row {} dearer{writes}",
            percent(suggestion.saved_share),
            bytes(suggestion.size_bytes),
            percent(suggestion.write_overhead_share),
        ),
        3,
    );
    let confidence = match suggestion.confidence {
        super::Confidence::High => "high",
        super::Confidence::Medium => "medium",
        super::Confidence::Low => "low",
    };
    text += &wrap(&format!("confidence {confidence}: {}", suggestion.confidence_reason), 3);
    text += "   statements that gain: executions × cost before → after\n";
    text.extend(suggestion.gains.iter().take(GAINS_MAX).map(|gain| gained(advice, gain)));
    if let Some(more) = suggestion.gains.len().checked_sub(GAINS_MAX).filter(|more| *more > 0) {
        text += &format!("     and {more} more\n");
    }
    text += &wrap_sql(&format!("undo: {}", suggestion.undo), 3);
    text
}

fn gained(advice: &Advice, gain: &Gain) -> String {
    let query = advice.queries.iter().find(|query| query.id == gain.query_id);
    let line = query.map(|query| slow::text::one_line(&query.text)).unwrap_or_default();
    let figures = format!(
        "     {} × {} → {}  ",
        amount(gain.weight.round() as u64),
        cost(gain.cost_before),
        cost(gain.cost_after)
    );
    let room = WIDTH.saturating_sub(figures.chars().count());
    format!("{figures}{}\n", slow::text::shortened(&line, room))
}

fn skipped(advice: &Advice) -> String {
    if advice.skipped.is_empty() {
        return String::new();
    }
    let mut text = format!("\nNot planned: {}\n", advice.skipped.len());
    for query in advice.skipped.iter().take(SKIPPED_MAX) {
        let line = slow::text::one_line(&query.text);
        text += &format!("  {}\n", slow::text::shortened(&line, WIDTH - 2));
        text += &wrap(&query.reason, 4);
    }
    if let Some(more) = advice.skipped.len().checked_sub(SKIPPED_MAX).filter(|more| *more > 0) {
        text += &format!("  and {more} more\n");
    }
    text
}

fn missing(missing: &Missing) -> String {
    let mut text = wrap(&format!("{}: {}.", missing.what, missing.why), 2);
    text.extend(missing.statement.as_ref().map(|statement| wrap_sql(statement, 6)));
    text
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let digits = usize::from(percent.abs() < 10.0);
    format!("{percent:.digits$} %")
}

fn cost(cost: f64) -> String {
    if cost < 100.0 { format!("{cost:.1}") } else { amount(cost.round() as u64) }
}
