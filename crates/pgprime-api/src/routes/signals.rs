//! Cancelling what a session runs, and ending a session.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use pgprime_client::{Access, Row};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::app::App;
use crate::extract::Path;
use crate::limits::{ACQUIRE_MAX, LOOK_MAX, within};
use crate::problem::Problem;
use crate::security::{Administrator, Caller};

/// A session that heeds a signal does so in milliseconds.
const HEEDED_MAX: Duration = Duration::from_secs(2);
/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is done to a session.
#[derive(Clone, Copy)]
enum Signal {
    Cancel,
    Terminate,
}

/// What was seen of a session after it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum After {
    /// It has ended.
    Gone,
    /// What it ran has ended; it is still there.
    Idle,
    /// It ran nothing that could be cancelled: it is idle, perhaps in a transaction that keeps its locks.
    RanNothing,
    /// Two seconds later it goes on.
    GoesOn,
    /// There was no such session, or it was not told.
    Untold,
}

impl After {
    /// As the audit log has it.
    fn words(self) -> &'static str {
        match self {
            Self::Gone => "told; it has ended",
            Self::Idle => "told; its statement has ended",
            Self::RanNothing => "told; it ran nothing",
            Self::GoesOn => "told; it goes on",
            Self::Untold => "no such session",
        }
    }
}

/// What became of it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Cancelled {
    pid: i32,
    /// Whether the session was there and has been told.
    cancelled: bool,
    after: After,
}

/// What became of it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Terminated {
    pid: i32,
    /// Whether the session was there and has been told.
    terminated: bool,
    after: After,
}

/// Cancel the statement of a session
///
/// A session that is idle in a transaction runs none: ending the session is what frees its locks.
#[utoipa::path(post, path = "/api/v1/monitoring/connections/{pid}/cancel", tag = "connections",
    params(("pid" = i32, Path, description = "the session's process id")),
    responses((status = 200, body = Cancelled), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 422, body = Problem, description = "the database refuses"), (status = 503, body = Problem)))]
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    Administrator(caller): Administrator,
    Path(pid): Path<i32>,
) -> Result<Json<Cancelled>, Problem> {
    let after = signal(app, caller, pid, Signal::Cancel).await?;
    Ok(Json(Cancelled { pid, cancelled: after != After::Untold, after }))
}

/// End a session
///
/// Its open transaction is rolled back and its locks are freed; its client loses the connection.
#[utoipa::path(post, path = "/api/v1/monitoring/connections/{pid}/terminate", tag = "connections",
    params(("pid" = i32, Path, description = "the session's process id")),
    responses((status = 200, body = Terminated), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 422, body = Problem, description = "the database refuses"), (status = 503, body = Problem)))]
pub(crate) async fn terminate(
    State(app): State<Arc<App>>,
    Administrator(caller): Administrator,
    Path(pid): Path<i32>,
) -> Result<Json<Terminated>, Problem> {
    let after = signal(app, caller, pid, Signal::Terminate).await?;
    Ok(Json(Terminated { pid, terminated: after != After::Untold, after }))
}

async fn signal(app: Arc<App>, caller: Caller, pid: i32, signal: Signal) -> Result<After, Problem> {
    let admin = app.database().await?.admin().with_wait(ACQUIRE_MAX);
    // A task of its own: what was sent is noted also when the caller has gone.
    let noted = tokio::spawn(async move {
        let outcome = within(LOOK_MAX, told(&admin, pid, signal)).await;
        let action = match signal {
            Signal::Cancel => "cancel",
            Signal::Terminate => "terminate",
        };
        app.audit.note(
            &caller,
            action,
            &pid.to_string(),
            outcome.as_ref().map_or("refused", |after| after.words()),
        );
        outcome
    });
    noted.await.unwrap_or_else(|_| Err(Problem::unavailable("the request has ended early")))
}

/// A session at one moment. What may not be seen of it is `None`.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    began: Option<f64>,
    state: Option<String>,
    query_began: Option<f64>,
}

impl Seen {
    fn of(row: &Row) -> Self {
        Self { began: row.get("began"), state: row.get("state"), query_began: row.get("query_began") }
    }

    fn runs_nothing(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.starts_with("idle"))
    }
}

async fn seen(admin: &Access, pid: i32) -> Result<Option<Seen>, Problem> {
    let row = admin.query_opt(include_str!("../sql/session.sql"), &[&pid]).await?;
    Ok(row.as_ref().map(Seen::of))
}

async fn told(admin: &Access, pid: i32, signal: Signal) -> Result<After, Problem> {
    let Some(before) = seen(admin, pid).await? else { return Ok(After::Untold) };
    let sql = match signal {
        Signal::Cancel => "SELECT /* pgprime */ pg_catalog.pg_cancel_backend($1)",
        Signal::Terminate => "SELECT /* pgprime */ pg_catalog.pg_terminate_backend($1)",
    };
    if !admin.query_one(sql, &[&pid]).await?.get::<_, bool>(0) {
        return Ok(After::Untold);
    }
    let until = Instant::now() + HEEDED_MAX;
    loop {
        // It is told already, and that is what counts: a look that fails is no failure.
        let now = seen(admin, pid).await.unwrap_or_else(|_| Some(before.clone()));
        match after(signal, &before, now.as_ref()) {
            After::GoesOn if Instant::now() < until => sleep(LOOK_EVERY).await,
            after => return Ok(after),
        }
    }
}

fn after(signal: Signal, before: &Seen, now: Option<&Seen>) -> After {
    match (signal, now) {
        (_, None) => After::Gone,
        // Its number is another's by now.
        (_, Some(now)) if now.began != before.began => After::Gone,
        (Signal::Terminate, Some(_)) => After::GoesOn,
        (Signal::Cancel, Some(_)) if before.runs_nothing() => After::RanNothing,
        (Signal::Cancel, Some(now)) if now.runs_nothing() || now.query_began != before.query_began => {
            After::Idle
        }
        (Signal::Cancel, Some(_)) => After::GoesOn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_after_a_signal() {
        let session = |state: &str, began, query_began| Seen {
            began: Some(began),
            state: Some(state.to_owned()),
            query_began: Some(query_began),
        };
        let active = session("active", 1.0, 5.0);
        let waits = session("idle in transaction", 1.0, 5.0);
        for (signal, before, now, expected) in [
            (Signal::Cancel, &active, Some(&active), After::GoesOn),
            (Signal::Cancel, &active, Some(&waits), After::Idle),
            (Signal::Cancel, &active, Some(&session("active", 1.0, 6.0)), After::Idle),
            (Signal::Cancel, &waits, Some(&waits), After::RanNothing),
            (Signal::Cancel, &active, None, After::Gone),
            (Signal::Terminate, &waits, Some(&waits), After::GoesOn),
            (Signal::Terminate, &waits, Some(&session("active", 2.0, 6.0)), After::Gone),
            (Signal::Terminate, &waits, None, After::Gone),
        ] {
            assert_eq!(after(signal, before, now), expected, "{before:?} {now:?}");
        }
    }
}
