//! What the pooler knows of statements, from its console to `pgprime slow-queries` and `pgprime analyze`.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use futures_util::future::try_join_all;
use serde_json::Value;
use tempfile::TempDir;
use tokio_postgres::SimpleQueryRow;

use crate::harness::{Client, Pooler, Setup, cluster, eventually, run, sqlstate, stderr_of, stdout_of};

const BINARY: &str = env!("CARGO_BIN_EXE_pgprime");

/// A database with quotes, behind a pooler that was started with these options.
fn quotes(prefix: &str, pool_size: u32, options: &[&str]) -> (String, Pooler) {
    let database = cluster().test_database(prefix).unwrap();
    let sql =
        "CREATE EXTENSION pg_stat_statements; CREATE TABLE quotes (id int PRIMARY KEY, premium numeric);
        INSERT INTO quotes SELECT n, n * 1.5 FROM generate_series(1, 100) n; ANALYZE quotes;";
    cluster().primary().psql(&database, sql).unwrap();
    let setup = Setup::new().database(cluster().primary(), &database, &format!("pool_size={pool_size}"));
    let pooler = Pooler::start_as(setup, |config| {
        let mut command = Command::new(BINARY);
        command.arg("pooler").args(options).arg(config).env_remove("PGPRIME_STATEMENT_STATISTICS");
        command.env_remove("PGPRIME_CAPTURE_PARAMETERS_MS");
        command
    });
    (database, pooler)
}

/// The row of SHOW STATEMENTS for a text.
async fn shown(pooler: &Pooler, text: &str) -> SimpleQueryRow {
    let rows = pooler.console().await.rows("SHOW STATEMENTS").await.unwrap();
    let texts: Vec<String> = rows.iter().map(|row| row.get("query").unwrap().to_owned()).collect();
    let found = rows.into_iter().find(|row| row.get("query") == Some(text));
    found.unwrap_or_else(|| panic!("{text} is not in {texts:#?}"))
}

fn number(row: &SimpleQueryRow, column: &str) -> u64 {
    row.get(column).unwrap().parse().unwrap()
}

async fn counts(pooler: &Pooler, text: &str) -> (u64, u64) {
    let row = shown(pooler, text).await;
    (number(&row, "calls"), number(&row, "errors"))
}

fn command(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.args(arguments).env_remove("DATABASE_URL").env_remove("PGPRIME_POOLER_URL");
    command.env_remove("XDG_STATE_HOME").env("HOME", home).stdin(Stdio::null()).output().unwrap()
}

fn json(home: &Path, arguments: &[&str], codes: &[i32]) -> Value {
    let output = command(home, &[arguments, &["--json"]].concat());
    assert!(codes.contains(&output.status.code().unwrap()), "{arguments:?}: {}", stderr_of(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_client_is_counted() {
    let (database, pooler) = quotes("statements", 4, &[]);
    stdout_of(
        &pooler.psql(&database, &["SELECT premium FROM quotes WHERE id = 7", "SELECT 'psql secret' AS word"]),
    );
    run(async {
        let clients = async |number: i32| {
            let client = pooler.connect(&database).await;
            let find = client.prepare("SELECT premium FROM quotes WHERE id = $1").await?;
            // Pipelined: all are sent before the first is answered.
            let quote = async |id: i32| client.query(&find, &[&id]).await;
            try_join_all((0..20).map(quote)).await?;
            client.query("SELECT $1::int4 + $2::int4", &[&number, &1i32]).await?;
            assert_eq!(sqlstate(client.query("SELECT 1 / $1::int4", &[&0i32]).await), "22012");
            client.simple_query(&format!("SELECT 'simple secret {number}' AS word")).await?;
            Ok::<_, tokio_postgres::Error>(())
        };
        try_join_all((0..5).map(clients)).await.unwrap();
        let find = "SELECT premium FROM quotes WHERE id = $1";
        assert_eq!(counts(&pooler, find).await, (101, 0), "100 prepared, one of psql");
        assert_eq!(counts(&pooler, "SELECT $1::int4 + $2::int4").await, (5, 0));
        assert_eq!(counts(&pooler, "SELECT $2 / $1::int4").await, (5, 5));
        assert_eq!(counts(&pooler, "SELECT $1 AS word").await, (6, 0));
        let row = shown(&pooler, find).await;
        assert_eq!((row.get("database"), row.get("user")), (Some(&*database), Some("postgres")));
        assert!(row.get("application_names").unwrap().contains("psql"));
        assert!(number(&row, "exec_us_p50") <= number(&row, "exec_us_p99"));
        assert!(number(&row, "exec_us_p99") <= number(&row, "exec_us_max"));
        let console = pooler.console().await;
        for table in ["STATEMENTS", "APPLICATIONS", "USER_STATISTICS", "REPEATS", "PARAMETERS"] {
            let rows = console.rows(&format!("SHOW {table}")).await.unwrap();
            assert_eq!(rows.is_empty(), table == "PARAMETERS", "SHOW {table}");
            let cells = rows.iter().flat_map(|row| (0..row.len()).filter_map(|place| row.get(place)));
            assert!(cells.into_iter().all(|cell| !cell.contains("secret")), "SHOW {table}");
        }
    });
    assert!(!pooler.log().contains("secret"));
}

#[test]
fn waits_of_a_pool_of_one() {
    let (database, pooler) = quotes("statement_waits", 1, &[]);
    run(async {
        let (holder, waiter) = (pooler.connect(&database).await, pooler.connect(&database).await);
        holder.batch_execute("BEGIN").await.unwrap();
        let waits = async { waiter.simple_query("SELECT 'waits'").await.unwrap() };
        let holds = async {
            let console = pooler.console().await;
            let is_waiting = async || {
                let pools = console.rows("SHOW POOLS").await.unwrap();
                pools.iter().any(|row| row.get("cl_waiting") == Some("1"))
            };
            eventually("it waits", is_waiting).await;
            holder.simple_query("SELECT pg_sleep(0.1)").await.unwrap();
            holder.batch_execute("COMMIT").await.unwrap();
        };
        tokio::join!(waits, holds);
        let row = shown(&pooler, "SELECT $1").await;
        assert_eq!((number(&row, "calls"), number(&row, "waited")), (1, 1));
        assert!(number(&row, "wait_us_mean") >= 100_000, "{row:?}");
    });
}

#[test]
fn it_is_off_where_it_is_not_wanted() {
    let (database, pooler) = quotes("statements_off", 1, &["--statement-statistics", "off"]);
    run(async {
        pooler.connect(&database).await.simple_query("SELECT 1").await.unwrap();
        assert!(pooler.console().await.rows("SHOW STATEMENTS").await.unwrap().is_empty());
    });
}

async fn one_by_one(client: &Client) {
    let list = client.query("SELECT id FROM quotes ORDER BY id LIMIT 30", &[]).await.unwrap();
    for row in list {
        let id: i32 = row.get(0);
        client.query("SELECT premium, pg_sleep(0.002) FROM quotes WHERE id = $1", &[&id]).await.unwrap();
    }
}

#[test]
fn slow_queries_tell_what_the_pooler_knows() {
    let (database, pooler) = quotes("slow_pooler", 2, &[]);
    run(async { one_by_one(&pooler.connect(&database).await).await });
    let home = TempDir::new().unwrap();
    let (url, console) = (cluster().primary().url(&database), pooler.url("pgbouncer"));
    let arguments = ["slow-queries", "--database-url", &url, "--pooler-url", &console];
    let document = json(home.path(), &arguments, &[0]);
    let statements = document["statements"].as_array().unwrap();
    let of_id = |statement: &&Value| statement["text"].as_str().unwrap().contains("WHERE id = $1");
    let figures = &statements.iter().find(of_id).unwrap()["pooler"];
    assert_eq!((figures["calls"].as_u64(), figures["errors"].as_u64()), (Some(30), Some(0)), "{document:#}");
    assert!(figures["exec_ms_p50"].as_f64().unwrap() >= 1.9, "{figures}");
    assert!(document["pooler_since"].is_string());
    let repeat = &document["pooler_repeats"][0];
    assert_eq!((repeat["bursts"].as_u64(), repeat["executions"].as_u64()), (Some(1), Some(30)), "{repeat}");
    assert_eq!(repeat["parent_text"], "SELECT id FROM quotes ORDER BY id LIMIT $1");
    let text = stdout_of(&command(home.path(), &arguments));
    assert!(
        text.contains("Repeated by one client (N+1)") && text.contains("pooler: 30 calls, p50"),
        "{text}"
    );
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");

    let nobody = format!("postgres://postgres@127.0.0.1:{}/pgbouncer", pgprime_cluster::free_port());
    let output = command(home.path(), &["slow-queries", "--database-url", &url, "--pooler-url", &nobody]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr_of(&output));
    assert!(stderr_of(&output).contains("--pooler-url"), "{}", stderr_of(&output));
    // A database is no console.
    let output = command(home.path(), &["slow-queries", "--database-url", &url, "--pooler-url", &url]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr_of(&output));
    assert!(stderr_of(&output).contains("SHOW STATEMENTS"), "{}", stderr_of(&output));
}

#[test]
fn analyze_takes_the_values_that_a_statement_was_slow_with() {
    let (database, pooler) = quotes("captured", 1, &["--capture-parameters-ms", "1"]);
    run(async { one_by_one(&pooler.connect(&database).await).await });
    let home = TempDir::new().unwrap();
    let (url, console) = (cluster().primary().url(&database), pooler.url("pgbouncer"));
    let id = "SELECT queryid FROM pg_stat_statements WHERE query LIKE 'SELECT premium%' AND dbid = \
        (SELECT oid FROM pg_database WHERE datname = current_database())";
    let id = cluster().primary().psql(&database, id).unwrap();
    let arguments = ["analyze", "--query-id", id.trim(), "--database-url", &url, "--pooler-url", &console];
    let document = json(home.path(), &arguments, &[0, 1]);
    assert_eq!(document["parameters"]["source"], "captured", "{document:#}");
    assert_eq!(document["parameters"]["values"][0]["value"], "30", "the last execution's");
    assert!(!pooler.log().contains("30\""));

    let (database, pooler) = quotes("redacted", 1, &["--capture-parameters-ms", "1", "--redact-parameters"]);
    run(async {
        one_by_one(&pooler.connect(&database).await).await;
        let rows = pooler.console().await.rows("SHOW PARAMETERS").await.unwrap();
        assert!(!rows.is_empty() && rows.iter().all(|row| row.get("complete") == Some("0")));
        assert!(
            rows.iter()
                .any(|row| row.get("parameters") == Some("[\"(int4, 4 bytes)\", \"(constant, 5 bytes)\"]")),
            "{rows:?}"
        );
    });
}
