//! Listening, TLS, and the layers that every request passes.

mod connection;
mod etag;
mod places;
mod stall;
mod tls;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::app::{App, Services};
use crate::config::{ApiConfig, ApiConfigError};
use crate::live::Sampler;
use crate::problem::Problem;
use crate::routes::Endpoints;
use crate::security::{identify, security_headers};
use crate::{assets, routes};
use connection::{Serving, accept};

pub(crate) use etag::is_known;

/// The longest statement to be analyzed is far below; everything else is smaller.
const BODY_BYTES_MAX: usize = 1 << 20;
/// An answer that takes longer is given up. Statements have limits of their own that are shorter.
const ANSWER_MAX: Duration = Duration::from_secs(90);
/// What is being answered when the interface ends has this time.
const END_MAX: Duration = Duration::from_secs(10);

/// An interface that is bound and not yet serving.
pub struct Api {
    router: Router,
    app: Arc<App>,
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    address: SocketAddr,
}

/// Why it cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ApiConfigError),
    /// The address.
    #[error("cannot listen on {address}: {source}; choose another with [api] listen")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The audit file.
    #[error("cannot write the audit file: {0}")]
    Audit(io::Error),
    /// Certificate or key.
    #[error("[api.tls]: {0}")]
    Tls(String),
}

impl Api {
    /// Checks the configuration and binds the address.
    ///
    /// # Errors
    /// [`ApiError`]
    pub async fn bind(config: ApiConfig, services: Services) -> Result<Self, ApiError> {
        config.check()?;
        let tls = config.tls.as_ref().map(tls::load).transpose().map_err(ApiError::Tls)?;
        let address = config.listen;
        let failed = |source| ApiError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let app = App::new(config, services).map_err(ApiError::Audit)?;
        Ok(Self { router: router(Arc::clone(&app)), app, listener, tls, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `end`; what is being answered then is answered.
    pub async fn serve(self, end: impl Future<Output = ()> + Send + 'static) {
        let services = &self.app.services;
        let sampler = Sampler {
            pooler: services.pooler(),
            rounds: services.rounds.clone(),
            stale_after: services.stale_after,
            feed: Arc::clone(&self.app.live),
        };
        let sampling = tokio::spawn(sampler.run());
        let serving = Serving {
            router: self.router,
            tls: self.tls.map(TlsAcceptor::from),
            ending: self.app.ending.subscribe(),
        };
        let connections_max = self.app.config.connections_max;
        let end = async move {
            end.await;
            sampling.abort();
            // Streams end with it.
            self.app.ending.send_replace(true);
            // Whoever reads slowly, or not at all, is not waited for.
            tokio::time::sleep(END_MAX).await;
        };
        tokio::select! {
            () = accept(self.listener, connections_max, serving) => {}
            () = end => {}
        }
    }
}

fn router(app: Arc<App>) -> Router {
    let Endpoints { answering, streaming, probes, document } = routes::all();
    let identified = from_fn_with_state(Arc::clone(&app), identify);
    let answering = answering
        .layer(from_fn(etag::etag))
        .layer(from_fn(within_time))
        .method_not_allowed_fallback(wrong_method)
        .layer(identified.clone());
    let streaming = streaming.method_not_allowed_fallback(wrong_method).layer(identified);
    answering
        .merge(streaming)
        .merge(probes.method_not_allowed_fallback(wrong_method))
        .with_state(app)
        .merge(crate::openapi::routes(document).method_not_allowed_fallback(wrong_method))
        .fallback(assets::serve)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::custom(|_| panicked()))
        .layer(from_fn(security_headers))
}

async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this endpoint has no such method; /api/docs lists all")
}

fn panicked() -> Response {
    tracing::error!("a request could not be answered: this is a mistake in pgprime, please report it");
    let detail = "a mistake in pgprime; its log says more";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
}

async fn within_time(request: Request, next: Next) -> Result<Response, Infallible> {
    let answer = tokio::time::timeout(ANSWER_MAX, next.run(request)).await;
    Ok(answer.unwrap_or_else(|_| {
        let detail =
            format!("no answer within {} s; try again when the database is less busy", ANSWER_MAX.as_secs());
        Problem::new(StatusCode::GATEWAY_TIMEOUT, detail).into_response()
    }))
}
