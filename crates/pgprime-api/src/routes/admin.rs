//! What an admin dashboard shows.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use pgprime_client::{ResultCacheReport, SlowStatement};
use pgprime_views::{AdminMetrics, AdminPool, Figure, MetricsOptions, MissingSection, ViewStatus};
use serde::Serialize;

use crate::app::App;
use crate::limits::{LOOK_MAX, within};
use crate::looks::CacheState;
use crate::problem::Problem;
use crate::routes::cache;
use crate::security::{Reader, Role};
use crate::values;

/// What takes longer is told to be missing.
const SECTION_MAX: Duration = Duration::from_secs(3);

/// All that an admin dashboard shows, at one moment; also what `pgprime views metrics --json` prints.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Metrics)]
pub struct AdminDocument {
    #[schema(value_type = String, format = DateTime)]
    taken_at: Timestamp,
    /// The admin pool of this process, what its statements came to, and its limits.
    #[schema(value_type = Object)]
    pool: AdminPool,
    /// At most ten statements of the admin pool that took the most time in all, without values.
    #[schema(value_type = Vec<Object>)]
    slowest: Vec<SlowStatement>,
    /// The declared views.
    #[schema(value_type = Vec<Object>)]
    views: Vec<ViewStatus>,
    cache: CacheState,
    /// In the order in which they are declared.
    figures: Vec<FigureShown>,
    #[schema(value_type = Vec<Object>)]
    missing: Vec<MissingSection>,
}

impl AdminDocument {
    /// Of what was looked at, and the cache at the same moment.
    #[must_use]
    pub fn new(seen: AdminMetrics, cache: Option<ResultCacheReport>) -> Self {
        Self {
            taken_at: seen.taken_at,
            pool: seen.admin,
            slowest: seen.slowest,
            views: seen.views.map(|status| status.views).unwrap_or_default(),
            cache: CacheState::of(cache),
            figures: seen.figures.into_iter().map(FigureShown::new).collect(),
            missing: seen.missing,
        }
    }
}

impl std::fmt::Debug for AdminDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminDocument").field("taken_at", &self.taken_at).finish_non_exhaustive()
    }
}

/// One figure with its rows.
#[derive(Serialize, utoipa::ToSchema)]
struct FigureShown {
    #[serde(flatten)]
    #[schema(value_type = Object)]
    figure: Figure,
    /// How old its rows are.
    age_s: f64,
}

impl FigureShown {
    fn new(figure: Figure) -> Self {
        Self { age_s: figure.age_ms / 1e3, figure }
    }
}

/// The admin pool, its slowest statements, views, cache, and the figures of the configuration
#[utoipa::path(get, path = "/api/v1/monitoring/admin/metrics", tag = "views and cache",
    responses((status = 200, body = AdminDocument), (status = 401, body = Problem),
        (status = 503, body = Problem)))]
pub(crate) async fn metrics(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
) -> Result<Json<AdminDocument>, Problem> {
    let read = app.admin_metrics.get(within(2 * LOOK_MAX, read(&app))).await?;
    let seen = for_role(AdminMetrics::clone(&read), caller.role);
    Ok(Json(AdminDocument::new(seen, cache::opened(&app))))
}

async fn read(app: &App) -> Result<Arc<AdminMetrics>, Problem> {
    let services = &app.services;
    let database = services.cached.as_ref().unwrap_or(&services.database).or_problem().await?;
    let options = MetricsOptions {
        declarations: services.declarations.as_deref().cloned().unwrap_or_default(),
        waiting: app.round().and_then(|round| round.longest_wait(services.stale_after)),
        figures: services.figures.as_deref().cloned().unwrap_or_default(),
        timeout: SECTION_MAX,
        under_way: app.figures_under_way.clone(),
    };
    Ok(Arc::new(Box::pin(AdminMetrics::read(&database, &options)).await))
}

fn for_role(mut seen: AdminMetrics, role: Role) -> AdminMetrics {
    if let Some(status) = &mut seen.views {
        status.views.iter_mut().for_each(|view| values::said(&mut view.error, role));
    }
    seen.figures.iter_mut().for_each(|figure| values::said(&mut figure.error, role));
    for missing in &mut seen.missing {
        let mut why = Some(std::mem::take(&mut missing.why));
        values::said(&mut why, role);
        missing.why = why.unwrap_or_default();
    }
    seen
}
