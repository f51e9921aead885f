//! The course of one run: which requests may begin, which count, and when the run is over. Decides, does nothing.

use std::collections::VecDeque;
use std::time::Duration;

use super::recorder::{Errors, Outcome, Progress, Recorder};
use super::schedule::{Arrivals, Limit, Schedule};

/// Errors after which a run is given up: what follows would only be more of the same.
const ERRORS_MAX: u64 = 1000;
/// How long answers are awaited after the end of the run.
const DRAIN_NS_MAX: u64 = 30_000_000_000;

/// What a run is to be like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunOptions {
    pub(crate) schedule: Schedule,
    pub(crate) limit: Limit,
    /// Time at the beginning whose requests do not count; only with a limit of time.
    pub(crate) warm_up: Duration,
    /// Seed of arrivals and of the choice of clients.
    pub(crate) seed: u64,
}

/// The state of one run. Times are nanoseconds since the start of the generator.
#[derive(Debug)]
pub(super) struct Run {
    limit: Limit,
    arrivals: Option<Arrivals>,
    /// Arrivals that wait for an idle client, by the time they arrived.
    backlog: VecDeque<u64>,
    backlog_max: usize,
    recorder: Recorder,
    pub(super) errors: Errors,
    pub(super) random: fastrand::Rng,
    started_ns: u64,
    counts_from_ns: u64,
    deadline_ns: u64,
    begun: u64,
    requests: u64,
    completed: u64,
    last_answer_ns: u64,
    progress_ns: u64,
    stopped: bool,
}

impl Run {
    pub(super) fn new(options: &RunOptions, kinds: &[&'static str], now_ns: u64) -> Self {
        let (warm_up_ns, length_ns) = match options.limit {
            Limit::Duration(length) => (nanoseconds(options.warm_up), nanoseconds(length)),
            Limit::Requests(_) => (0, u64::MAX / 2),
        };
        let arrivals = match options.schedule {
            Schedule::Closed => None,
            Schedule::Open { rate } => Some(Arrivals::new(rate, now_ns, options.seed)),
        };
        Self {
            limit: options.limit,
            arrivals,
            backlog: VecDeque::new(),
            backlog_max: 0,
            recorder: Recorder::new(kinds),
            errors: Errors::default(),
            random: fastrand::Rng::with_seed(options.seed ^ 0x5eed),
            started_ns: now_ns,
            counts_from_ns: now_ns + warm_up_ns,
            deadline_ns: (now_ns + warm_up_ns).saturating_add(length_ns),
            begun: 0,
            requests: 0,
            completed: 0,
            last_answer_ns: now_ns,
            progress_ns: now_ns,
            stopped: false,
        }
    }

    /// Lets no more requests begin.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
        self.backlog.clear();
    }

    /// Whether one more request may arrive.
    fn is_open(&self, now_ns: u64) -> bool {
        let in_limit = match self.limit {
            Limit::Duration(_) => now_ns < self.deadline_ns,
            Limit::Requests(limit) => self.begun < limit,
        };
        in_limit && !self.stopped && self.errors.count < ERRORS_MAX
    }

    /// A client has become idle: the moment its next request counts from, or `None` when it stays idle.
    pub(super) fn next_for_idle(&mut self, now_ns: u64) -> Option<u64> {
        if self.arrivals.is_some() {
            return self.backlog.pop_front();
        }
        self.is_open(now_ns).then(|| {
            self.begun += 1;
            now_ns
        })
    }

    /// The next arrival that is due, in an open loop.
    pub(super) fn next_arrival(&mut self, now_ns: u64) -> Option<u64> {
        let due_ns = self.arrivals.as_ref()?.next_ns();
        if due_ns > now_ns || !self.is_open(due_ns) {
            return None;
        }
        self.arrivals.as_mut()?.advance();
        self.begun += 1;
        Some(due_ns)
    }

    /// An arrival found no idle client.
    pub(super) fn wait_in_backlog(&mut self, since_ns: u64) {
        self.backlog.push_back(since_ns);
        self.backlog_max = self.backlog_max.max(self.backlog.len());
    }

    /// A request was answered correctly.
    pub(super) fn answered(&mut self, kind: usize, since_ns: u64, now_ns: u64) {
        self.completed += 1;
        let in_window = self.arrivals.is_some() || now_ns <= self.deadline_ns;
        if now_ns >= self.counts_from_ns && in_window {
            self.requests += 1;
            self.last_answer_ns = now_ns;
            self.recorder.record(kind, now_ns.saturating_sub(since_ns));
        }
    }

    /// How long nothing has to be done.
    pub(super) fn idle_time(&self, now_ns: u64) -> Duration {
        let arrival_ns = self.arrivals.as_ref().map_or(u64::MAX, Arrivals::next_ns);
        let next_ns = if self.is_open(now_ns) { arrival_ns } else { u64::MAX };
        Duration::from_nanos(next_ns.saturating_sub(now_ns))
    }

    /// Whether the run has ended, given the number of requests under way. Answers that do not come become errors.
    pub(super) fn is_over(&mut self, busy: usize, now_ns: u64) -> bool {
        let ended = !self.is_open(now_ns) && (self.arrivals.is_none() || self.no_arrival_left(now_ns));
        if !ended || (busy == 0 && self.backlog.is_empty()) {
            return ended;
        }
        let overdue = now_ns > self.end_ns().saturating_add(DRAIN_NS_MAX);
        if overdue {
            let open = busy + self.backlog.len();
            self.errors.count += open as u64 - 1;
            self.errors.add("no answer within 30 s after the end of the run");
        }
        overdue
    }

    fn no_arrival_left(&self, now_ns: u64) -> bool {
        self.arrivals.as_ref().is_none_or(|arrivals| !self.is_open(arrivals.next_ns().max(now_ns)))
    }

    fn end_ns(&self) -> u64 {
        match self.limit {
            Limit::Duration(_) if !self.stopped => self.deadline_ns.max(self.last_answer_ns),
            _ => self.last_answer_ns,
        }
    }

    /// The state of affairs, once per second.
    pub(super) fn progress(&mut self, busy: usize, now_ns: u64) -> Option<Progress> {
        const SECOND_NS: u64 = 1_000_000_000;
        let since_ns = now_ns.saturating_sub(self.progress_ns);
        if since_ns < SECOND_NS {
            return None;
        }
        self.progress_ns = now_ns;
        let (count, p99_us) = self.recorder.take_recent();
        Some(Progress {
            elapsed: Duration::from_nanos(now_ns - self.started_ns),
            throughput: count as f64 * SECOND_NS as f64 / since_ns as f64,
            p99_us,
            busy,
            backlog: self.backlog.len(),
            errors: self.errors.count,
        })
    }

    pub(super) fn outcome(self) -> Outcome {
        let (times, kinds) = self.recorder.latencies();
        let end_ns = match (self.limit, &self.arrivals) {
            (Limit::Duration(_), None) if !self.stopped => self.deadline_ns.min(self.last_answer_ns),
            _ => self.last_answer_ns,
        };
        Outcome {
            elapsed: Duration::from_nanos(end_ns.saturating_sub(self.counts_from_ns)),
            requests: self.requests,
            completed: self.completed,
            all: times.latency("all"),
            times,
            kinds,
            errors: self.errors,
            backlog_max: self.backlog_max,
            interrupted: self.stopped,
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn run(schedule: Schedule, limit: Limit, warm_up_ms: u64) -> Run {
        let warm_up = Duration::from_millis(warm_up_ms);
        Run::new(&RunOptions { schedule, limit, warm_up, seed: 1 }, &["one"], 0)
    }

    #[test]
    fn a_closed_loop_ends_after_its_requests() {
        let mut run = run(Schedule::Closed, Limit::Requests(3), 0);
        for at in [1, 2, 3] {
            assert_eq!(run.next_for_idle(at * MS), Some(at * MS));
        }
        assert_eq!(run.next_for_idle(4 * MS), None);
        assert!(!run.is_over(1, 5 * MS));
        run.answered(0, MS, 6 * MS);
        assert!(run.is_over(0, 6 * MS));
        let outcome = run.outcome();
        assert_eq!((outcome.requests, outcome.elapsed), (1, Duration::from_millis(6)));
    }

    #[test]
    fn only_the_measured_window_counts() {
        let mut run = run(Schedule::Closed, Limit::Duration(Duration::from_millis(100)), 50);
        for at in [10, 49, 50, 149, 151] {
            run.answered(0, (at - 5) * MS, at * MS);
        }
        assert!(run.next_for_idle(149 * MS).is_some());
        assert!(run.next_for_idle(150 * MS).is_none());
        let outcome = run.outcome();
        assert_eq!((outcome.requests, outcome.all.count, outcome.completed), (2, 2, 5));
    }

    #[test]
    fn latency_counts_from_the_arrival_not_from_the_start() {
        let mut run = run(Schedule::Open { rate: 1000.0 }, Limit::Requests(2), 0);
        let first = run.next_arrival(1000 * MS).unwrap();
        let second = run.next_arrival(1000 * MS).unwrap();
        assert!(run.next_arrival(1000 * MS).is_none());
        assert!(first < second && second < 100 * MS);
        run.wait_in_backlog(first);
        run.wait_in_backlog(second);
        assert!(!run.is_over(0, 1000 * MS));
        assert_eq!(run.next_for_idle(1000 * MS), Some(first));
        run.answered(0, first, 1001 * MS);
        assert_eq!(run.next_for_idle(1001 * MS), Some(second));
        run.answered(0, second, 1002 * MS);
        assert!(run.is_over(0, 1002 * MS));
        let outcome = run.outcome();
        assert_eq!(outcome.backlog_max, 2);
        assert!(outcome.all.p50_us > 900_000, "{:?}", outcome.all);
    }

    #[test]
    fn answers_that_never_come_are_errors() {
        let mut run = run(Schedule::Closed, Limit::Requests(1), 0);
        run.next_for_idle(0);
        assert!(!run.is_over(1, 1000 * MS));
        assert!(run.is_over(1, 31_000 * MS));
        assert_eq!(run.outcome().errors.count, 1);
    }

    #[test]
    fn a_stopped_run_begins_nothing_more() {
        let mut run = run(Schedule::Open { rate: 10.0 }, Limit::Duration(Duration::from_secs(60)), 0);
        run.wait_in_backlog(5);
        run.stop();
        assert_eq!((run.next_for_idle(10), run.next_arrival(MS * 100_000)), (None, None));
        assert!(run.is_over(0, 11));
        assert!(run.outcome().interrupted);
    }
}
