//! The dashboard's files, embedded as they are.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::problem::Problem;

#[derive(RustEmbed)]
#[folder = "dashboard/"]
#[exclude = "dev/*"]
#[exclude = "package.json"]
#[exclude = "*.md"]
struct Files;

/// A file, or the page itself for a path of the dashboard's own: `/queries` and the like.
pub(crate) async fn serve(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path == "api" || path.starts_with("api/") {
        return Problem::not_found("there is no such endpoint; /api/docs lists all").into_response();
    }
    match Files::get(path) {
        Some(file) => answer(path, &file, &headers),
        // A file that is not there is an error, a page is up to the dashboard.
        None if path.contains('.') => Problem::not_found("there is no such file").into_response(),
        None => match Files::get("index.html") {
            Some(page) => answer("index.html", &page, &headers),
            None => Problem::not_found("this build has no dashboard").into_response(),
        },
    }
}

fn answer(path: &str, file: &EmbeddedFile, headers: &HeaderMap) -> Response {
    let hash = file.metadata.sha256_hash();
    let tag = hash[..16].iter().fold(String::from("\""), |text, byte| format!("{text}{byte:02x}")) + "\"";
    let is_known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    let caching = [(header::ETAG, tag.as_str()), (header::CACHE_CONTROL, "no-cache")];
    if is_known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag)) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    let body = Body::from(file.data.clone().into_owned());
    ([(header::CONTENT_TYPE, content_type(path))], caching, body).into_response()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, end)| end) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("json" | "map") => "application/json",
        Some("txt" | "md") => "text/plain; charset=utf-8",
        Some("webmanifest") => "application/manifest+json",
        _ => "application/octet-stream",
    }
}
