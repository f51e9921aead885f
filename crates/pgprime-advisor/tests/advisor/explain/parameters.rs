//! Values of parameters: given, captured, sampled, or none.

use pgprime_advisor::explain::{ExplainError, ExplainRequest, Limits, ParameterSource, statement_text};
use pgprime_advisor::sql::Statement;

use super::server::{Database, database, databases};
use super::{execute, explained, plan, refused, root};

const TABLES: &str = r#"
    CREATE SCHEMA shop;
    CREATE TYPE mood AS ENUM ('sad', 'so ''so''');
    CREATE TABLE t (id int PRIMARY KEY, name text, kind text, at timestamptz, amount numeric(12, 2), feeling mood, code char(5));
    INSERT INTO t SELECT n, 'name ' || n, CASE WHEN n % 10 = 0 THEN 'rare' ELSE 'often' END,
        timestamptz '2024-01-01' + n * interval '1 hour', n, 'sad', 'ab' FROM generate_series(1, 2000) n;
"#;

fn given(text: &str, values: &[&str]) -> ExplainRequest {
    ExplainRequest {
        parameters: values.iter().map(|value| Some((*value).to_owned())).collect(),
        ..execute(text)
    }
}

#[tokio::test]
async fn given_values_of_many_types() {
    for database in databases(TABLES) {
        let client = database.client().await;
        for (text, value, rows) in [
            ("SELECT 1 FROM t WHERE id = $1", "7", 1),
            ("SELECT 1 FROM t WHERE id = $1::bigint", "7", 1),
            ("SELECT 1 WHERE 'O''Brien \\ \" $1 ; --' = $1", "O'Brien \\ \" $1 ; --", 1),
            ("SELECT 1 WHERE $1 = 'a'", "'); DROP TABLE t; --", 0),
            ("SELECT 1 FROM t WHERE at < $1", "2024-01-01 02:30:00+00", 2),
            ("SELECT 1 FROM t WHERE at < timestamptz '2024-01-01 00:30+00' + $1::interval", "1 hour", 1),
            ("SELECT 1 FROM t WHERE id = ANY ($1)", "{1,2,3}", 3),
            ("SELECT 1 FROM t WHERE amount <= $1", "2.5", 2),
            ("SELECT 1 FROM t WHERE feeling = $1 AND id < 3", "sad", 2),
            ("SELECT 1 WHERE $1::mood = 'so ''so'''", "so 'so'", 1),
            ("SELECT 1 FROM t WHERE code = $1 AND id = 1", "ab", 1),
            ("SELECT 1 WHERE $1::jsonb @> '{\"a\": 1}'", "{\"a\": 1, \"b\": \"\\u00e4\"}", 1),
            ("SELECT 1 WHERE $1::bool", "true", 1),
            ("SELECT 1 WHERE $1 = '\\xff'::bytea", "\\xff", 1),
            ("SELECT 1 FROM t WHERE id > 0 LIMIT $1", "4", 4),
        ] {
            let plan = explained(&client, &given(text, &[value])).await;
            assert_eq!(plan.parameters.source, ParameterSource::Given);
            assert_eq!(plan.parameters.values[0].value.as_deref(), Some(value));
            let actual = root(&plan)["Actual Rows"].as_f64().unwrap();
            assert!((actual - f64::from(rows)).abs() < 0.001, "{text}: {actual} rows");
        }
        assert_eq!(database.sql("SELECT count(*) FROM t"), "2000");
    }
}

#[tokio::test]
async fn given_values_that_do_not_fit() {
    let database = database(TABLES);
    let client = database.client().await;
    let error = refused(&client, &given("SELECT 1 FROM t WHERE id = $1", &["x'y"])).await.to_string();
    assert_eq!(
        error,
        "a value does not fit its parameter: invalid input syntax for type integer: \"x'y\" (parameters: $1 integer)"
    );
    let error = refused(&client, &given("SELECT 1 FROM t WHERE id = $1", &["1", "2"])).await;
    assert!(matches!(error, ExplainError::ParameterCount { given: 2, expected: 1 }), "{error}");
    let null = ExplainRequest { parameters: vec![None], ..execute("SELECT 1 FROM t WHERE id = $1") };
    assert!(explained(&client, &null).await.is_executed);
}

#[tokio::test]
async fn captured_then_sampled_values() {
    let database = database(TABLES);
    let client = database.client().await;
    let captured = |value: &str| ExplainRequest {
        captured: vec![Vec::new(), vec![Some(value.to_owned())]],
        ..execute("SELECT * FROM t WHERE id = $1")
    };
    let plan = explained(&client, &captured("12")).await;
    assert_eq!((plan.parameters.source, plan.is_executed), (ParameterSource::Captured, true));

    // What was captured does not fit any more: a sample is taken, and that is said.
    let plan = explained(&client, &captured("twelve")).await;
    assert_eq!(plan.parameters.source, ParameterSource::Sampled);
    assert!(plan.notes[0].contains("not taken"), "{:?}", plan.notes);

    for (text, origins) in [
        ("SELECT * FROM t WHERE kind = $1", vec!["often: the most common value of public.t.kind"]),
        (
            "SELECT * FROM t x WHERE x.kind IN ($1, $2)",
            vec![
                "often: the most common value of public.t.kind",
                "rare: the most common value of public.t.kind",
            ],
        ),
        (
            "SELECT * FROM t WHERE id < $1 LIMIT $2",
            vec!["1000: the middle of the histogram of public.t.id", "20: assumed for LIMIT"],
        ),
        (
            "SELECT * FROM public.t WHERE kind = ANY ($1)",
            vec!["{\"often\",\"rare\"}: common values of public.t.kind"],
        ),
    ] {
        let plan = explained(&client, &execute(text)).await;
        let values = plan.parameters.values.iter();
        let found: Vec<String> =
            values.map(|value| format!("{}: {}", value.value.as_deref().unwrap(), value.origin)).collect();
        assert_eq!(found, origins, "{text}");
        assert!(plan.is_executed);
    }
}

#[tokio::test]
async fn generic_plans_without_values() {
    for database in databases(TABLES) {
        let client = database.client().await;
        for text in [
            "SELECT * FROM t WHERE lower(name) = $1",
            "INSERT INTO t (id, name) VALUES ($1, $2)",
            "SELECT id + $1::int FROM t",
        ] {
            let plan = explained(&client, &execute(text)).await;
            assert_eq!(
                (plan.parameters.source, plan.is_executed),
                (ParameterSource::Generic, false),
                "{text}"
            );
            assert!(!plan.notes.is_empty());
        }
        let text = explained(&client, &plan("SELECT * FROM t WHERE lower(name) = $1")).await.document;
        assert!(text.contains("$1"), "on {}: {text}", database.version());
        let left = client
            .query_one("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'pgprime%'", &[])
            .await;
        assert_eq!(left.unwrap().get::<_, i64>(0), 0);
    }
}

/// A role that may not read a table sees nothing of its statistics; one that may and has none is told to analyze.
#[tokio::test]
async fn what_pg_stats_does_not_show_is_missing() {
    let database = database(TABLES);
    database.sql("CREATE TABLE empty (a int); GRANT SELECT ON empty TO PUBLIC");
    let plan = explained(&database.client().await, &plan("SELECT * FROM empty WHERE a = $1")).await;
    assert_eq!(plan.parameters.source, ParameterSource::Generic);
    assert_eq!(plan.missing[0].statement.as_deref(), Some("ANALYZE public.empty"));
}

/// What pg_stat_statements makes of statements, on the versions that are installed.
#[tokio::test]
async fn texts_of_pg_stat_statements() {
    for database in databases(TABLES) {
        let role = &database.role;
        database.sql(&format!("CREATE EXTENSION pg_stat_statements; GRANT pg_read_all_stats TO {role}"));
        let client = database.client().await;
        for text in [
            "SELECT * FROM t WHERE id IN (1, 2, 3)",
            "SELECT count(*) FROM t WHERE at > timestamptz '2024-02-01' - INTERVAL '2 days'",
            "SELECT * FROM t WHERE at >= '2024-01-05'::date ORDER BY at LIMIT 5 OFFSET 1",
            "SELECT EXTRACT(year FROM at) FROM t WHERE id = 3",
            "SELECT name || 'x', 3 FROM t WHERE kind = 'rare' AND amount BETWEEN 1 AND 2",
        ] {
            client.simple_query(text).await.unwrap();
            let id = query_id(&database, text);
            let text = statement_text(&client, id, Limits::default()).await.unwrap();
            assert!(text.contains("$1"), "{text}");
            let request = ExplainRequest::new(Statement::parse(&text).unwrap());
            let plan = explained(&client, &request).await;
            assert_ne!(plan.parameters.source, ParameterSource::None, "{text}");
        }
        let unknown = statement_text(&client, 42, Limits::default()).await.unwrap_err();
        assert!(matches!(unknown, ExplainError::UnknownQueryId { query_id: 42 }), "{unknown}");
    }
}

fn query_id(database: &Database, text: &str) -> i64 {
    let start = text.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let start: String = start.split(['(', '\'']).next().unwrap_or_default().to_owned();
    let sql = format!(
        "SELECT queryid FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid JOIN pg_database d ON d.oid = s.dbid
         WHERE rolname = '{}' AND datname = current_database() AND query LIKE '{start}%' AND query LIKE '%$%'
         AND query !~ 'SET|pgprime|pg_stat' AND calls > 0 ORDER BY abs(length(query) - {}) LIMIT 1",
        database.role,
        text.len()
    );
    database.sql(&sql).parse().unwrap_or_else(|_| panic!("{text} is not in pg_stat_statements"))
}

#[tokio::test]
async fn texts_that_cannot_be_seen() {
    let database = database(TABLES);
    let client = database.client().await;
    let missing = statement_text(&client, 1, Limits::default()).await.unwrap_err().to_string();
    assert!(missing.ends_with("to allow it: CREATE EXTENSION pg_stat_statements"), "{missing}");
    database.sql("CREATE EXTENSION pg_stat_statements");
    database.sql("SELECT 4711 AS one_of_a_superuser");
    let id = database
        .sql("SELECT queryid FROM pg_stat_statements WHERE query LIKE 'SELECT $1 AS one_of_a_superuser'");
    let id = id.parse().unwrap();
    let missing = statement_text(&client, id, Limits::default()).await.unwrap_err().to_string();
    assert!(missing.contains("GRANT pg_read_all_stats TO "), "{missing}");
    database.sql(&format!("GRANT pg_monitor TO {}", database.role));
    let text = statement_text(&database.client().await, id, Limits::default()).await.unwrap();
    assert_eq!(text, "SELECT $1 AS one_of_a_superuser");
}
