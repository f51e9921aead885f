//! Policies: bound from quotes, listed in pages.

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use pgprime_client::{
    Database, Direction, Error, Isolation, Keyset, Named, Row, Transaction, TransactionOptions, Writes,
};
use serde::{Deserialize, Serialize};

use crate::error::Problem;
use crate::web::{Json, Path, Query, UserSession, read_after};

/// The columns of [`Policy`].
macro_rules! columns {
    () => {
        "id, quote_id, customer_id, product, status, (coverage * 100)::bigint AS coverage_cents, \
         (premium * 100)::bigint AS premium_cents, starts_on::text, ends_on::text"
    };
}

/// Prepared as each connection opens.
pub(crate) const STATEMENTS: &[(&str, &str)] = &[
    ("get_policy_by_id", concat!("SELECT ", columns!(), " FROM policies WHERE id = $1")),
    (
        "get_customer_policies",
        concat!(
            "SELECT ",
            columns!(),
            " FROM policies WHERE customer_id = $1 ORDER BY created_at DESC LIMIT $2 OFFSET $3"
        ),
    ),
];

/// The pages of all policies; the keyset adds order and bounds.
const LIST: &str = concat!("SELECT ", columns!(), " FROM policies WHERE status = $1");

const OF_QUOTE: &str = concat!("SELECT ", columns!(), " FROM policies WHERE quote_id = $1");
const QUOTE: &str = "SELECT customer_id, status, expires_at <= now() AS is_expired, \
                     (coverage * 100)::bigint AS coverage_cents FROM quotes WHERE id = $1";
const COVERED: &str = "SELECT coalesce(sum(coverage) * 100, 0)::bigint AS covered_cents FROM policies \
                       WHERE customer_id = $1 AND status = 'active'";
const CLOSE_QUOTE: &str = "UPDATE quotes SET status = 'bound' WHERE id = $1";
const CREATE: &str = concat!(
    "INSERT INTO policies (quote_id, customer_id, product, premium, coverage)
     SELECT id, customer_id, product, premium, coverage FROM quotes WHERE id = $1 RETURNING ",
    columns!()
);

/// One customer's active policies cover at most this. Two requests that each see room for one more must not both get it:
/// that is why binding is serializable.
const CUSTOMER_COVERAGE_CENTS_MAX: i64 = 5_000_000_000;

const SERIALIZABLE: TransactionOptions =
    TransactionOptions { isolation: Isolation::Serializable, writes: Writes::Allowed };

/// Rows of a page, unless it is asked for fewer.
const PAGE_ROWS_MAX: u32 = 100;

pub(crate) fn routes() -> Router<Database> {
    Router::new()
        .route("/quotes/{id}/policy", post(bind))
        .route("/policies", get(list))
        .route("/policies/{id}", get(find))
        .route("/customers/{id}/policies", get(of_customer))
}

#[derive(Serialize)]
struct Policy {
    id: i64,
    quote_id: i64,
    customer_id: i64,
    product: String,
    status: String,
    coverage_cents: i64,
    premium_cents: i64,
    starts_on: String,
    ends_on: String,
}

impl Policy {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.try_get("id")?,
            quote_id: row.try_get("quote_id")?,
            customer_id: row.try_get("customer_id")?,
            product: row.try_get("product")?,
            status: row.try_get("status")?,
            coverage_cents: row.try_get("coverage_cents")?,
            premium_cents: row.try_get("premium_cents")?,
            starts_on: row.try_get("starts_on")?,
            ends_on: row.try_get("ends_on")?,
        })
    }

    fn from_rows(rows: &[Row]) -> Result<Vec<Self>, Error> {
        rows.iter().map(Self::from_row).collect()
    }
}

async fn find(UserSession(session): UserSession, Path(id): Path<i64>) -> Result<Json<Policy>, Problem> {
    let row = session.read().await.query_opt(Named("get_policy_by_id"), &[&id]).await?;
    let row = row.ok_or(Problem::NotFound("policy"))?;
    Ok(Json(Policy::from_row(&row)?))
}

/// Makes a policy of an open quote. Asked again, it answers with the same policy: a quote has one.
async fn bind(
    UserSession(mut session): UserSession,
    Path(id): Path<i64>,
) -> Result<impl IntoResponse, Problem> {
    let work = |transaction| async move { bind_once(&transaction, id).await };
    let (status, policy) = session.transaction_with(SERIALIZABLE, work).await?;
    let location = [(header::LOCATION, format!("/policies/{}", policy.id))];
    Ok((status, read_after(&session), location, Json(policy)))
}

/// Reads before it writes, and keeps to the database: it may be run several times until it is committed once.
async fn bind_once(transaction: &Transaction, quote_id: i64) -> Result<(StatusCode, Policy), Problem> {
    if let Some(row) = transaction.query_opt(OF_QUOTE, &[&quote_id]).await? {
        return Ok((StatusCode::OK, Policy::from_row(&row)?));
    }
    let quote = transaction.query_opt(QUOTE, &[&quote_id]).await?.ok_or(Problem::NotFound("quote"))?;
    check_open(&quote)?;
    check_coverage(transaction, &quote).await?;
    transaction.execute(CLOSE_QUOTE, &[&quote_id]).await?;
    let row = transaction.query_one(CREATE, &[&quote_id]).await?;
    Ok((StatusCode::CREATED, Policy::from_row(&row)?))
}

fn check_open(quote: &Row) -> Result<(), Problem> {
    let status: &str = quote.try_get("status").map_err(Error::from)?;
    let is_expired = quote.try_get("is_expired").map_err(Error::from)?;
    match (status, is_expired) {
        ("open", false) => Ok(()),
        ("open", true) => Err(Problem::Conflict("this quote has expired".to_owned())),
        _ => Err(Problem::Conflict(format!("this quote is {status}, not open"))),
    }
}

async fn check_coverage(transaction: &Transaction, quote: &Row) -> Result<(), Problem> {
    let customer_id: i64 = quote.try_get("customer_id").map_err(Error::from)?;
    let coverage_cents: i64 = quote.try_get("coverage_cents").map_err(Error::from)?;
    let covered = transaction.query_one(COVERED, &[&customer_id]).await?;
    let covered_cents: i64 = covered.try_get("covered_cents").map_err(Error::from)?;
    if covered_cents.saturating_add(coverage_cents) > CUSTOMER_COVERAGE_CENTS_MAX {
        return Err(Problem::Conflict("this would cover the customer beyond our limit".to_owned()));
    }
    Ok(())
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Active,
    Expired,
    Cancelled,
    Lapsed,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Lapsed => "lapsed",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    status: Status,
    limit: Option<u32>,
    cursor: Option<String>,
}

#[derive(Serialize)]
struct List {
    policies: Vec<Policy>,
    /// Where the next page is; `null` at the end.
    next: Option<String>,
}

/// All policies of a status, the newest first, in pages.
async fn list(
    UserSession(session): UserSession,
    Query(query): Query<ListQuery>,
) -> Result<Json<List>, Problem> {
    let rows_max = page_rows(query.limit)?;
    let (status, cursor) = (query.status.name(), query.cursor.as_deref());
    let keyset = Keyset::new(LIST, rows_max).key("id", "bigint", Direction::Descending);
    let page = session.read().await.page(&keyset, &[&status], cursor).await?;
    // A cursor needs no escaping in a URL.
    let next = page.next.map(|cursor| format!("/policies?status={status}&limit={rows_max}&cursor={cursor}"));
    Ok(Json(List { policies: Policy::from_rows(&page.rows)?, next }))
}

fn page_rows(limit: Option<u32>) -> Result<u32, Problem> {
    match limit.unwrap_or(PAGE_ROWS_MAX) {
        rows_max @ 1..=PAGE_ROWS_MAX => Ok(rows_max),
        _ => Err(Problem::Invalid(format!("limit is from 1 to {PAGE_ROWS_MAX}"))),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfCustomerQuery {
    limit: Option<u32>,
    #[serde(default)]
    offset: u32,
}

/// A customer's policies, the newest first. Nobody has thousands, so an offset serves here.
async fn of_customer(
    UserSession(session): UserSession,
    Path(customer_id): Path<i64>,
    Query(query): Query<OfCustomerQuery>,
) -> Result<Json<Vec<Policy>>, Problem> {
    let (limit, offset) = (i64::from(page_rows(query.limit)?), i64::from(query.offset));
    let read = session.read().await;
    let rows = read.query(Named("get_customer_policies"), &[&customer_id, &limit, &offset]).await?;
    if rows.is_empty() && read.query_opt(Named("get_customer_by_id"), &[&customer_id]).await?.is_none() {
        return Err(Problem::NotFound("customer"));
    }
    Ok(Json(Policy::from_rows(&rows)?))
}
