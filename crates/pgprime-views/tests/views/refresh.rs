//! Refreshing one view: side by side with readers, never twice at once, and what is known after a failure.

use pgprime_cluster::{Cluster, ClusterOptions};
use pgprime_views::{
    Changes, Policy, Reason, RefreshOutcome, Refreshed, Status, ViewsError, history, refresh, status,
};
use tokio_postgres::Client;

use crate::harness::{DAILY, Database, connect, declared, name};

async fn asked(client: &Client, view: &str) -> RefreshOutcome {
    refresh(client, &name(view), None, Reason::Asked, &Policy::default()).await.unwrap()
}

#[track_caller]
fn done(outcome: RefreshOutcome) -> Refreshed {
    let RefreshOutcome::Refreshed(done) = outcome else { panic!("{outcome:?} is not well") };
    done
}

async fn state(database: &Database<'_>, toml: &str) -> Status {
    status(&database.client, &declared(toml), &Policy::default()).await.unwrap()
}

#[tokio::test]
async fn a_refresh_is_written_down() {
    let database = Database::new("refresh").await;
    database.made(DAILY).await;
    assert_eq!(done(asked(&database.client, "daily").await).rows_changed, 0);
    database.psql("UPDATE orders SET amount = amount + 1 WHERE day = '2025-01-01'").await;
    let seen = state(&database, DAILY).await;
    assert_eq!(seen.views[0].changes, Changes::Rows(100));
    assert_eq!(seen.views[0].worth.as_ref().map(|worth| worth.reads), Some(0), "its own reads are none");
    let refreshed = done(asked(&database.client, "daily").await);
    assert_eq!(refreshed.blocked_readers, None);
    assert_eq!((refreshed.rows, refreshed.rows_changed, refreshed.base_changes), (10, 2, Some(100)));
    assert!(refreshed.bytes > 0 && refreshed.duration_ms > 0.0);

    let entries = history(&database.client, Some(&name("daily")), 10).await.unwrap();
    let reasons: Vec<&str> = entries.iter().map(|entry| entry.reason.as_str()).collect();
    assert_eq!(reasons, ["asked", "asked", "apply"]);
    assert_eq!(
        (entries[0].rows, entries[0].base_changes, entries[0].is_concurrent),
        (Some(10), Some(100), true)
    );
    let seen = state(&database, DAILY).await;
    assert_eq!(seen.views[0].changes, Changes::Rows(0));
    assert!(seen.is_well() && seen.views[0].hints.is_empty(), "{seen:?}");

    // The history is bounded.
    let policy = Policy { history_max: 2, ..Policy::default() };
    for _ in 0..4 {
        done(refresh(&database.client, &name("daily"), None, Reason::Asked, &policy).await.unwrap());
    }
    assert_eq!(history(&database.client, None, 10).await.unwrap().len(), 2);
}

/// Refreshes in a session of its own, whose counts are known when this returns.
async fn refreshed_and_counted(database: &Database<'_>) {
    let session = database.session().await;
    let pid: i32 = session.query_one_scalar("SELECT pg_backend_pid()", &[]).await.unwrap();
    done(asked(&session, "daily").await);
    drop(session);
    database.wait(&format!("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid})")).await;
    database.node.wait_for_statistics(&database.name).unwrap();
}

#[tokio::test]
async fn reads_are_those_of_others_also_after_a_reset() {
    let mut database = Database::new("reads").await;
    database.made(DAILY).await;
    // The session that made it has told its counts when it has ended.
    database.client = database.session().await;
    database.psql("SELECT 1").await;
    let reads = async |database: &Database<'_>| {
        let view = state(database, DAILY).await.views.remove(0);
        view.worth.map(|worth| worth.reads).unwrap()
    };
    for expected in 1..=3 {
        database.psql("SELECT count(*) FROM daily").await;
        refreshed_and_counted(&database).await;
        assert_eq!(reads(&database).await, expected);
    }
    database.psql("SELECT pg_stat_reset()").await;
    assert_eq!(reads(&database).await, 0);
    database.psql("SELECT count(*) FROM daily").await;
    assert_eq!(reads(&database).await, 1);
    // What refreshes did before the reset is not taken for what they did since.
    refreshed_and_counted(&database).await;
    refreshed_and_counted(&database).await;
    let seen = reads(&database).await;
    assert!(seen <= 1, "{seen}");
    database.psql("SELECT count(*) FROM daily").await;
    assert_eq!(reads(&database).await, seen + 1);
}

#[tokio::test]
async fn changes_are_seen_whatever_they_are() {
    let database = Database::new("changes").await;
    database
        .psql(
            "CREATE TABLE parted (id int) PARTITION BY RANGE (id);
             CREATE TABLE part_1 PARTITION OF parted FOR VALUES FROM (0) TO (1000);
             CREATE VIEW between_them AS SELECT p.id FROM parted p JOIN orders o USING (id)",
        )
        .await;
    let toml = "[[views]]\nname = 'v'\nsql = 'SELECT count(*) AS n FROM between_them'";
    database.made(toml).await;
    for (change, expected) in [
        ("SELECT 1", Changes::Rows(0)),
        ("INSERT INTO parted SELECT generate_series(1, 7)", Changes::Rows(7)),
        ("DELETE FROM orders WHERE id < 4", Changes::Rows(3)),
        ("TRUNCATE part_1", Changes::AtLeast(0)),
        ("CREATE TABLE part_2 PARTITION OF parted FOR VALUES FROM (1000) TO (2000)", Changes::AtLeast(0)),
        ("INSERT INTO parted VALUES (1001)", Changes::Rows(1)),
    ] {
        done(asked(&database.client, "v").await);
        database.psql(change).await;
        assert_eq!(state(&database, toml).await.views[0].changes, expected, "{change}");
    }
    done(asked(&database.client, "v").await);
    database.psql("SELECT pg_stat_reset()").await;
    assert!(matches!(state(&database, toml).await.views[0].changes, Changes::AtLeast(_)));
    done(asked(&database.client, "v").await);
    assert_eq!(state(&database, toml).await.views[0].changes, Changes::Rows(0));
}

#[tokio::test]
async fn what_the_clock_or_a_function_decides_is_never_unchanged() {
    let database = Database::new("varying").await;
    database
        .psql("CREATE FUNCTION peek() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM public.orders'")
        .await;
    for (sql, words) in [
        ("SELECT day, now() AS at FROM orders GROUP BY day", Some("now()")),
        ("SELECT count(*) AS n FROM orders WHERE day > current_date - 30", Some("current_date")),
        ("SELECT id FROM orders ORDER BY random() LIMIT 5", Some("random()")),
        ("SELECT peek() AS n", Some("peek()")),
        ("SELECT 1 AS n", Some("not counted")),
        ("SELECT date_trunc(''day'', day::timestamptz) AS d, count(*) AS n FROM orders GROUP BY 1", None),
        ("SELECT session_user AS who, count(*) AS n FROM orders", None),
    ] {
        let toml = format!("[[views]]\nname = 'v'\nsql = \"{}\"", sql.replace("''", "'"));
        database.made(&toml).await;
        done(asked(&database.client, "v").await);
        let seen = state(&database, &toml).await.views.remove(0);
        assert_eq!(seen.changes == Changes::Unknown, words.is_some(), "{sql}: {seen:?}");
        let hints = seen.hints.join("\n");
        assert!(words.is_none_or(|words| hints.contains(words)), "{sql}: {hints}");
        assert_eq!(hints.is_empty(), words.is_none(), "{sql}: {hints}");
    }
}

#[tokio::test]
async fn what_is_not_counted_is_never_unchanged() {
    let database = Database::new("uncounted").await;
    database.made(DAILY).await;
    done(asked(&database.client, "daily").await);
    assert_eq!(state(&database, DAILY).await.views[0].changes, Changes::Rows(0));
    let role = format!("{}_loader", database.name);
    database
        .psql(&format!(
            "CREATE ROLE {role} LOGIN; ALTER ROLE {role} IN DATABASE {} SET track_counts = off",
            database.name
        ))
        .await;
    let seen = state(&database, DAILY).await.views.remove(0);
    assert_eq!(seen.changes, Changes::Unknown);
    assert!(seen.hints.iter().any(|hint| hint.contains("track_counts is off")), "{seen:?}");
    database.psql(&format!("DROP ROLE {role}")).await;
    assert_eq!(state(&database, DAILY).await.views[0].changes, Changes::Rows(0));
}

#[tokio::test]
async fn a_copy_of_the_database_has_counts_of_its_own() {
    let database = Database::new("original").await;
    // As many rows as will be changed in the copy, whose counts begin at nothing.
    database.psql("CREATE TABLE few AS SELECT generate_series(1, 3) AS id").await;
    let toml = "[[views]]\nname = 'v'\nsql = 'SELECT sum(id) AS s FROM few'";
    database.made(toml).await;
    done(asked(&database.client, "v").await);
    let Database { node, name, client } = database;
    drop(client);
    let copy = format!("{name}_copy");
    node.psql(
        "postgres",
        &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"),
    )
    .unwrap();
    node.psql("postgres", &format!("CREATE DATABASE {copy} TEMPLATE {name}")).unwrap();
    let copied = Database { node, client: connect(node, &copy, "postgres").await, name: copy };
    copied.psql("UPDATE few SET id = id + 1").await;
    assert_eq!(state(&copied, toml).await.views[0].changes, Changes::AtLeast(3));
}

#[tokio::test]
async fn a_column_that_always_differs_is_noticed() {
    let database = Database::new("bloating").await;
    let toml = DAILY.replace("SELECT day,", "SELECT day, now() AS made_at,");
    database.made(&toml).await;
    assert_eq!(done(asked(&database.client, "daily").await).rows_changed, 20);
    let hints = state(&database, &toml).await.views.remove(0).hints;
    assert!(hints.iter().any(|hint| hint.contains("all of its 10 rows anew")), "{hints:?}");
}

#[tokio::test]
async fn it_says_why_readers_have_to_wait() {
    let database = Database::new("obstacles").await;
    database
        .psql("CREATE MATERIALIZED VIEW v AS SELECT day, count(*) AS n FROM orders GROUP BY day WITH NO DATA")
        .await;
    database.apply("").await;
    for (change, words) in [
        ("SELECT 1", "holds nothing"),
        ("SELECT 1", "no unique index; this needs"),
        ("ANALYZE v", "CREATE UNIQUE INDEX ON public.v (day)"),
        ("CREATE UNIQUE INDEX part ON v (day) WHERE n > 0", "unique index part has a WHERE"),
        (
            "DROP INDEX part; CREATE UNIQUE INDEX expressions ON v ((day + 1))",
            "unique index expressions is on expressions",
        ),
    ] {
        database.psql(change).await;
        let why = done(asked(&database.client, "v").await).blocked_readers;
        assert!(why.as_ref().is_some_and(|why| why.contains(words)), "{change}: {why:?}");
    }
    database.psql("CREATE UNIQUE INDEX whole ON v (day)").await;
    assert_eq!(done(asked(&database.client, "v").await).blocked_readers, None);
}

#[tokio::test]
async fn two_instances_do_not_refresh_at_once() {
    let database = Database::new("twice").await;
    let slow =
        "[[views]]\nname = 'v'\nsql = 'SELECT count(*) AS n FROM orders, pg_sleep(0)'\nunique_key = ['n']";
    database.made(slow).await;
    // A lock on the view's table holds the first one up for as long as the test wants.
    let holder = database.session().await;
    holder.batch_execute("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let first = database.session().await;
    let first = tokio::spawn(async move { asked(&first, "v").await });
    database
        .wait("SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'orders'::regclass AND NOT granted)")
        .await;
    let second = database.session().await;
    assert_eq!(asked(&second, "v").await, RefreshOutcome::Busy { view: name("v") });
    // Readers go on meanwhile.
    assert_eq!(database.ask::<i64>("SELECT n FROM v").await, 1_000);
    holder.batch_execute("COMMIT").await.unwrap();
    done(first.await.unwrap());
    done(asked(&second, "v").await);
    let entries = history(&second, Some(&name("v")), 10).await.unwrap();
    assert!(entries.iter().all(|entry| entry.ok) && entries.len() == 3, "{entries:?}");
}

/// Kills a refresh of `daily` in its middle and waits until its trace counts.
async fn kill_one(database: &Database<'_>) {
    let holder = database.session().await;
    holder.batch_execute("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let session = database.session().await;
    let killed = tokio::spawn(async move {
        refresh(&session, &name("daily"), None, Reason::Asked, &Policy::default()).await
    });
    let waiting = "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'REFRESH%'
                   AND wait_event_type = 'Lock'";
    database.wait(&format!("SELECT EXISTS (SELECT {waiting})")).await;
    database.psql(&format!("SELECT pg_terminate_backend(pid) {waiting}")).await;
    assert!(killed.await.unwrap().is_err_and(|error| error.is_connection_lost()));
    holder.batch_execute("ROLLBACK").await.unwrap();
    let old = "SELECT attempt_at < clock_timestamp() - interval '1.1 seconds' FROM pgprime.view_states";
    database.wait(old).await;
}

#[tokio::test]
async fn a_killed_refresh_leaves_the_view_and_a_trace() {
    let database = Database::new("killed").await;
    database.made(DAILY).await;
    let before: i64 = database.ask("SELECT sum(amount)::int8 FROM daily").await;
    database.psql("UPDATE orders SET amount = amount + 1").await;
    for failures in 1..=2 {
        kill_one(&database).await;
        assert_eq!(database.ask::<i64>("SELECT sum(amount)::int8 FROM daily").await, before);
        // Its beginning is known, and that nobody is at it.
        let seen = state(&database, DAILY).await.views.remove(0);
        assert_eq!(seen.failures, failures);
        assert!(seen.error.is_some_and(|error| error.contains("killed")));
        assert_eq!(seen.changes, Changes::Rows(1_000));
    }
    done(asked(&database.client, "daily").await);
    assert_eq!(state(&database, DAILY).await.views[0].failures, 0);
    assert_eq!(database.ask::<i64>("SELECT sum(amount)::int8 FROM daily").await, before + 1_000);
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let database = Database::new("absent").await;
    let outcome = refresh(&database.client, &name("daily"), None, Reason::Asked, &Policy::default()).await;
    assert!(matches!(outcome, Err(ViewsError::NotFound { .. })), "{outcome:?}");
    let unknown = status(&database.client, &declared(DAILY), &Policy::default()).await;
    assert!(matches!(unknown, Err(ViewsError::NotSetUp { .. })), "{unknown:?}");
    database.psql("CREATE MATERIALIZED VIEW v AS SELECT 1 AS a").await;
    let outcome = refresh(&database.client, &name("v"), None, Reason::Asked, &Policy::default()).await;
    assert!(outcome.is_err_and(|error| error.to_string().contains("CREATE TABLE IF NOT EXISTS pgprime")));
    database.made(DAILY).await;
    database.psql("DROP MATERIALIZED VIEW daily").await;
    let seen = state(&database, DAILY).await;
    assert!(!seen.is_well() && !seen.views[0].exists);
    database.made(DAILY).await;
    assert!(state(&database, DAILY).await.is_well());
}

#[tokio::test]
async fn a_server_that_is_killed_comes_back_with_the_old_view() {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let database = Database::on(cluster.primary(), cluster.test_database("crash").unwrap()).await;
    database.made(DAILY).await;
    let before: i64 = database.ask("SELECT sum(amount)::int8 FROM daily").await;
    database.psql("UPDATE orders SET amount = amount + 1").await;
    // A cluster of tests commits without waiting for its disk.
    database.psql("CHECKPOINT").await;
    let holder = database.session().await;
    holder.batch_execute("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let session = database.session().await;
    let view = name("daily");
    let policy = Policy::default();
    let killed = refresh(&session, &view, None, Reason::Asked, &policy);
    let kill = async {
        let waiting =
            "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'orders'::regclass AND NOT granted)";
        database.wait(waiting).await;
        database.node.kill();
    };
    assert!(tokio::join!(killed, kill).0.is_err_and(|error| error.is_connection_lost()));
    database.node.start().unwrap();
    let database = Database { client: database.session().await, ..database };
    assert_eq!(database.ask::<i64>("SELECT sum(amount)::int8 FROM daily").await, before);
    // The statistics are lost with the server: whatever changed, it is not taken for nothing.
    let seen = state(&database, DAILY).await.views.remove(0);
    assert!(!seen.changes.is_nothing() && seen.exists, "{seen:?}");
    done(asked(&database.client, "daily").await);
    assert_eq!(database.ask::<i64>("SELECT sum(amount)::int8 FROM daily").await, before + 1_000);
}
