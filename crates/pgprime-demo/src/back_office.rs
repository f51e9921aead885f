//! The back office: a slow statement each second beside the load, on one connection through the pooler.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::console_client::ConsoleClient;
use crate::data::dataset::Dataset;
use crate::generator::Errors;
use crate::planted::planted_indexes;
use crate::server::Server;

/// From the beginning of one statement to that of the next. Each takes tens of milliseconds of a core: with two a second
/// the clients' p99 was half as high again.
const INTERVAL: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);
/// By which a pooler and PostgreSQL tell it from the application.
const APPLICATION_NAME: &str = "back office";
/// Longest time that is told apart, in microseconds.
const LATENCY_US_MAX: u64 = 60_000_000;

/// What became of the back office's statements.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BackOfficeReport {
    /// Statements answered.
    pub requests: u64,
    /// Median time of one, in microseconds.
    pub p50_us: u64,
    /// The longest, in microseconds.
    pub max_us: u64,
    /// Statements refused.
    pub errors: Errors,
}

/// The thread that asks. Dropping it ends it, without its result.
#[derive(Debug)]
pub(crate) struct BackOffice {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<BackOfficeReport>>,
}

impl BackOffice {
    /// Logs in and begins to ask: the statements that suffer from missing indexes, in turn.
    pub(crate) fn start(server: &Server, data: &Dataset) -> anyhow::Result<Self> {
        let mut client =
            ConsoleClient::connect(server, Some(PATIENCE)).context("connecting the back office")?;
        client.query(&format!("SET application_name = '{APPLICATION_NAME}'"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (is_stopped, data) = (Arc::clone(&stop), *data);
        let thread = std::thread::spawn(move || {
            let mut book = Book::new();
            let statements = planted_indexes().iter().cycle().zip(1..);
            for (planted, number) in statements {
                let begun = Instant::now();
                if is_stopped.load(Ordering::Relaxed) {
                    break;
                }
                book.enter(client.query(&planted.statement(&data, number)).map(drop), begun);
                pause(begun + INTERVAL, &is_stopped);
            }
            book.report()
        });
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends it; gives what became of its statements.
    pub(crate) fn finish(mut self) -> BackOfficeReport {
        self.end().unwrap_or_default()
    }

    fn end(&mut self) -> Option<BackOfficeReport> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take()?;
        thread.thread().unpark();
        thread.join().ok()
    }
}

impl Drop for BackOffice {
    fn drop(&mut self) {
        self.end();
    }
}

/// A thread may be woken for no reason.
fn pause(until: Instant, is_stopped: &AtomicBool) {
    while !is_stopped.load(Ordering::Relaxed) {
        match until.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => std::thread::park_timeout(left),
            _ => break,
        }
    }
}

struct Book {
    times: Histogram<u64>,
    errors: Errors,
}

impl Book {
    fn new() -> Self {
        let times = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("the bounds are in order");
        Self { times, errors: Errors::default() }
    }

    fn enter(&mut self, outcome: anyhow::Result<()>, begun: Instant) {
        match outcome {
            Ok(()) => {
                let time_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
                self.times.saturating_record(time_us.clamp(1, LATENCY_US_MAX));
            }
            Err(error) => self.errors.add(format!("back office: {error:#}")),
        }
    }

    fn report(self) -> BackOfficeReport {
        BackOfficeReport {
            requests: self.times.len(),
            p50_us: self.times.value_at_quantile(0.5),
            max_us: self.times.max(),
            errors: self.errors,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_timed_and_refusals_counted() {
        let mut book = Book::new();
        book.enter(Ok(()), Instant::now());
        book.enter(Err(anyhow::anyhow!("no")), Instant::now());
        let report = book.report();
        assert_eq!((report.requests, report.errors.count), (1, 1));
        assert_eq!(report.errors.samples, ["back office: no"]);
    }
}
