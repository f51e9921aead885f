//! What could do harm is refused before anything runs.

use std::time::{Duration, Instant};

use pgprime_advisor::explain::{ExplainError, ExplainRequest, Limits, Superuser, explain};

use super::server::{Database, database, databases};
use super::{execute, explained, plan, refused};

/// Traps: everything in it leaves a trace when it runs, in a sequence, which a rollback does not take back.
const TRAPS: &str = "
    CREATE SEQUENCE trap;
    CREATE TABLE t (id int PRIMARY KEY, name text, amount numeric, data jsonb);
    INSERT INTO t SELECT n, 'name ' || n % 10, n, '{}' FROM generate_series(1, 1000) n;
    CREATE FUNCTION spring() RETURNS int LANGUAGE sql AS 'SELECT nextval(''public.trap'')::int';
    CREATE FUNCTION spring_of(t) RETURNS int LANGUAGE sql AS 'SELECT nextval(''public.trap'')::int';
    CREATE FUNCTION falsely_immutable(int) RETURNS int IMMUTABLE LANGUAGE plpgsql
        AS 'BEGIN PERFORM nextval(''public.trap''); RETURN 1; END';
    CREATE VIEW harmless_view AS SELECT id, lower(name) AS name, amount + 1 AS more FROM t WHERE id BETWEEN 1 AND 500;
    CREATE VIEW trap_view AS SELECT id, spring() FROM t;
    CREATE VIEW view_of_view AS SELECT v.id FROM (SELECT * FROM trap_view) v JOIN t USING (id);
    CREATE VIEW view_with_sleep AS SELECT id FROM t WHERE pg_sleep(0) IS NOT NULL;
    CREATE VIEW view_with_xml AS SELECT table_to_xml('trap_view', true, true, '');
    CREATE FUNCTION compare(text, int) RETURNS bool IMMUTABLE LANGUAGE plpgsql
        AS 'BEGIN PERFORM nextval(''public.trap''); RETURN true; END';
    CREATE OPERATOR ### (LEFTARG = text, RIGHTARG = int, FUNCTION = compare);
";

fn is_quiet(database: &Database) -> bool {
    database.sql("SELECT is_called FROM trap") == "f"
}

#[tokio::test]
async fn hidden_functions_are_found() {
    for database in databases(TRAPS) {
        let client = database.client().await;
        for text in [
            "SELECT spring()",
            "SELECT falsely_immutable(1)",
            "SELECT t.spring_of FROM t",
            "SELECT (t).spring_of FROM t",
            "SELECT (x.y).spring_of FROM (SELECT t AS y FROM t) x",
            "SELECT * FROM trap_view",
            "SELECT * FROM public.view_of_view",
            "WITH trap_view AS (SELECT * FROM trap_view) SELECT * FROM trap_view",
            "SELECT 1 WHERE EXISTS (SELECT FROM t JOIN view_of_view v ON v.id = t.id)",
            "SELECT * FROM view_with_sleep",
            "SELECT * FROM view_with_xml",
            "SELECT 'a'::text ### 1",
            "SELECT 'a'::text OPERATOR(public.###) 1",
        ] {
            let error = refused(&client, &execute(text)).await;
            assert!(matches!(error, ExplainError::Refused(_)), "{text}: {error}");
            assert!(is_quiet(&database), "{text} ran on {}", database.version());
        }
    }
}

#[tokio::test]
async fn harmless_reads_are_executed() {
    for database in databases(TRAPS) {
        let client = database.client().await;
        for text in [
            "SELECT * FROM t WHERE id = 7",
            "SELECT name, count(*), sum(amount) FROM t GROUP BY name ORDER BY 2 DESC LIMIT 3",
            "SELECT * FROM harmless_view WHERE more > 3",
            "SELECT data->>'a', t.name FROM t WHERE name LIKE 'name%' AND id IN (1, 2)",
            "SELECT relname FROM pg_catalog.pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace",
            "SELECT table_name FROM information_schema.tables",
            "SELECT id::text::varchar(3), date '2024-01-01' + id FROM t; -- a comment",
        ] {
            let plan = explained(&client, &execute(text)).await;
            assert!(plan.is_executed && plan.document.contains("Actual Rows"), "{text}");
            let plan = explained(&client, &super::plan(text)).await;
            assert!(!plan.is_executed && !plan.document.contains("Actual Rows"), "{text}");
        }
        assert!(is_quiet(&database));
    }
}

/// Each in a database of its own: one such object makes many statements suspicious.
#[tokio::test]
async fn objects_of_the_database_with_effects_are_found() {
    for (setup, text) in [
        // A function named like a harmless one in a schema that is searched.
        ("CREATE FUNCTION lower(varchar) RETURNS text LANGUAGE sql AS 'SELECT nextval(''trap'')::text'", "SELECT lower(name::varchar) FROM t"),
        // An implicit cast, and one that is written.
        (
            "CREATE TYPE mood AS ENUM ('a'); CREATE FUNCTION to_int(mood) RETURNS int LANGUAGE sql AS 'SELECT nextval(''trap'')::int';
             CREATE CAST (mood AS int) WITH FUNCTION to_int(mood) AS IMPLICIT",
            "SELECT 'a'::mood + 1",
        ),
        (
            "CREATE TYPE mood AS ENUM ('a'); CREATE FUNCTION to_int(mood) RETURNS int LANGUAGE sql AS 'SELECT nextval(''trap'')::int';
             CREATE CAST (mood AS int) WITH FUNCTION to_int(mood)",
            "SELECT 'a'::mood::int",
        ),
        (
            "CREATE TYPE mood AS ENUM ('a'); CREATE FUNCTION to_js(mood) RETURNS json LANGUAGE sql AS 'SELECT to_json(nextval(''trap''))';
             CREATE CAST (mood AS json) WITH FUNCTION to_js(mood)",
            "SELECT to_json('a'::mood)",
        ),
        // A domain's check, alone, in an array, in a row, behind another domain, and in a view.
        ("CREATE DOMAIN d AS int CHECK (spring() > 0 AND VALUE > 0)", "SELECT 1::d"),
        ("CREATE DOMAIN d AS int CHECK (spring() > 0)", "SELECT '{1,2}'::d[]"),
        ("CREATE DOMAIN d AS int CHECK (spring() > 0); CREATE DOMAIN e AS d", "SELECT CAST(1 AS e)"),
        ("CREATE DOMAIN d AS int CHECK (spring() > 0); CREATE TYPE row_type AS (a d)", "SELECT '(1)'::row_type"),
        ("CREATE DOMAIN d AS int CHECK (spring() > 0); CREATE VIEW v AS SELECT id::d FROM t", "SELECT * FROM v"),
        // Row-level security.
        ("ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (spring() > 0)", "SELECT * FROM t"),
        // A policy that reads a view.
        ("ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (EXISTS (SELECT FROM trap_view))", "SELECT * FROM t"),
        // What another server does.
        ("CREATE EXTENSION file_fdw; CREATE SERVER s FOREIGN DATA WRAPPER file_fdw; CREATE FOREIGN TABLE f (a text) SERVER s OPTIONS (program 'false')", "SELECT * FROM f"),
        (
            "CREATE EXTENSION file_fdw; CREATE SERVER s FOREIGN DATA WRAPPER file_fdw; CREATE TABLE parent (a text) PARTITION BY LIST (a);
             CREATE FOREIGN TABLE f PARTITION OF parent DEFAULT SERVER s OPTIONS (program 'false')",
            "SELECT * FROM parent",
        ),
        // pg_catalog is not searched first.
        ("CREATE FUNCTION upper(text) RETURNS text LANGUAGE sql AS 'SELECT nextval(''public.trap'')::text'; ALTER DATABASE :db SET search_path = public, pg_catalog", "SELECT upper('a')"),
        // An operator that other syntax stands for.
        ("CREATE OPERATOR = (LEFTARG = text, RIGHTARG = int, FUNCTION = compare)", "SELECT 1 FROM t WHERE name IN (1)"),
        ("CREATE OPERATOR = (LEFTARG = text, RIGHTARG = int, FUNCTION = compare)", "SELECT CASE name WHEN 1 THEN 2 END FROM t"),
        ("CREATE OPERATOR <= (LEFTARG = text, RIGHTARG = int, FUNCTION = compare)", "SELECT 1 FROM t WHERE name NOT BETWEEN 1 AND 2"),
        ("CREATE OPERATOR ~~ (LEFTARG = text, RIGHTARG = int, FUNCTION = compare)", "SELECT 1 FROM t WHERE name LIKE 1"),
        ("CREATE OPERATOR = (LEFTARG = text, RIGHTARG = int, FUNCTION = compare); CREATE TABLE u (name int)", "SELECT 1 FROM t JOIN u USING (name)"),
        // A function of the server's own, behind an operator.
        ("CREATE OPERATOR @@@ (LEFTARG = regclass, RIGHTARG = int8, FUNCTION = setval)", "SELECT 'trap'::regclass @@@ 5"),
    ] {
        let database = database(TRAPS);
        let name = database.sql("SELECT current_database()");
        database.sql(&setup.replace(":db", &name));
        database.sql(&format!("GRANT ALL ON ALL TABLES IN SCHEMA public TO {}", database.role));
        let client = database.client().await;
        let error = refused(&client, &execute(text)).await;
        assert!(matches!(error, ExplainError::Refused(_)), "{text}: {error}");
        assert!(is_quiet(&database), "{text}");
    }
}

#[tokio::test]
async fn what_changes_data_is_planned_and_nothing_else() {
    for database in databases(TRAPS) {
        let client = database.client().await;
        for text in [
            "INSERT INTO t (id) VALUES (nextval('trap'))",
            "UPDATE t SET amount = spring() WHERE id = 1",
            "DELETE FROM t WHERE id < 10",
            "WITH d AS (DELETE FROM t RETURNING *) SELECT count(*) FROM d",
            "SELECT * FROM t WHERE id = 1 FOR UPDATE",
        ] {
            let plan = explained(&client, &execute(text)).await;
            assert!(
                !plan.is_executed && plan.notes.iter().any(|note| note.contains("planned but not executed")),
                "{text}"
            );
        }
        assert_eq!(database.sql("SELECT count(*) FROM t"), "1000");
        assert!(is_quiet(&database));
    }
}

#[tokio::test]
async fn other_sessions_live_on() {
    let database = database(TRAPS);
    let victim = database.client().await;
    let pid: i32 = victim.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let client = database.client().await;
    for text in [
        format!("SELECT pg_terminate_backend({pid})"),
        format!("SELECT 1 WHERE pg_catalog.\"pg_cancel_backend\"({pid})"),
        format!("WITH x AS MATERIALIZED (SELECT pg_terminate_backend({pid})) SELECT * FROM x"),
        "SELECT (SELECT pg_read_file('/etc/passwd'))".to_owned(),
    ] {
        for request in [plan(&text), execute(&text)] {
            let error = refused(&client, &request).await;
            assert!(error.to_string().contains("nothing was executed"), "{text}: {error}");
        }
    }
    victim.simple_query("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn superusers_execute_only_if_allowed() {
    let database = database(TRAPS);
    let client = database.superuser().await;
    let error = refused(&client, &execute("SELECT 1")).await;
    assert!(error.to_string().contains("is a superuser"), "{error}");
    explained(&client, &plan("SELECT 1")).await;
    let allowed = ExplainRequest { superuser: Superuser::Allowed, ..execute("SELECT 1") };
    assert!(explained(&client, &allowed).await.is_executed);
}

fn limits(statement_ms: u64, lock_ms: u64) -> Limits {
    Limits {
        statement_timeout: Duration::from_millis(statement_ms),
        lock_timeout: Duration::from_millis(lock_ms),
    }
}

#[tokio::test]
async fn long_statements_are_stopped() {
    let database = database(TRAPS);
    let client = database.client().await;
    let long = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b";
    let started = Instant::now();
    let error = refused(&client, &ExplainRequest { limits: limits(300, 100), ..execute(long) }).await;
    assert!(matches!(error, ExplainError::TimedOut { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let with_value = format!("{long} WHERE a > $1");
    let request = ExplainRequest {
        parameters: vec![Some("1".to_owned())],
        limits: limits(300, 100),
        ..execute(&with_value)
    };
    let error = refused(&client, &request).await;
    assert!(matches!(error, ExplainError::TimedOut { .. }), "{error}");
    clean(&client).await;
}

/// Nothing is left in the session: no transaction, no prepared statement, no setting.
async fn clean(client: &tokio_postgres::Client) {
    let left = "SELECT (SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'pgprime%')::text
        || current_setting('lock_timeout') || current_setting('plan_cache_mode') || current_setting('transaction_read_only')";
    let row = client.query_one(left, &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "00autooff");
}

#[tokio::test]
async fn locks_are_not_waited_for() {
    let database = database(TRAPS);
    let holder = database.superuser().await;
    holder.batch_execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let client = database.client().await;
    for text in ["SELECT * FROM t", "SELECT * FROM t WHERE id = $1"] {
        for request in [plan(text), execute(text)] {
            let error = refused(&client, &ExplainRequest { limits: limits(10_000, 50), ..request }).await;
            assert!(matches!(error, ExplainError::Locked { .. }), "{error}");
        }
    }
    clean(&client).await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    explained(&client, &execute("SELECT * FROM t")).await;
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let database = database(TRAPS);
    let client = database.client().await;
    for (text, said) in [
        ("SELECT * FROM nowhere", "relation \"nowhere\" does not exist, at line 1, column 15: nowhere"),
        (
            "SELECT 'ä',\n nothing FROM t",
            "column \"nothing\" does not exist, at line 2, column 2: nothing FROM t",
        ),
        (
            "SELECT * FROM t WHERE nothing = $1",
            "column \"nothing\" does not exist, at line 1, column 23: nothing = $1",
        ),
        ("SELECT $1 + $2", "operator is not unique: unknown + unknown, at line 1, column 11: + $2"),
        ("SELECT * FROM t WHERE $1 IS NULL", "could not determine data type of parameter $1"),
    ] {
        let error = refused(&client, &plan(text)).await.to_string();
        assert!(error.starts_with(said), "{text}: {error}");
    }
    database.sql("REVOKE ALL ON t FROM PUBLIC; CREATE ROLE plain_reader LOGIN");
    let plain = database.client_as("plain_reader").await;
    let error = refused(&plain, &plan("SELECT * FROM t")).await.to_string();
    database.sql("DROP ROLE plain_reader");
    assert!(error.ends_with("GRANT SELECT ON \"t\" TO \"plain_reader\""), "{error}");
    let parameters = ExplainRequest { parameters: vec![None], ..plan("SELECT 1") };
    assert!(matches!(
        refused(&client, &parameters).await,
        ExplainError::ParameterCount { given: 1, expected: 0 }
    ));
    assert!(explain(&client, &plan("SELECT 1")).await.is_ok());
    clean(&client).await;
}
