//! From a text as people paste it to a plan.

use super::decode::decode;
use super::derive::derive;
use super::error::PlanError;
use super::limits::TEXT_BYTES_MAX;
use super::model::Plan;
use super::{json, text};

impl Plan {
    /// Reads what EXPLAIN printed, in text or JSON format.
    ///
    /// It may come from psql, aligned or not, with its heading, borders, line continuations and number of rows; from the
    /// server's log as auto_explain writes it; as a row of JSON; or within quotes.
    ///
    /// # Errors
    /// A [`PlanError`] that names the line or field and what was expected there.
    pub fn parse(given: &str) -> Result<Self, PlanError> {
        if given.len() > TEXT_BYTES_MAX {
            return Err(PlanError::TooLarge { bytes: given.len() });
        }
        if given.trim().is_empty() {
            return Err(PlanError::Empty);
        }
        let mut plan = read(given)?;
        derive(&mut plan);
        Ok(plan)
    }
}

fn read(given: &str) -> Result<Plan, PlanError> {
    // JSON as it is has no need to be cleaned, and its line ends may stand for themselves.
    if given.trim_start().starts_with(['{', '['])
        && let Ok(value) = json::read(given)
    {
        return decode(&value);
    }
    let pasted = text::clean(given)?;
    let is_json = pasted.lines.iter().find(|line| !line.text.trim().is_empty());
    let mut plan = if is_json.is_some_and(|line| line.text.trim_start().starts_with(['{', '['])) {
        let joined: Vec<&str> = pasted.lines.iter().map(|line| line.text.as_str()).collect();
        decode(&json::read(&joined.join("\n")).map_err(|error| at_its_line(error, &pasted.lines))?)?
    } else {
        decode(&text::read(&pasted.lines)?)?
    };
    plan.execution_ms = plan.execution_ms.or(pasted.duration_ms);
    Ok(plan)
}

/// The error with the number that the line had before cleaning.
fn at_its_line(error: PlanError, lines: &[text::Line]) -> PlanError {
    let number = |line: usize| lines.get(line.saturating_sub(1)).map_or(line, |line| line.number);
    match error {
        PlanError::Json { line, column, message } => PlanError::Json { line: number(line), column, message },
        PlanError::TooDeep { line } => PlanError::TooDeep { line: number(line) },
        other => other,
    }
}
