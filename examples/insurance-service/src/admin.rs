//! The dashboard of the insurer's own people: long queries, in a pool of their own.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use pgprime_client::{Database, Error, Row};
use serde::Serialize;

use crate::error::Problem;
use crate::web::Json;

/// What each product brings in and costs, over all that was ever quoted.
const DASHBOARD: &str = "
WITH quoted AS (
    SELECT product, count(*) AS quotes, count(*) FILTER (WHERE status = 'bound') AS bound
    FROM quotes GROUP BY product
), insured AS (
    SELECT product, count(*) AS policies, (sum(premium) * 100)::bigint AS premium_cents
    FROM policies WHERE status = 'active' GROUP BY product
), claimed AS (
    SELECT product, count(*) AS claims, (sum(amount_paid) * 100)::bigint AS paid_cents
    FROM claims JOIN policies ON policies.id = claims.policy_id GROUP BY product
)
SELECT product, quotes, bound, coalesce(policies, 0) AS policies, coalesce(premium_cents, 0) AS premium_cents,
       coalesce(claims, 0) AS claims, coalesce(paid_cents, 0) AS paid_cents
FROM quoted LEFT JOIN insured USING (product) LEFT JOIN claimed USING (product)
ORDER BY product";

pub(crate) fn routes() -> Router<Database> {
    Router::new().route("/admin/dashboard", get(dashboard))
}

#[derive(Serialize)]
struct ProductFigures {
    product: String,
    quotes: i64,
    bound: i64,
    policies: i64,
    premium_cents: i64,
    claims: i64,
    paid_cents: i64,
}

impl ProductFigures {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            product: row.try_get("product")?,
            quotes: row.try_get("quotes")?,
            bound: row.try_get("bound")?,
            policies: row.try_get("policies")?,
            premium_cents: row.try_get("premium_cents")?,
            claims: row.try_get("claims")?,
            paid_cents: row.try_get("paid_cents")?,
        })
    }
}

async fn dashboard(State(database): State<Database>) -> Result<Json<Vec<ProductFigures>>, Problem> {
    // It changes nothing, so it is asked again when its connection is lost.
    let rows = database.admin().idempotent().query(DASHBOARD, &[]).await?;
    let figures: Result<_, Error> = rows.iter().map(ProductFigures::from_row).collect();
    Ok(Json(figures?))
}
