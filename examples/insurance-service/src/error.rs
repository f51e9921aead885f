//! What a request is answered when it fails: a status and a `application/problem+json` (RFC 9457) that says what to do,
//! without SQL, addresses or values. The log has the rest.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pgprime_client::Error;
use serde_json::json;

/// Why a request has failed.
#[derive(Debug)]
pub(crate) enum Problem {
    /// There is no such thing.
    NotFound(&'static str),
    /// What is asked for contradicts what is there.
    Conflict(String),
    /// The request makes no sense.
    Invalid(String),
    /// The request could not be read.
    Unreadable(StatusCode, String),
    /// It took too long.
    TimedOut,
    /// The database, or the way to it.
    Database(Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self::Unreadable(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::Unreadable(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::Unreadable(rejection.status(), rejection.body_text())
    }
}

/// What is said to who has asked.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: StatusCode,
    /// For programs.
    code: &'static str,
    /// For people.
    detail: String,
    /// After how many seconds the same request may succeed.
    retry_after_s: Option<u32>,
}

impl Answer {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), retry_after_s: None }
    }

    /// Not now: the request was right, and may be sent again.
    fn later(code: &'static str, detail: &str, retry_after_s: u32) -> Self {
        let retry_after_s = Some(retry_after_s);
        Self { retry_after_s, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail) }
    }
}

impl Problem {
    fn answer(&self) -> Answer {
        match self {
            Self::NotFound(what) => {
                Answer::new(StatusCode::NOT_FOUND, "not-found", format!("no such {what}"))
            }
            Self::Conflict(why) => Answer::new(StatusCode::CONFLICT, "conflict", why),
            Self::Invalid(why) => Answer::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", why),
            Self::Unreadable(status, why) => Answer::new(*status, "unreadable", why),
            Self::TimedOut => {
                let detail =
                    "this took too long; a write may have been saved or not: read, or repeat it with its key";
                Answer::new(StatusCode::GATEWAY_TIMEOUT, "too-slow", detail)
            }
            Self::Database(error) => database(error),
        }
    }

    /// Logs what the answer does not say: here, once. Who asked for nonsense has been told so.
    fn log(&self, status: StatusCode) {
        match self {
            Self::Database(error) if status == StatusCode::INTERNAL_SERVER_ERROR => {
                tracing::error!(step = %error.step(), sqlstate = error.sqlstate(), %error, "request failed");
            }
            Self::Database(error) if status.is_server_error() => {
                tracing::warn!(step = %error.step(), sqlstate = error.sqlstate(), %error, "request failed");
            }
            Self::TimedOut => tracing::warn!("request given up after its time limit"),
            _ => {}
        }
    }
}

fn database(error: &Error) -> Answer {
    match error {
        Error::Exhausted(_) => Answer::later("busy", "all database connections are in use; try again", 1),
        Error::HeldBack { .. } => Answer::later("busy", "reports wait for the service; try again", 5),
        Error::Down { .. } => Answer::later("database-down", "the database is out of reach; try again", 2),
        Error::Closed(_) => Answer::later("stopping", "this instance is being stopped; ask another", 1),
        Error::CommitUncertain { .. } => {
            let detail = "the database was lost while saving, so it may be saved or not: read, or repeat it with its key";
            Answer::later("outcome-unknown", detail, 2)
        }
        Error::Query { .. } if error.is_connection_lost() => {
            Answer::later("database-down", "the database went away; try again", 2)
        }
        Error::Query { .. } => by_sqlstate(error.sqlstate()),
        Error::Cursor => {
            Answer::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "cursor is not one of this list")
        }
        Error::Rows { .. } | Error::Usage(_) => internal(),
    }
}

/// By what the database says of a statement (PostgreSQL's documentation, appendix A).
fn by_sqlstate(sqlstate: &str) -> Answer {
    let (class, _) = sqlstate.split_at_checked(2).unwrap_or_default();
    match (sqlstate, class) {
        ("23505", _) => {
            Answer::new(StatusCode::CONFLICT, "already-exists", "there is one with these values already")
        }
        ("23503", _) => Answer::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "unknown-reference",
            "what this refers to does not exist",
        ),
        (_, "22" | "23") => Answer::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "a value is out of its range or malformed",
        ),
        // All attempts met others who changed the same.
        (_, "40") => Answer::later("contention", "others are changing the same; try again", 1),
        ("57014", _) => Answer::new(StatusCode::GATEWAY_TIMEOUT, "too-slow", "the database took too long"),
        // Out of some resource, or a primary that has just become a replica.
        ("25006", _) | (_, "53") => {
            Answer::later("database-down", "the database cannot do this now; try again", 2)
        }
        _ => internal(),
    }
}

fn internal() -> Answer {
    Answer::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "this is a fault of the service; its log has the details",
    )
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let answer = self.answer();
        self.log(answer.status);
        let body = json!({
            "type": format!("/problems/{}", answer.code),
            "title": answer.status.canonical_reason().unwrap_or("Problem"),
            "status": answer.status.as_u16(),
            "detail": answer.detail,
        });
        let content_type = HeaderValue::from_static("application/problem+json");
        let mut response =
            (answer.status, [(header::CONTENT_TYPE, content_type)], body.to_string()).into_response();
        if let Some(seconds) = answer.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_database_says_becomes_a_status() {
        for (sqlstate, status, code) in [
            ("23505", 409, "already-exists"),
            ("23503", 422, "unknown-reference"),
            ("23514", 422, "invalid"),
            ("22P02", 422, "invalid"),
            ("40001", 503, "contention"),
            ("40P01", 503, "contention"),
            ("53300", 503, "database-down"),
            ("25006", 503, "database-down"),
            ("57014", 504, "too-slow"),
            ("42P01", 500, "internal"),
            ("", 500, "internal"),
        ] {
            let answer = by_sqlstate(sqlstate);
            assert_eq!((answer.status.as_u16(), answer.code), (status, code), "{sqlstate}");
            assert_eq!(answer.retry_after_s.is_some(), status == 503, "{sqlstate}");
        }
    }

    #[test]
    fn a_fault_of_the_service_is_not_told_to_the_world() {
        let problem = Problem::Database(Error::Usage("SELECT secret".to_owned()));
        let answer = problem.answer();
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!answer.detail.contains("secret"));
    }
}
