//! What a client has already is not sent again.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

use crate::problem::Problem;

/// Answers are far smaller.
const BYTES_MAX: usize = 64 << 20;

/// Marks answers to GET by their contents, and says "not modified" to a client that has the same.
pub(crate) async fn etag(request: Request, next: Next) -> Response {
    let known = match *request.method() {
        Method::GET => request.headers().get(header::IF_NONE_MATCH).cloned(),
        _ => return next.run(request).await,
    };
    let response = next.run(request).await;
    if response.status() != StatusCode::OK {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, BYTES_MAX).await else {
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer is too large").into_response();
    };
    let hash = Sha256::digest(&bytes);
    let tag = hash[..12].iter().fold(String::from("\""), |text, byte| format!("{text}{byte:02x}")) + "\"";
    let is_known = known
        .as_ref()
        .and_then(|known| known.to_str().ok())
        .is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag));
    if let Ok(value) = HeaderValue::from_str(&tag) {
        parts.headers.insert(header::ETAG, value);
        // It may be kept, if it is asked for again each time.
        parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    }
    if is_known {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_TYPE);
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(bytes))
}
