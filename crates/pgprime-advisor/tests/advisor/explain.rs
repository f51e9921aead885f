//! Plans of statements from real servers, and the harm that is not done.

mod harm;
mod parameters;
mod server;

use pgprime_advisor::explain::{Execution, ExplainError, ExplainRequest, Explained, explain};
use pgprime_advisor::sql::Statement;
use tokio_postgres::Client;

/// The plan alone.
fn plan(text: &str) -> ExplainRequest {
    ExplainRequest::new(Statement::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")))
}

/// What really happens.
fn execute(text: &str) -> ExplainRequest {
    ExplainRequest { execution: Execution::Execute, ..plan(text) }
}

async fn explained(client: &Client, request: &ExplainRequest) -> Explained {
    explain(client, request).await.unwrap_or_else(|error| panic!("{}: {error}", request.statement.text()))
}

async fn refused(client: &Client, request: &ExplainRequest) -> ExplainError {
    match explain(client, request).await {
        Err(error) => error,
        Ok(_) => panic!("{} was not refused", request.statement.text()),
    }
}

/// The root of a plan.
fn root(explained: &Explained) -> serde_json::Value {
    let document: serde_json::Value = serde_json::from_str(&explained.document).unwrap();
    document[0]["Plan"].clone()
}
