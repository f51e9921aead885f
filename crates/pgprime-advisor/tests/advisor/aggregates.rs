//! Views for aggregations: what is read from a suggested view is what the statement says.

use pgprime_advisor::aggregates::{ViewOptions, ViewSuggestions, suggest, text};
use pgprime_advisor::indexes::{Workload, WorkloadQuery};

use crate::space::{connect, database};

const QUOTES: &str = "
    CREATE TABLE quotes (id int PRIMARY KEY, status text NOT NULL, product text NOT NULL, premium numeric NOT NULL,
        created_at timestamptz NOT NULL, agent int NOT NULL);
    INSERT INTO quotes SELECT i, (ARRAY['open', 'bound', 'lost'])[1 + i % 3], 'p' || i % 5, i % 700,
        '2026-01-01'::timestamptz + (i % 90) * interval '1 day', i % 40 FROM generate_series(1, 30000) i;
    CREATE TABLE agents (id int PRIMARY KEY, name text NOT NULL);
    INSERT INTO agents SELECT i, 'agent ' || i FROM generate_series(0, 39) i;";

fn workload(queries: &[&str]) -> Workload {
    let query = |(place, text): (usize, &&str)| WorkloadQuery {
        id: format!("q{place}"),
        text: (*text).to_owned(),
        weight: 200.0,
        mean_ms: Some(120.0),
        rows: None,
        parameters: Vec::new(),
    };
    Workload { queries: queries.iter().enumerate().map(query).collect(), seconds: Some(3_600.0) }
}

#[tokio::test]
async fn what_is_read_from_a_view_is_what_the_statement_says() {
    let (node, database) = database("views");
    node.psql(&database, QUOTES).unwrap();
    node.psql(&database, "ANALYZE").unwrap();
    let client = connect(node, &database, "postgres").await;
    for (statement, values, key, view) in [
        (
            "SELECT date_trunc('day', created_at) AS day, status, count(*), sum(premium) FROM quotes GROUP BY 1, 2 ORDER BY 1 DESC, 2",
            &[][..],
            &["day", "status"][..],
            "quotes_by_day_status",
        ),
        (
            "SELECT product, avg(premium), count(*) FROM quotes WHERE status = $1 GROUP BY product ORDER BY 3 DESC, product LIMIT 3",
            &["bound"],
            &["product", "status"],
            "quotes_by_product_status",
        ),
        (
            "SELECT count(*), max(premium) AS most FROM quotes WHERE status = $1 AND agent = $2",
            &["open", "7"],
            &["status", "agent"],
            "quotes_by_status_agent",
        ),
        ("SELECT count(*) FROM quotes", &[], &["count"], "quotes_totals"),
        (
            "SELECT a.name, count(*) AS quotes, sum(q.premium) FILTER (WHERE q.status = 'bound') AS won FROM quotes q \
             JOIN agents a ON a.id = q.agent GROUP BY a.name HAVING count(*) > 10 ORDER BY won DESC NULLS LAST, a.name LIMIT 5 OFFSET 2",
            &[],
            &["name"],
            "agents_by_name",
        ),
        ("SELECT count(*), count(*) FROM quotes GROUP BY status ORDER BY 1", &[], &[], "quotes_groups"),
        (
            "SELECT upper(status), min(premium) FROM quotes GROUP BY upper(status) ORDER BY upper(status)",
            &[],
            &["upper"],
            "quotes_by_upper",
        ),
    ] {
        let found = suggest(&client, &workload(&[statement]), &ViewOptions::default()).await.unwrap();
        assert_eq!(found.suggestions.len(), 1, "{statement}: {found:?}");
        let one = &found.suggestions[0];
        assert_eq!(
            (one.name.as_str(), one.unique_key.as_slice()),
            (view, &key.iter().map(|k| (*k).to_owned()).collect::<Vec<_>>()[..]),
            "{one:?}"
        );
        assert!(one.saved_ms_per_hour > 0.0 && one.reader_ms < one.query_ms && one.rows > 0.0, "{one:?}");
        let create = format!("CREATE MATERIALIZED VIEW {} AS {}", one.name, one.definition);
        node.psql(&database, &create).unwrap();
        if !key.is_empty() {
            let unique = format!("CREATE UNIQUE INDEX ON {} ({})", one.name, key.join(", "));
            node.psql(&database, &unique).unwrap();
            node.psql(&database, &format!("REFRESH MATERIALIZED VIEW CONCURRENTLY {}", one.name)).unwrap();
        }
        let with = |sql: &str| {
            values.iter().enumerate().fold(sql.to_owned(), |sql, (place, value)| {
                sql.replace(&format!("${}", place + 1), &format!("'{value}'"))
            })
        };
        let (asked, read) = (
            node.psql(&database, &with(statement)).unwrap(),
            node.psql(&database, &with(&one.reader)).unwrap(),
        );
        assert_eq!(read, asked, "{statement}\n{one:?}");
        assert!(!read.is_empty());
        node.psql(&database, &format!("DROP MATERIALIZED VIEW {}", one.name)).unwrap();
    }
}

async fn of(queries: &[&str]) -> ViewSuggestions {
    let (node, database) = database("noviews");
    node.psql(&database, QUOTES).unwrap();
    node.psql(&database, "ANALYZE").unwrap();
    // Groups that do not fit cost much, and before version 15 hashes have half the room.
    node.psql("postgres", &format!("ALTER DATABASE {database} SET work_mem = '64MB'")).unwrap();
    let client = connect(node, &database, "postgres").await;
    suggest(&client, &workload(queries), &ViewOptions::default()).await.unwrap()
}

#[tokio::test]
async fn what_makes_no_view_is_told_or_passed_over() {
    let unsuitable = [
        ("SELECT count(*) FROM quotes WHERE premium > $1", "one value of a column"),
        (
            "SELECT status, count(*) FROM quotes WHERE status = $1 OR agent = $2 GROUP BY status",
            "one value of a column",
        ),
        ("SELECT *, count(*) FROM quotes GROUP BY id", "all columns"),
        ("SELECT status, sum(random()) FROM quotes GROUP BY status", "something else each time"),
        ("SELECT id, sum(premium) FROM quotes GROUP BY id", "would save"),
        ("SELECT count(*) FROM missing", "missing"),
        (
            "SELECT status FROM quotes GROUP BY status ORDER BY max(premium) LIMIT 1",
            "its order is by something",
        ),
    ];
    let passed = [
        "SELECT * FROM quotes WHERE id = $1",
        "UPDATE quotes SET premium = 0",
        "SELEC",
        "SELECT count(*) FROM quotes FOR UPDATE",
    ];
    let all: Vec<&str> = unsuitable.iter().map(|(text, _)| *text).chain(passed).collect();
    let found = of(&all).await;
    assert!(found.suggestions.is_empty(), "{found:?}");
    assert_eq!(found.unsuitable.len(), unsuitable.len(), "{found:?}");
    for (statement, reason) in unsuitable {
        let one = found.unsuitable.iter().find(|one| one.query == statement).unwrap();
        assert!(one.reason.contains(reason), "{one:?}");
    }
    assert!(text(&found).contains("No aggregation"), "{}", text(&found));
}

#[tokio::test]
async fn the_clock_and_missing_rows_are_pointed_out() {
    let found = of(&[
        "SELECT status, count(*) FROM quotes WHERE created_at > now() - interval '30 days' GROUP BY status",
        "SELECT status, count(*) FROM quotes WHERE created_at > CURRENT_DATE - 30 GROUP BY status",
        "SELECT sum(premium) FROM quotes WHERE agent = $1",
    ])
    .await;
    assert_eq!(found.suggestions.len(), 3, "{found:?}");
    for one in &found.suggestions {
        let expected = if one.query.contains("created_at") { "clock" } else { "no row" };
        assert!(one.notes.iter().any(|note| note.contains(expected)), "{one:?}");
    }
    let names: std::collections::HashSet<&str> =
        found.suggestions.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    let text = text(&found);
    assert!(text.contains("CREATE UNIQUE INDEX") && text.contains("read it by: SELECT"), "{text}");
    for one in &found.suggestions {
        assert!(one.reader.contains(&format!(" FROM {}", one.name)), "{one:?}");
    }
}
