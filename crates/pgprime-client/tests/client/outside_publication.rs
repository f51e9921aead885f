//! Writers outside, heard by logical decoding: what is published, and what is heard of it.

use pgprime_client::outside::{self, Columns, Published, Unfit};
use pgprime_client::{CachedSource, Database};
use pgprime_cluster::{ClusterOptions, SharedCluster};

use crate::cached::{fetch, until_read};
use crate::outside::{SUM, client, hearing, kept, listening};
use crate::support::{Place, connect, place, run, sqlstate, until};

/// A server of its own: a slot is made when the transactions of all databases have ended.
static LOGICAL: SharedCluster = SharedCluster::new(|| {
    ClusterOptions::default()
        .with_setting("wal_level", "logical")
        .with_setting("max_wal_senders", "40")
        .with_setting("max_replication_slots", "40")
        .with_setting("max_prepared_transactions", "10")
});

fn logical_place() -> Place {
    Place::on(LOGICAL.cluster())
}

async fn publish(place: &Place, tables: &[&str]) -> Vec<Published> {
    outside::publish(&client(place).await, tables, Columns::All).await.unwrap()
}

async fn hearing_database(place: &Place) -> Database {
    let database = connect(listening(place, place.url(place.primary().port()))).await;
    let report = hearing(&database);
    assert!(report.hears && report.publication_for_ms.is_some(), "{report:?}");
    database
}

/// Carries this out elsewhere, and waits until a cached read that was kept says what the database does.
async fn is_heard(database: &Database, place: &Place, read: &str, sql: &str) {
    kept(database, read).await;
    place.psql(sql);
    let truth: i64 = place.psql(read).parse().unwrap();
    until_read(sql, database, read, |rows| rows.row(0).unwrap().get::<_, i64>(0) == truth).await;
}

#[test]
fn what_is_committed_elsewhere_is_heard() {
    run(async {
        let place = logical_place();
        place.psql("ALTER TABLE marks REPLICA IDENTITY FULL");
        publish(&place, &["items", "marks"]).await;
        let database = hearing_database(&place).await;
        for sql in [
            "INSERT INTO items (id, n) VALUES (1, 10), (2, 10)",
            "UPDATE items SET n = n + 1",
            "DELETE FROM items WHERE id = 2",
            "COPY items (id, n) FROM PROGRAM 'echo 3,5' WITH (FORMAT csv)",
            "BEGIN; SET LOCAL session_replication_role = replica; UPDATE items SET n = 0; COMMIT",
            "BEGIN; INSERT INTO marks VALUES ('x'); SAVEPOINT s; INSERT INTO items (id, n) VALUES (9, 9); COMMIT",
            "BEGIN; UPDATE items SET n = 7; PREPARE TRANSACTION 'two phases';\nCOMMIT PREPARED 'two phases'",
            // As a subscription applies what comes from elsewhere.
            "SELECT pg_replication_origin_create('elsewhere'); SELECT pg_replication_origin_session_setup('elsewhere'); \
             SET session_replication_role = replica; UPDATE items SET n = 8",
            "TRUNCATE items, marks",
            "INSERT INTO items (id, n) SELECT g, 1 FROM generate_series(1, 100000) g",
        ] {
            is_heard(&database, &place, SUM, sql).await;
        }
        is_heard(&database, &place, "SELECT count(*) FROM marks", "INSERT INTO marks VALUES ('y')").await;
        assert_eq!(hearing(&database).heard_total, 0, "nobody notifies");
        assert_eq!(hearing(&database).commits_total, 11);
    });
}

#[test]
fn what_is_rolled_back_or_not_published_gives_nothing_up() {
    run(async {
        let place = logical_place();
        publish(&place, &["items"]).await;
        let database = hearing_database(&place).await;
        kept(&database, SUM).await;
        place.psql(
            "BEGIN; INSERT INTO items (id) VALUES (7); ROLLBACK; BEGIN; INSERT INTO items (id) VALUES (8); \
             PREPARE TRANSACTION 'undone';\nROLLBACK PREPARED 'undone'; INSERT INTO marks VALUES ('x')",
        );
        // What comes later is heard later.
        place.psql("INSERT INTO items (id) VALUES (9)");
        until("that is heard", || hearing(&database).commits_total > 0).await;
        assert_eq!(hearing(&database).commits_total, 1);
    });
}

#[test]
fn partitions_are_heard_those_made_later_included() {
    run(async {
        let place = logical_place();
        place.psql(
            "CREATE TABLE \"Odd Parts\" (id int PRIMARY KEY, n int) PARTITION BY LIST (id); \
             CREATE TABLE low PARTITION OF \"Odd Parts\" FOR VALUES IN (0, 1); \
             CREATE TABLE \"order\" PARTITION OF \"Odd Parts\" FOR VALUES IN (2, 3);",
        );
        let published = publish(&place, &["low"]).await;
        let names: Vec<&str> = published.iter().map(|one| one.table.as_str()).collect();
        assert_eq!(names, ["public.\"Odd Parts\"", "public.low", "public.\"order\""]);
        assert!(published.iter().all(|one| one.is_published && one.unfit.is_none()), "{published:?}");
        let database = hearing_database(&place).await;
        let reads = [
            "SELECT count(*) FROM low",
            "SELECT count(*) FROM \"Odd Parts\"",
            "SELECT count(*) FROM \"order\"",
        ];
        for sql in [
            "INSERT INTO \"Odd Parts\" VALUES (0, 0), (2, 0)",
            "INSERT INTO low VALUES (1, 0)",
            "UPDATE \"Odd Parts\" SET id = 3 WHERE id = 0",
            "TRUNCATE low",
            "TRUNCATE \"Odd Parts\"",
            "INSERT INTO \"order\" VALUES (2, 0)",
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
        // A partition that the catalogs as they were read do not have.
        let sql = "CREATE TABLE late PARTITION OF \"Odd Parts\" DEFAULT; INSERT INTO late VALUES (77, 0)";
        is_heard(&database, &place, "SELECT count(*) FROM \"Odd Parts\"", sql).await;
    });
}

#[test]
fn both_ways_work_at_once_and_the_publication_may_come_and_go() {
    run(async {
        let place = logical_place();
        let client = client(&place).await;
        outside::install(&client, &["items"]).await.unwrap();
        place.psql("ALTER TABLE marks REPLICA IDENTITY FULL");
        let database = connect(listening(&place, place.url(place.primary().port()))).await;
        let report = hearing(&database);
        assert!(report.hears && report.notifications_for_ms.is_some(), "{report:?}");
        assert_eq!(report.publication_for_ms, None);

        publish(&place, &["marks"]).await;
        until("the publication is noticed", || hearing(&database).publication_for_ms.is_some()).await;
        is_heard(&database, &place, SUM, "INSERT INTO items (id, n) VALUES (1, 3)").await;
        is_heard(&database, &place, "SELECT count(*) FROM marks", "INSERT INTO marks VALUES ('x')").await;
        let report = hearing(&database);
        assert_eq!((report.heard_total, report.commits_total, report.lost_total), (1, 1, 0));

        outside::unpublish(&client, &["marks"]).await.unwrap();
        until("its end is noticed", || {
            let report = hearing(&database);
            report.hears && report.publication_for_ms.is_none()
        })
        .await;
        is_heard(&database, &place, SUM, "UPDATE items SET n = 4").await;
    });
}

#[test]
fn tables_without_an_identity_are_refused_and_still_take_updates() {
    run(async {
        let place = logical_place();
        place.psql(
            "CREATE TABLE plain (id int); CREATE UNLOGGED TABLE fast (id int PRIMARY KEY); \
             CREATE TABLE late (id int PRIMARY KEY DEFERRABLE); \
             CREATE TABLE days (day int) PARTITION BY LIST (day); \
             CREATE TABLE today (day int PRIMARY KEY); ALTER TABLE days ATTACH PARTITION today DEFAULT; \
             CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY LIST (id); \
             CREATE TABLE silent PARTITION OF parts DEFAULT; ALTER TABLE silent REPLICA IDENTITY NOTHING;",
        );
        let no_identity = |is_partitioned| Some(Unfit::NoIdentity { is_partitioned, is_published: false });
        let family = |other: &str| Some(Unfit::Family(other.to_owned()));
        let done = publish(&place, &["plain", "fast", "late", "items", "days", "parts"]).await;
        let unfit = |table: &str| {
            let one = done.iter().find(|one| one.table == table).unwrap();
            assert_eq!(one.is_published, one.unfit.is_none(), "{one:?}");
            one.unfit.clone()
        };
        for (table, expected) in [
            ("public.plain", no_identity(false)),
            ("public.fast", Some(Unfit::Unlogged)),
            ("public.late", no_identity(false)),
            ("public.items", None),
            ("public.days", no_identity(true)),
            ("public.today", family("public.days")),
            ("public.parts", family("public.silent")),
            ("public.silent", no_identity(false)),
        ] {
            assert_eq!(unfit(table), expected, "{table}");
        }
        for (table, column) in
            [("plain", "id"), ("fast", "id"), ("late", "id"), ("days", "day"), ("silent", "id")]
        {
            place.psql(&format!(
                "INSERT INTO {table} VALUES (1); UPDATE {table} SET {column} = 2; DELETE FROM {table}"
            ));
        }
        // Nothing of it makes a publication.
        outside::unpublish(&client(&place).await, &["items"]).await.unwrap();
        publish(&place, &["plain", "fast"]).await;
        assert_eq!(place.psql("SELECT count(*) FROM pg_publication"), "0");
        for name in ["nowhere", "pg_class; DROP TABLE items", ""] {
            assert!(outside::publish(&client(&place).await, &[name], Columns::All).await.is_err(), "{name}");
        }
    });
}

#[test]
fn what_has_become_of_published_tables_is_told_and_mended() {
    run(async {
        let place = logical_place();
        let client = client(&place).await;
        let tell = async || outside::published(&client, &[]).await.unwrap();
        assert_eq!(tell().await, []);
        place.psql("CREATE TABLE pairs (a int, b int, c int, PRIMARY KEY (b, a))");
        publish(&place, &["items", "pairs"]).await;
        let fine = |table: &str| Published { table: table.to_owned(), is_published: true, unfit: None };
        assert_eq!(tell().await, [fine("public.items"), fine("public.pairs")]);

        // The identity goes: PostgreSQL refuses UPDATE, and the listing says so.
        place.psql("ALTER TABLE items DROP CONSTRAINT items_pkey");
        assert!(place.primary().psql(&place.name, "UPDATE items SET n = 1").is_err());
        let unfit = Unfit::NoIdentity { is_partitioned: false, is_published: true };
        assert!(unfit.to_string().contains("--remove"));
        assert_eq!(tell().await[0], Published { unfit: Some(unfit), ..fine("public.items") });
        outside::unpublish(&client, &["items"]).await.unwrap();
        place.psql("UPDATE items SET n = 1");
        assert_eq!(tell().await, [fine("public.pairs")]);

        // A publication that somebody has changed.
        place.psql("ALTER PUBLICATION pgprime_changes SET (publish = 'insert')");
        assert_eq!(tell().await[0].unfit, Some(Unfit::Partly));
        assert_eq!(publish(&place, &["pairs"]).await, [fine("public.pairs")]);

        // Versions before 15 send all columns whatever is asked for.
        let keys = outside::publish(&client, &["pairs"], Columns::Key).await.unwrap();
        assert_eq!(keys, [fine("public.pairs")]);
        outside::unpublish(&client, &["pairs"]).await.unwrap();
        assert_eq!(place.psql("SELECT count(*) FROM pg_publication"), "0");
        // The text for people does the same.
        let sql = outside::publication_sql(&client, &["pairs"], Columns::Key).await.unwrap();
        client.batch_execute(&sql).await.unwrap();
        assert_eq!(tell().await, [fine("public.pairs")]);
    });
}

#[test]
fn keys_alone_can_be_sent() {
    run(async {
        let place = logical_place();
        let client = client(&place).await;
        if place.psql("SHOW server_version_num").parse::<u32>().unwrap() < 150_000 {
            return;
        }
        place.psql("CREATE TABLE pairs (a int, b int, c int, PRIMARY KEY (b, a))");
        for columns in [Columns::All, Columns::Key, Columns::Key] {
            outside::publish(&client, &["pairs"], columns).await.unwrap();
        }
        let listed = "SELECT attnames::text FROM pg_publication_tables WHERE tablename = 'pairs'";
        assert_eq!(place.psql(listed), "{a,b}");
        let database = hearing_database(&place).await;
        let count = "SELECT count(*) + coalesce(sum(c), 0) FROM pairs";
        is_heard(&database, &place, count, "INSERT INTO pairs VALUES (1, 1, 1)").await;
        is_heard(&database, &place, count, "UPDATE pairs SET c = 2").await;

        // Another key: UPDATE fails until it is published anew, and the listing says so.
        place.psql("ALTER TABLE pairs DROP CONSTRAINT pairs_pkey; ALTER TABLE pairs ADD PRIMARY KEY (c)");
        assert!(place.primary().psql(&place.name, "UPDATE pairs SET a = 1").is_err());
        let told = outside::published(&client, &[]).await.unwrap();
        assert_eq!(told[0].unfit, Some(Unfit::Partly));
        assert_eq!(outside::publish(&client, &["pairs"], Columns::All).await.unwrap()[0].unfit, None);
        is_heard(&database, &place, count, "UPDATE pairs SET c = 5").await;
    });
}

#[test]
fn a_table_that_comes_to_be_published_loses_what_was_kept() {
    run(async {
        let place = logical_place();
        place.psql("ALTER TABLE marks REPLICA IDENTITY FULL");
        publish(&place, &["marks"]).await;
        let database = hearing_database(&place).await;
        kept(&database, SUM).await;
        place.psql("INSERT INTO items (id, n) VALUES (1, 7)");
        publish(&place, &["items"]).await;
        until_read("it is read anew", &database, SUM, |rows| rows.row(0).unwrap().get::<_, i64>(0) == 7)
            .await;
        assert_eq!(hearing(&database).began_total, 1, "nobody had to begin anew for it");
    });
}

#[test]
fn a_table_that_somebody_changes_is_not_waited_for_long() {
    run(async {
        let place = logical_place();
        let (client, holder) = (client(&place).await, client(&place).await);
        place.psql("ALTER TABLE marks REPLICA IDENTITY FULL");
        holder.batch_execute("BEGIN; LOCK TABLE marks").await.unwrap();
        assert_eq!(sqlstate(outside::publish(&client, &["items", "marks"], Columns::All).await), "55P03");
        holder.batch_execute("ROLLBACK").await.unwrap();
        let done = outside::published(&client, &[]).await.unwrap();
        assert_eq!(done.len(), 1, "what was done stays: {done:?}");
    });
}

#[test]
fn without_a_logical_wal_it_is_refused() {
    run(async {
        let place = place();
        let error = outside::publish(&client(&place).await, &["items"], Columns::All).await.unwrap_err();
        assert!(error.to_string().contains("wal_level is replica: set wal_level = logical"), "{error}");
        assert_eq!(place.psql("SELECT count(*) FROM pg_publication"), "0");
        // One that was made all the same is one that nobody can hear.
        place.psql("CREATE PUBLICATION pgprime_changes FOR TABLE items");
        let database = connect(listening(&place, place.url(place.primary().port()))).await;
        let report = hearing(&database);
        let trouble = report.trouble.unwrap();
        assert!(!report.hears && trouble.contains("set wal_level = logical"), "{trouble}");
        assert_eq!(fetch(&database, SUM).await.source(), CachedSource::NotKept);
    });
}
