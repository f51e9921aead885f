//! Whether a statement may be executed, as far as its text tells.

use super::facts::Facts;
use super::harmless::{HARMLESS_FUNCTIONS, HARMLESS_NODES, HARMLESS_SAMPLING};
use super::hostile;
use super::kind::StatementKind;
use super::names::FunctionName;
use super::refusal::{Refusal, RefusalReason};

pub(super) fn has_plan(kind: &StatementKind) -> Result<(), Refusal> {
    let refused = |object: &str, why: &str| Err(Refusal::new(RefusalReason::NoPlan, object, why));
    match kind {
        StatementKind::Read | StatementKind::Locking | StatementKind::Write { .. } => Ok(()),
        StatementKind::Explain => refused("EXPLAIN", "is what is done here: give the statement without it"),
        StatementKind::Utility { command } => refused(command, "has no plan"),
    }
}

pub(super) fn executable(kind: &StatementKind, facts: &Facts) -> Result<(), Refusal> {
    has_plan(kind)?;
    let changes = |object: &str, why: &str| Err(Refusal::new(RefusalReason::NotARead, object, why));
    match kind {
        StatementKind::Write { command } => {
            return changes(command, "changes data, so it is planned but not executed");
        }
        StatementKind::Locking => {
            return changes("FOR UPDATE", "locks rows, so it is planned but not executed");
        }
        StatementKind::Read | StatementKind::Explain | StatementKind::Utility { .. } => {}
    }
    hostile::find(facts.functions.iter())?;
    if let Some(node) = facts.nodes.iter().find(|node| HARMLESS_NODES.binary_search(node).is_err()) {
        return Err(Refusal::new(
            RefusalReason::Syntax,
            *node,
            "is not known to be harmless as a part of a statement",
        ));
    }
    functions(facts.functions.iter(), HARMLESS_FUNCTIONS)?;
    functions(facts.sampling.iter(), HARMLESS_SAMPLING)
}

fn functions<'a>(
    mut called: impl Iterator<Item = &'a FunctionName>,
    harmless: &[&str],
) -> Result<(), Refusal> {
    let is_builtin =
        |function: &FunctionName| function.schema.as_deref().is_none_or(|schema| schema == "pg_catalog");
    let is_harmless = |function: &FunctionName| {
        is_builtin(function) && harmless.binary_search(&function.name.as_str()).is_ok()
    };
    match called.find(|function| !is_harmless(function)) {
        None => Ok(()),
        Some(function) => Err(Refusal::new(
            RefusalReason::Function,
            function.to_string(),
            "is not one of PostgreSQL's own functions that are known to change nothing",
        )),
    }
}
