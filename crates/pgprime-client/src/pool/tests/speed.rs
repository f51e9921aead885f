//! What a check-out and return cost; run by hand in release:
//! `cargo test --release -p pgprime-client --lib -- --ignored --nocapture speed`.

use std::time::Instant;

use super::harness::{Bench, options};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WhileHeld {
    Return,
    Yield,
}

async fn measure(tasks: usize, size: u32, rounds: usize, while_held: WhileHeld) {
    let bench = Bench::new(options(size, size));
    bench.pool.warm_up().await.unwrap();
    let began = Instant::now();
    let each = rounds / tasks;
    let running: Vec<_> = (0..tasks)
        .map(|_| {
            let pool = bench.pool.clone();
            tokio::spawn(async move {
                for _ in 0..each {
                    let lease = pool.acquire().await.unwrap();
                    if while_held == WhileHeld::Yield {
                        tokio::task::yield_now().await;
                    }
                    drop(lease);
                }
            })
        })
        .collect();
    for task in running {
        task.await.unwrap();
    }
    let ns = began.elapsed().as_nanos() as f64 / (each * tasks) as f64;
    let report = bench.pool.report();
    println!(
        "{tasks} tasks, {size} connections, {while_held:?}: {ns:.0} ns; waited {} {:?}",
        report.waited_total, report.wait_ms
    );
}

#[test]
#[ignore = "a measurement"]
fn speed() {
    let now = Instant::now();
    for _ in 0..1_000_000 {
        std::hint::black_box(Instant::now());
    }
    println!("clock: {} ns", now.elapsed().as_nanos() / 1_000_000);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    runtime.block_on(async {
        for while_held in [WhileHeld::Return, WhileHeld::Yield] {
            for tasks in [1, 16, 1_000] {
                measure(tasks, 16, 2_000_000, while_held).await;
            }
        }
    });
}
