//! Who asks: by a token, or by being on this machine.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::app::App;
use crate::problem::Problem;
use crate::security::caller::{Caller, refused};

/// The other end of the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Finds out who asks, and counts the request. Handlers then ask for a role.
pub(crate) async fn identify(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip().to_canonical());
    let Some(address) = peer else {
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the connection has no address")
            .into_response();
    };
    if let Err(seconds) = app.rates.count(address, Instant::now()) {
        return Problem::too_many(seconds).into_response();
    }
    if let Err(problem) = unambiguous(request.version(), request.headers()) {
        return problem.into_response();
    }
    let mut caller = caller(&app, address, request.method(), request.uri(), request.headers());
    // What proxies speak upstream by default, and no browser and no curl.
    if request.version() < Version::HTTP_11 && !request.headers().contains_key(header::AUTHORIZATION) {
        caller = Err(refused("send a token: Authorization: Bearer …, or speak HTTP/1.1"));
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// What says who asks and whom must be said once: a proxy in front may have looked at the other one.
fn unambiguous(version: Version, headers: &HeaderMap) -> Result<(), Problem> {
    let count = |name: HeaderName| headers.get_all(name).iter().count();
    match (count(header::HOST), count(header::AUTHORIZATION)) {
        (0, _) if version >= Version::HTTP_11 => Err(Problem::bad_request("the header Host is missing")),
        (2.., _) => Err(Problem::bad_request("the header Host comes twice")),
        (_, 2..) => Err(Problem::bad_request("the header Authorization comes twice")),
        _ => Ok(()),
    }
}

fn caller(
    app: &App,
    address: IpAddr,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Caller, Problem> {
    let is_loopback = address.is_loopback();
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let token = value.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
        let found = app.tokens.find(token.trim());
        let (name, role) = found.ok_or_else(|| refused("the token is not known"))?;
        return Ok(Caller { name: name.to_owned(), role, address, is_loopback });
    }
    let role = app.config.role_of_loopback().filter(|_| is_loopback && !is_forwarded(headers));
    let role = role.ok_or_else(|| refused("send a token: Authorization: Bearer …"))?;
    // Without a token, the name in the request is what tells a page of ours from somebody else's.
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    // One in the request's line counts as well, and before that.
    let asked = uri.authority().map_or(host, |authority| authority.as_str());
    if !app.is_own_host(host) || !app.is_own_host(asked) {
        return Err(Problem::forbidden(
            "the name in Host is not one of this machine: add it to hosts in [api]",
        ));
    }
    let is_reading = [Method::GET, Method::HEAD].contains(method);
    if (!is_reading && is_foreign(headers, host)) || is_drawn_in(headers) {
        return Err(Problem::forbidden("the request comes from a page of another site"));
    }
    Ok(Caller { name: "loopback".to_owned(), role, address, is_loopback })
}

/// A proxy on this machine passes on requests of others.
fn is_forwarded(headers: &HeaderMap) -> bool {
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"]
        .iter()
        .any(|name| headers.contains_key(*name))
}

/// Whether a browser says that a page of another site wants it, other than by a link that somebody follows. Such a page
/// could not read the answer, and yet keep the database busy.
fn is_drawn_in(headers: &HeaderMap) -> bool {
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|found| found == value);
    is("sec-fetch-site", "cross-site") && !is("sec-fetch-mode", "navigate")
}

/// Whether a browser says that it comes from elsewhere.
fn is_foreign(headers: &HeaderMap, host: &str) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let name = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, name)| name);
    name != Some(host)
}
