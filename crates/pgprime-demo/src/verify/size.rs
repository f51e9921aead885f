//! The run at one pool size: what passes without waiting is measured first, then the load itself.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use pgprime_capacity::{ServiceTime, Waiting, erlang_c};

use super::estimate::{SECTIONS, Sectioned, mean, quantile, share_above};
use super::options::VerifyOptions;
use super::replay::{Arrival, waits_ns};
use super::report::{ActualLoad, PoolerSays, VerifiedSize, WaitMeasured, WaitReplayed};
use super::service::{ServiceTimes, moments};
use super::sleeps::{Course, Request, Sleeps};
use super::watch::{Seen, Totals, Watch, Window, open};
use crate::console_client::ConsoleClient;
use crate::generator::{Generator, Limit, Outcome, Progress, RunOptions, Schedule};
use crate::interrupt::go_on;
use crate::pooler_config::Auth;
use crate::private_server::PrivateServer;
use crate::running_pooler::{PoolerSetup, RunningPooler};
use crate::sampler::{Sampler, Samples};
use crate::screen::Screen;
use crate::text::grouped;

/// While fixed costs are measured, at most this fraction of requests waits.
const IDLE_WAITING_MAX: f64 = 0.005;
/// Servers that are busy meanwhile, and requests per second, at the least: a single server would hardly have any.
const IDLE_BUSY_MIN: f64 = 0.1;
const IDLE_RATE_MIN: f64 = 100.0;
/// For how long, as a part of the run, within limits.
const IDLE_PART: f64 = 0.1;
const IDLE_SECONDS: (f64, f64) = (1.0, 3.0);
/// Before that, the pooler opens its server connections.
const OPENING_TIME: Duration = Duration::from_secs(1);
/// How long PostgreSQL may take to end its sessions.
const SESSIONS_END_LIMIT: Duration = Duration::from_secs(10);
/// Streams of random choices of one seed.
const SERVICE_STREAM: u64 = 0x5e4_71ce;
const IDLE_STREAM: u64 = 0x1d1e;

type Load<'a> = Generator<'a, Sleeps>;

/// What all sizes have in common.
pub(super) struct Bench<'a> {
    pub(super) options: &'a VerifyOptions,
    pub(super) server: &'a PrivateServer,
    pub(super) database: &'a str,
    pub(super) stop: &'a AtomicBool,
}

/// A pooler with clients that are logged in.
struct Stage<'a> {
    size: u32,
    clients: u32,
    pooler: &'a RunningPooler,
    sleeps: Sleeps,
}

/// What a request takes beyond its sleep when it does not wait.
#[derive(Clone, Copy, Debug)]
struct FixedCosts {
    /// Median over the whole way.
    way_ms: f64,
    /// 95th percentile of the same, less the median.
    resolution_ms: f64,
    /// The part for which the server is held, on average.
    held_ms: f64,
}

/// One run of the generator and its log.
struct Driven {
    outcome: Outcome,
    sent: u64,
    log: Vec<Request>,
}

impl Bench<'_> {
    /// Runs the load through a pooler with `size` servers; gives the pooler's version as well.
    pub(super) fn run(&self, size: u32, screen: &mut Screen) -> anyhow::Result<(String, VerifiedSize)> {
        let clients = self.options.clients(size);
        screen.line(&format!("{size} servers: connecting {clients} clients"));
        let command = &self.options.pooler;
        let setup = PoolerSetup { command, pool_size: size, clients, auth: Auth::Trust };
        let pooler = RunningPooler::start(self.server, &setup)?;
        let version = pooler.version().unwrap_or_else(|| "a pooler without a version".to_owned());
        let stage = Stage { size, clients, pooler: &pooler, sleeps: Sleeps::new() };
        let mut verified = self.measure(&stage, screen)?;
        drop(pooler);
        verified.sessions_left = self.sessions_left()?;
        Ok((version, verified))
    }

    fn measure(&self, stage: &Stage<'_>, screen: &mut Screen) -> anyhow::Result<VerifiedSize> {
        let application = stage.pooler.as_application();
        let mut load = Generator::new(application, stage.sleeps.clone(), self.stop)?;
        load.login(stage.clients as usize, &mut |_| {})?;
        let costs = self.fixed_costs(stage, &mut load)?;
        screen.line(&format!(
            "{} servers: running {} requests/s for {} s",
            stage.size, self.options.rate, self.options.seconds
        ));
        let (console, admin) = (stage.pooler.console(), self.server.as_admin());
        let sampler = Sampler::start(&console, &admin, self.database, stage.pooler.pid())?;
        let (driven, seen) = self.loaded(stage, &mut load, costs, screen)?;
        self.verified(stage, costs, &driven, seen, sampler.finish())
    }

    /// Measures what passes without waiting, at a load that comes as near to that of the run as it may without
    /// making requests wait: the machine and its caches are to be as busy.
    fn fixed_costs(&self, stage: &Stage<'_>, load: &mut Load<'_>) -> anyhow::Result<FixedCosts> {
        let options = self.options;
        let busy = busy_without_waiting(stage.size);
        let rate = (busy * 1000.0 / options.service_mean_ms).min(options.rate).max(IDLE_RATE_MIN);
        let mean_ms = (busy * 1000.0 / rate).min(options.service_mean_ms);
        let seed = options.seed ^ IDLE_STREAM;
        let course = || Course::new(rate, seed, ServiceTimes::new(mean_ms, options.service_scv, seed), 0.0);
        let run = |time| run_options(rate, seed, Duration::ZERO, time);
        let idle_seconds = (f64::from(options.seconds) * IDLE_PART).clamp(IDLE_SECONDS.0, IDLE_SECONDS.1);
        let idle_time = Duration::from_secs_f64(idle_seconds);
        let mut console = open(&stage.pooler.console())?;
        self.drive(stage, load, course(), &run(OPENING_TIME), &mut |_| {})?;
        let before = Totals::read(&mut console, self.database);
        let driven = self.drive(stage, load, course(), &run(idle_time), &mut |_| {})?;
        let after = Totals::read(&mut console, self.database);
        ensure!(!driven.log.is_empty(), "no request was answered: {:?}", driven.outcome.errors.samples);

        let mut excess: Vec<f64> = driven.log.iter().map(Request::excess_ms).collect();
        excess.sort_by(f64::total_cmp);
        let way_ms = quantile(&excess, 0.5);
        let (sleep_ms, _) = moments(driven.log.iter().map(|request| f64::from(request.sleep_ms)));
        let held = before.and_then(|before| after?.since(before).transaction_ms_mean());
        let held_ms = held.map_or(0.0, |held_ms| (held_ms - sleep_ms).clamp(0.0, way_ms.max(0.0)));
        Ok(FixedCosts { way_ms, resolution_ms: quantile(&excess, 0.95) - way_ms, held_ms })
    }

    fn loaded(
        &self,
        stage: &Stage<'_>,
        load: &mut Load<'_>,
        costs: FixedCosts,
        screen: &mut Screen,
    ) -> anyhow::Result<(Driven, Seen)> {
        let options = self.options;
        let warm_up = Duration::from_secs_f64(options.warm_up_seconds(stage.size));
        let length = Duration::from_secs(options.seconds.into());
        let from = Instant::now() + warm_up;
        let window = Window { from, until: from + length };
        let watch = Watch::start(&stage.pooler.console(), self.database, window)?;
        let seed = options.seed ^ SERVICE_STREAM;
        let services = ServiceTimes::new(options.service_mean_ms, options.service_scv, seed);
        let course = Course::new(options.rate, options.seed, services, costs.held_ms);
        let run = run_options(options.rate, options.seed, warm_up, length);
        let mut observe = |progress: &Progress| screen.changing(&progress_line(progress, warm_up));
        let driven = self.drive(stage, load, course, &run, &mut observe)?;
        Ok((driven, watch.finish()))
    }

    fn drive(
        &self,
        stage: &Stage<'_>,
        load: &mut Load<'_>,
        course: Course,
        options: &RunOptions,
        observe: &mut dyn FnMut(&Progress),
    ) -> anyhow::Result<Driven> {
        stage.sleeps.change(Some(course));
        let outcome = load.run(options, observe)?;
        go_on(self.stop)?;
        let course = stage.sleeps.change(None).context("a run without its log")?;
        let (sent, log) = course.into_log();
        let early = log.iter().filter(|request| request.begun_ns < request.due_ns).count();
        ensure!(early == 0, "{early} requests were sent before they were due: the timetable is not theirs");
        Ok(Driven { outcome, sent, log })
    }

    fn verified(
        &self,
        stage: &Stage<'_>,
        costs: FixedCosts,
        driven: &Driven,
        seen: Seen,
        samples: Samples,
    ) -> anyhow::Result<VerifiedSize> {
        let options = self.options;
        let warm_up_seconds = options.warm_up_seconds(stage.size);
        let seconds = f64::from(options.seconds);
        let moment = |request: &Request| (request.due_ns as f64 / 1e9 - warm_up_seconds) / seconds;
        let counted = driven.log.iter().filter(|request| (0.0..1.0).contains(&moment(request)));
        let waits = counted.clone().map(|request| (moment(request), request.excess_ms() - costs.way_ms));
        let waits = Sectioned::new(waits);
        let replayed = Sectioned::new(replay(driven, costs, stage.size, &moment).into_iter());
        let services = counted.clone().map(|request| f64::from(request.sleep_ms) + costs.held_ms);
        let (service_mean_ms, service_scv) = moments(services);
        let load = ActualLoad { rate: waits.len() as f64 / seconds, service_mean_ms, service_scv };
        let busy = seen.busy_mean.unwrap_or(load.rate * load.service_mean_ms / 1000.0);
        let mut late_ms: Vec<f64> = counted.map(Request::late_ms).collect();
        late_ms.sort_by(f64::total_cmp);
        let service = ServiceTime::from_mean_and_scv(options.service_mean_ms, options.service_scv)?;
        let predicted = Waiting::at(options.rate, &service, stage.size)
            .context("more than these servers can carry has no prediction")?;
        Ok(VerifiedSize {
            size: stage.size,
            clients: stage.clients,
            warm_up_seconds,
            seconds_needed: options.seconds_needed(stage.size, SECTIONS),
            requests_sent: driven.sent,
            requests_answered: driven.log.len() as u64,
            requests_measured: waits.len() as u64,
            errors: driven.outcome.errors.clone(),
            arrivals_without_client_max: driven.outcome.backlog_max,
            servers_max: samples.servers_max,
            sessions_max: samples.sessions_max,
            sessions_left: 0,
            fixed_ms: costs.way_ms,
            resolution_ms: costs.resolution_ms,
            held_ms: costs.held_ms,
            late_ms_p99: quantile(&late_ms, 0.99),
            predicted,
            load,
            replayed: replayed_figures(&replayed, costs.resolution_ms),
            measured: measured(&waits, busy / f64::from(stage.size), costs.resolution_ms),
            pooler: PoolerSays {
                wait_ms_mean: seen.totals.and_then(Totals::wait_ms_mean),
                transaction_ms_mean: seen.totals.and_then(Totals::transaction_ms_mean),
                busy_servers_mean: seen.busy_mean,
            },
        })
    }

    /// Sessions of the load that PostgreSQL still has after the pooler has ended; waits for them to end.
    fn sessions_left(&self) -> anyhow::Result<u64> {
        let mut admin = ConsoleClient::connect(&self.server.as_admin(), None)?;
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{}'", self.database);
        let started = Instant::now();
        loop {
            let left = admin.query(&sql)?.first().context("no count of sessions")?.parse()?;
            if left == 0 || started.elapsed() > SESSIONS_END_LIMIT {
                return Ok(left);
            }
            go_on(self.stop)?;
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn run_options(rate: f64, seed: u64, warm_up: Duration, length: Duration) -> RunOptions {
    RunOptions { schedule: Schedule::Open { rate }, limit: Limit::Duration(length), warm_up, seed }
}

/// Servers that can be busy on average while hardly any request waits, by Erlang's C.
fn busy_without_waiting(size: u32) -> f64 {
    let steps = (1..100).map(|step| f64::from(size) * f64::from(step) / 100.0);
    let busy = steps.take_while(|busy| erlang_c(size, *busy) <= IDLE_WAITING_MAX).last();
    busy.unwrap_or_default().max(IDLE_BUSY_MIN)
}

/// The moments and waits of the same requests in an ideal queue.
fn replay(
    driven: &Driven,
    costs: FixedCosts,
    size: u32,
    moment: &dyn Fn(&Request) -> f64,
) -> Vec<(f64, f64)> {
    let mut requests = driven.log.clone();
    requests.sort_by_key(|request| request.due_ns);
    let held_ns = |request: &Request| ((f64::from(request.sleep_ms) + costs.held_ms) * 1e6) as u64;
    let arrival = |request: &Request| Arrival { due_ns: request.due_ns, held_ns: held_ns(request) };
    let arrivals: Vec<Arrival> = requests.iter().map(arrival).collect();
    let waits = waits_ns(&arrivals, size).into_iter().map(|wait_ns| wait_ns as f64 / 1e6);
    requests.iter().map(moment).zip(waits).collect()
}

fn replayed_figures(waits: &Sectioned, resolution_ms: f64) -> WaitReplayed {
    WaitReplayed {
        share_waiting: waits.figure(|sorted| share_above(sorted, resolution_ms)),
        wait_ms_mean: waits.figure(mean),
        wait_ms_p50: waits.figure(|sorted| quantile(sorted, 0.50)),
        wait_ms_p95: waits.figure(|sorted| quantile(sorted, 0.95)),
        wait_ms_p99: waits.figure(|sorted| quantile(sorted, 0.99)),
    }
}

fn measured(waits: &Sectioned, utilisation: f64, resolution_ms: f64) -> WaitMeasured {
    WaitMeasured {
        utilisation,
        share_waiting: waits.estimate(|sorted| share_above(sorted, resolution_ms)),
        wait_ms_mean: waits.estimate(mean),
        wait_ms_p50: waits.estimate(|sorted| quantile(sorted, 0.50)),
        wait_ms_p95: waits.estimate(|sorted| quantile(sorted, 0.95)),
        wait_ms_p99: waits.estimate(|sorted| quantile(sorted, 0.99)),
    }
}

fn progress_line(progress: &Progress, warm_up: Duration) -> String {
    let throughput = match progress.elapsed < warm_up {
        true => "warming up".to_owned(),
        false => format!("{:>7} requests/s", grouped(progress.throughput.round() as u64)),
    };
    let seconds = progress.elapsed.as_secs_f64();
    format!("  {seconds:3.0} s  {throughput}  {} under way  {} errors", progress.busy, progress.errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_without_waiting_is_as_high_as_it_may_be() {
        for size in [1, 2, 5, 25, 90] {
            let busy = busy_without_waiting(size);
            assert!(busy < f64::from(size) && busy >= IDLE_BUSY_MIN, "{size}: {busy}");
            assert!(size < 5 || erlang_c(size, busy) <= IDLE_WAITING_MAX, "{size}: {busy}");
        }
        assert!(busy_without_waiting(25) > 12.0);
    }

    #[test]
    fn requests_are_replayed_in_the_order_of_their_arrival() {
        let request =
            |due_ms: u64, sleep_ms| Request { due_ns: due_ms * 1_000_000, sleep_ms, ..Request::default() };
        let log = vec![request(10, 4), request(0, 20)];
        let driven = Driven { outcome: Outcome::default(), sent: 2, log };
        let costs = FixedCosts { way_ms: 0.5, resolution_ms: 0.1, held_ms: 0.25 };
        let moment = |request: &Request| request.due_ns as f64 / 20e6;
        assert_eq!(replay(&driven, costs, 1, &moment), [(0.0, 0.0), (0.5, 10.25)]);
        assert_eq!(replay(&driven, costs, 2, &moment), [(0.0, 0.0), (0.5, 0.0)]);
    }

    #[test]
    fn progress_in_one_line() {
        let mut progress = Progress {
            elapsed: Duration::from_secs(1),
            throughput: 0.0,
            p99_us: 0,
            busy: 21,
            backlog: 0,
            errors: 0,
        };
        let line = |progress: &Progress| progress_line(progress, Duration::from_secs(2));
        assert_eq!(line(&progress), "    1 s  warming up  21 under way  0 errors");
        (progress.elapsed, progress.throughput) = (Duration::from_secs(3), 1001.2);
        assert_eq!(line(&progress), "    3 s    1,001 requests/s  21 under way  0 errors");
    }
}
