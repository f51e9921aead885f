//! Building one suggestion, wholly or not at all.

use std::time::Instant;

use super::super::advice::Suggestion;
use super::super::error::IndexesError;
use super::clean::{BLOCKING_LOCK_TIMEOUT, drop_index, is_leftover, statement};
use super::failure::Failure;
use super::options::ApplyOptions;
use super::session::{Named, Session};
use super::steps::{self, Create, Step, subject};
use crate::index_review;
use crate::sql::TableName;

/// An index that is there.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) index: Named,
    /// The names by which plans know it: its own, and those of its parts.
    pub(super) names: Vec<String>,
    pub(super) build_ms: f64,
}

pub(super) async fn build(
    session: &Session<'_>,
    suggestion: &Suggestion,
    options: &ApplyOptions,
) -> Result<Built, Failure> {
    let steps = steps::of(suggestion)?;
    let creates =
        || steps.iter().filter_map(|step| if let Step::Create(create) = step { Some(create) } else { None });
    let first = creates().next().ok_or_else(|| Failure::refused("there is nothing to create"))?;
    for create in creates() {
        let scope = if create == first { Scope::Whole } else { Scope::Part };
        check(session, create, scope).await?;
    }
    let started = Instant::now();
    let mut made: Vec<Named> = Vec::new();
    for step in &steps {
        if let Err(error) = perform(session, step, options, &mut made).await {
            return Err(undo(session, made, Some(step), Failure::of(&error), options).await);
        }
    }
    let build_ms = started.elapsed().as_secs_f64() * 1_000.0;
    let index = match session.named(first).await {
        Ok(Some(index)) if index.is_usable => index,
        Ok(_) => {
            let failure = Failure::refused("the server does not call it valid after it was built");
            return Err(undo(session, made, None, failure, options).await);
        }
        Err(error) => return Err(undo(session, made, None, Failure::of(&error), options).await),
    };
    if creates().any(|create| create.has_expression) {
        analyze(session, first, options).await;
    }
    Ok(Built { index, names: creates().map(|create| create.name.clone()).collect(), build_ms })
}

/// Whether an index is the whole suggestion, or a part of it on a partition, where one that does the same is no reason.
#[derive(Clone, Copy, PartialEq)]
enum Scope {
    Whole,
    Part,
}

/// What stands in the way, before anything is done.
async fn check(session: &Session<'_>, create: &Create, scope: Scope) -> Result<(), Failure> {
    let lookup = |error: IndexesError| Failure::of(&error);
    let name = format!("{}.{}", index_review::quoted(&create.schema), index_review::quoted(&create.table));
    let table = session.table(create).await.map_err(lookup)?;
    let table = table.ok_or_else(|| Failure::refused(format!("there is no table {name} any more")))?;
    if !table.is_own {
        let reason = format!(
            "role {} does not own {name}, and only its owner creates indexes on it: connect as {}, or as a member of that \
             role",
            table.role, table.owner
        );
        return Err(Failure { sqlstate: Some("42501".to_owned()), ..Failure::refused(reason) });
    }
    let ours = subject(&create.sql);
    let same = table
        .indexes
        .iter()
        .find(|(_, method, definition)| *method == create.method && subject(definition) == ours);
    if let Some((same, ..)) = same.filter(|_| scope == Scope::Whole) {
        return Err(Failure::refused(format!("index {same} of {name} does the same already")));
    }
    match session.named(create).await.map_err(lookup)? {
        None => Ok(()),
        Some(taken) if is_leftover(&taken, create) => Err(Failure::refused(format!(
            "an index of this name was left by a failed build; first: {}",
            statement(&taken.qualified, taken.is_partitioned)
        ))),
        Some(taken) => Err(Failure::refused(format!(
            "the name {} was taken meanwhile: ask for advice again",
            taken.qualified
        ))),
    }
}

async fn perform(
    session: &Session<'_>,
    step: &Step,
    options: &ApplyOptions,
    made: &mut Vec<Named>,
) -> Result<(), IndexesError> {
    let lock = match step.keeps_others_waiting() {
        true => options.lock_timeout.min(BLOCKING_LOCK_TIMEOUT),
        false => options.lock_timeout,
    };
    session.limit(options.build_timeout, lock).await?;
    tracing::info!(statement = step.sql(), "building an index");
    session.execute("build the index", step.sql()).await?;
    if let Step::Create(create) = step {
        made.extend(session.named(create).await?);
    }
    Ok(())
}

/// Takes away all that was made, and what the failed step has left. The whole goes before the parts: it takes those along
/// that are attached.
async fn undo(
    session: &Session<'_>,
    made: Vec<Named>,
    failed: Option<&Step>,
    failure: Failure,
    options: &ApplyOptions,
) -> Failure {
    let mut left = made;
    if let Some(Step::Create(create)) = failed {
        let found = if failure.is_connection_lost { Ok(None) } else { session.named(create).await };
        match found {
            Ok(found) => left.extend(found.filter(|found| is_leftover(found, create))),
            Err(error) => return failure.leaving(&format!("what it left cannot be seen: {}", error.said())),
        }
        if failure.is_connection_lost {
            let name = TableName { schema: Some(create.schema.clone()), name: create.name.clone() }.quoted();
            return failure.leaving(&format!(
                "the connection was lost; the server may still build it or have left it invalid. Look for it, and then: {}",
                statement(&name, !create.is_concurrent)
            ));
        }
    }
    let mut remaining = Vec::new();
    for index in &left {
        if let Err(error) = drop_index(session, index, options.clean_up_timeout).await {
            tracing::warn!(index = index.qualified, error = %error, "an index is left behind");
            remaining.push(format!(
                "{} is left ({}); it goes with: {}",
                index.qualified,
                error.said(),
                statement(&index.qualified, index.is_partitioned)
            ));
        }
    }
    if remaining.is_empty() { failure } else { failure.leaving(&remaining.join("; ")) }
}

/// An expression has statistics of its own from the next ANALYZE on; without them the planner guesses.
async fn analyze(session: &Session<'_>, create: &Create, options: &ApplyOptions) {
    let table = TableName { schema: Some(create.schema.clone()), name: create.table.clone() }.quoted();
    let limited = session.limit(options.build_timeout, BLOCKING_LOCK_TIMEOUT).await;
    let outcome = match limited {
        Ok(()) => session.execute("analyze the table", &format!("ANALYZE (SKIP_LOCKED) {table}")).await,
        Err(error) => Err(error),
    };
    if let Err(error) = outcome {
        tracing::warn!(table, error = %error, "the table was not analyzed");
    }
}
