//! The endpoints, one file for each subject.

mod admin;
mod alerts;
mod analyze;
mod cache;
mod capacity;
mod checklist;
mod connections;
mod events;
mod health;
mod held;
mod history;
mod pools;
mod prometheus;
mod replication;
mod session;
mod signals;
mod statements;
mod tables;
mod views;

use std::sync::Arc;

use axum::Router;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::openapi::{Shared, complete};

pub use admin::AdminDocument;

/// All endpoints, and their description.
pub(crate) struct Endpoints {
    /// Those that answer at once.
    pub(crate) answering: Router<Arc<App>>,
    /// Those that go on answering.
    pub(crate) streaming: Router<Arc<App>>,
    /// Those for whoever starts and stops this process: nobody has to say who they are, and they are not counted.
    pub(crate) probes: Router<Arc<App>>,
    pub(crate) document: Document,
}

/// The OpenAPI document of all endpoints.
#[must_use]
pub fn document() -> Document {
    all().document
}

pub(crate) fn all() -> Endpoints {
    let (answering, mut document) = answering().split_for_parts();
    let (streaming, of_streams) = OpenApiRouter::new().routes(routes!(events::events)).split_for_parts();
    let probes = OpenApiRouter::new().routes(routes!(health::healthz)).routes(routes!(health::readyz));
    let (probes, of_probes) = probes.split_for_parts();
    document.merge(of_streams);
    document.merge(of_probes);
    Endpoints { answering, streaming, probes, document: complete(document) }
}

fn answering() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Shared::openapi())
        .routes(routes!(session::session))
        .routes(routes!(health::health))
        .routes(routes!(pools::pool_stats))
        .routes(routes!(statements::slow_queries))
        .routes(routes!(statements::slow_query))
        .routes(routes!(analyze::analyze_query))
        .routes(routes!(tables::indexes))
        .routes(routes!(tables::bloat))
        .routes(routes!(connections::connections))
        .routes(routes!(signals::cancel))
        .routes(routes!(signals::terminate))
        .routes(routes!(replication::replication))
        .routes(routes!(views::views))
        .routes(routes!(views::refresh))
        .routes(routes!(cache::cache))
        .routes(routes!(admin::metrics))
        .routes(routes!(checklist::checklist))
        .routes(routes!(alerts::alerts))
        .routes(routes!(alerts::test))
        .routes(routes!(history::history))
        .routes(routes!(history::catalog))
        .routes(routes!(capacity::capacity))
        .routes(routes!(prometheus::metrics))
}
