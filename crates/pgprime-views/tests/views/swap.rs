//! Changed definitions: dependents, readers that go on, and what is left when it is killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pgprime_views::{Action, ApplyOptions, apply, plan};

use crate::harness::{DAILY, Database, declared, name};

/// Everything about relations but their oids, in a form that can be compared.
const PROPERTIES: &str = "
    SELECT string_agg(concat_ws('|', n.nspname, c.relname, c.relkind, pg_get_userbyid(c.relowner), c.reloptions,
               (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(coalesce(c.relacl, acldefault('r', c.relowner))) a),
               regexp_replace(obj_description(c.oid, 'pg_class'), 'pgprime: .*', ''),
               (SELECT string_agg(a.attname || coalesce(a.attacl::text, '') || coalesce(col_description(c.oid, a.attnum), ''), ','
                                  ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0),
               (SELECT string_agg(pg_get_indexdef(indexrelid) || coalesce(obj_description(indexrelid, 'pg_class'), ''), ','
                                  ORDER BY indexrelid::regclass::text) FROM pg_index WHERE indrelid = c.oid)),
               E'\n' ORDER BY c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('public', 'reports') AND c.relkind IN ('m', 'v')";

async fn with_dependents(prefix: &str) -> Database<'static> {
    let database = Database::new(prefix).await;
    database.made(DAILY).await;
    let role = format!("{}_reader", database.name);
    database
        .psql(&format!(
            "CREATE ROLE {role}; CREATE SCHEMA reports;
             GRANT SELECT ON daily TO {role} WITH GRANT OPTION; GRANT SELECT (day) ON daily TO PUBLIC;
             COMMENT ON COLUMN daily.day IS 'the day''s date'; CREATE INDEX by_hand ON daily (amount);
             CREATE VIEW reports.weekly WITH (security_barrier) AS
                 SELECT date_trunc('week', day) AS week, sum(amount) AS amount FROM daily GROUP BY 1;
             CREATE MATERIALIZED VIEW reports.best WITH (fillfactor = 50) AS SELECT max(w.amount) AS amount FROM reports.weekly w, daily;
             CREATE UNIQUE INDEX best_key ON reports.best (amount);
             COMMENT ON INDEX reports.best_key IS 'of best';
             CREATE VIEW last AS SELECT b.amount AS best, d.amount FROM reports.best b, daily d;
             COMMENT ON VIEW last IS 'for Ann'; GRANT SELECT ON last TO {role}; ALTER VIEW last OWNER TO {role};
             GRANT SELECT ON reports.best TO {role}; COMMENT ON COLUMN last.best IS 'the best'"
        ))
        .await;
    database
}

#[tokio::test]
async fn dependents_come_along_with_all_they_have() {
    let database = with_dependents("dependents").await;
    let before: String = database.ask(PROPERTIES).await;
    let changed = DAILY.replace("sum(amount) AS amount", "2 * sum(amount) AS amount");
    let planned = plan(&database.client, &declared(&changed)).await.unwrap();
    assert_eq!(planned.items[0].action, Action::Change);
    let dependents: Vec<String> = planned.items[0].dependents.iter().map(ToString::to_string).collect();
    assert_eq!(dependents, ["reports.weekly", "reports.best", "public.last"]);

    let first: i64 = database.ask("SELECT sum(amount)::int8 FROM daily").await;
    let best: i64 = database.ask("SELECT max(best)::int8 FROM last").await;
    let applied = database.apply(&changed).await;
    assert_eq!((&applied[0].error, applied[0].notes.len()), (&None, 0), "{applied:?}");
    assert_eq!(database.ask::<i64>("SELECT sum(amount)::int8 FROM daily").await, 2 * first);
    assert_eq!(database.ask::<i64>("SELECT max(best)::int8 FROM last").await, 2 * best);
    assert_eq!(database.ask::<String>(PROPERTIES).await, before);
    assert!(plan(&database.client, &declared(&changed)).await.unwrap().is_done());

    // A column that goes takes along what was on it.
    let fewer =
        "[[views]]\nname = 'daily'\nsql = 'SELECT DISTINCT day, 1::numeric AS amount, 2 AS more FROM orders'";
    database.made(fewer).await;
    database.psql("DROP VIEW last; DROP MATERIALIZED VIEW reports.best; DROP VIEW reports.weekly").await;
    let fewest = "[[views]]\nname = 'daily'\nsql = 'SELECT DISTINCT day FROM orders'";
    let applied = database.apply(fewest).await;
    assert_eq!(applied[0].error, None);
    assert!(applied[0].notes.iter().any(|note| note.contains("by_hand")), "{applied:?}");
}

#[tokio::test]
async fn what_would_be_lost_is_refused() {
    let database = with_dependents("lost").await;
    let changed = DAILY.replace("sum(amount)", "2 * sum(amount)");
    for (make, undo, words) in [
        (
            "CREATE FUNCTION f(d daily) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "DROP FUNCTION f(daily)",
            "function f(daily) depends on it",
        ),
        (
            "CREATE RULE r AS ON INSERT TO last DO INSTEAD NOTHING",
            "DROP RULE r ON last",
            "public.last has triggers, rules",
        ),
        (
            "CREATE SCHEMA other; CREATE VIEW other.weekly AS SELECT * FROM daily",
            "DROP SCHEMA other CASCADE",
            "are called weekly",
        ),
    ] {
        database.psql(make).await;
        let item = plan(&database.client, &declared(&changed)).await.unwrap().items.remove(0);
        assert!(item.action == Action::Refused && item.reason.contains(words), "{make}: {}", item.reason);
        let applied = database.apply(&changed).await;
        assert!(applied[0].error.as_ref().is_some_and(|error| error.contains(words)), "{applied:?}");
        database.psql(undo).await;
    }
    // A new definition without a column that others need leaves all as it was.
    let before: String = database.ask(PROPERTIES).await;
    let fewer = "[[views]]\nname = 'daily'\nsql = 'SELECT DISTINCT day FROM orders'";
    let applied = database.apply(fewer).await;
    assert!(applied[0].error.as_ref().is_some_and(|error| error.contains("which reads it")), "{applied:?}");
    assert_eq!(database.ask::<String>(PROPERTIES).await, before);
    assert!(plan(&database.client, &declared(DAILY)).await.unwrap().is_done());
}

/// Reads until it is told to stop; everything that went wrong.
async fn read(
    session: tokio_postgres::Client,
    sql: &str,
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
) -> Vec<String> {
    let mut failures = Vec::new();
    let prepared = session.prepare(sql).await.unwrap();
    while !stop.load(Ordering::Relaxed) {
        for outcome in [session.query_one(&prepared, &[]).await, session.query_one(sql, &[]).await] {
            match outcome.map(|row| row.get::<_, i64>(0)) {
                Ok(0) => failures.push("read nothing".to_owned()),
                Ok(_) => drop(reads.fetch_add(1, Ordering::Relaxed)),
                Err(error) => failures.push(format!("{error:?}")),
            }
        }
    }
    failures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_go_on_during_swaps() {
    let database = with_dependents("readers").await;
    let stop = Arc::new(AtomicBool::new(false));
    let reads = Arc::new(AtomicU64::new(0));
    let mut readers = Vec::new();
    for sql in
        ["SELECT count(*) FROM daily", "SELECT count(*) FROM last", "SELECT count(*) FROM reports.weekly"]
    {
        let session = database.session().await;
        readers.push(tokio::spawn(read(session, sql, Arc::clone(&stop), Arc::clone(&reads))));
    }
    let options = ApplyOptions { pause: std::time::Duration::from_millis(1), ..ApplyOptions::default() };
    for factor in 2..8 {
        let changed = DAILY.replace("sum(amount)", &format!("{factor} * sum(amount)"));
        let applied = apply(&database.client, &declared(&changed), &options).await.unwrap();
        assert_eq!(applied[0].error, None);
        let before = reads.load(Ordering::Relaxed);
        while reads.load(Ordering::Relaxed) < before + 10 {
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        assert_eq!(reader.await.unwrap(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_killed_apply_leaves_the_old_view_and_is_cleaned_up() {
    let database = with_dependents("killed").await;
    let before: String = database.ask(PROPERTIES).await;
    let slow = DAILY.replace("GROUP BY day", "WHERE pg_sleep(20) IS NOT NULL AND id = 1 GROUP BY day");
    let (session, declarations) = (database.session().await, declared(&slow));
    let killed = tokio::spawn(async move { apply(&session, &declarations, &ApplyOptions::default()).await });
    let building = "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'REFRESH MATERIALIZED VIEW pgprime_build.%'";
    database.wait(&format!("SELECT EXISTS (SELECT {building})")).await;
    // Meanwhile another is told so.
    let other = apply(&database.session().await, &declared(DAILY), &ApplyOptions::default()).await;
    assert!(matches!(other, Err(pgprime_views::ViewsError::Busy)), "{other:?}");
    database.psql(&format!("SELECT pg_terminate_backend(pid) {building}")).await;
    assert!(killed.await.unwrap().is_err_and(|error| error.is_connection_lost()));
    assert_eq!(database.ask::<String>(PROPERTIES).await, before);

    // As killed between building and swapping.
    database.psql("CREATE MATERIALIZED VIEW pgprime_build.daily AS SELECT 1 AS a; CREATE VIEW pgprime_build.v AS SELECT * FROM pgprime_build.daily").await;
    let left = plan(&database.client, &declared(DAILY)).await.unwrap();
    assert_eq!(left.leftovers.len(), 2);
    database.made(&DAILY.replace("sum(amount)", "3 * sum(amount)")).await;
    let built: i64 = database
        .ask("SELECT count(*) FROM pg_class WHERE relnamespace = 'pgprime_build'::regnamespace")
        .await;
    assert_eq!(built, 0);
}

#[tokio::test]
async fn a_view_in_use_is_swapped_when_it_is_free() {
    let database = Database::new("in_use").await;
    database.made(DAILY).await;
    let reader = database.session().await;
    reader.batch_execute("BEGIN; SELECT * FROM daily").await.unwrap();
    let changed = declared(&DAILY.replace("sum(amount)", "2 * sum(amount)"));
    let quick = std::time::Duration::from_millis(20);
    let options = ApplyOptions { lock_timeout: quick, pause: quick, tries_max: 3, ..ApplyOptions::default() };
    let applied = apply(&database.client, &changed, &options).await.unwrap();
    assert!(applied[0].error.as_ref().is_some_and(|error| error.contains("in use")), "{applied:?}");
    assert!(plan(&database.client, &declared(DAILY)).await.unwrap().is_done());

    let session = database.session().await;
    let options = ApplyOptions { tries_max: 1_000, ..options };
    let waiting = tokio::spawn(async move { apply(&session, &changed, &options).await.unwrap() });
    database
        .wait("SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'daily'::regclass AND NOT granted)")
        .await;
    reader.batch_execute("COMMIT").await.unwrap();
    assert_eq!(waiting.await.unwrap()[0].error, None);
    assert_eq!(name("daily").to_string(), "public.daily");
}
