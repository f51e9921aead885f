//! Cached reads while definitions change, here and elsewhere.

use std::time::Duration;

use futures_util::future::join_all;
use pgprime_client::{CachedSource, Database, DatabaseConfig, ResultCacheConfig};

use crate::cached::{config, fetch, until_read};
use crate::support::{Place, Proxy, connect, place, run, sqlstate, until};

/// With catalogs that are read again so often.
fn refreshing(place: &Place, every: Duration) -> DatabaseConfig {
    let cache = ResultCacheConfig { schema_refresh: every, ..ResultCacheConfig::default() };
    DatabaseConfig { cache: Some(cache), ..config(place) }
}

async fn text(database: &Database, sql: &str) -> String {
    let rows = fetch(database, sql).await;
    assert_eq!(rows.not_kept(), None, "{sql}");
    rows.row(0).unwrap().get(0)
}

async fn execute(database: &Database, sql: &str) {
    database.main().execute(sql, &[]).await.unwrap();
}

#[test]
fn definitions_changed_here_are_seen_at_once() {
    run(async {
        let place = place();
        place.psql("INSERT INTO items VALUES (1, 'one', 1); INSERT INTO marks VALUES ('mark')");
        // Nothing but the changes themselves lets the catalogs be read again.
        let database = connect(refreshing(&place, Duration::from_secs(3_600))).await;
        let loads = |database: &Database| database.report().cache.unwrap().schema_loads_total;
        execute(&database, "CREATE VIEW shown AS SELECT text FROM items").await;
        for round in 0..3 {
            assert_eq!(text(&database, "SELECT text FROM shown").await, "one", "{round}");
            assert_eq!(text(&database, "SELECT text FROM shown").await, "one");
            execute(&database, "CREATE OR REPLACE VIEW shown AS SELECT key AS text FROM marks").await;
            assert_eq!(text(&database, "SELECT text FROM shown").await, "mark");
            // The tables behind it are others now.
            execute(&database, "UPDATE marks SET key = 'new'").await;
            assert_eq!(text(&database, "SELECT text FROM shown").await, "new");
            execute(&database, "UPDATE marks SET key = 'mark'").await;
            execute(&database, "CREATE OR REPLACE VIEW shown AS SELECT text FROM items").await;
        }
        assert!(loads(&database) >= 7, "{}", loads(&database));
    });
}

#[test]
fn a_column_added_and_a_table_made_again() {
    run(async {
        let place = place();
        place.psql("INSERT INTO items VALUES (1, 'one', 1)");
        let database = connect(refreshing(&place, Duration::from_secs(3_600))).await;
        let sql = "SELECT * FROM items";
        assert_eq!(fetch(&database, sql).await.columns().len(), 3);
        assert_eq!(fetch(&database, sql).await.source(), CachedSource::Memory);
        execute(&database, "ALTER TABLE items ADD more text DEFAULT 'x'").await;
        let rows = fetch(&database, sql).await;
        assert_eq!((rows.columns().len(), rows.source()), (4, CachedSource::Filled));
        execute(&database, "ALTER TABLE items ALTER n TYPE text").await;
        assert_eq!(fetch(&database, sql).await.row(0).unwrap().get::<_, &str>("n"), "1");

        execute(&database, "DROP TABLE items").await;
        assert_eq!(sqlstate(database.cached(sql, &[]).await), "42P01");
        execute(&database, "CREATE TABLE items (id bigint)").await;
        let rows = fetch(&database, sql).await;
        assert_eq!((rows.columns().len(), rows.len(), rows.not_kept()), (1, 0, None));
        execute(&database, "INSERT INTO items VALUES (7)").await;
        assert_eq!(fetch(&database, sql).await.row(0).unwrap().get::<_, i64>(0), 7);
    });
}

#[test]
fn types_of_parameters_are_learnt_again() {
    run(async {
        let place = place();
        place.psql("INSERT INTO items VALUES (1, 'one', 1)");
        let database = connect(refreshing(&place, Duration::from_secs(3_600))).await;
        let sql = "SELECT text FROM items WHERE id = $1";
        assert_eq!(database.cached(sql, &[&1_i64]).fetch_one().await.unwrap().get::<_, &str>(0), "one");
        execute(&database, "ALTER TABLE items ALTER id TYPE int").await;
        for expected in [CachedSource::Filled, CachedSource::Memory] {
            let rows = database.cached(sql, &[&1_i32]).await.unwrap();
            assert_eq!((rows.len(), rows.source()), (1, expected));
        }
        assert_eq!(sqlstate(database.cached(sql, &[&1_i64]).await), "42804");
    });
}

#[test]
fn what_others_define_is_seen_in_time() {
    run(async {
        let place = place();
        place.psql("INSERT INTO items VALUES (1, 'one', 1); CREATE VIEW shown AS SELECT text FROM items");
        let database = connect(refreshing(&place, Duration::from_secs(1))).await;
        assert_eq!(text(&database, "SELECT text FROM shown").await, "one");
        place.psql("CREATE OR REPLACE VIEW shown AS SELECT 'other'::text AS text");
        until_read("the view is seen", &database, "SELECT text FROM shown", |rows| {
            rows.row(0).unwrap().get::<_, &str>(0) == "other"
        })
        .await;
        // What was learnt outlasts catalogs that say the same.
        let loads = || database.report().cache.unwrap().schema_loads_total;
        let (sql, before) = ("SELECT text FROM items WHERE id = $1", loads());
        database.cached(sql, &[&1_i64]).await.unwrap();
        until("the catalogs are read again", || loads() > before + 1).await;
        let main = database.main();
        let _all_there_are = join_all((0..4).map(|_| main.acquire())).await;
        assert_eq!(database.cached(sql, &[&1_i64]).await.unwrap().source(), CachedSource::Memory);
    });
}

#[test]
fn tables_of_others_are_known_soon() {
    run(async {
        let place = place();
        let database = connect(refreshing(&place, Duration::from_secs(3_600))).await;
        let sql = "SELECT count(*) FROM later";
        assert_eq!(sqlstate(database.cached(sql, &[]).await), "42P01");
        place.psql("CREATE TABLE later (id int)");
        let rows = fetch(&database, sql).await;
        assert!(rows.not_kept().is_none_or(|reason| reason.contains("not known")), "{:?}", rows.not_kept());
        until_read("the table is known", &database, sql, |rows| rows.source() == CachedSource::Memory).await;
        let report = database.report().cache.unwrap();
        assert!(report.schema_loads_total <= 3, "names that are not known may not keep the catalogs busy");
    });
}

#[test]
fn old_definitions_are_not_relied_on() {
    run(async {
        let place = place();
        place.psql("INSERT INTO items VALUES (1, 'one', 1)");
        let proxy = Proxy::start(place.primary().port()).await;
        let mut config = refreshing(&place, Duration::from_millis(500));
        config.url = place.url(proxy.port());
        config.timeout = Duration::from_millis(200);
        config.connect_timeout = Duration::from_millis(200);
        let database = connect(config).await;
        let sql = "SELECT text FROM items";
        assert_eq!(text(&database, sql).await, "one");
        proxy.set_refusing(true);
        proxy.cut_all();
        until("the catalogs are too old", || {
            let report = database.report().cache.unwrap();
            report.schema_age_ms > 5 * 500 && report.schema_load_errors_total > 0
        })
        .await;
        let refused = database.cached(sql, &[]).await;
        assert!(refused.is_err(), "{refused:?}");
        let refusals = database.report().cache.unwrap().refusals;
        assert!(refusals[0].reasons[0].reason.contains("catalogs could not be read"), "{refusals:?}");
        proxy.set_refusing(false);
        until_read("it is kept again", &database, sql, |rows| rows.source() == CachedSource::Memory).await;
    });
}
