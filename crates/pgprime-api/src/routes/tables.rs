//! Indexes and space.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use pgprime_advisor::space::{self, ReadError, SpaceOptions, SpaceReport};

use crate::app::App;
use crate::limits::{REPORT_MAX, within};
use crate::looks::Indexes;
use crate::planning;
use crate::problem::Problem;
use crate::security::Reader;

/// Which indexes the workload lacks, and which cost more than they give
#[utoipa::path(get, path = "/api/v1/monitoring/indexes", tag = "tables",
    responses((status = 200, body = Indexes), (status = 401, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn indexes(State(app): State<Arc<App>>, _: Reader) -> Result<Json<Arc<Indexes>>, Problem> {
    let look = async {
        let (connection, _) = planning::connection(&app).await?;
        Indexes::look(connection.client_local()).await.map(Arc::new)
    };
    app.indexes.get(within(REPORT_MAX, look)).await.map(Json)
}

/// What takes space, what of it is waste, and what runs out
#[utoipa::path(get, path = "/api/v1/monitoring/bloat", tag = "tables",
    responses((status = 200, description = "as `pgprime bloat --json`", body = Object), (status = 401, body = Problem),
        (status = 503, body = Problem)))]
pub(crate) async fn bloat(State(app): State<Arc<App>>, _: Reader) -> Result<Json<Arc<SpaceReport>>, Problem> {
    let look = async {
        let connection = app.connection().await?;
        let report = Box::pin(space::report(connection.client_local(), &SpaceOptions::default())).await;
        report.map(Arc::new).map_err(unreadable)
    };
    app.space.get(within(REPORT_MAX, look)).await.map(Json)
}

fn unreadable(error: ReadError) -> Problem {
    match error.is_connection_lost() {
        true => Problem::unavailable(format!("cannot reach the database: {error}")),
        false => Problem::unprocessable(error.to_string()),
    }
}
