//! Quotes: made one by one or imported by the thousand, read, exported.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use pgprime_client::types::ToSql;
use pgprime_client::{Database, Error, Named, Row, Transaction};
use serde::{Deserialize, Serialize};

use crate::csv;
use crate::error::Problem;
use crate::web::{Json, Path, RequestKey, UserSession, read_after};

/// The columns of [`Quote`].
macro_rules! columns {
    () => {
        "id, customer_id, product, status, (coverage * 100)::bigint AS coverage_cents, \
         (deductible * 100)::bigint AS deductible_cents, (premium * 100)::bigint AS premium_cents, \
         to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS expires_at"
    };
}

/// Prepared as each connection opens.
pub(crate) const STATEMENTS: &[(&str, &str)] =
    &[("get_quote_by_id", concat!("SELECT ", columns!(), " FROM quotes WHERE id = $1"))];

/// Gives no row when there is a quote with this key already.
const CREATE: &str = concat!(
    "INSERT INTO quotes (customer_id, product, coverage, deductible, premium, details)
     VALUES ($1, $2, $3::bigint / 100.0, $4::bigint / 100.0, $5::bigint / 100.0,
             jsonb_strip_nulls(jsonb_build_object('channel', 'web', 'request_key', $6::text)))
     ON CONFLICT ((details ->> 'request_key')) WHERE details ? 'request_key' DO NOTHING
     RETURNING ",
    columns!()
);
const FIND_BY_KEY: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM quotes WHERE details ? 'request_key' AND details ->> 'request_key' = $1"
);
const IMPORT: &str = "INSERT INTO quotes (customer_id, product, coverage, deductible, premium, details)
                      VALUES ($1, $2, $3::bigint / 100.0, $4::bigint / 100.0, $5::bigint / 100.0,
                              '{\"channel\": \"import\"}')";
const EXPORT: &str = concat!("SELECT ", columns!(), " FROM quotes ORDER BY id");

/// Rows of one import: together they are one transaction, which others wait for.
const IMPORT_ROWS_MAX: usize = 1_000;

/// What the columns hold, with room for sums.
const COVERAGE_CENTS_MAX: i64 = 1_000_000_000;

pub(crate) fn routes() -> Router<Database> {
    Router::new()
        .route("/quotes", post(create))
        .route("/quotes/{id}", get(find))
        .route("/quotes/import", post(import))
}

/// What takes as long as a report.
pub(crate) fn long_routes() -> Router<Database> {
    Router::new().route("/quotes.csv", get(export))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Product {
    Car,
    Home,
    Contents,
    Liability,
    Travel,
    Life,
}

impl Product {
    fn name(self) -> &'static str {
        match self {
            Self::Car => "car",
            Self::Home => "home",
            Self::Contents => "contents",
            Self::Liability => "liability",
            Self::Travel => "travel",
            Self::Life => "life",
        }
    }

    /// A year's premium in thousandths of the coverage.
    fn rate_per_mille(self) -> i64 {
        match self {
            Self::Car => 30,
            Self::Travel => 20,
            Self::Life => 8,
            Self::Contents => 4,
            Self::Home => 2,
            Self::Liability => 1,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewQuote {
    customer_id: i64,
    product: Product,
    coverage_cents: i64,
    deductible_cents: i64,
}

impl NewQuote {
    fn check(&self) -> Result<(), Problem> {
        if !(1..=COVERAGE_CENTS_MAX).contains(&self.coverage_cents) {
            return Err(Problem::Invalid(format!("coverage_cents is from 1 to {COVERAGE_CENTS_MAX}")));
        }
        if !(0..self.coverage_cents).contains(&self.deductible_cents) {
            return Err(Problem::Invalid("deductible_cents is from 0 to below coverage_cents".to_owned()));
        }
        Ok(())
    }

    /// What the customer bears himself, nobody pays for; and a policy costs at least one unit of money.
    fn premium_cents(&self) -> i64 {
        let insured_cents = self.coverage_cents - self.deductible_cents;
        (insured_cents * self.product.rate_per_mille() / 1_000).max(100)
    }
}

#[derive(Serialize)]
struct Quote {
    id: i64,
    customer_id: i64,
    product: String,
    status: String,
    coverage_cents: i64,
    deductible_cents: i64,
    premium_cents: i64,
    expires_at: String,
}

impl Quote {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.try_get("id")?,
            customer_id: row.try_get("customer_id")?,
            product: row.try_get("product")?,
            status: row.try_get("status")?,
            coverage_cents: row.try_get("coverage_cents")?,
            deductible_cents: row.try_get("deductible_cents")?,
            premium_cents: row.try_get("premium_cents")?,
            expires_at: row.try_get("expires_at")?,
        })
    }

    /// For the export. None of the values needs quotes.
    fn line(&self) -> String {
        let Self { id, customer_id, product, status, .. } = self;
        let Self { coverage_cents, deductible_cents, premium_cents, expires_at, .. } = self;
        format!(
            "{id},{customer_id},{product},{status},{coverage_cents},{deductible_cents},{premium_cents},{expires_at}"
        )
    }

    /// Whether this is what was asked for.
    fn answers(&self, new: &NewQuote) -> bool {
        let asked = (new.customer_id, new.product.name(), new.coverage_cents, new.deductible_cents);
        asked == (self.customer_id, &self.product, self.coverage_cents, self.deductible_cents)
    }
}

async fn find(UserSession(session): UserSession, Path(id): Path<i64>) -> Result<Json<Quote>, Problem> {
    let row = session.read().await.query_opt(Named("get_quote_by_id"), &[&id]).await?;
    let row = row.ok_or(Problem::NotFound("quote"))?;
    Ok(Json(Quote::from_row(&row)?))
}

async fn create(
    UserSession(mut session): UserSession,
    RequestKey(key): RequestKey,
    Json(new): Json<NewQuote>,
) -> Result<impl IntoResponse, Problem> {
    new.check()?;
    let (new, key) = (&new, key.as_deref());
    let (status, quote) =
        session.transaction(|transaction| async move { create_once(&transaction, new, key).await }).await?;
    let location = [(header::LOCATION, format!("/quotes/{}", quote.id))];
    Ok((status, read_after(&session), location, Json(quote)))
}

/// The quote that this request asks for: made now, or by the same request before.
async fn create_once(
    transaction: &Transaction,
    new: &NewQuote,
    key: Option<&str>,
) -> Result<(StatusCode, Quote), Problem> {
    let (product, premium_cents) = (new.product.name(), new.premium_cents());
    let values: [&(dyn ToSql + Sync); 6] =
        [&new.customer_id, &product, &new.coverage_cents, &new.deductible_cents, &premium_cents, &key];
    if let Some(row) = transaction.query_opt(CREATE, &values).await? {
        return Ok((StatusCode::CREATED, Quote::from_row(&row)?));
    }
    let row = transaction.query_one(FIND_BY_KEY, &[&key]).await?;
    let quote = Quote::from_row(&row)?;
    if quote.answers(new) {
        Ok((StatusCode::OK, quote))
    } else {
        Err(Problem::Conflict("this idempotency-key was used for another quote".to_owned()))
    }
}

#[derive(Serialize)]
struct Imported {
    imported: u64,
}

/// All of them or none.
async fn import(
    UserSession(mut session): UserSession,
    Json(quotes): Json<Vec<NewQuote>>,
) -> Result<impl IntoResponse, Problem> {
    if quotes.len() > IMPORT_ROWS_MAX {
        return Err(Problem::Invalid(format!(
            "an import has at most {IMPORT_ROWS_MAX} quotes; send it in parts"
        )));
    }
    quotes.iter().try_for_each(NewQuote::check)?;
    let computed: Vec<(&str, i64)> =
        quotes.iter().map(|quote| (quote.product.name(), quote.premium_cents())).collect();
    let mut rows: Vec<Vec<&(dyn ToSql + Sync)>> = Vec::with_capacity(quotes.len());
    for (quote, (product, premium_cents)) in quotes.iter().zip(&computed) {
        rows.push(vec![
            &quote.customer_id,
            product,
            &quote.coverage_cents,
            &quote.deductible_cents,
            premium_cents,
        ]);
    }
    let rows = rows.as_slice();
    let counts =
        session.transaction(|transaction| async move { transaction.batch(IMPORT, rows).await }).await?;
    let imported = Imported { imported: counts.iter().sum() };
    Ok((StatusCode::CREATED, read_after(&session), Json(imported)))
}

/// All quotes, however many: from the admin pool, since it keeps its connection for as long as the reader takes.
async fn export(State(database): State<Database>) -> Result<Response, Problem> {
    let rows = database.admin().query_stream(EXPORT, &[]).await?;
    let head = "id,customer_id,product,status,coverage_cents,deductible_cents,premium_cents,expires_at";
    Ok(csv::answer(head, rows, |row| Ok(Quote::from_row(row)?.line())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quote(coverage_cents: i64, deductible_cents: i64) -> NewQuote {
        NewQuote { customer_id: 1, product: Product::Car, coverage_cents, deductible_cents }
    }

    #[test]
    fn premiums_follow_what_is_insured() {
        assert_eq!(quote(2_500_000, 50_000).premium_cents(), 73_500);
        assert_eq!(quote(1_000, 0).premium_cents(), 100);
    }

    #[test]
    fn nonsense_is_refused() {
        for (coverage_cents, deductible_cents) in [(0, 0), (-1, 0), (100, 100), (100, -1), (i64::MAX, 0)] {
            assert!(quote(coverage_cents, deductible_cents).check().is_err());
        }
        assert!(quote(COVERAGE_CENTS_MAX, 0).check().is_ok());
    }
}
