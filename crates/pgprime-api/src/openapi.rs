//! The document that describes the interface, and a page to read it.

use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use crate::problem::Problem;
use crate::security::Role;

/// What all endpoints share.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "pgprime",
        description = "Health, statistics and advice for a PostgreSQL database and the pooler in front of it. Errors are \
                       application/problem+json. Units are in the names; times are RFC 3339 in UTC.",
        license(name = "Apache-2.0")
    ),
    components(schemas(Problem, Role)),
    security((), ("token" = []))
)]
pub(crate) struct Shared;

/// The document with how callers say who they are.
pub(crate) fn complete(mut document: Document) -> Document {
    let token = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    document.components.get_or_insert_default().add_security_scheme("token", token);
    document
}

/// The document and its page.
pub(crate) fn routes(document: Document) -> Router {
    let page = || file("text/html; charset=utf-8", include_str!("openapi/page.html"));
    let style = || file("text/css; charset=utf-8", include_str!("openapi/docs.css"));
    let script = || file("text/javascript; charset=utf-8", include_str!("openapi/docs.js"));
    Router::new()
        .route("/api/v1/openapi.json", get(|| async move { Json(document).into_response() }))
        .route("/api/docs", get(page))
        .route("/api/docs.css", get(style))
        .route("/api/docs.js", get(script))
}

async fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text)
}
