//! An insurer's service on pgprime-client, to copy from: quotes, policies and customers over HTTP, an admin dashboard.
//!
//! | module | shows |
//! |---|---|
//! | `config` | the `DATABASE_*` environment, statements by name |
//! | `error` | the library's errors as HTTP answers |
//! | `web` | sessions that read their own writes, through a header; time limits |
//! | `quotes` | named statements, idempotent writes, batches, streaming |
//! | `policies` | serializable transactions with retries, keyset pagination |
//! | `customers` | a small transaction, conflicts |
//! | `admin` | long queries in the admin pool |
//! | `health` | liveness, readiness, the pool report |

mod admin;
pub mod config;
mod csv;
mod customers;
mod error;
mod health;
mod policies;
mod quotes;
mod web;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use pgprime_client::{Database, DatabaseConfig};
use tokio::net::TcpListener;
use tokio::sync::Notify;

use config::Limits;
use error::Problem;

const SCHEMA: &str = include_str!("../schema.sql");

/// Creates what is missing of the tables. To be run before the pools open, whose connections prepare statements on them.
///
/// # Errors
/// The database cannot be reached, or the user may not create tables.
pub async fn migrate(config: &DatabaseConfig) -> anyhow::Result<()> {
    let connected = pgprime_client::connect(&config.url, config.connect_timeout).await?;
    connected.client.batch_execute(SCHEMA).await.context("creating the tables")
}

/// Serves requests until `stop` is ready; then finishes those that run and closes the pools.
///
/// # Errors
/// The configuration cannot be used, or the database cannot be reached at the start.
pub async fn serve(
    config: DatabaseConfig,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let limits = Limits::new(&config);
    let database = Database::connect(config).await?;
    let (address, sizes) = (listener.local_addr()?, database.sizes());
    let (main_max, admin_max) = (sizes.main.max, sizes.admin.max);
    tracing::info!(%address, main_max, read_max = sizes.read.map(|read| read.max), admin_max, "listening");

    let stopping = Arc::new(Notify::new());
    let told = Arc::clone(&stopping);
    let stop = async move {
        stop.await;
        tracing::info!("finishing requests");
        told.notify_one();
    };
    let server = axum::serve(listener, router(database.clone(), limits)).with_graceful_shutdown(stop);
    tokio::select! {
        served = server => served.context("serving")?,
        () = async { stopping.notified().await; tokio::time::sleep(limits.request).await } => {
            tracing::warn!("some requests did not end in time");
        }
    }
    database.close().await;
    tracing::info!("stopped");
    Ok(())
}

fn router(database: Database, limits: Limits) -> Router {
    let limited = |routes: Router<Database>, time_max: Duration| {
        routes.layer(from_fn(move |request, next| web::limit(time_max, request, next)))
    };
    let users = customers::routes().merge(quotes::routes()).merge(policies::routes()).merge(health::routes());
    let staff = admin::routes().merge(quotes::long_routes());
    limited(users, limits.request)
        .merge(limited(staff, limits.report))
        .fallback(async || Problem::NotFound("page"))
        .method_not_allowed_fallback(async || {
            Problem::Unreadable(StatusCode::METHOD_NOT_ALLOWED, "this page has other methods".to_owned())
        })
        .layer(from_fn(web::log))
        .with_state(database)
}
