//! What all handlers share: reading requests, users' sessions, time limits.

use std::time::{Duration, Instant};

use axum::extract::{FromRequest, FromRequestParts, MatchedPath, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use pgprime_client::types::PgLsn;
use pgprime_client::{Database, Freshness, Session};
use serde::Serialize;

use crate::error::Problem;

/// Answers to writes have it, and who sends it along with later requests, to whatever instance, sees those writes.
/// It is a position in the database's log: not secret, and worth nothing to anybody else.
const READ_AFTER: HeaderName = HeaderName::from_static("x-read-after");

/// Chosen by the sender of a write: sent again with the same key, it is carried out once.
const REQUEST_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REQUEST_KEY_BYTES_MAX: usize = 200;

/// JSON, in and out.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(Problem))]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// What the path names.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub(crate) struct Path<T>(pub(crate) T);

/// What stands behind the question mark.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub(crate) struct Query<T>(pub(crate) T);

/// The work of one user: reads go to the replica, unless it lacks what this user has written.
pub(crate) struct UserSession(pub(crate) Session);

impl FromRequestParts<Database> for UserSession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, database: &Database) -> Result<Self, Problem> {
        let session = database.session(Freshness::Avoid);
        let Some(position) = header(&parts.headers, &READ_AFTER)? else { return Ok(Self(session)) };
        let position: PgLsn = position
            .parse()
            .map_err(|_| Problem::Invalid(format!("{READ_AFTER} is not one of this service's")))?;
        Ok(Self(session.after(position)))
    }
}

/// The header that lets this session's user read what it has written.
pub(crate) fn read_after(session: &Session) -> HeaderMap {
    let value = session.position().and_then(|position| HeaderValue::try_from(position.to_string()).ok());
    value.map(|value| (READ_AFTER, value)).into_iter().collect()
}

/// The key of a write, if it has one.
pub(crate) struct RequestKey(pub(crate) Option<String>);

impl<S: Sync> FromRequestParts<S> for RequestKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match header(&parts.headers, &REQUEST_KEY)? {
            Some(key) if key.is_empty() || key.len() > REQUEST_KEY_BYTES_MAX => {
                Err(Problem::Invalid(format!("{REQUEST_KEY} has 1 to {REQUEST_KEY_BYTES_MAX} characters")))
            }
            key => Ok(Self(key.map(str::to_owned))),
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let text = headers.get(name).map(|value| value.to_str().map(str::trim));
    text.transpose().map_err(|_| Problem::Invalid(format!("{name} is not ASCII text")))
}

/// Gives a request up after its time: what it did in the database is cancelled, and its connection goes back.
pub(crate) async fn limit(time_max: Duration, request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(time_max, next.run(request)).await;
    answer.unwrap_or_else(|_| Problem::TimedOut.into_response())
}

/// One line a request, for who looks at that level.
pub(crate) async fn log(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    // The route rather than the path: no ids in the log, and few different lines.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let status = response.status().as_u16();
    tracing::debug!(%method, route, status, elapsed_ms = began.elapsed().as_secs_f64() * 1_000.0, "request");
    response
}
