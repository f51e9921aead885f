//! What the advisor asks is not counted as transactions of the application that were rolled back.

use pgprime_advisor::aggregates::{self, ViewOptions};
use pgprime_advisor::explain::{Execution, ExplainRequest, Superuser, explain};
use pgprime_advisor::index_review::{ReviewOptions, review};
use pgprime_advisor::indexes::{AdviceOptions, Workload, advise};
use pgprime_advisor::slow::{since_reset, snapshot};
use pgprime_advisor::space::{SpaceOptions, report};
use pgprime_advisor::sql::Statement;
use pgprime_cluster::Node;

use crate::space::{connect, database, steps};

fn rolled_back(node: &Node, database: &str) -> String {
    node.wait_for_statistics(database).unwrap();
    let sql = format!("SELECT xact_rollback FROM pg_stat_database WHERE datname = '{database}'");
    node.psql("postgres", &sql).unwrap()
}

#[tokio::test]
async fn looking_rolls_nothing_back() {
    let (node, name) = database("counted");
    steps(
        node,
        &name,
        &[
            "CREATE EXTENSION pg_stat_statements",
            "CREATE TABLE orders AS SELECT n AS id, n % 500 AS customer FROM generate_series(1, 20000) n",
            "ANALYZE orders",
            "SELECT count(*) FROM orders WHERE customer = 7",
        ],
    );
    let before = rolled_back(node, &name);
    let client = connect(node, &name, "postgres").await;
    report(&client, &SpaceOptions::default()).await.unwrap();
    review(&client, &ReviewOptions::default()).await.unwrap();
    let seen = snapshot(&client).await.unwrap();
    let workload = Workload::from_period(&since_reset(&seen), seen.server.database_oid);
    advise(&client, &workload, &AdviceOptions::default()).await.unwrap();
    aggregates::suggest(&client, &workload, &ViewOptions::default()).await.unwrap();
    let plan = |text: &str| ExplainRequest::new(Statement::parse(text).unwrap());
    explain(&client, &plan("SELECT * FROM orders WHERE customer = $1")).await.unwrap();
    // What a statement has set and what it says to others goes, and so does one that fails.
    let execute = |text: &str| ExplainRequest {
        execution: Execution::Execute,
        superuser: Superuser::Allowed,
        ..plan(text)
    };
    explain(&client, &execute("SELECT count(*) FROM orders")).await.unwrap();
    explain(&client, &execute("SELECT 1 / (id - id) FROM orders")).await.unwrap_err();
    explain(&client, &plan("SELECT nothing FROM orders")).await.unwrap_err();
    let settings =
        "SELECT current_setting('standard_conforming_strings') || current_setting('statement_timeout')";
    let found: String = client.query_one(settings, &[]).await.unwrap().get(0);
    assert_eq!(found, "on0");
    drop(client);
    // It is counted at the latest when the session is gone.
    let sessions = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'");
    while node.psql("postgres", &sessions).unwrap() != "0" {
        tokio::task::yield_now().await;
    }
    assert_eq!(rolled_back(node, &name), before);
}
