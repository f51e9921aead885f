//! Suggested views for people.

use super::definition::sql_name;
use super::suggestion::{ViewSuggestion, ViewSuggestions};
use crate::slow;
use crate::space::layout::{wrap, wrap_sql};
use crate::space::units::{amount, bytes};

/// Columns of a line.
const WIDTH: usize = 100;
const UNSUITABLE_MAX: usize = 5;

/// The suggestions for people. Lines of at most 100 columns, but for statements.
#[must_use]
pub fn text(found: &ViewSuggestions) -> String {
    let mut text = match found.suggestions.len() {
        0 => "No aggregation in the workload is worth a materialized view.\n".to_owned(),
        1 => "1 materialized view would spare the database work.\n".to_owned(),
        count => format!("{count} materialized views would spare the database work.\n"),
    };
    for (place, suggestion) in found.suggestions.iter().enumerate() {
        text += &shown(place + 1, suggestion);
    }
    if !found.unsuitable.is_empty() {
        text += "\nNo views for\n";
    }
    for one in found.unsuitable.iter().take(UNSUITABLE_MAX) {
        let line = slow::text::one_line(&one.query);
        text += &format!("  {}\n", slow::text::shortened(&line, WIDTH - 2));
        text += &wrap(&one.reason, 4);
    }
    text
}

fn shown(number: usize, suggestion: &ViewSuggestion) -> String {
    let mut text = format!("\n{number}. {}\n", suggestion.name);
    let line = slow::text::one_line(&suggestion.query);
    text += &format!("   for: {}\n", slow::text::shortened(&line, WIDTH - 8));
    text += &wrap(
        &format!(
            "saves {} of database time an hour: {:.0} executions of {} become reads of about {}; a refresh takes about {}, \
             every {:.0} s",
            time(suggestion.saved_ms_per_hour),
            suggestion.calls_per_hour,
            time(suggestion.query_ms),
            time(suggestion.reader_ms),
            time(suggestion.refresh_ms),
            suggestion.refresh_interval_seconds
        ),
        3,
    );
    text += &format!(
        "   {} rows, {}\n",
        amount(suggestion.rows.max(0.0).round() as u64),
        bytes(suggestion.size_bytes)
    );
    text +=
        &wrap_sql(&format!("CREATE MATERIALIZED VIEW {} AS {};", suggestion.name, suggestion.definition), 3);
    if suggestion.unique_key.is_empty() {
        text += "   no columns tell its rows apart: a refresh keeps readers waiting\n";
    } else {
        let keys: Vec<String> = suggestion.unique_key.iter().map(|key| sql_name(key)).collect();
        let unique = format!("CREATE UNIQUE INDEX ON {} ({});", suggestion.name, keys.join(", "));
        text += &wrap_sql(&unique, 3);
    }
    text += &wrap_sql(&format!("read it by: {}", suggestion.reader), 3);
    for note in &suggestion.notes {
        text += &wrap(&format!("note: {note}"), 3);
    }
    text
}

fn time(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 10_000.0 => format!("{ms:.0} ms"),
        ms if ms < 600_000.0 => format!("{:.0} s", ms / 1_000.0),
        ms => format!("{:.0} min", ms / 60_000.0),
    }
}
