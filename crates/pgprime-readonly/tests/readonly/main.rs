//! A look at a real database: it changes nothing, leaves nothing, and survives what is refused.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::time::Duration;

use pgprime_cluster::{ClusterOptions, SharedCluster};
use pgprime_readonly::{Attempt, ReadError, Session, Timeouts, column, count, server_version};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};

static CLUSTER: SharedCluster = SharedCluster::new(ClusterOptions::default);

const TIMEOUTS: Timeouts = Timeouts { statement: Duration::from_secs(20), lock: Duration::from_secs(5) };

async fn connect() -> Client {
    let node = CLUSTER.cluster().primary();
    let (client, connection) = tokio_postgres::connect(&node.url("postgres"), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn setting(client: &Client, name: &str) -> String {
    client.query_one(&format!("SHOW {name}"), &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn what_is_refused_does_not_end_the_look() {
    let client = connect().await;
    let session = Session::begin(&client, TIMEOUTS).await.unwrap();
    let outcome: Result<(i64, SqlState), ReadError> = async {
        let written = session.attempt("write", "CREATE TABLE quotes (id int)", &[]).await?;
        let Attempt::Refused { state, message } = written else { panic!("it was not refused") };
        assert!(message.contains("read-only transaction"), "{message}");
        let divided = session.attempt("divide", "SELECT 1 / $1::int4", &[(&0_i32, Type::INT4)]).await?;
        assert!(matches!(divided, Attempt::Refused { state, .. } if state == SqlState::DIVISION_BY_ZERO));
        let row = session.row("count", "SELECT 3::int8 AS number, NULL::int8 AS none").await?;
        assert_eq!((count(&row, "count", "number")?, count(&row, "count", "none")?), (3, 0));
        Ok((column(&row, "count", "number")?, state))
    }
    .await;
    let (number, state) = session.end(outcome).await.unwrap();
    assert_eq!((number, state), (3, SqlState::READ_ONLY_SQL_TRANSACTION));
}

#[tokio::test]
async fn limits_hold_for_the_look_alone() {
    let client = connect().await;
    let before = (setting(&client, "statement_timeout").await, setting(&client, "search_path").await);
    let session = Session::begin(&client, TIMEOUTS).await.unwrap();
    let outcome: Result<(), ReadError> = async {
        let limit = Duration::from_millis(20);
        let slept = session.attempt_within(limit, "sleep", "SELECT pg_sleep(60)", &[]).await?;
        assert!(matches!(slept, Attempt::Refused { state, .. } if state == SqlState::QUERY_CANCELED));
        assert_eq!(setting(&client, "statement_timeout").await, "20s");
        assert_eq!(setting(&client, "search_path").await, "pg_catalog");
        Ok(())
    }
    .await;
    session.end(outcome).await.unwrap();
    let after = (setting(&client, "statement_timeout").await, setting(&client, "search_path").await);
    assert_eq!(before, after);
}

#[tokio::test]
async fn errors_say_whether_the_connection_was_lost() {
    let (client, other) = (connect().await, connect().await);
    let session = Session::begin(&client, TIMEOUTS).await.unwrap();
    assert!(server_version(&session).await.unwrap() >= 130_000);
    let none = session.row("look", "SELECT 1 WHERE false").await.unwrap_err();
    assert!(matches!(none, ReadError::Answer { .. }) && !none.is_connection_lost(), "{none}");

    let pid: i32 = session.row("ask", "SELECT pg_backend_pid()").await.unwrap().get(0);
    other.execute("SELECT pg_terminate_backend($1)", &[&pid]).await.unwrap();
    let lost = loop {
        if let Err(error) = session.rows("look", "SELECT 1", &[]).await {
            break error;
        }
    };
    assert!(lost.is_connection_lost() && lost.is_transient(), "{lost}");
    let ended: Result<(), ReadError> = session.end(Err(lost)).await;
    assert!(ended.unwrap_err().is_connection_lost());
}

#[tokio::test]
async fn a_statement_that_is_wrong_is_no_lost_connection() {
    let client = connect().await;
    let session = Session::begin(&client, TIMEOUTS).await.unwrap();
    let wrong = session.rows("look", "SELEKT", &[]).await;
    assert!(wrong.as_ref().is_err_and(|error| !error.is_connection_lost() && !error.is_transient()));
    // The transaction is over; what ends it is the first error.
    assert!(session.end(wrong).await.unwrap_err().to_string().starts_with("look: "));
}
