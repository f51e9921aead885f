//! Lifetimes, checks, cleaning, leaks and sizes.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::harness::{Bench, Mode, options, seconds, settle};
use crate::pool::PoolOptions;
use pgprime_pool::Limit;

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn warming_up_opens_the_minimum_and_no_more() {
    let bench = Bench::new(options(12, 20));
    bench.server.connect_takes(Duration::from_millis(40));
    bench.pool.warm_up().await.unwrap();
    let report = bench.pool.report();
    assert_eq!((report.size, report.idle, bench.attempts()), (12, 12, 12));
    let empty = Bench::new(options(0, 20));
    empty.pool.warm_up().await.unwrap();
    assert_eq!(empty.attempts(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_known_to_be_dead_is_replaced_before_it_is_handed_out() {
    let bench = Bench::new(options(0, 2));
    drop(bench.take(2).await);
    for number in [0, 1] {
        bench.server.line(number).is_closed.store(true, SeqCst);
    }
    let lease = bench.take(1).await.pop().unwrap();
    assert_eq!(lease.number, 2);
    drop(lease);
    bench.assert_all_at_rest();
    let report = bench.pool.report();
    assert_eq!((report.closed_total.died, report.size), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn the_dead_are_replaced_while_nobody_asks() {
    let bench = Bench::new(options(3, 3));
    bench.pool.warm_up().await.unwrap();
    bench.server.line(1).is_closed.store(true, SeqCst);
    pass(seconds(2)).await;
    bench.assert_all_at_rest();
    let report = bench.pool.report();
    assert_eq!((report.size, report.closed_total.died, report.opened_total), (3, 1, 4));
}

#[tokio::test(start_paused = true)]
async fn after_idling_a_connection_must_answer_first() {
    let bench = Bench::new(PoolOptions { check_after_idle: seconds(30), ..options(0, 1) });
    drop(bench.take(1).await);
    pass(Duration::from_millis(29_500)).await;
    assert_eq!(bench.server.checks.load(SeqCst), 0);
    tokio::time::advance(Duration::from_millis(500)).await;
    let lease = bench.take(1).await.pop().unwrap();
    assert_eq!((lease.number, bench.server.checks.load(SeqCst)), (0, 1));
    drop(lease);
    // Nobody uses it: it is asked in the background, every 30 s.
    pass(seconds(65)).await;
    assert_eq!(bench.server.checks.load(SeqCst), 3);
    bench.assert_all_at_rest();
}

#[tokio::test(start_paused = true)]
async fn who_was_to_have_a_mute_connection_keeps_its_turn() {
    let bench = Bench::new(PoolOptions { check_after_idle: seconds(30), ..options(0, 1) });
    drop(bench.take(1).await);
    bench.server.line(0).is_mute.store(true, SeqCst);
    tokio::time::advance(seconds(30)).await;
    let (first, second) = tokio::join!(
        async {
            let lease = bench.pool.acquire().await.unwrap();
            (lease.number, tokio::time::Instant::now())
        },
        async {
            let lease = bench.pool.acquire().await.unwrap();
            (lease.number, tokio::time::Instant::now())
        }
    );
    assert_eq!((first.0, second.0), (1, 1), "the mute one has been replaced");
    assert!(first.1 <= second.1);
    bench.assert_all_at_rest();
    assert_eq!(bench.pool.report().closed_total.died, 1);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_during_the_check_leaves_the_connection_behind() {
    let bench = Bench::new(PoolOptions { check_after_idle: seconds(30), ..options(0, 1) });
    drop(bench.take(1).await);
    bench.server.check_takes(Duration::from_millis(500));
    tokio::time::advance(seconds(30)).await;
    assert!(bench.pool.acquire_within(Duration::from_millis(100)).await.is_err());
    let gone = tokio::time::timeout(Duration::from_millis(100), bench.pool.acquire()).await;
    assert!(gone.is_err());
    pass(seconds(1)).await;
    bench.assert_all_at_rest();
    assert_eq!(bench.take(1).await[0].number, 0);
}

#[tokio::test(start_paused = true)]
async fn idle_connections_retire_down_to_the_minimum_although_they_are_checked() {
    let short = PoolOptions { idle_timeout: seconds(90), check_after_idle: seconds(10), ..options(1, 6) };
    let bench = Bench::new(short);
    drop(bench.take(6).await);
    pass(seconds(85)).await;
    assert_eq!(bench.pool.report().size, 6);
    // The load of six at once is forgotten slowly; after some minutes it is.
    pass(seconds(600)).await;
    let report = bench.pool.report();
    assert_eq!((report.size, report.closed_total.idle), (1, 5), "{report:?}");
    bench.assert_all_at_rest();
}

#[tokio::test(start_paused = true)]
async fn lifetimes_end_one_after_another_and_never_in_use() {
    let bench = Bench::new(PoolOptions { lifetime: seconds(1_000), ..options(20, 20) });
    bench.pool.warm_up().await.unwrap();
    let held = bench.take(1).await.pop().unwrap();
    pass(seconds(798)).await;
    assert_eq!(bench.pool.report().closed_total.lifetime, 0);
    pass(seconds(100)).await;
    let half = bench.pool.report().closed_total.lifetime;
    assert!((1..19).contains(&half), "{half} of 19 by half of the time");
    pass(seconds(104)).await;
    let report = bench.pool.report();
    assert!(report.closed_total.lifetime >= 19, "{report:?}");
    assert_eq!((report.size, report.busy), (20, 1), "each was replaced");
    let before = report.closed_total.lifetime;
    drop(held);
    assert_eq!(bench.pool.report().closed_total.lifetime, before + 1);
}

#[tokio::test(start_paused = true)]
async fn an_unclean_connection_is_cleaned_before_anybody_has_it() {
    let bench = Bench::new(options(0, 1));
    let mut lease = bench.take(1).await.pop().unwrap();
    lease.is_dirty = true;
    drop(lease);
    assert_eq!((bench.pool.report().busy, bench.pool.report().idle), (1, 0));
    let lease = bench.take(1).await.pop().unwrap();
    assert_eq!((lease.number, lease.is_dirty), (0, false));
    drop(lease);
    assert_eq!((bench.pool.report().cleaned_total, bench.server.cleanings.load(SeqCst)), (1, 1));
    bench.assert_all_at_rest();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_cleaned_is_closed_and_replaced_for_who_waits() {
    let bench = Bench::new(options(0, 1));
    bench.server.can_clean.store(false, SeqCst);
    let mut lease = bench.take(1).await.pop().unwrap();
    lease.is_dirty = true;
    drop(lease);
    let lease = bench.take(1).await.pop().unwrap();
    assert_eq!(lease.number, 1);
    lease.discard();
    bench.assert_all_at_rest();
    let closed = bench.pool.report().closed_total;
    assert_eq!((closed.unclean, closed.discarded, bench.pool.report().size), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_holder_gives_the_connection_back() {
    let bench = Bench::new(options(0, 2));
    for is_dirty in [false, true] {
        let pool = bench.pool.clone();
        let holder = tokio::spawn(async move {
            let mut lease = pool.acquire().await.unwrap();
            lease.is_dirty = is_dirty;
            panic!("the application has a bug");
        });
        assert!(holder.await.unwrap_err().is_panic());
        settle().await;
        bench.assert_all_at_rest();
    }
    assert_eq!((bench.pool.report().size, bench.pool.report().cleaned_total), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_connector_loses_no_permit() {
    let bench = Bench::new(PoolOptions { timeout: seconds(1), ..options(0, 1) });
    bench.server.be(Mode::Panicking);
    assert!(bench.pool.acquire().await.is_err());
    bench.server.be(Mode::Up);
    drop(bench.take(1).await);
    bench.assert_all_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_leak_is_counted_once_and_named() {
    let bench = Bench::new(PoolOptions { leak_after: seconds(5), ..options(0, 8) });
    let leases = bench.take(7).await;
    pass(seconds(4)).await;
    assert_eq!(bench.pool.report().leaked_total, 0);
    pass(seconds(10)).await;
    let report = bench.pool.report();
    assert_eq!((report.leaked_total, report.holders.len()), (7, 5));
    assert!(report.holders[0].taken_at.contains("harness.rs:"), "{:?}", report.holders[0]);
    assert!((14_000.0..15_000.0).contains(&report.holders[0].held_ms));
    drop(leases);
    assert!(bench.pool.report().holders.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_size_follows_the_load() {
    let bench = Bench::new(PoolOptions { idle_timeout: seconds(20), ..options(2, 16) });
    bench.pool.warm_up().await.unwrap();
    assert_eq!(bench.pool.report().size_target, 2);
    // 200 requests a second of 30 ms each keep 6 busy.
    for _ in 0..2_000 {
        let pool = bench.pool.clone();
        tokio::spawn(async move {
            let _lease = pool.acquire().await.unwrap();
            tokio::time::sleep(Duration::from_millis(30)).await;
        });
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let report = bench.pool.report();
    assert!((7..=12).contains(&report.size_target), "{report:?}");
    assert!(report.size >= report.size_target && report.size <= 16, "opened ahead of demand: {report:?}");
    assert!((report.arrivals_per_s - 200.0).abs() < 20.0, "{report:?}");
    assert!((report.service_ms - 30.0).abs() < 5.0, "{report:?}");
    assert!((report.hold_ms.p50 - 30.0).abs() < 3.0, "{report:?}");
    pass(seconds(900)).await;
    let report = bench.pool.report();
    assert_eq!((report.size_target, report.size), (2, 2), "{report:?}");
    bench.assert_all_at_rest();
}

#[tokio::test(start_paused = true)]
async fn pools_of_one_database_stay_within_its_limit_and_make_room() {
    let database = Limit::new(4);
    let main = Bench::within(options(1, 4), std::sync::Arc::clone(&database));
    let admin = Bench::within(options(0, 4), std::sync::Arc::clone(&database));
    drop(main.take(4).await);
    assert_eq!((database.used(), main.pool.report().idle), (4, 4));
    let began = tokio::time::Instant::now();
    let lease = admin.take(1).await;
    assert!(began.elapsed() < seconds(2), "main gives up what it does not need");
    assert_eq!((database.used(), main.pool.report().closed_total.evicted), (4, 1));
    drop(lease);
}
