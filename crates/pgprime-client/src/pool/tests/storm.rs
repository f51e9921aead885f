//! A million requests, many of which change their mind.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll};

use super::harness::{Bench, options, seconds};
use crate::pool::PoolOptions;

const TASKS: u64 = 64;
const ATTEMPTS: u64 = 1_000_000 / TASKS;

#[test]
fn no_connection_is_lost_after_a_million_requests_under_cancellation() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    runtime.block_on(async {
        let bench = Bench::new(PoolOptions { timeout: seconds(60), ..options(2, 8) });
        let served = Arc::new(AtomicU64::new(0));
        let tasks: Vec<_> = (0..TASKS)
            .map(|seed| {
                let (pool, served) = (bench.pool.clone(), Arc::clone(&served));
                tokio::spawn(async move {
                    let mut random = fastrand::Rng::with_seed(seed);
                    for _ in 0..ATTEMPTS {
                        let acquire = pin!(pool.acquire());
                        let patience = if random.bool() { random.u32(..4) } else { u32::MAX };
                        let Some(lease) = Patient { future: acquire, patience }.await else { continue };
                        let mut lease = lease.unwrap();
                        served.fetch_add(1, SeqCst);
                        lease.begin_use();
                        if random.u32(..4) == 0 {
                            tokio::task::yield_now().await;
                        }
                        lease.end_use();
                        match random.u32(..2_000) {
                            0 => lease.discard(),
                            1..10 => lease.is_dirty = true,
                            _ => {}
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let is_at_rest = || {
            let report = bench.pool.report();
            report.size == report.idle && report.connecting == 0 && bench.database.used() == report.size
        };
        while !is_at_rest() {
            tokio::task::yield_now().await;
        }
        bench.assert_all_at_rest();
        let report = bench.pool.report();
        assert_eq!(report.acquired_total, served.load(SeqCst));
        assert!(report.waited_total > 100_000, "there was contention: {report:?}");
        assert!(served.load(SeqCst) < TASKS * ATTEMPTS, "some were cancelled");
        assert!(bench.server.open_max.load(SeqCst) <= 8);
        let closed = report.closed_total;
        assert_eq!(report.opened_total, u64::from(report.size) + closed.discarded, "{closed:?}");
    });
}

/// A future that is dropped after it has been polled in vain so many times; it wakes itself to get there.
struct Patient<'a, F> {
    future: Pin<&'a mut F>,
    patience: u32,
}

impl<F: Future> Future for Patient<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = self.future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        match self.patience {
            u32::MAX => Poll::Pending,
            0 => Poll::Ready(None),
            _ => {
                self.patience -= 1;
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}
