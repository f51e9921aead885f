//! What a dashboard shows while things go wrong below it.

use std::time::{Duration, Instant};

use pgprime_client::CachedSource;
use pgprime_cluster::{Cluster, ClusterOptions, StopMode};
use pgprime_views::{AdminMetrics, Changes, Figure, FigureRow, Figures, MetricsOptions, metrics_text};

use crate::cached::pools;
use crate::harness::{DAILY, Database, declared};

const FIGURES: &str = "
[[figures]]
name = 'days'
title = 'Amount by day'
sql = 'SELECT day, amount FROM daily ORDER BY day -- all of them'
ttl = '1h'
unit = 'EUR'
labels = ['day']
[[figures]]
name = 'broken'
sql = 'SELECT nothing FROM daily'
[[figures]]
name = 'many'
sql = 'SELECT id, now() AS at FROM orders o, generate_series(1, 2)'
ttl = '1h'
[[figures]]
name = 'none'
sql = 'SELECT id FROM orders WHERE id < 0'
";

fn options() -> MetricsOptions {
    let figures = Figures::from_toml(FIGURES).unwrap();
    // Longer than any machine takes; what is tested is not how long it takes.
    MetricsOptions {
        declarations: declared(DAILY),
        figures,
        timeout: Duration::from_secs(30),
        ..MetricsOptions::default()
    }
}

fn figure<'a>(metrics: &'a AdminMetrics, name: &str) -> &'a Figure {
    metrics.figures.iter().find(|figure| figure.name == name).unwrap()
}

fn missing(metrics: &AdminMetrics) -> Vec<&str> {
    metrics.missing.iter().map(|missing| missing.what.as_str()).collect()
}

#[tokio::test]
async fn one_broken_figure_does_not_keep_the_rest() {
    let database = Database::new("metrics").await;
    database.made(DAILY).await;
    let pools = pools(&database).await;
    let first = AdminMetrics::read(&pools, &options()).await;
    assert_eq!(missing(&first), ["broken"], "{first:?}");
    assert!(
        !first.is_well() && first.missing[0].why.contains("column \"nothing\" does not exist"),
        "{first:?}"
    );
    let days = figure(&first, "days");
    assert_eq!(
        (days.rows.len(), days.source, days.is_cut),
        (10, Some(CachedSource::Filled), false),
        "{days:?}"
    );
    assert_eq!(serde_json::to_string(&days.rows[0]).unwrap(), r#"{"day":"2025-01-01","amount":50500}"#);
    let many = figure(&first, "many");
    assert_eq!((many.rows.len(), many.is_cut), (1_000, true));
    assert!(figure(&first, "none").rows.is_empty() && figure(&first, "none").error.is_none());
    let views = first.views.as_ref().unwrap();
    assert_eq!((views.views.len(), views.views[0].changes), (1, Changes::Rows(0)));
    assert_eq!(first.admin.limits.connections_max, 2);

    let second = AdminMetrics::read(&pools, &options()).await;
    assert_eq!(figure(&second, "days").source, Some(CachedSource::Memory), "{second:?}");
    assert_eq!(document(&figure(&second, "days").rows), document(&days.rows));
    // What depends on the time is kept as well: it may be as old as its ttl.
    assert_eq!(figure(&second, "many").source, Some(CachedSource::Memory));
    let cache = second.cache.as_ref().unwrap();
    assert!(
        cache.queries.iter().any(|query| query.label == "figure days" && query.requests == 2),
        "{cache:?}"
    );
    assert!(second.slowest.iter().any(|slow| slow.statement.contains("row_to_json")), "{:?}", second.slowest);

    let text = metrics_text(&second);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    for words in [
        "Amount by day in EUR (from the cache, ",
        "  2025-01-01: amount 50500",
        "and at least 990 more rows",
        "public.daily: age ",
        "Missing",
    ] {
        assert!(text.contains(words), "{words} is not in\n{text}");
    }
    let document = serde_json::to_value(&second).unwrap();
    assert_eq!(document["figures"][0]["source"], "memory");
    assert_eq!(document["views"]["views"][0]["view"], "public.daily");
}

fn document(rows: &[FigureRow]) -> String {
    serde_json::to_string(rows).unwrap()
}

#[tokio::test]
async fn whatever_a_query_gives_is_shown_as_it_is() {
    let database = Database::new("metrics_odd").await;
    let pools = pools(&database).await;
    let figures = [
        // The columns in their order, and every digit.
        (
            "SELECT 350.50::numeric AS z, repeat('9', 40)::numeric AS digits, 1e400::numeric / 1e399 AS y, \
             9007199254740993::bigint AS a, 'NaN'::float8 AS nan, NULL::int AS none, ARRAY[1, NULL] AS list, \
             '{\"b\": 1, \"a\": [2]}'::json AS doc, date '2025-01-01' AS day",
            r#"[{"z":350.50,"digits":9999999999999999999999999999999999999999,"y":10.0000000000000000,"a":9007199254740993,"nan":"NaN","none":null,"list":[1,null],"doc":{"b": 1, "a": [2]},"day":"2025-01-01"}]"#,
        ),
        ("SELECT 1 AS q, 2 AS json", r#"[{"q":1,"json":2}]"#),
        ("SELECT 1 AS a, 2 AS a", r#"[{"a":2}]"#),
        ("SELECT", "[{}]"),
    ];
    for (sql, expected) in figures {
        let read = one(&pools, sql).await;
        assert_eq!((read.error.as_deref(), document(&read.rows).as_str()), (None, expected), "{sql}");
    }
    let huge = one(&pools, "SELECT 1e400::numeric AS huge").await;
    assert_eq!(huge.rows[0].get("huge").map(str::len), Some(401), "{huge:?}");
    let deep = one(&pools, "SELECT (repeat('[', 1000) || repeat(']', 1000))::json AS deep").await;
    assert_eq!(deep.rows.len(), 1, "{deep:?}");
    // What nobody could read is not sent to browsers.
    let wide = one(&pools, "SELECT repeat('x', 20000000) AS wide").await;
    assert!(wide.error.as_ref().is_some_and(|error| error.contains("longer than 16384 letters")), "{wide:?}");
    let many = one(&pools, "SELECT repeat('x', 10000) AS wide FROM generate_series(1, 500)").await;
    assert!(many.is_cut && (100..105).contains(&many.rows.len()), "{}", many.rows.len());
    // It is a query and no more than that.
    for sql in ["DELETE FROM orders RETURNING 1", "WITH gone AS (DELETE FROM orders RETURNING 1) SELECT 1"] {
        assert!(one(&pools, sql).await.error.is_some(), "{sql}");
    }
    assert_eq!(one(&pools, "SELECT count(*) AS n FROM orders").await.rows[0].get("n"), Some("1000"));
}

/// One figure of this query.
async fn one(pools: &pgprime_client::Database, sql: &str) -> Figure {
    let figures = Figures::from_toml(&format!("[[figures]]\nname = 'one'\nsql = \"\"\"{sql}\"\"\"")).unwrap();
    let options = MetricsOptions { figures, timeout: Duration::from_secs(30), ..MetricsOptions::default() };
    AdminMetrics::read(pools, &options).await.figures.remove(0)
}

#[tokio::test]
async fn slow_figures_go_on_once_and_leave_a_connection() {
    let database = Database::new("metrics_slow").await;
    database.made(DAILY).await;
    let pools = pools(&database).await;
    let slow = |name: &str| format!("[[figures]]\nname = '{name}'\nsql = 'SELECT pg_sleep(600), random()'\n");
    let figures = Figures::from_toml(&["a", "b", "c"].map(slow).concat()).unwrap();
    let options = MetricsOptions { figures, timeout: Duration::from_secs(3), ..options() };
    let running = |count: u32| {
        format!(
            "SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' \
             AND query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()) = {count}"
        )
    };
    // Two connections: one goes on with a figure, whoever looks, and one is left for the views.
    for _ in 0..3 {
        let found = AdminMetrics::read(&pools, &options).await;
        assert_eq!(missing(&found), ["a", "b", "c"], "{found:?}");
        database.wait(&running(1)).await;
    }
    // Whoever looks no more leaves nothing behind.
    drop(options);
    database.wait(&running(0)).await;
}

#[tokio::test]
async fn an_older_figure_is_shown_while_it_is_read_anew() {
    let database = Database::new("metrics_stale").await;
    let pools = pools(&database).await;
    let figure = "[[figures]]\nname = 'orders'\nttl = '1s'\nsql = 'SELECT count(*) AS n FROM orders'";
    let figures = Figures::from_toml(figure).unwrap();
    let options = MetricsOptions { figures, timeout: Duration::from_secs(30), ..MetricsOptions::default() };
    let first = AdminMetrics::read(&pools, &options).await;
    assert_eq!(first.figures[0].source, Some(CachedSource::Filled));
    // It is past its time at some look; on a busy machine it may be too old by then, and the next time counts.
    let deadline = Instant::now() + Duration::from_secs(60);
    while AdminMetrics::read(&pools, &options).await.figures[0].source != Some(CachedSource::Stale) {
        assert!(Instant::now() < deadline, "no look was served what was being read anew");
    }
}

#[tokio::test]
async fn a_view_dropped_and_a_table_altered_between_two_looks() {
    let database = Database::new("metrics_altered").await;
    database.made(DAILY).await;
    let pools = pools(&database).await;
    let mut options = options();
    options.figures = Figures::from_toml(
        "[[figures]]\nname = 'days'\nsql = 'SELECT * FROM daily'\nttl = '1s'\n\
         [[figures]]\nname = 'orders'\nsql = 'SELECT count(*) AS n, max(amount) AS m FROM orders'\nttl = '1s'",
    )
    .unwrap();
    let first = AdminMetrics::read(&pools, &options).await;
    assert!(first.is_well(), "{first:?}");

    // Through the pools, so that nothing has to be waited for.
    database.psql("DROP MATERIALIZED VIEW daily").await;
    pools.main().execute("ALTER TABLE orders RENAME COLUMN amount TO total", &[]).await.unwrap();
    let second = AdminMetrics::read(&pools, &options).await;
    assert_eq!(missing(&second), ["days", "orders"], "{second:?}");
    assert!(!second.views.as_ref().unwrap().views[0].exists && !second.is_well());
    assert!(metrics_text(&second).contains("public.daily: MISSING"), "{}", metrics_text(&second));

    pools.main().execute("ALTER TABLE orders RENAME COLUMN total TO amount", &[]).await.unwrap();
    database.made(DAILY).await;
    pools.main().execute("ALTER TABLE orders ADD COLUMN note text", &[]).await.unwrap();
    let third = AdminMetrics::read(&pools, &options).await;
    assert!(third.is_well(), "{third:?}");
    assert_eq!(figure(&third, "orders").rows[0].get("n"), Some("1000"));
}

#[tokio::test]
async fn where_nothing_is_set_up_the_rest_is_there() {
    let database = Database::new("metrics_bare").await;
    let pools = pools(&database).await;
    let found = AdminMetrics::read(&pools, &options()).await;
    assert_eq!(missing(&found), ["views", "days", "broken"], "{found:?}");
    assert!(found.missing[0].why.ends_with("run `pgprime views apply`"), "{found:?}");
    assert_eq!(figure(&found, "many").rows.len(), 1_000);
    // Without declarations nothing is missing.
    let nothing = AdminMetrics::read(&pools, &MetricsOptions::default()).await;
    assert!(nothing.is_well() && nothing.views.is_none() && nothing.figures.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_stopped_what_is_kept_is_shown() {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let name = cluster.test_database("stopped").unwrap();
    let database = Database::on(cluster.primary(), name).await;
    database.made(DAILY).await;
    let pools = pools(&database).await;
    assert_eq!(missing(&AdminMetrics::read(&pools, &options()).await), ["broken"]);
    drop(database.client);
    cluster.primary().stop(StopMode::Fast).unwrap();

    let options = MetricsOptions { timeout: Duration::from_millis(500), ..options() };
    let began = Instant::now();
    let found = AdminMetrics::read(&pools, &options).await;
    // Far more than the limit, and far less than a hang.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(found.views.is_none() && missing(&found).contains(&"views"), "{found:?}");
    assert_eq!(figure(&found, "days").source, Some(CachedSource::Memory), "{found:?}");
    assert!(metrics_text(&found).contains("views: "));

    cluster.primary().start().unwrap();
    let options = MetricsOptions { timeout: Duration::from_secs(30), ..options };
    let again = AdminMetrics::read(&pools, &options).await;
    assert_eq!(missing(&again), ["broken"], "{again:?}");
    assert!(again.views.is_some());
}
