//! Writers outside: the trigger, and the session that hears it.

use std::time::Duration;

use pgprime_client::outside::{self, Watched};
use pgprime_client::{CachedSource, Database, DatabaseConfig, HearingReport, ResultCacheConfig, WhileDeaf};
use pgprime_cluster::StopMode;
use tokio_postgres::Client;

use crate::cached::{config, fetch, until_read};
use crate::pgbouncer;
use crate::support::{Place, Proxy, connect, disturbed_place, place, run, sqlstate, until};

pub(crate) const SUM: &str = "SELECT coalesce(sum(n), 0)::bigint FROM items";

pub(crate) async fn client(place: &Place) -> Client {
    let url = place.url(place.primary().port());
    pgprime_client::connect(&url, Duration::from_secs(10)).await.unwrap().client
}

pub(crate) fn listening(place: &Place, listen_url: String) -> DatabaseConfig {
    let cache = ResultCacheConfig { listen_url: Some(listen_url), ..ResultCacheConfig::default() };
    DatabaseConfig { cache: Some(cache), ..config(place) }
}

pub(crate) fn hearing(database: &Database) -> HearingReport {
    database.report().cache.unwrap().hearing
}

pub(crate) async fn sum(database: &Database) -> i64 {
    fetch(database, SUM).await.row(0).unwrap().get(0)
}

/// Waits until a read is served from memory.
pub(crate) async fn kept(database: &Database, sql: &str) {
    until_read("it is kept", database, sql, |rows| rows.source() == CachedSource::Memory).await;
}

#[test]
fn what_others_write_is_heard() {
    run(async {
        let place = place();
        outside::install(&client(&place).await, &["items"]).await.unwrap();
        let database = connect(listening(&place, place.url(place.primary().port()))).await;
        assert!(hearing(&database).hears);
        for (number, sql) in [
            "INSERT INTO items (id, n) VALUES (1, 10), (2, 10)",
            "UPDATE items SET n = n + 1",
            "DELETE FROM items WHERE id = 2",
            "COPY items (id, n) FROM PROGRAM 'echo 3,5' WITH (FORMAT csv)",
            "BEGIN; SET LOCAL session_replication_role = replica; UPDATE items SET n = 3; COMMIT",
            "TRUNCATE items",
        ]
        .into_iter()
        .enumerate()
        {
            kept(&database, SUM).await;
            place.psql(sql);
            let truth: i64 = place.psql(SUM).parse().unwrap();
            until_read(sql, &database, SUM, |rows| rows.row(0).unwrap().get::<_, i64>(0) == truth).await;
            assert!(hearing(&database).heard_total > u64::try_from(number).unwrap());
        }
        // What is rolled back is not said, and what is not watched is not heard.
        kept(&database, SUM).await;
        let before = hearing(&database).heard_total;
        place.psql("BEGIN; INSERT INTO items (id) VALUES (7); ROLLBACK; INSERT INTO marks VALUES ('x')");
        place.psql("INSERT INTO items (id) VALUES (8)");
        until("that is heard", || hearing(&database).heard_total > before).await;
        assert_eq!(hearing(&database).heard_total, before + 1);
        assert_eq!(hearing(&database).ignored_total, 0);
    });
}

#[test]
fn a_write_to_one_table_of_a_family_is_heard_for_all() {
    run(async {
        let place = place();
        place.psql(
            "CREATE TABLE \"Odd Parts\" (id int, n int) PARTITION BY LIST (id); \
             CREATE TABLE low PARTITION OF \"Odd Parts\" FOR VALUES IN (0, 1); \
             CREATE TABLE high PARTITION OF \"Odd Parts\" DEFAULT;",
        );
        let client = client(&place).await;
        let watched = outside::install(&client, &["low"]).await.unwrap();
        let names: Vec<&str> = watched.iter().map(|one| one.table.as_str()).collect();
        assert_eq!(names, ["public.\"Odd Parts\"", "public.high", "public.low"]);
        let database = connect(listening(&place, place.url(place.primary().port()))).await;
        let reads = ["SELECT count(*) FROM low", "SELECT count(*) FROM \"Odd Parts\""];
        for sql in [
            "INSERT INTO \"Odd Parts\" VALUES (0, 0)",
            "INSERT INTO low VALUES (1, 0)",
            "DELETE FROM \"Odd Parts\"",
        ] {
            for read in reads {
                kept(&database, read).await;
            }
            place.psql(sql);
            for read in reads {
                let truth: i64 = place.psql(read).parse().unwrap();
                until_read(sql, &database, read, |rows| rows.row(0).unwrap().get::<_, i64>(0) == truth).await;
            }
        }
    });
}

#[test]
fn triggers_come_and_go() {
    run(async {
        let place = place();
        let client = client(&place).await;
        let watched = |table: &str| Watched { table: table.to_owned(), is_enabled: true };
        assert_eq!(outside::installed(&client).await.unwrap(), []);
        let tables = outside::tables_of(&client, "public").await.unwrap();
        assert_eq!(tables, ["public.items", "public.marks"]);
        for _ in 0..2 {
            let done = outside::install(&client, &["marks", "public.items"]).await.unwrap();
            assert_eq!(done, [watched("public.items"), watched("public.marks")]);
        }
        // The text for people does the same.
        client.batch_execute(&outside::triggers_sql(["public.items"])).await.unwrap();
        place.psql("ALTER TABLE items DISABLE TRIGGER pgprime_notify_change");
        let now = outside::installed(&client).await.unwrap();
        assert_eq!((now[0].is_enabled, now[1].is_enabled), (false, true));
        assert!(outside::install(&client, &["items"]).await.unwrap()[0].is_enabled);

        outside::remove(&client, &["items"]).await.unwrap();
        assert_eq!(outside::installed(&client).await.unwrap(), [watched("public.marks")]);
        outside::remove(&client, &["marks"]).await.unwrap();
        assert_eq!(place.psql("SELECT count(*) FROM pg_proc WHERE proname = 'notify_change'"), "0");

        place.psql("CREATE VIEW seen AS SELECT 1");
        for name in ["nowhere", "seen", "pg_class; DROP TABLE items", ""] {
            assert!(outside::install(&client, &[name]).await.is_err(), "{name}");
        }
        assert!(outside::tables_of(&client, "nowhere").await.is_err());
        assert_eq!(outside::installed(&client).await.unwrap(), []);
    });
}

#[test]
fn a_table_that_comes_to_be_watched_loses_what_was_kept() {
    run(async {
        let place = place();
        let database = connect(listening(&place, place.url(place.primary().port()))).await;
        kept(&database, SUM).await;
        place.psql("INSERT INTO items (id, n) VALUES (1, 7)");
        assert_eq!(sum(&database).await, 0, "nobody has heard of it");
        outside::install(&client(&place).await, &["items"]).await.unwrap();
        until_read("it is read anew", &database, SUM, |rows| rows.row(0).unwrap().get::<_, i64>(0) == 7)
            .await;
    });
}

#[test]
fn a_table_that_somebody_holds_is_not_waited_for_long() {
    run(async {
        let place = place();
        let (client, holder) = (client(&place).await, client(&place).await);
        holder.batch_execute("BEGIN; LOCK TABLE marks").await.unwrap();
        assert_eq!(sqlstate(outside::install(&client, &["items", "marks"]).await), "55P03");
        let done = outside::installed(&client).await.unwrap();
        assert_eq!(done.len(), 1, "what was done stays: {done:?}");
    });
}

#[test]
fn garbage_is_not_believed() {
    run(async {
        let place = place();
        let client = client(&place).await;
        outside::install(&client, &["items"]).await.unwrap();
        let database = connect(listening(&place, place.url(place.primary().port()))).await;
        kept(&database, SUM).await;
        let long = "x".repeat(7_000);
        let garbage = [
            "",
            "nowhere",
            "items",
            "public.items, public.marks",
            "public.items; DROP TABLE items",
            "\u{1}",
            "pg_catalog.pg_nothing",
            "(SELECT 1)",
            "\"public.items\"",
            &long,
        ];
        for payload in garbage {
            client.execute("SELECT pg_notify('pgprime_changes', $1)", &[&payload]).await.unwrap();
        }
        let count = u64::try_from(garbage.len()).unwrap();
        until("all has been looked at", || {
            let report = hearing(&database);
            report.ignored_total + report.heard_total == count
        })
        .await;
        assert_eq!(hearing(&database).heard_total, 0);
        assert_eq!(fetch(&database, SUM).await.source(), CachedSource::Memory);
    });
}

#[test]
fn while_nobody_is_heard_reads_go_to_the_database() {
    run(async {
        let place = place();
        outside::install(&client(&place).await, &["items"]).await.unwrap();
        let proxy = Proxy::start(place.primary().port()).await;
        let database = connect(listening(&place, place.url(proxy.port()))).await;
        let mut config = listening(&place, place.url(proxy.port()));
        config.cache.as_mut().unwrap().while_deaf = WhileDeaf::Serve;
        let careless = connect(config).await;
        kept(&database, SUM).await;
        kept(&careless, SUM).await;

        proxy.set_refusing(true);
        proxy.cut_all();
        until("the loss is noticed", || !hearing(&database).hears && !hearing(&careless).hears).await;
        place.psql("INSERT INTO items (id, n) VALUES (1, 1)");
        let rows = fetch(&database, SUM).await;
        assert_eq!(rows.row(0).unwrap().get::<_, i64>(0), 1);
        assert_eq!(rows.not_kept(), Some("writers outside are not heard at this moment"));
        assert_eq!(sum(&careless).await, 0);

        // Heard again, everything from before is given up.
        proxy.set_refusing(false);
        until("they hear again", || hearing(&database).hears && hearing(&careless).hears).await;
        assert_eq!((sum(&database).await, sum(&careless).await), (1, 1));
        let report = hearing(&database);
        assert_eq!((report.began_total, report.lost_total), (2, 1));

        // A network that says nothing any more is found out.
        proxy.stall();
        until("the silence is noticed", || !hearing(&database).hears).await;
        proxy.go_on();
        until("they hear again", || hearing(&database).hears).await;
    });
}

#[test]
fn it_hears_again_after_a_restart() {
    let (place, _turn) = disturbed_place();
    run(async {
        outside::install(&client(&place).await, &["items"]).await.unwrap();
        let database = connect(listening(&place, place.url(place.primary().port()))).await;
        kept(&database, SUM).await;
        tokio::task::block_in_place(|| place.primary().restart(StopMode::Fast).unwrap());
        place.psql("INSERT INTO items (id, n) VALUES (1, 5)");
        until("it hears again", || hearing(&database).began_total == 2).await;
        until_read("the database answers", &database, SUM, |rows| rows.row(0).unwrap().get::<_, i64>(0) == 5)
            .await;
        kept(&database, SUM).await;
        place.psql("UPDATE items SET n = 6");
        until_read("the change is heard", &database, SUM, |rows| rows.row(0).unwrap().get::<_, i64>(0) == 6)
            .await;
    });
}

#[test]
fn a_url_that_cannot_be_used_is_said_at_once() {
    run(async {
        let place = place();
        let error =
            Database::connect(listening(&place, "postgres://host:no/x".to_owned())).await.unwrap_err();
        assert!(error.to_string().starts_with("listen_url: "), "{error}");
        // Nobody there: reads go on without the cache.
        let database = connect(listening(&place, place.url(1))).await;
        assert!(!hearing(&database).hears);
        assert!(fetch(&database, SUM).await.not_kept().is_some());
    });
}

#[test]
fn a_transaction_pooler_is_found_out() {
    run(async {
        let place = place();
        let pooler = pgbouncer::PgBouncer::start(place.primary(), &place.name, "");
        let error = Database::connect(listening(&place, pooler.url(&place.name))).await.unwrap_err();
        assert!(error.to_string().contains("transaction pooler"), "{error}");
    });
}
