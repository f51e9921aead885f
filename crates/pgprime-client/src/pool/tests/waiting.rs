//! Turn, time and place of waiting, and what happens when it ends otherwise.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use super::harness::{Bench, options, seconds, settle};
use crate::error::{Error, Step};
use crate::pool::PoolOptions;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn waiters_are_served_in_the_order_in_which_they_came() {
    let bench = Bench::new(options(0, 2));
    let mut leases = bench.take(2).await;
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for turn in 0..50 {
        let (pool, served) = (bench.pool.clone(), Arc::clone(&served));
        tasks.push(tokio::spawn(async move {
            let lease = pool.acquire().await.unwrap();
            served.lock().unwrap().push(turn);
            tokio::task::yield_now().await;
            drop(lease);
        }));
        settle().await;
    }
    assert_eq!(bench.pool.report().waiting, 50);
    assert!(bench.pool.try_acquire().is_none(), "nobody jumps the queue");
    leases.pop();
    assert!(bench.pool.try_acquire().is_none(), "what came back is the first waiter's");
    leases.pop();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*served.lock().unwrap(), (0..50).collect::<Vec<_>>());
    bench.assert_all_at_rest();
    let report = bench.pool.report();
    assert_eq!((report.acquired_total, report.waited_total, report.size), (52, 52, 2));
}

#[tokio::test(start_paused = true)]
async fn exhaustion_names_the_longest_holder_and_comes_on_time() {
    let bench = Bench::new(PoolOptions { timeout: seconds(10), ..options(0, 2) });
    let first = bench.pool.acquire();
    let line = line!() - 1;
    let first = first.await.unwrap();
    tokio::time::advance(seconds(3)).await;
    let _second = bench.take(1).await;
    let began = Instant::now();
    let (long, short) =
        tokio::join!(bench.pool.acquire(), bench.pool.acquire_within(Duration::from_millis(1_500)));
    let waited = began.elapsed();
    assert!(waited >= seconds(10) && waited <= Duration::from_millis(10_002), "{waited:?}");
    let Err(Error::Exhausted(short)) = short else { panic!("the pool is exhausted") };
    assert!(short.waited >= Duration::from_millis(1_500) && short.waited <= Duration::from_millis(1_502));
    assert_eq!((short.busy, short.size_max, short.waiting), (2, 2, 1));
    let Err(error) = long else { panic!("the pool is exhausted") };
    let text = error.to_string();
    let expected = format!("longest holder: {}:{line} for 13 s;", file!());
    assert!(text.contains("pool main exhausted: 2 of 2 busy, none became free in 10 s"), "{text}");
    assert!(text.contains(&expected), "{text}");
    assert_eq!(error.step(), Step::Wait);
    drop(first);
    let report = bench.pool.report();
    assert_eq!((report.exhausted_total, report.waiting, report.idle), (2, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_later_and_shorter_deadline_comes_first() {
    let bench = Bench::new(PoolOptions { timeout: seconds(60), ..options(0, 1) });
    let lease = bench.take(1).await;
    let began = Instant::now();
    let times = [7_000, 40, 900, 40, 0].map(Duration::from_millis);
    let waits = times.map(|time| {
        let pool = bench.pool.clone();
        tokio::spawn(async move {
            assert!(matches!(pool.acquire_within(time).await, Err(Error::Exhausted(_))));
            began.elapsed()
        })
    });
    for (wait, time) in waits.into_iter().zip(times) {
        let waited = wait.await.unwrap();
        assert!(waited >= time && waited <= time + Duration::from_millis(2), "{waited:?} for {time:?}");
    }
    drop(lease);
    bench.assert_all_at_rest();
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_queue_passes_on_what_it_was_given() {
    let bench = Bench::new(options(0, 1));
    let lease = bench.take(1).await;
    let mut first = polled(bench.pool.acquire());
    let mut second = polled(bench.pool.acquire());
    let mut third = polled(bench.pool.acquire());
    assert!(first.poll().is_none() && second.poll().is_none() && third.poll().is_none());
    drop(first);
    assert_eq!(bench.pool.report().waiting, 2);
    drop(lease);
    drop(second);
    let lease = third.poll().expect("granted to the second, which has gone").unwrap();
    drop(lease);
    bench.assert_all_at_rest();
    assert_eq!(bench.pool.report().acquired_total, 2);
}

/// A future polled by hand.
struct Polled<F>(std::pin::Pin<Box<F>>);

fn polled<F: Future>(future: F) -> Polled<F> {
    Polled(Box::pin(future))
}

impl<F: Future> Polled<F> {
    fn poll(&mut self) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match self.0.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_costs_little_memory() {
    let bench = Bench::new(options(0, 1));
    assert!(size_of_val(&bench.pool.acquire()) <= 40);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_always_finds_a_connection_lets_others_run() {
    let bench = Bench::new(options(0, 1));
    drop(bench.take(1).await);
    let other = tokio::spawn(async {});
    let mut rounds = 0;
    while !other.is_finished() {
        drop(bench.pool.acquire().await.unwrap());
        rounds += 1;
        assert!(rounds < 10_000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_closed_pool_serves_nobody_and_waits_for_its_leases() {
    let bench = Bench::new(PoolOptions { timeout: seconds(30), ..options(0, 3) });
    let mut leases = bench.take(3).await;
    leases.pop();
    let waits = {
        let more = bench.take(1).await;
        let wait = tokio::spawn({
            let pool = bench.pool.clone();
            async move { pool.acquire().await.map(drop) }
        });
        settle().await;
        leases.extend(more);
        wait
    };
    let closing = tokio::spawn({
        let pool = bench.pool.clone();
        async move { pool.close().await }
    });
    settle().await;
    assert!(matches!(waits.await.unwrap(), Err(Error::Closed("main"))));
    assert!(matches!(bench.pool.acquire().await, Err(Error::Closed("main"))));
    assert!(bench.pool.try_acquire().is_none() && !closing.is_finished());
    assert!(matches!(bench.pool.warm_up().await, Err(Error::Closed("main"))));
    leases.clear();
    closing.await.unwrap();
    bench.assert_all_at_rest();
    let report = bench.pool.report();
    assert_eq!((report.size, report.closed_total.shutdown), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_ever() {
    let bench = Bench::new(PoolOptions { timeout: seconds(2), ..options(1, 3) });
    let lease = bench.take(1).await;
    let began = Instant::now();
    bench.pool.close().await;
    assert_eq!(began.elapsed().as_secs(), 2);
    drop(lease);
    bench.assert_all_at_rest();
    assert_eq!(bench.pool.report().size, 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_runs_on_after_the_last_handle() {
    let bench = Bench::new(options(2, 4));
    bench.pool.warm_up().await.unwrap();
    let lease = bench.take(1).await.pop().unwrap();
    let Bench { pool, server, database } = bench;
    let waiting = pool.clone();
    drop(pool);
    drop(waiting);
    settle().await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!((tasks(), database.used()), (0, 1), "one is still held");
    drop(lease);
    assert_eq!(database.used(), 0);
    assert_eq!(Arc::strong_count(&server), 1, "pool, tasks and connections are gone");
}

#[test]
fn a_lease_may_outlive_its_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (bench, mut lease) = runtime.block_on(async {
        let bench = Bench::new(options(0, 2));
        let lease = bench.take(1).await.pop().unwrap();
        (bench, lease)
    });
    lease.is_dirty = true;
    drop(runtime);
    drop(lease);
    bench.assert_all_at_rest();
    assert_eq!(bench.pool.report().closed_total.unclean, 1);
}
