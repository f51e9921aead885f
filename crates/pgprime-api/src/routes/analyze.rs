//! A statement's plan, its problems, and what would help.

use std::sync::Arc;
use std::time::Duration;

use axum::Json as Answer;
use axum::extract::State;
use pgprime_advisor::explain::{Execution, ExplainError, ExplainRequest, Explained, explain};
use pgprime_advisor::indexes::{self, Advice, AdviceOptions};
use pgprime_advisor::plan::PlanReport;
use pgprime_advisor::sql::Statement;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::extract::Json;
use crate::limits::{REPORT_MAX, within};
use crate::planning;
use crate::problem::Problem;
use crate::security::Analyst;

/// Somebody waits for the plan.
const ADVICE_TIME_MAX: Duration = Duration::from_secs(10);
const PARAMETERS_MAX: usize = 1_000;
/// Of a statement in the audit log.
const AUDIT_CHARS: usize = 200;

/// The statement to analyze.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// One statement.
    #[schema(example = "SELECT * FROM quotes WHERE status = $1")]
    query: String,
    /// Values of its parameters as PostgreSQL reads them, null for NULL. Without them plausible ones are taken.
    parameters: Option<Vec<Option<String>>>,
    /// Whether to execute it: only what is known to change nothing is, in a transaction that is rolled back, within limits.
    #[serde(default)]
    execute: bool,
}

/// The plan with its problems, and indexes that would help.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Analysis {
    #[serde(flatten)]
    #[schema(value_type = Object)]
    explained: Explained,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    plan: PlanReport,
    /// `null` where nothing can be said; `notes` says why.
    #[schema(value_type = Option<Object>)]
    indexes: Option<Advice>,
}

/// The plan of a statement, with its problems and what would help
#[utoipa::path(post, path = "/api/v1/monitoring/analyze-query", tag = "statements", request_body = Question,
    responses((status = 200, body = Analysis), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 422, body = Problem, description = "the statement is refused or wrong"), (status = 503, body = Problem)))]
pub(crate) async fn analyze_query(
    State(app): State<Arc<App>>,
    Analyst(caller): Analyst,
    Json(question): Json<Question>,
) -> Result<Answer<Analysis>, Problem> {
    if question.execute && !app.config.allow_execute {
        return Err(Problem::forbidden("statements are not executed here: allow_execute in [api] is false"));
    }
    // A task of its own: what was sent is noted also when the caller has gone.
    let noted = tokio::spawn(async move {
        let outcome = within(REPORT_MAX, answer(&app, &question)).await;
        let action = if question.execute { "analyze and execute" } else { "analyze" };
        let object = match Statement::parse(&question.query) {
            Ok(statement) => statement.normalized().chars().take(AUDIT_CHARS).collect(),
            Err(_) => "(not one statement)".to_owned(),
        };
        app.audit.note(&caller, action, &object, outcome.as_ref().map_or("refused", |_| "done"));
        outcome
    });
    noted.await.unwrap_or_else(|_| Err(Problem::unavailable("the analysis has ended early"))).map(Answer)
}

async fn answer(app: &App, question: &Question) -> Result<Analysis, Problem> {
    let statement =
        Statement::parse(&question.query).map_err(|error| Problem::unprocessable(error.to_string()))?;
    let parameters = question.parameters.clone().unwrap_or_default();
    if parameters.len() > PARAMETERS_MAX {
        return Err(Problem::bad_request(format!("more than {PARAMETERS_MAX} parameters")));
    }
    let request = ExplainRequest {
        parameters,
        execution: if question.execute { Execution::Execute } else { Execution::PlanOnly },
        ..ExplainRequest::new(statement)
    };
    let (connection, note) = planning::connection(app).await?;
    let client = connection.client_local();
    let mut explained = Box::pin(explain(client, &request)).await.map_err(problem)?;
    explained.notes.extend(note);
    let plan = PlanReport::of(&explained.document)
        .map_err(|error| Problem::unprocessable(format!("the server's plan cannot be read: {error}")))?;
    let values: Vec<Option<String>> =
        explained.parameters.values.iter().map(|parameter| parameter.value.clone()).collect();
    let options = AdviceOptions { time_max: ADVICE_TIME_MAX, ..AdviceOptions::default() };
    let advice = Box::pin(indexes::for_statement(client, &explained.statement, &values, &options)).await;
    let indexes = match advice {
        Ok(advice) => Some(advice),
        Err(error) => {
            explained.notes.push(format!("No advice on indexes: {error}"));
            None
        }
    };
    Ok(Analysis { explained, plan, indexes })
}

fn problem(error: ExplainError) -> Problem {
    match &error {
        lost if lost.is_connection() => Problem::unavailable(format!("cannot reach the database: {error}")),
        ExplainError::TimedOut { .. } | ExplainError::Locked { .. } => {
            Problem::unavailable(error.to_string())
        }
        _ => Problem::unprocessable(error.to_string()),
    }
}
