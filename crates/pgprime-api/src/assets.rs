//! The dashboard's files, embedded as they are.

use axum::body::Body;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::problem::Problem;
use crate::server::is_known;

#[derive(RustEmbed)]
#[folder = "dashboard/"]
#[exclude = "dev/*"]
#[exclude = "package.json"]
#[exclude = "*.md"]
struct Files;

/// Beginnings of paths that programs ask for: a slash too many must not make a page of them, which every probe would take
/// for a good sign.
const OF_PROGRAMS: [&str; 4] = ["api", "healthz", "readyz", "metrics"];

/// A file, or the page itself for a path of the dashboard's own: `/queries` and the like.
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    // Browsers ask for this name wherever a page does not give another.
    let path = if path == "favicon.ico" { "icon.svg" } else { path };
    let first = path.split('/').next().unwrap_or_default();
    if OF_PROGRAMS.contains(&first) {
        let detail = "there is no such endpoint; /api/docs lists all, none of which ends with a slash";
        return Problem::not_found(detail).into_response();
    }
    if ![Method::GET, Method::HEAD].contains(&method) {
        let refused = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "files of the dashboard are only read");
        return ([(header::ALLOW, "GET,HEAD")], refused).into_response();
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte);
    match Files::get(path) {
        Some(file) => answer(path, &file, &headers),
        // A file that is not there is an error, a page is up to the dashboard.
        None if !path.bytes().all(is_plain) => Problem::not_found("there is no such file").into_response(),
        None => match Files::get("index.html") {
            Some(page) => answer("index.html", &page, &headers),
            None => Problem::not_found("this build has no dashboard").into_response(),
        },
    }
}

fn answer(path: &str, file: &EmbeddedFile, headers: &HeaderMap) -> Response {
    let hash = file.metadata.sha256_hash();
    let tag = hash[..16].iter().fold(String::from("W/\""), |text, byte| format!("{text}{byte:02x}")) + "\"";
    let caching = [(header::ETAG, tag.as_str()), (header::CACHE_CONTROL, "no-cache")];
    if is_known(headers, &tag) {
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
