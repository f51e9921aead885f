//! Indexes: advice, and what is to be said of those that exist.

use pgprime_advisor::Missing;
use pgprime_advisor::index_review::{self, IndexReview, ReviewOptions};
use pgprime_advisor::indexes::{self, Advice, AdviceOptions, Workload};
use pgprime_advisor::slow::{self, SlowError};
use pgprime_advisor::space::ReadError;
use serde::Serialize;
use tokio_postgres::Client;

use crate::problem::Problem;

/// Advice on indexes, and what is to be said of those that exist.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Indexes {
    /// `null` where statements are not measured; `missing` says what to do.
    #[schema(value_type = Option<Object>)]
    advice: Option<Advice>,
    #[schema(value_type = Object)]
    review: IndexReview,
    #[schema(value_type = Vec<Object>)]
    missing: Vec<Missing>,
}

impl Indexes {
    pub(crate) async fn look(client: &Client) -> Result<Self, Problem> {
        let review = Box::pin(index_review::review(client, &ReviewOptions::default())).await;
        let review = review.map_err(|error| unreadable(&error))?;
        let snapshot = match Box::pin(slow::snapshot(client)).await {
            Ok(snapshot) => snapshot,
            Err(SlowError::NotMeasured { missing }) => return Ok(Self { advice: None, review, missing }),
            Err(error) => return Err(Problem::unavailable(error.to_string())),
        };
        let workload = Workload::from_period(&slow::since_reset(&snapshot), snapshot.server.database_oid);
        let advice = Box::pin(indexes::advise(client, &workload, &AdviceOptions::default())).await;
        let advice = advice.map_err(|error| Problem::unavailable(error.to_string()))?;
        Ok(Self { advice: Some(advice), review, missing: Vec::new() })
    }
}

fn unreadable(error: &ReadError) -> Problem {
    match error.is_connection_lost() {
        true => Problem::unavailable(format!("cannot reach the database: {error}")),
        false => Problem::unprocessable(error.to_string()),
    }
}
