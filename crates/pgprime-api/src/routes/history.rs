//! Figures over time.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::{Timestamp, ToSpan as _};
use pgprime_monitor::history::{
    About, NAMES_MAX, POINTS_MAX, Series, SeriesEntry, SeriesName, SeriesStore, StoreError,
};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::extract::Query;
use crate::problem::Problem;
use crate::security::Reader;

/// Which series, and of when.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Parameters {
    /// Names, separated by commas.
    series: String,
    /// The beginning. Default: an hour before the end.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// The end. Default: now.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// Points of each series at most. Default 300.
    #[param(minimum = 1, maximum = 10000)]
    points: Option<usize>,
}

/// Series over time.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct History {
    /// Those that are known.
    series: Vec<Curve>,
}

/// One series.
#[derive(Serialize, utoipa::ToSchema)]
struct Curve {
    #[schema(value_type = String)]
    name: SeriesName,
    /// Title, unit, group and kind.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    about: About,
    /// Length of the stretch that a point stands for.
    bucket_s: i64,
    /// Seconds since 1970, and the mean from then on; null in gaps.
    #[schema(value_type = Vec<Object>)]
    points: Vec<(i64, Option<f64>)>,
    /// The highest value of each point's stretch.
    maxima: Vec<Option<f64>>,
}

impl From<Series> for Curve {
    fn from(series: Series) -> Self {
        let Series { name, about, bucket_s, buckets } = series;
        let points = buckets.iter().map(|bucket| (bucket.at, bucket.mean)).collect();
        Self { name, about, bucket_s, points, maxima: buckets.iter().map(|bucket| bucket.max).collect() }
    }
}

fn store(app: &App) -> Result<Arc<SeriesStore>, Problem> {
    let store = app.services.series.clone();
    store.ok_or_else(|| Problem::not_found("no history is kept here: it needs `pgprime run`"))
}

/// Series of figures over time
#[utoipa::path(get, path = "/api/v1/monitoring/history", tag = "history", params(Parameters),
    responses((status = 200, body = History), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn history(
    State(app): State<Arc<App>>,
    _: Reader,
    Query(parameters): Query<Parameters>,
) -> Result<Json<History>, Problem> {
    let store = store(&app)?;
    let names: Vec<SeriesName> =
        parameters.series.split(',').filter(|name| !name.is_empty()).map(SeriesName::new).collect();
    if !(1..=NAMES_MAX).contains(&names.len()) {
        return Err(Problem::bad_request(format!(
            "series: give 1 to {NAMES_MAX} names, separated by commas"
        )));
    }
    let to = parameters.to.unwrap_or_else(Timestamp::now);
    let from = parameters.from.unwrap_or_else(|| to.checked_sub(1.hour()).unwrap_or(Timestamp::MIN));
    if from >= to {
        return Err(Problem::bad_request("from is not before to"));
    }
    let points = parameters.points.unwrap_or(300);
    if !(1..=POINTS_MAX).contains(&points) {
        return Err(Problem::bad_request(format!("points is 1 to {POINTS_MAX}")));
    }
    let series = read(move || store.range(&names, from, to, points)).await?;
    Ok(Json(History { series: series.into_iter().map(Curve::from).collect() }))
}

/// Which series there are
#[utoipa::path(get, path = "/api/v1/monitoring/history/series", tag = "history",
    responses((status = 200, description = "each with title, unit, group, first_at, last_at", body = Vec<Object>),
        (status = 401, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn catalog(
    State(app): State<Arc<App>>,
    _: Reader,
) -> Result<Json<Vec<SeriesEntry>>, Problem> {
    let store = store(&app)?;
    read(move || store.catalog()).await.map(Json)
}

/// Reads the file away from the event loop.
async fn read<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(|error| Problem::unavailable(error.to_string())),
        Err(_) => Err(Problem::unavailable("the history cannot be read: its reader has ended")),
    }
}
