//! Customers.

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use pgprime_client::types::ToSql;
use pgprime_client::{Database, Error, Named, Row};
use serde::{Deserialize, Serialize};

use crate::error::Problem;
use crate::web::{Json, Path, UserSession, read_after};

/// Prepared as each connection opens.
pub(crate) const STATEMENTS: &[(&str, &str)] = &[(
    "get_customer_by_id",
    "SELECT id, first_name, last_name, email, city, risk_class FROM customers WHERE id = $1",
)];

const CREATE: &str = "INSERT INTO customers (first_name, last_name, email, phone, street, city, postal_code, born_on, \
                      risk_class) VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::date, 'standard') \
                      RETURNING id, first_name, last_name, email, city, risk_class";

pub(crate) fn routes() -> Router<Database> {
    Router::new().route("/customers", post(create)).route("/customers/{id}", get(find))
}

#[derive(Serialize)]
struct Customer {
    id: i64,
    first_name: String,
    last_name: String,
    email: String,
    city: String,
    risk_class: String,
}

impl Customer {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.try_get("id")?,
            first_name: row.try_get("first_name")?,
            last_name: row.try_get("last_name")?,
            email: row.try_get("email")?,
            city: row.try_get("city")?,
            risk_class: row.try_get("risk_class")?,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCustomer {
    first_name: String,
    last_name: String,
    email: String,
    phone: String,
    street: String,
    city: String,
    postal_code: String,
    born_on: String,
}

async fn find(UserSession(session): UserSession, Path(id): Path<i64>) -> Result<Json<Customer>, Problem> {
    let row = session.read().await.query_opt(Named("get_customer_by_id"), &[&id]).await?;
    let row = row.ok_or(Problem::NotFound("customer"))?;
    Ok(Json(Customer::from_row(&row)?))
}

/// A second one with the same e-mail address is a conflict, so it may be sent again after an unknown outcome.
async fn create(
    UserSession(mut session): UserSession,
    Json(new): Json<NewCustomer>,
) -> Result<impl IntoResponse, Problem> {
    if !new.email.contains('@') {
        return Err(Problem::Invalid("email is an address with an @".to_owned()));
    }
    let new = &new;
    let row = session
        .transaction(|transaction| async move {
            let NewCustomer { first_name, last_name, email, phone, street, city, postal_code, born_on } = new;
            let values: [&(dyn ToSql + Sync); 8] =
                [first_name, last_name, email, phone, street, city, postal_code, born_on];
            transaction.query_one(CREATE, &values).await
        })
        .await?;
    let customer = Customer::from_row(&row)?;
    let location = [(header::LOCATION, format!("/customers/{}", customer.id))];
    Ok((StatusCode::CREATED, read_after(&session), location, Json(customer)))
}
