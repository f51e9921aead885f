//! Materialized views.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use pgprime_views::{Policy, Reason, RefreshOutcome, Refreshed, ViewName, ViewsError, refresh_with_cache};
use serde::Serialize;

use crate::app::App;
use crate::extract::Path;
use crate::limits::{LOOK_MAX, within};
use crate::looks::Views;
use crate::problem::Problem;
use crate::security::{Administrator, Caller, Reader};

/// A refresh that takes longer goes on by itself.
const REFRESH_WAIT: Duration = Duration::from_secs(60);

/// Materialized views: how fresh they are, what is next, and what their refreshes came to
#[utoipa::path(get, path = "/api/v1/monitoring/views", tag = "views and cache",
    responses((status = 200, body = Views), (status = 401, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn views(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
) -> Result<Json<Views>, Problem> {
    let Some(declarations) = &app.services.declarations else { return Ok(Json(Views::default())) };
    let look = async {
        let connection = app.connection().await?;
        let waiting = app.round().and_then(|round| round.longest_wait(app.services.stale_after));
        Views::look(connection.client_local(), declarations, waiting).await.map(Arc::new)
    };
    let views = app.views.get(within(2 * LOOK_MAX, look)).await?;
    Ok(Json(views.for_role(caller.role)))
}

/// What became of it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Outcome {
    /// The view.
    name: String,
    /// `refreshed`, `busy` (another is at it), or `running` (it takes long, and goes on).
    outcome: &'static str,
    /// Duration, rows and bytes, where it is done.
    #[schema(value_type = Option<Object>)]
    refreshed: Option<Refreshed>,
}

/// Refresh a materialized view now
#[utoipa::path(post, path = "/api/v1/monitoring/views/{name}/refresh", tag = "views and cache",
    params(("name" = String, Path, description = "as SQL writes it: admin.daily_quotes")),
    responses((status = 200, body = Outcome), (status = 202, body = Outcome, description = "it goes on"),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 422, body = Problem, description = "it failed, or the database refuses"),
        (status = 503, body = Problem)))]
pub(crate) async fn refresh(
    State(app): State<Arc<App>>,
    Administrator(caller): Administrator,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<Outcome>), Problem> {
    let view = ViewName::parse(&name).map_err(|reason| Problem::bad_request(format!("name: {reason}")))?;
    // By itself, so that it comes to its end, and into the audit log, when the caller has gone.
    let work = tokio::spawn(run(Arc::clone(&app), view.clone(), caller));
    let answer = |outcome, refreshed| Outcome { name: view.to_string(), outcome, refreshed };
    match tokio::time::timeout(REFRESH_WAIT, work).await {
        Err(_) => Ok((StatusCode::ACCEPTED, Json(answer("running", None)))),
        Ok(Err(_)) => Err(Problem::unavailable("the refresh has ended early; the log says more")),
        Ok(Ok(Err(problem))) => Err(problem),
        Ok(Ok(Ok(RefreshOutcome::Busy { .. }))) => Ok((StatusCode::OK, Json(answer("busy", None)))),
        Ok(Ok(Ok(RefreshOutcome::Refreshed(done)))) => {
            Ok((StatusCode::OK, Json(answer("refreshed", Some(done)))))
        }
        Ok(Ok(Ok(RefreshOutcome::Failed { error, .. }))) => {
            Err(Problem::unprocessable(format!("{view} is as before: {error}")))
        }
    }
}

async fn run(app: Arc<App>, view: ViewName, caller: Caller) -> Result<RefreshOutcome, Problem> {
    let outcome = refreshed(&app, &view).await;
    let words = match &outcome {
        Ok(RefreshOutcome::Refreshed(_)) => "refreshed",
        Ok(RefreshOutcome::Busy { .. }) => "another is at it",
        Ok(RefreshOutcome::Failed { .. }) => "failed",
        Err(_) => "refused",
    };
    app.audit.note(&caller, "refresh", &view.to_string(), words);
    app.views.forget().await;
    outcome
}

async fn refreshed(app: &App, view: &ViewName) -> Result<RefreshOutcome, Problem> {
    let connection = app.connection().await?;
    let client = connection.client_unwatched();
    let declaration = app.services.declarations.as_ref().and_then(|declared| declared.find(view));
    let cached = app.services.cached.as_ref().and_then(|cached| cached.connected());
    let policy = app.services.declarations.as_ref().map_or_else(Policy::default, |all| all.policy().clone());
    let reason = Reason::Asked;
    let outcome = match cached.as_ref().and_then(|database| database.cache()) {
        Some(cache) => Box::pin(refresh_with_cache(client, view, declaration, reason, &policy, cache)).await,
        None => Box::pin(pgprime_views::refresh(client, view, declaration, reason, &policy)).await,
    };
    outcome.map_err(|error| problem(&error))
}

fn problem(error: &ViewsError) -> Problem {
    match error {
        lost if lost.is_connection_lost() => {
            Problem::unavailable(format!("cannot reach the database: {lost}"))
        }
        ViewsError::NotFound { .. } => Problem::not_found(error.to_string()),
        ViewsError::NotSetUp { .. } => Problem::unprocessable(
            "the tables of pgprime are not in this database; run `pgprime views apply`",
        ),
        _ => Problem::unprocessable(error.to_string()),
    }
}
