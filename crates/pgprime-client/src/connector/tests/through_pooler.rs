use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use pgprime_cluster::Node;
use tokio::time::timeout;
use tokio_postgres::types::ToSql;

use super::pgbouncer::PgBouncer;
use super::{config, connect, connector, database, number, text};
use crate::connection::{Connection, Named};
use crate::error::ConnectError;
use crate::pool::Connector as _;
use crate::session::{Path, Role};

const BY_ID: &str = "SELECT id, name, mood FROM items WHERE id = $1";
/// PgBouncer before 1.21, or newer without `max_prepared_statements`.
const NO_NAMES: Path = Path::TransactionPooler { named_statements: false };

struct Setup {
    node: &'static Node,
    database: String,
    pooler: PgBouncer,
}

impl Setup {
    fn new(settings: &str) -> Self {
        let (node, database) = database();
        let pooler = PgBouncer::start(node, &database, settings);
        Self { node, database, pooler }
    }

    fn url(&self) -> String {
        self.pooler.url(&self.database)
    }
}

/// What sessions of the database have in store: asked through the pooler, which has one server.
async fn leftovers(connection: &Connection) -> String {
    text(
        connection,
        "SELECT coalesce(string_agg(statement, ' | '), '') FROM pg_prepared_statements WHERE name <> ''",
    )
    .await
}

#[tokio::test]
async fn a_transaction_pooler_is_found_out() {
    for settings in ["", "ignore_startup_parameters = options, extra_float_digits"] {
        let setup = Setup::new(settings);
        let config = config(setup.url(), &[("item", BY_ID), ("missing", "SELECT * FROM missing")]);
        let connector = connector(&config, Role::Read);
        for _ in 0..2 {
            let connection = connector.connect().await.unwrap();
            assert_eq!(connection.path(), NO_NAMES);
            assert_eq!(leftovers(&connection).await, "");
            // Nothing is set in a session that others use.
            let names = "current_setting('statement_timeout'), current_setting('pgprime.probe', true)";
            assert_eq!(text(&connection, &format!("SELECT concat_ws(',', {names})")).await, "0");
            let row = connection.query_one(Named("item"), &[&2]).await.unwrap();
            assert_eq!(row.get::<_, String>("name"), "item 2");
            assert_eq!(connection.query(Named("missing"), &[]).await.unwrap_err().sqlstate(), "42P01");
            assert!(connector.is_clean(&connection));
            assert_eq!(leftovers(&connection).await, "");
        }
    }
}

#[tokio::test]
async fn types_of_the_database_are_looked_up_and_leave_nothing_behind() {
    let setup = Setup::new("");
    let config = config(setup.url(), &[]);
    let connector = connector(&config, Role::Main);
    let (one, two) = (connector.connect().await.unwrap(), connector.connect().await.unwrap());
    for _ in 0..2 {
        for connection in [&one, &two] {
            let row = connection.query_one(BY_ID, &[&1]).await.unwrap();
            assert_eq!(row.columns()[2].type_().name(), "mood");
            let row = connection.query_one("SELECT 'big'::size, $1::text IS NULL", &[&None::<String>]).await;
            assert_eq!(row.unwrap().columns()[0].type_().name(), "size");
            assert_eq!(leftovers(connection).await, "");
        }
    }
    // A statement that cannot be described, after types have been looked up.
    let error = one.query("SELECT nothing FROM items", &[]).await.unwrap_err();
    assert_eq!(error.sqlstate(), "42703");
    assert_eq!(leftovers(&one).await, "");
    assert!(one.is_clean() && two.is_clean());
}

#[tokio::test]
async fn statements_change_with_their_tables() {
    let setup = Setup::new("");
    let connection = connect(&config(setup.url(), &[]), Role::Main).await.unwrap();
    let sql = "SELECT * FROM items WHERE id = $1";
    assert_eq!(connection.query_one(sql, &[&1i32]).await.unwrap().len(), 3);
    setup.node.psql(&setup.database, "ALTER TABLE items ADD more int, ALTER id TYPE bigint").unwrap();
    assert_eq!(connection.query_one(sql, &[&1i32]).await.unwrap().len(), 4);
    assert_eq!(connection.query_one(sql, &[&1i64]).await.unwrap().len(), 4);
    assert_eq!(leftovers(&connection).await, "");
    let error = connection.query(sql, &[]).await.unwrap_err();
    assert_eq!(error.to_string(), "the statement takes 1 parameters, and 0 were given");
    assert!(connection.is_clean());
}

#[tokio::test]
async fn transactions_stay_on_one_server() {
    let setup = Setup::new("");
    let connection = connect(&config(setup.url(), &[]), Role::Main).await.unwrap();
    let settings = connection.settings().in_transaction().unwrap();
    let statement_timeout = "SELECT current_setting('statement_timeout')";
    connection.begin(&format!("BEGIN;{settings}")).await.unwrap();
    assert_eq!(text(&connection, statement_timeout).await, "30s");
    assert_eq!(connection.execute("DELETE FROM items WHERE id > $1", &[&5]).await.unwrap(), 5);
    connection.end("ROLLBACK").await.unwrap();
    assert_eq!(text(&connection, statement_timeout).await, "0");
    assert_eq!(number(&connection, "SELECT count(*) FROM items").await, 10);
    assert_eq!(leftovers(&connection).await, "");
    let sql = "INSERT INTO items VALUES ($1, 'new')";
    let ids: Vec<i32> = (20..120).collect();
    let rows: Vec<Vec<&(dyn ToSql + Sync)>> = ids.iter().map(|id| vec![id as _]).collect();
    assert_eq!(connection.batch(sql, &rows).await.unwrap(), vec![1; 100]);
}

#[tokio::test]
async fn a_request_given_up_is_cancelled_through_the_pooler() {
    let setup = Setup::new("");
    let connector = connector(&config(setup.url(), &[]), Role::Main);
    let mut connection = connector.connect().await.unwrap();
    connection.begin("BEGIN").await.unwrap();
    connection.execute("DELETE FROM items", &[]).await.unwrap();
    let sleep = "SELECT pg_sleep(600)";
    connection.prepare(sleep.into()).await.unwrap();
    assert!(timeout(Duration::from_millis(50), connection.query(sleep, &[])).await.is_err());
    assert!(!connector.is_clean(&connection));
    assert!(connector.clean(&mut connection).await);
    assert_eq!(number(&connection, "SELECT count(*) FROM items").await, 10);
    assert_eq!(leftovers(&connection).await, "");
}

#[tokio::test]
async fn the_poolers_own_refusals_are_told_apart() {
    let setup = Setup::new("max_client_conn = 1");
    let full = config(setup.url(), &[]);
    let _only = connect(&full, Role::Main).await.unwrap();
    let error = connect(&full, Role::Main).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unavailable { .. }), "{error:?}");
    let setup = Setup::new("pool_mode = statement");
    let error = connect(&config(setup.url(), &[]), Role::Main).await.unwrap_err();
    assert!(error.to_string().contains("must pool by session or by transaction"), "{error}");
}

#[tokio::test]
async fn descriptions_do_not_mix_with_other_requests_and_outlive_their_callers() {
    let setup = Setup::new("");
    let connector = connector(&config(setup.url(), &[]), Role::Main);
    let mut connection = connector.connect().await.unwrap();
    let texts: Vec<String> = (0..40).map(|i| format!("INSERT INTO items VALUES ($1, 'new {i}')")).collect();
    let ids: Vec<i32> = (100..140).collect();
    let one = &connection;
    let outcomes = join_all(texts.iter().zip(&ids).map(|(sql, id)| async move {
        // Every other text cannot be described: the rollback of its description must not undo a neighbour.
        let _ = one.query(&sql.replace("items", "nowhere"), &[id]).await;
        one.execute(sql, &[id]).await
    }));
    assert!(outcomes.await.into_iter().all(|outcome| outcome.is_ok_and(|count| count == 1)));
    assert_eq!(number(&connection, "SELECT count(*) FROM items").await, 50);
    for i in 0..40 {
        let sql = format!("SELECT {i}, mood, $1::size FROM items");
        let _ = timeout(Duration::from_micros(200 * i), connection.query(&sql, &[&None::<String>])).await;
    }
    if !connector.is_clean(&connection) {
        assert!(connector.clean(&mut connection).await);
    }
    assert_eq!(leftovers(&connection).await, "");
    assert_eq!(number(&connection, "SELECT count(*) FROM items").await, 50);
}

#[tokio::test]
async fn many_clients_share_few_servers() {
    let setup = Setup::new("default_pool_size = 3");
    let connector = Arc::new(connector(&config(setup.url(), &[("item", BY_ID)]), Role::Main));
    let client = |seed: u64| {
        let connector = Arc::clone(&connector);
        async move {
            let mut random = fastrand::Rng::with_seed(seed);
            let connection = connector.connect().await.unwrap();
            for _ in 0..100 {
                let (id, column) = (random.i32(1..=10), random.i64(0..30));
                let row = connection.query_one(Named("item"), &[&id]).await.unwrap();
                assert_eq!(row.get::<_, String>("name"), format!("item {id}"));
                let sql = format!("SELECT {column}::int8 + $1, mood FROM items WHERE id = 1");
                let row = connection.query_one(&sql, &[&seed.cast_signed()]).await.unwrap();
                assert_eq!(row.get::<_, i64>(0), column + seed.cast_signed());
            }
            assert!(connection.is_clean());
        }
    };
    join_all((0..8).map(client)).await;
    let connection = connector.connect().await.unwrap();
    for _ in 0..10 {
        assert_eq!(leftovers(&connection).await, "");
    }
}
