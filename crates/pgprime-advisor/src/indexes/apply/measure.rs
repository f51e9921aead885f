//! What statements take before and after.

use std::time::Duration;

use tokio_postgres::Client;

use super::super::advice::Gain;
use super::super::query::WorkloadQuery;
use super::applied::{MeasuredBy, Measurement};
use super::options::ApplyOptions;
use crate::explain::{Execution, ExplainError, ExplainRequest, Explained, Limits, ParameterSource, explain};
use crate::plan::{Node, Plan};
use crate::sql::Statement;

/// How long a statement that is measured waits for a lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// A statement without the index.
pub(super) struct Before {
    query_id: String,
    weight: f64,
    /// None: it could not even be planned, and the reason is in `how`.
    request: Option<ExplainRequest>,
    how: MeasuredBy,
    ms: Option<f64>,
    cost: Option<f64>,
}

/// One look at a statement.
struct Look {
    plan: Plan,
    ms: Option<f64>,
    cost: f64,
    explained: Explained,
}

/// The connection was lost, and with it everything else.
#[derive(Debug)]
pub(super) struct Lost(pub(super) ExplainError);

pub(super) async fn before(
    client: &Client,
    gain: &Gain,
    query: &WorkloadQuery,
    options: &ApplyOptions,
) -> Result<Before, Lost> {
    let mut before = Before {
        query_id: gain.query_id.clone(),
        weight: gain.weight,
        request: None,
        how: MeasuredBy::PlannedOnly { reason: "it was not to be executed".to_owned() },
        ms: None,
        cost: None,
    };
    let statement = match Statement::parse(&query.text) {
        Ok(statement) => statement,
        Err(error) => {
            before.how = MeasuredBy::PlannedOnly { reason: error.to_string() };
            return Ok(before);
        }
    };
    let limits = Limits { statement_timeout: options.statement_timeout, lock_timeout: LOCK_TIMEOUT };
    let mut request = ExplainRequest {
        parameters: query.parameters.clone(),
        execution: Execution::Execute,
        superuser: options.superuser,
        limits,
        ..ExplainRequest::new(statement)
    };
    if options.runs > 0 {
        match look(client, &request).await {
            Ok(found) if found.ms.is_some() => {
                return Ok(executed(client, before, request, &found, options).await);
            }
            Ok(found) => before.how = MeasuredBy::PlannedOnly { reason: not_executed(&found.explained) },
            Err(error) if error.is_connection() => return Err(Lost(error)),
            Err(error) => before.how = MeasuredBy::PlannedOnly { reason: error.to_string() },
        }
    }
    request.execution = Execution::PlanOnly;
    match look(client, &request).await {
        Ok(found) => {
            (before.cost, before.request) = (Some(found.cost), Some(with_values(request, &found.explained)));
        }
        Err(error) if error.is_connection() => return Err(Lost(error)),
        Err(error) => before.how = MeasuredBy::PlannedOnly { reason: error.to_string() },
    }
    Ok(before)
}

async fn executed(
    client: &Client,
    before: Before,
    request: ExplainRequest,
    found: &Look,
    options: &ApplyOptions,
) -> Before {
    let request = with_values(request, &found.explained);
    let ms = best(client, &request, found.ms, options).await;
    Before { how: MeasuredBy::Executed, ms, cost: Some(found.cost), request: Some(request), ..before }
}

/// The same statement again, with the index.
pub(super) async fn after(
    client: &Client,
    before: &Before,
    index_names: &[String],
    options: &ApplyOptions,
) -> Result<Measurement, Lost> {
    let mut measurement = Measurement {
        query_id: before.query_id.clone(),
        weight: before.weight,
        how: before.how.clone(),
        before_ms: before.ms,
        after_ms: None,
        before_cost: before.cost,
        after_cost: None,
        uses_index: false,
    };
    let Some(request) = &before.request else { return Ok(measurement) };
    let mut found = look(client, request).await;
    if let Err(error) = &found
        && !error.is_connection()
        && before.how == MeasuredBy::Executed
    {
        // It was executed before: with the index it takes longer than it may, or something else is in its way.
        measurement.how = MeasuredBy::PlannedOnly { reason: format!("with the index: {error}") };
        let planned = ExplainRequest { execution: Execution::PlanOnly, ..request.clone() };
        found = look(client, &planned).await;
    }
    match found {
        Ok(found) => {
            measurement.after_cost = Some(found.cost);
            measurement.uses_index = uses(&found.plan.root, index_names);
            if measurement.how == MeasuredBy::Executed {
                measurement.after_ms = best(client, request, found.ms, options).await;
            }
        }
        Err(error) if error.is_connection() => return Err(Lost(error)),
        Err(error) => measurement.how = MeasuredBy::PlannedOnly { reason: error.to_string() },
    }
    Ok(measurement)
}

/// The best time of all runs, the first of which is known. One that fails takes nothing away.
async fn best(
    client: &Client,
    request: &ExplainRequest,
    first_ms: Option<f64>,
    options: &ApplyOptions,
) -> Option<f64> {
    let mut best_ms = first_ms;
    for _ in 1..options.runs {
        if let Ok(Look { ms: Some(ms), .. }) = look(client, request).await {
            best_ms = best_ms.map(|best| best.min(ms));
        }
    }
    best_ms
}

async fn look(client: &Client, request: &ExplainRequest) -> Result<Look, ExplainError> {
    let explained = explain(client, request).await?;
    let unreadable = |reason: String| ExplainError::Answer { step: "explain the statement", reason };
    let plan = Plan::parse(&explained.document).map_err(|error| unreadable(error.to_string()))?;
    let cost = plan.root.estimate.ok_or_else(|| unreadable("it has no costs".to_owned()))?.total_cost;
    let ms = plan.execution_ms.filter(|_| explained.is_executed);
    Ok(Look { plan, ms, cost, explained })
}

/// With the values that were found for its parameters, so that the next look is at the same.
fn with_values(mut request: ExplainRequest, explained: &Explained) -> ExplainRequest {
    let found = &explained.parameters;
    if !matches!(found.source, ParameterSource::None | ParameterSource::Generic) {
        request.parameters = found.values.iter().map(|value| value.value.clone()).collect();
    }
    request
}

fn not_executed(explained: &Explained) -> String {
    if explained.parameters.source == ParameterSource::Generic {
        return "no values of its parameters are known".to_owned();
    }
    let note = explained.notes.first().map(String::as_str);
    note.unwrap_or("it was planned only").trim_start_matches("Not executed: ").to_owned()
}

fn uses(node: &Node, names: &[String]) -> bool {
    node.index.as_ref().is_some_and(|index| names.contains(index))
        || node.children.iter().any(|child| uses(child, names))
}
