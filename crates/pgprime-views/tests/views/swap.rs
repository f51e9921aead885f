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

/// Where relations and indexes are, and what was set for them and their columns.
const PLACES: &str = "
    SELECT string_agg(concat_ws('|', c.relname, (SELECT spcname FROM pg_tablespace t WHERE t.oid = c.reltablespace),
               (SELECT reloptions FROM pg_class t WHERE t.oid = c.reltoastrelid),
               (SELECT x.indisclustered FROM pg_index x WHERE x.indexrelid = c.oid),
               (SELECT string_agg(concat(a.attnum, coalesce(a.attstattarget, -1), a.attoptions, a.attstorage,
                                         to_jsonb(a) ->> 'attcompression'), ',' ORDER BY a.attnum)
                FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0)), E'\n' ORDER BY c.relname)
    FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('m', 'i') AND c.relname <> 'orders_pkey'";

#[tokio::test]
async fn everything_stays_where_it_is_and_as_it_was_set() {
    let database = Database::new("places").await;
    let (one, two) = (format!("{}_one", database.name), format!("{}_two", database.name));
    for space in [&one, &two] {
        let folder: String =
            database.ask(&format!("SELECT current_setting('data_directory') || '/{space}'")).await;
        database.psql(&format!("COPY (SELECT 1) TO PROGRAM 'mkdir {folder}'")).await;
        database.psql(&format!("CREATE TABLESPACE {space} LOCATION '{folder}'")).await;
    }
    let toml = DAILY.replace("sum(amount) AS amount", "sum(amount) AS amount, max(id)::text AS note")
        + "indexes = ['amount']";
    database.made(&toml).await;
    let key: String = database
        .ask("SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'daily'::regclass AND indisunique")
        .await;
    database
        .psql(&format!(
            "ALTER MATERIALIZED VIEW daily SET TABLESPACE {one}; ALTER INDEX {key} SET TABLESPACE {two};
             CREATE INDEX by_hand ON daily ((amount + 1)) TABLESPACE {one}; CREATE INDEX plain ON daily (note);
             ALTER INDEX by_hand ALTER 1 SET STATISTICS 300;
             ALTER MATERIALIZED VIEW daily CLUSTER ON {key};
             ALTER MATERIALIZED VIEW daily SET (toast.autovacuum_enabled = off, fillfactor = 70);
             ALTER MATERIALIZED VIEW daily ALTER amount SET STATISTICS 500;
             ALTER MATERIALIZED VIEW daily ALTER day SET (n_distinct = -0.5);
             ALTER MATERIALIZED VIEW daily ALTER note SET STORAGE EXTERNAL;
             CREATE MATERIALIZED VIEW reader TABLESPACE {two} AS SELECT day, amount FROM daily;
             CREATE INDEX reader_day ON reader (day) TABLESPACE {one};
             ALTER ROLE CURRENT_USER IN DATABASE {} SET default_tablespace = {two}",
            database.name
        ))
        .await;
    let before: String = database.ask(PLACES).await;
    assert!(before.contains(&one) && before.contains(&two), "{before}");
    let changed = declared(&toml.replace("sum(amount)", "2 * sum(amount)"));
    // A role's limits for the statements of a service.
    let limits = "SET statement_timeout = '10s'; SET lock_timeout = '1ms'";
    let session = database.session().await;
    session.batch_execute(limits).await.unwrap();
    let applied = apply(&session, &changed, &ApplyOptions::default()).await.unwrap();
    assert_eq!((&applied[0].error, applied[0].notes.len()), (&None, 0), "{applied:?}");
    assert_eq!(database.ask::<String>(PLACES).await, before);
    assert!(plan(&database.client, &changed).await.unwrap().is_done());
    database
        .psql(&format!("ALTER ROLE CURRENT_USER IN DATABASE {} RESET default_tablespace", database.name))
        .await;
}

#[tokio::test]
async fn an_index_that_could_not_be_made_in_time_is_not_taken_for_one_that_does_not_fit() {
    let database = Database::new("slow_index").await;
    database
        .psql(
            "CREATE FUNCTION slow(n numeric) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS
             'BEGIN PERFORM pg_sleep(current_setting(''test.pause'', true)::float8); RETURN n; END'",
        )
        .await;
    database.made(DAILY).await;
    database.psql("CREATE INDEX slowly ON daily (slow(amount))").await;
    let changed = declared(&format!("{}timeout = '300ms'", DAILY.replace("sum(amount)", "2 * sum(amount)")));
    let session = database.session().await;
    session.batch_execute("SET test.pause = '1'").await.unwrap();
    let applied = apply(&session, &changed, &ApplyOptions::default()).await.unwrap();
    assert!(applied[0].error.as_ref().is_some_and(|error| error.contains("keep an index: ")), "{applied:?}");
    assert!(database.ask::<bool>("SELECT to_regclass('slowly') IS NOT NULL").await);
    assert!(plan(&database.client, &declared(DAILY)).await.unwrap().is_done());
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
    let other = database.session().await;
    other.batch_execute("CREATE TEMP VIEW mine AS SELECT * FROM daily").await.unwrap();
    let item = plan(&database.client, &declared(&changed)).await.unwrap().items.remove(0);
    assert!(
        item.action == Action::Refused && item.reason.contains("temporary view of a session"),
        "{item:?}"
    );
    other.batch_execute("DROP VIEW mine").await.unwrap();
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

/// An apply of its own session, ended after this many questions by somebody else; whether it came to its end, and how many
/// were asked meanwhile.
async fn ended_early(database: &Database<'_>, toml: &str, questions: usize) -> (bool, usize) {
    let session = database.session().await;
    let pid: i32 = session.query_one_scalar("SELECT pg_backend_pid()", &[]).await.unwrap();
    let declarations = declared(toml);
    let applying =
        tokio::spawn(async move { apply(&session, &declarations, &ApplyOptions::default()).await });
    let mut asked = 0;
    while asked < questions && !applying.is_finished() {
        asked += database.ask::<i32>("SELECT 1").await as usize;
    }
    database.ask::<bool>(&format!("SELECT pg_terminate_backend({pid}) IS NOT NULL")).await;
    let applied = applying.await.unwrap();
    database.wait(&format!("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid})")).await;
    (matches!(applied, Ok(applied) if applied[0].error.is_none()), asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_that_is_ended_at_any_moment_leaves_one_whole_definition() {
    let database = with_dependents("ended").await;
    let stop = Arc::new(AtomicBool::new(false));
    let reads = Arc::new(AtomicU64::new(0));
    let reader = "SELECT count(*) FROM last l JOIN daily d ON d.amount = l.amount";
    let reading = tokio::spawn(read(database.session().await, reader, Arc::clone(&stop), Arc::clone(&reads)));
    let properties: String = database.ask(PROPERTIES).await;
    let total: i64 = database.ask("SELECT sum(amount)::int8 FROM orders").await;
    let (mut factor, mut whole) = (2, 0);
    let doubled = DAILY.replace("sum(amount)", "2 * sum(amount)");
    let (is_done, length) = ended_early(&database, &doubled, usize::MAX).await;
    assert!(is_done && length > 0, "{length}");
    for turn in 0..40 {
        let next = factor % 3 + 1;
        let changed = DAILY.replace("sum(amount)", &format!("{next} * sum(amount)"));
        let (is_done, _) = ended_early(&database, &changed, length * turn / 30).await;
        // The view and all that read it are of one definition, old or new, with everything that they had.
        let sums: String = database
            .ask(
                "SELECT concat_ws(' ', (SELECT sum(amount)::int8 FROM daily), (SELECT sum(amount)::int8 FROM last),
                                       (SELECT sum(amount)::int8 FROM reports.weekly))",
            )
            .await;
        let of = |factor: i64| [factor * total; 3].map(|sum| sum.to_string()).join(" ");
        assert!(sums == of(next) || (!is_done && sums == of(factor)), "turn {turn}: {sums}");
        if sums == of(next) {
            (factor, whole) = (next, whole + 1);
        }
        assert_eq!(database.ask::<String>(PROPERTIES).await, properties, "turn {turn}");
    }
    assert!(whole < 40, "none was ended early");
    stop.store(true, Ordering::Relaxed);
    assert_eq!(reading.await.unwrap(), Vec::<String>::new());
    // What was left is removed by the next.
    database.made(&DAILY.replace("sum(amount)", "7 * sum(amount)")).await;
    let left = "SELECT count(*) FROM pg_class WHERE relnamespace = 'pgprime_build'::regnamespace";
    assert_eq!(database.ask::<i64>(left).await, 0);
}
