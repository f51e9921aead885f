//! Reads through the cache around refreshes and changed definitions: never older than what was committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use pgprime_client::cache::{
    Cache, CacheConfig, Filled, KeyBuilder, Policy as Keep, Request, Source, Tables,
};
use pgprime_client::{CachedSource, Database as Pools, DatabaseConfig, ResultCacheConfig};
use pgprime_views::{
    ApplyOptions, Policy, Reason, RefreshOutcome, Scheduler, ViewsError, apply_with_cache, refresh,
    refresh_with_cache,
};

use crate::harness::{DAILY, Database, age, declared, name};

/// Of the whole table; each refresh shows how far its rows had come.
const TOTAL: &str = "
[[views]]
name = 'total'
sql = 'SELECT 1 AS one, max(amount)::bigint AS amount FROM orders'
unique_key = ['one']
schedule = '1m'
";
const READ: &str = "SELECT amount FROM total";

pub(crate) async fn pools(database: &Database<'_>) -> Pools {
    let mut config = DatabaseConfig::new(database.node.url(&database.name));
    (config.pool_min, config.pool_max, config.admin.size) = (Some(1), Some(4), Some(2));
    config.cache = Some(ResultCacheConfig::default());
    Pools::connect(config).await.unwrap()
}

async fn cached(pools: &Pools, sql: &str) -> (i64, CachedSource) {
    let rows = pools.cached(sql, &[]).ttl(Duration::from_secs(3_600)).fetch().await.unwrap();
    assert_eq!(rows.not_kept(), None, "{sql}");
    (rows.row(0).unwrap().get(0), rows.source())
}

/// Refreshes a view and tells the cache.
async fn refreshed(database: &Database<'_>, pools: &Pools, view: &str) -> Result<(), ViewsError> {
    let (view, policy, cache) = (name(view), Policy::default(), pools.cache().unwrap());
    let outcome = refresh_with_cache(&database.client, &view, None, Reason::Asked, &policy, cache).await?;
    assert!(matches!(outcome, RefreshOutcome::Refreshed(_)), "{outcome:?}");
    Ok(())
}

#[tokio::test]
async fn a_refresh_is_seen_by_the_next_cached_read() {
    let database = Database::new("cached").await;
    database.made(TOTAL).await;
    let pools = pools(&database).await;
    assert_eq!(cached(&pools, READ).await, (1_000, CachedSource::Filled));
    database.psql("UPDATE orders SET amount = 5000 WHERE id = 1").await;
    // What is below a materialized view does not count, only what it holds.
    assert_eq!(cached(&pools, READ).await, (1_000, CachedSource::Memory));

    refreshed(&database, &pools, "total").await.unwrap();
    assert_eq!(cached(&pools, READ).await, (5_000, CachedSource::Filled));

    // One that fails leaves the cache as it was, and usable.
    assert_eq!(cached(&pools, READ).await, (5_000, CachedSource::Memory));
    assert!(refreshed(&database, &pools, "gone").await.is_err());
    assert_eq!(cached(&pools, READ).await, (5_000, CachedSource::Memory));
}

#[tokio::test]
async fn a_changed_definition_is_seen_by_the_next_cached_read() {
    let database = Database::new("swapped").await;
    database.made(TOTAL).await;
    database.psql("CREATE VIEW reader AS SELECT amount + 1 AS amount FROM total").await;
    let pools = pools(&database).await;
    let reader = "SELECT amount FROM reader";
    assert_eq!((cached(&pools, READ).await.0, cached(&pools, reader).await.0), (1_000, 1_001));
    assert_eq!(cached(&pools, reader).await.1, CachedSource::Memory);
    let changed = declared(&TOTAL.replace("max(amount)", "min(amount)"));
    let applied =
        apply_with_cache(&database.client, &changed, &ApplyOptions::default(), pools.cache().unwrap())
            .await
            .unwrap();
    assert_eq!(applied[0].error, None, "{applied:?}");
    assert_eq!((cached(&pools, READ).await.0, cached(&pools, reader).await.0), (1, 2));
}

/// The names under which the cache keeps what is made from views are those that it is told of, and that are told others.
#[tokio::test]
async fn names_are_those_that_cached_reads_have() {
    let database = Database::new("named").await;
    let odd = [
        "plain",
        "\"Odd \"\"Name\"",
        "\"select\"",
        "\"values\"",
        "\"time\"",
        "\"1st\"",
        "\"über\"",
        "\"a$b\"",
    ];
    for written in odd {
        let sql = format!("CREATE MATERIALIZED VIEW {written} AS SELECT 1::bigint AS a");
        database.client.batch_execute(&sql).await.unwrap();
    }
    database.made(DAILY).await;
    let pools = pools(&database).await;
    let listener = Listener::start(&database).await;
    for written in odd {
        let sql = format!("SELECT a FROM public.{written}");
        assert_eq!(cached(&pools, &sql).await, (1, CachedSource::Filled));
        assert_eq!(cached(&pools, &sql).await, (1, CachedSource::Memory));
        refreshed(&database, &pools, written).await.unwrap();
        assert_eq!(cached(&pools, &sql).await, (1, CachedSource::Filled), "{written}");
        let told = listener.next().await;
        let read = pgprime_footprint::Schema::load(&database.client).await.unwrap().footprint(&sql).reads;
        assert_eq!(read.iter().collect::<Vec<_>>(), [&told], "{written}");
    }
}

/// Writers, two schedulers and readers at once: each read shows at least what the last refresh that was over had.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_older_than_a_refresh_that_was_over_before() {
    let database = Database::new("never_older").await;
    database.made(TOTAL).await;
    let pools = pools(&database).await;
    let (shown, is_over) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (pools, shown, is_over) = (pools.clone(), Arc::clone(&shown), Arc::clone(&is_over));
            tokio::spawn(async move {
                let mut reads = 0;
                while !is_over.load(Ordering::Acquire) || reads < 50 {
                    let before = shown.load(Ordering::Acquire);
                    let (amount, _) = cached(&pools, READ).await;
                    assert!(amount >= before, "{amount} was read after {before} was shown");
                    reads += 1;
                    tokio::task::yield_now().await;
                }
                reads
            })
        })
        .collect();
    let scheduler =
        Scheduler::new(declared(TOTAL), Policy::default()).with_cache(pools.cache().unwrap().clone());
    let (one, other) = (database.session().await, database.session().await);
    for turn in 1..=20_i64 {
        database.psql(&format!("UPDATE orders SET amount = {} WHERE id = 1", 10_000 * turn)).await;
        age(&database, "2 minutes").await;
        let (first, second) = tokio::join!(scheduler.round(&one), scheduler.round(&other));
        let outcomes: Vec<_> =
            [first.unwrap(), second.unwrap()].into_iter().flat_map(|round| round.outcomes).collect();
        let refreshed =
            outcomes.iter().filter(|outcome| matches!(outcome, RefreshOutcome::Refreshed(_))).count();
        assert_eq!(refreshed, 1, "turn {turn}: {outcomes:?}");
        shown.store(10_000 * turn, Ordering::Release);
    }
    is_over.store(true, Ordering::Release);
    for reader in readers {
        assert!(reader.await.unwrap() >= 50);
    }
    assert_eq!(cached(&pools, READ).await.0, 200_000);
}

#[tokio::test]
async fn a_refresh_is_told_to_instances_that_share_no_cache() {
    let database = Database::new("notified").await;
    database.made(DAILY).await;
    let listener = Listener::start(&database).await;
    let done =
        refresh(&database.client, &name("daily"), None, Reason::Asked, &Policy::default()).await.unwrap();
    assert!(matches!(done, RefreshOutcome::Refreshed(_)));
    assert_eq!(listener.next().await, "public.daily");
    // What is rolled back is not told.
    database.psql("DROP MATERIALIZED VIEW daily").await;
    assert!(
        refresh(&database.client, &name("daily"), None, Reason::Asked, &Policy::default()).await.is_err()
    );
    database.psql("NOTIFY pgprime_changes, 'the next'").await;
    assert_eq!(listener.next().await, "the next");
}

/// A session that hears notifications.
struct Listener {
    heard: tokio::sync::Mutex<tokio::sync::mpsc::UnboundedReceiver<String>>,
    _client: tokio_postgres::Client,
}

impl Listener {
    async fn start(database: &Database<'_>) -> Self {
        let config: tokio_postgres::Config = database.node.url(&database.name).parse().unwrap();
        let (client, mut connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        let (sender, heard) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                match std::future::poll_fn(|context| connection.poll_message(context)).await {
                    Some(Ok(tokio_postgres::AsyncMessage::Notification(told))) => {
                        let _ = sender.send(told.payload().to_owned());
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return,
                }
            }
        });
        client.batch_execute("LISTEN pgprime_changes").await.unwrap();
        Self { heard: tokio::sync::Mutex::new(heard), _client: client }
    }

    async fn next(&self) -> String {
        self.heard.lock().await.recv().await.unwrap()
    }
}

/// A result made from the view `total`, put into a cache by hand.
async fn kept(cache: &Cache, value: &'static str) -> (String, Source) {
    let tables = Tables::new(["public.total"]);
    let key = KeyBuilder::new().text("by hand").build();
    let policy = Keep::ttl(Duration::from_secs(3_600));
    let request = Request { key, tables: &tables, label: "by hand", policy };
    let fill = || async { Ok::<_, std::convert::Infallible>(Filled::new(value)) };
    let served = cache.get_or_fill(&request, fill).await.unwrap();
    (String::from_utf8(served.bytes.to_vec()).unwrap(), served.source)
}

/// What a COMMIT of a refresh comes to is up to a trigger that runs in it.
#[tokio::test]
async fn commits_that_fail_or_get_lost() {
    let database = Database::new("commits").await;
    database.made(TOTAL).await;
    let at_commit = |what: &str| {
        format!(
            "CREATE OR REPLACE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {what}; RETURN NULL; END $$;
             DROP TRIGGER IF EXISTS at_commit ON pgprime.view_states;
             CREATE CONSTRAINT TRIGGER at_commit AFTER UPDATE ON pgprime.view_states
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (new.refreshes > old.refreshes) EXECUTE FUNCTION public.at_commit()"
        )
    };
    let cache = Cache::connect(CacheConfig::default()).await.unwrap();
    let scheduler = Scheduler::new(declared(TOTAL), Policy::default()).with_cache(cache.clone());
    assert_eq!(kept(&cache, "one").await, ("one".to_owned(), Source::Filled));

    // Refused at its end: what was kept is as good as before.
    database.psql(&at_commit("RAISE EXCEPTION 'not now'")).await;
    database.psql("UPDATE orders SET amount = 5000 WHERE id = 1").await;
    age(&database, "2 minutes").await;
    let round = scheduler.round(&database.client).await.unwrap();
    assert!(
        matches!(&round.outcomes[..], [RefreshOutcome::Failed { error, .. }] if error.contains("not now")),
        "{round:?}"
    );
    assert_eq!(kept(&cache, "two").await, ("one".to_owned(), Source::Memory));

    // Lost in the middle: nobody knows, so nothing is served or kept.
    database.psql(&at_commit("PERFORM pg_terminate_backend(pg_backend_pid())")).await;
    age(&database, "2 minutes").await;
    let session = database.session().await;
    assert!(scheduler.round(&session).await.unwrap_err().is_connection_lost());
    for value in ["three", "four"] {
        assert_eq!(kept(&cache, value).await, (value.to_owned(), Source::Filled));
    }
}
