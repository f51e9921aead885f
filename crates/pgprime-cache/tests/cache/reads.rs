//! What readers get, in memory alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pgprime_cache::{Cache, CacheConfig, Filled, Policy, Request, Source, Worth};
use tokio::sync::{Notify, oneshot};

use crate::support::{get, get_with, hour, key, memory_only, tables};

#[tokio::test]
async fn a_result_is_filled_once_and_then_served_from_memory() {
    let cache = memory_only().await;
    assert_eq!(get(&cache, "1").await.source, Source::Filled);
    let served = get(&cache, "2").await;
    assert_eq!((&served.bytes[..], served.source), (&b"1"[..], Source::Memory));
    let _ = cache.invalidate(&tables(&["other"])).await;
    assert_eq!(get(&cache, "3").await.bytes, "1");
    let _ = cache.invalidate(&tables(&["t", "other"])).await;
    assert_eq!(get(&cache, "4").await.bytes, "4");
    let _ = cache.invalidate_all().await;
    assert_eq!(get(&cache, "5").await.bytes, "5");
    let total = cache.snapshot().total;
    assert_eq!((total.hits_memory, total.misses, total.fills, total.invalidated), (2, 3, 3, 1));
    assert_eq!(total.bytes_served, 2);
}

#[tokio::test]
async fn around_a_commit_nothing_is_served_or_stored() {
    let cache = memory_only().await;
    get(&cache, "old").await;
    let intent = cache.begin_write(&tables(&["t"])).await;
    assert_eq!(get(&cache, "during").await.bytes, "during");
    assert_eq!(get(&cache, "during, too").await.bytes, "during, too");
    intent.rolled_back().await;
    assert_eq!(get(&cache, "after rollback").await.bytes, "old");

    let intent = cache.begin_write(&tables(&["t"])).await;
    assert_eq!(get(&cache, "during").await.bytes, "during");
    let _ = intent.committed().await;
    assert_eq!(get(&cache, "new").await.bytes, "new");
    assert_eq!(get(&cache, "newer").await.bytes, "new");

    drop(cache.begin_write(&tables(&["t"])).await);
    assert_eq!(get(&cache, "after a drop").await.bytes, "after a drop");
    assert_eq!(get(&cache, "x").await.bytes, "after a drop", "the writer has ended");
    assert_eq!(cache.snapshot().total.misses_writing, 3);
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_is_never_heard_of_again_counts_as_committed() {
    let cache = memory_only().await;
    get(&cache, "old").await;
    let intent = cache.begin_write(&tables(&["t"])).await;
    tokio::time::advance(Duration::from_secs(29)).await;
    assert_eq!(get(&cache, "during").await.bytes, "during");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(get(&cache, "after").await.bytes, "after");
    assert_eq!(get(&cache, "after, too").await.bytes, "after");
    let _ = intent.committed().await;
    assert_eq!(get(&cache, "at last").await.bytes, "at last");
}

/// Fills that begin when told and end when told.
struct Gate {
    began: Notify,
    may_end: Notify,
}

async fn gated(cache: Cache, gate: Arc<Gate>, value: &'static str) -> pgprime_cache::Served {
    let tables = tables(&["t"]);
    let request = Request { key: key("q"), tables: &tables, label: "q", policy: hour() };
    let fill = || async {
        gate.began.notify_one();
        gate.may_end.notified().await;
        Ok::<_, ()>(Filled::new(value.as_bytes()))
    };
    cache.get_or_fill(&request, fill).await.unwrap()
}

fn gate() -> Arc<Gate> {
    Arc::new(Gate { began: Notify::new(), may_end: Notify::new() })
}

#[tokio::test]
async fn a_fill_that_began_before_a_change_is_neither_stored_nor_shared_with_who_comes_later() {
    let cache = memory_only().await;
    let gate = gate();
    let filling = tokio::spawn(gated(cache.clone(), gate.clone(), "old"));
    gate.began.notified().await;
    let _ = cache.begin_write(&tables(&["t"])).await.committed().await;
    assert_eq!(get(&cache, "new").await.bytes, "new", "it must not wait for the fill from before");
    gate.may_end.notify_one();
    assert_eq!(filling.await.unwrap().bytes, "old", "its own caller began before the commit");
    assert_eq!(get(&cache, "newer").await.bytes, "new");
    assert_eq!(cache.snapshot().total.discarded, 1);
}

#[tokio::test]
async fn a_thousand_readers_cause_one_fill() {
    let cache = memory_only().await;
    let fills = Arc::new(AtomicUsize::new(0));
    let readers: Vec<_> = (0..1000)
        .map(|_| {
            let (cache, fills) = (cache.clone(), fills.clone());
            tokio::spawn(async move {
                let tables = tables(&["t"]);
                let request = Request { key: key("q"), tables: &tables, label: "q", policy: hour() };
                let fill = || async move {
                    fills.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    Ok::<_, ()>(Filled::new(b"value".as_slice()))
                };
                cache.get_or_fill(&request, fill).await.unwrap().bytes
            })
        })
        .collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), "value");
    }
    assert_eq!(fills.load(Ordering::SeqCst), 1);
    assert_eq!(cache.snapshot().flights, 0);
}

#[tokio::test]
async fn a_cancelled_leader_and_one_that_panics_hand_over() {
    let cache = memory_only().await;
    let gate = gate();
    let leader = tokio::spawn(gated(cache.clone(), gate.clone(), "never"));
    gate.began.notified().await;
    let (cache_too, (began, has_begun)) = (cache.clone(), oneshot::channel::<()>());
    let panicking = tokio::spawn(async move {
        let tables = tables(&["t"]);
        let request = Request { key: key("q"), tables: &tables, label: "q", policy: hour() };
        let fill = || async move {
            began.send(()).unwrap();
            tokio::task::yield_now().await;
            panic!("a fill that panics, as the test wants it")
        };
        cache_too.get_or_fill::<_, _, ()>(&request, fill).await
    });
    tokio::task::yield_now().await;
    let cache_too = cache.clone();
    let waiting = tokio::spawn(async move { get(&cache_too, "value").await });
    tokio::task::yield_now().await;
    leader.abort();
    has_begun.await.unwrap();
    assert!(panicking.await.unwrap_err().is_panic());
    assert_eq!(waiting.await.unwrap().bytes, "value");
    assert_eq!(cache.snapshot().flights, 0);
}

#[tokio::test]
async fn errors_are_not_cached_and_free_who_waits() {
    let cache = memory_only().await;
    let tables = tables(&["t"]);
    let request = Request { key: key("q"), tables: &tables, label: "q", policy: hour() };
    let gate = gate();
    let failing = async {
        let fill = || async {
            gate.may_end.notified().await;
            Err::<Filled, _>("the database is down")
        };
        cache.get_or_fill(&request, fill).await
    };
    let waiting = async {
        gate.may_end.notify_one();
        get(&cache, "value").await
    };
    let (failed, served) = tokio::join!(failing, waiting);
    assert_eq!(failed, Err("the database is down"));
    assert_eq!((&served.bytes[..], served.source), (&b"value"[..], Source::Filled));
    let total = cache.snapshot().total;
    assert_eq!((total.errors, total.misses, total.fills), (1, 2, 1));
}

#[tokio::test]
async fn what_the_fill_finds_not_cacheable_is_not_kept() {
    let cache = memory_only().await;
    let tables = tables(&["t"]);
    let request = Request { key: key("q"), tables: &tables, label: "q", policy: hour() };
    let fill = || async { Ok::<_, ()>(Filled::not_cacheable(b"mine".as_slice())) };
    assert_eq!(cache.get_or_fill(&request, fill).await.unwrap().bytes, "mine");
    assert_eq!(get(&cache, "other").await.bytes, "other");
}

#[tokio::test(start_paused = true)]
async fn what_is_past_its_time_is_served_only_where_asked_for_and_by_all_but_one() {
    let cache = memory_only().await;
    let stale = Some(Duration::from_secs(5));
    let policy =
        Policy { stale_while_revalidate: stale, jitter: 0.0, ..Policy::ttl(Duration::from_secs(10)) };
    get_with(&cache, policy, "1").await;
    tokio::time::advance(Duration::from_secs(9)).await;
    let served = get_with(&cache, policy, "2").await;
    assert_eq!((served.source, served.age), (Source::Memory, Duration::from_secs(9)));

    tokio::time::advance(Duration::from_secs(2)).await;
    let gate = gate();
    let refreshing = async {
        let tables = tables(&["t"]);
        let request = Request { key: key("q"), tables: &tables, label: "q", policy };
        let fill = || async {
            gate.began.notify_one();
            gate.may_end.notified().await;
            Ok::<_, ()>(Filled::new(b"3".as_slice()))
        };
        cache.get_or_fill(&request, fill).await.unwrap()
    };
    let meanwhile = async {
        gate.began.notified().await;
        let served = get_with(&cache, policy, "4").await;
        assert_eq!((&served.bytes[..], served.source), (&b"1"[..], Source::Stale));
        gate.may_end.notify_one();
    };
    let (refreshed, ()) = tokio::join!(refreshing, meanwhile);
    assert_eq!((&refreshed.bytes[..], refreshed.source), (&b"3"[..], Source::Filled));
    assert_eq!(get_with(&cache, policy, "5").await.bytes, "3");

    tokio::time::advance(Duration::from_secs(15)).await;
    assert_eq!(get_with(&cache, policy, "6").await.bytes, "6", "too old even for that");
    tokio::time::advance(Duration::from_secs(12)).await;
    let _ = cache.invalidate(&tables(&["t"])).await;
    assert_eq!(get_with(&cache, policy, "7").await.bytes, "7", "stale is not outdated");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_in_the_background_lets_nobody_wait() {
    let cache = memory_only().await;
    let stale = Some(Duration::from_secs(5));
    let policy =
        Policy { stale_while_revalidate: stale, jitter: 0.0, ..Policy::ttl(Duration::from_secs(10)) };
    get_with(&cache, policy, "1").await;
    tokio::time::advance(Duration::from_secs(11)).await;
    let tables = tables(&["t"]);
    let request = Request { key: key("q"), tables: &tables, label: "q", policy };
    let (done, is_done) = oneshot::channel();
    let fill = move || async move {
        done.send(()).unwrap();
        Ok::<_, ()>(Filled::new(b"2".as_slice()))
    };
    let served = cache.get_or_refresh(&request, fill).await.unwrap();
    assert_eq!((&served.bytes[..], served.source), (&b"1"[..], Source::Stale));
    is_done.await.unwrap();
    tokio::task::yield_now().await;
    assert_eq!(get_with(&cache, policy, "3").await.bytes, "2");
    let total = cache.snapshot().total;
    assert_eq!((total.hits_stale, total.hits_memory, total.misses, total.refreshes), (1, 1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn hits_and_misses_are_all_requests_and_what_each_refresh_costs_is_no_gain() {
    // Requests in seconds of one another, results fresh for 10 s and served for 60 s more.
    for (every_s, requests, refreshes, worth) in
        [(1, 101, 10, true), (12, 21, 20, false), (100, 21, 0, false)]
    {
        let cache = memory_only().await;
        let stale = Some(Duration::from_secs(60));
        let policy =
            Policy { stale_while_revalidate: stale, jitter: 0.0, ..Policy::ttl(Duration::from_secs(10)) };
        let tables = tables(&["t"]);
        let request = Request { key: key("q"), tables: &tables, label: "q", policy };
        for _ in 0..requests {
            let fill = || async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok::<_, ()>(Filled::new(b"value".as_slice()))
            };
            cache.get_or_refresh(&request, fill).await.unwrap();
            tokio::time::sleep(Duration::from_secs(every_s)).await;
        }
        let total = cache.snapshot().total;
        assert_eq!(
            (total.hits() + total.misses, total.refreshes),
            (requests, refreshes),
            "every {every_s} s"
        );
        assert_eq!(total.fills, total.misses + total.refreshes);
        // What it would have taken without a cache, less what it took.
        assert_eq!(total.saved().as_millis() as u64, requests * 100 - total.fills * 100, "every {every_s} s");
        assert_eq!(matches!(total.worth(20), Worth::WorthHaving { .. }), worth, "every {every_s} s");
    }
}

#[tokio::test]
async fn what_is_too_large_or_of_too_many_tables_is_served_and_not_stored() {
    let config = CacheConfig { value_bytes_max: 10, tables_max: 2, flights_max: 0, ..CacheConfig::default() };
    let cache = Cache::connect(config).await.unwrap();
    assert_eq!(get(&cache, "0123456789a").await.bytes, "0123456789a");
    assert_eq!(get(&cache, "0123456789").await.bytes, "0123456789");
    assert_eq!(get(&cache, "x").await.bytes, "0123456789", "stored, though there is no flight to wait for");
    let many = tables(&["a", "b", "c"]);
    let request = Request { key: key("many"), tables: &many, label: "many", policy: hour() };
    for value in ["1", "2"] {
        let fill = || async { Ok::<_, ()>(Filled::new(value.as_bytes())) };
        assert_eq!(cache.get_or_fill(&request, fill).await.unwrap().bytes, value);
    }
    assert_eq!(cache.snapshot().total.too_large, 3);
}

#[tokio::test]
async fn it_says_whether_it_is_worth_having() {
    let cache = memory_only().await;
    for _ in 0..10 {
        get(&cache, "value").await;
    }
    let report = cache.snapshot();
    let label = &report.labels[0];
    assert_eq!(label.label, "q");
    assert_eq!(label.worth(10), Worth::WorthHaving { hit_ratio: 0.9 });
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["labels"][0]["hits_memory"], 9);
    assert_eq!(json["redis"], serde_json::Value::Null);
}
