//! What a dashboard shows while things go wrong below it.

use std::time::{Duration, Instant};

use pgprime_client::CachedSource;
use pgprime_cluster::{Cluster, ClusterOptions, StopMode};
use pgprime_views::{AdminMetrics, Changes, Figure, Figures, MetricsOptions, metrics_text};

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
    assert_eq!(days.rows[0], serde_json::json!({ "day": "2025-01-01", "amount": 50_500 }));
    let many = figure(&first, "many");
    assert_eq!((many.rows.len(), many.is_cut), (1_000, true));
    assert!(figure(&first, "none").rows.is_empty() && figure(&first, "none").error.is_none());
    let views = first.views.as_ref().unwrap();
    assert_eq!((views.views.len(), views.views[0].changes), (1, Changes::Rows(0)));
    assert_eq!(first.admin.limits.connections_max, 2);

    let second = AdminMetrics::read(&pools, &options()).await;
    assert_eq!(figure(&second, "days").source, Some(CachedSource::Memory), "{second:?}");
    assert_eq!(figure(&second, "days").rows, days.rows);
    // What depends on the time is kept as well: it may be as old as its ttl.
    assert_eq!(figure(&second, "many").source, Some(CachedSource::Memory));
    let cache = second.cache.as_ref().unwrap();
    assert!(
        cache.queries.iter().any(|query| query.label == "figure days" && query.requests == 2),
        "{cache:?}"
    );
    assert!(second.slowest.iter().any(|slow| slow.statement.contains("to_jsonb")), "{:?}", second.slowest);

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
    assert_eq!(figure(&third, "orders").rows[0]["n"], 1_000);
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
