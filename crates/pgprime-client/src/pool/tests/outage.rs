//! The database down: who is told, when, and how often it is tried.

use std::time::Duration;

use super::harness::{Bench, Mode, options, seconds, settle};
use crate::error::{Error, Step};
use crate::pool::PoolOptions;
use tokio::time::{Instant, advance};

#[tokio::test(start_paused = true)]
async fn the_breaker_opens_after_patience_and_closes_with_one_attempt() {
    let bench = Bench::new(PoolOptions { breaker: seconds(2), timeout: seconds(30), ..options(0, 8) });
    bench.server.be(Mode::Unreachable);
    let began = Instant::now();
    let waits: Vec<_> = (0..100)
        .map(|_| {
            let pool = bench.pool.clone();
            tokio::spawn(async move { pool.acquire().await.map(drop) })
        })
        .collect();
    for wait in waits {
        let Err(Error::Down { pool: "main", cause }) = wait.await.unwrap() else { panic!("it is down") };
        assert_eq!((cause.step(), cause.to_string().contains("refused")), (Step::Connect, true));
    }
    let waited = began.elapsed();
    assert!(waited >= seconds(2) && waited < seconds(3), "{waited:?}");
    // At 0, 0.1, 0.3, 0.7 and 1.5 s: pauses double, and the next would be at 3.1 s.
    assert_eq!(bench.attempts(), 5);
    // Everybody is told at once now, and nobody tries.
    let began = Instant::now();
    for _ in 0..1_000 {
        assert!(matches!(bench.pool.acquire().await, Err(Error::Down { .. })));
    }
    assert_eq!((bench.attempts(), began.elapsed()), (5, Duration::ZERO));
    // After the pause one attempt is made for whoever asks, and closes the breaker.
    bench.server.be(Mode::Up);
    bench.server.connect_takes(Duration::from_millis(50));
    advance(seconds(2)).await;
    let waits: Vec<_> = (0..5)
        .map(|_| {
            let pool = bench.pool.clone();
            tokio::spawn(async move { pool.acquire().await.map(drop) })
        })
        .collect();
    settle().await;
    assert_eq!(bench.attempts(), 6);
    for wait in waits {
        wait.await.unwrap().unwrap();
    }
    settle().await;
    assert!(!bench.pool.report().is_failing);
    assert_eq!(bench.pool.report().connect_errors_total, 5);
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_passes_as_waiting() {
    let bench = Bench::new(PoolOptions { breaker: seconds(5), ..options(0, 2) });
    bench.server.be(Mode::Unreachable);
    let wait = tokio::spawn({
        let pool = bench.pool.clone();
        async move { pool.acquire().await.map(drop) }
    });
    let began = Instant::now();
    tokio::time::sleep(Duration::from_millis(650)).await;
    bench.server.be(Mode::Up);
    wait.await.unwrap().unwrap();
    let waited = began.elapsed().as_millis();
    assert!((700..=710).contains(&waited), "tried at the end of the pause, after {waited} ms");
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_is_told_at_once() {
    let bench = Bench::new(options(0, 2));
    bench.server.be(Mode::Rejecting);
    let Err(error) = bench.pool.acquire().await else { panic!("it was refused") };
    assert_eq!((error.step(), error.sqlstate(), bench.attempts()), (Step::Login, "28P01", 1));
}

#[tokio::test(start_paused = true)]
async fn warming_up_says_why_nothing_could_be_opened() {
    for (mode, step, seconds_max) in [
        (Mode::Rejecting, Step::Login, 0),
        (Mode::Unreachable, Step::Connect, 10),
        (Mode::Silent, Step::Connect, 10),
    ] {
        let bench = Bench::new(options(3, 3));
        bench.server.be(mode);
        let began = Instant::now();
        let error = bench.pool.warm_up().await.unwrap_err();
        assert_eq!(error.step(), step, "{error}");
        assert_eq!(began.elapsed().as_secs(), seconds_max);
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_database_is_given_up_after_the_connect_timeout() {
    let silent = PoolOptions { connect_timeout: seconds(2), timeout: seconds(5), ..options(0, 2) };
    let bench = Bench::new(silent);
    bench.server.be(Mode::Silent);
    let Err(error) = bench.pool.acquire().await else { panic!("nobody answered") };
    assert_eq!(error.to_string(), "pool main: connect to fake:5432/app as app: no answer within 2000 ms");
    assert_eq!(bench.pool.report().connect_errors_total, 2);
}

#[tokio::test(start_paused = true)]
async fn a_database_that_hangs_up_is_not_asked_without_a_pause() {
    let bench = Bench::new(PoolOptions { timeout: seconds(1), ..options(0, 2) });
    bench.server.be(Mode::HangingUp);
    let Err(error) = bench.pool.acquire().await else { panic!("nothing stays open") };
    assert!(error.to_string().contains("as soon as it was open"), "{error}");
    assert_eq!(bench.attempts(), 4, "at 0, 0.1, 0.3 and 0.7 s");
    bench.assert_all_at_rest();
}

#[tokio::test(start_paused = true)]
async fn growth_is_parallel_once_the_database_has_answered() {
    let bench = Bench::new(options(0, 32));
    bench.server.connect_takes(Duration::from_millis(10));
    let waits: Vec<_> = (0..20)
        .map(|_| {
            let pool = bench.pool.clone();
            tokio::spawn(async move {
                let _lease = pool.acquire().await.unwrap();
                tokio::time::sleep(seconds(1)).await;
            })
        })
        .collect();
    settle().await;
    assert_eq!(bench.attempts(), 1, "the first shows whether it is there");
    tokio::time::sleep(Duration::from_millis(45)).await;
    assert_eq!(bench.pool.report().busy, 20);
    for wait in waits {
        wait.await.unwrap();
    }
    bench.assert_all_at_rest();
}
