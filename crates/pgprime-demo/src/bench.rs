//! The benchmark: PostgreSQL directly, other poolers and pgprime's own, one after the other on the same private
//! server, with the same configuration and the same load.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::bench_report::{BenchReport, BenchRun, BenchTarget, DIRECT, LoginRun, OWN};
use crate::generator::{Errors, Generator, Limit, Outcome, Progress, RunOptions, Schedule};
use crate::interrupt::{go_on, stop_flag};
use crate::load::load_accounts;
use crate::machine::{Machine, allow_connections, cpu_time};
use crate::pooler_config::Auth;
use crate::pooler_process::PoolerCommand;
use crate::private_server::PrivateServer;
use crate::running_pooler::{PoolerSetup, RunningPooler};
use crate::screen::Screen;
use crate::select::{Protocol, SelectByKey};
use crate::server::Server;
use crate::text::grouped;

const DATABASE: &str = "bench";
const SEED: u64 = 7;
/// More clients than this are not connected to PostgreSQL itself, which admits 100.
const DIRECT_CLIENTS_MAX: u32 = 90;
const WARM_UP: Duration = Duration::from_secs(1);

/// What the benchmark is to compare.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// Other poolers: a name, and a shell command with `{config}` where the path of a pgbouncer.ini goes.
    pub peers: Vec<(String, String)>,
    /// pgprime's own pooler; `None` leaves it out.
    pub pooler: Option<PoolerCommand>,
    /// Numbers of clients. Default 1, 25, 1,000 and 10,000.
    pub clients: Vec<u32>,
    /// Default all three.
    pub protocols: Vec<Protocol>,
    /// Seconds of each run, after a warm-up of one second. Default 5.
    pub seconds: u32,
    /// Repetitions of each run, of which the report shows the median. Default 1.
    pub rounds: u32,
    /// Server connections each pooler may open. Default 25.
    pub pool_size: u32,
    /// How clients log in for the runs. Default trust: the runs measure requests.
    pub auth: Auth,
    /// Clients that log in at once to measure logins alone, with each method; 0 leaves that out. Default 10,000.
    pub logins: u32,
    /// Print the report as JSON on standard output.
    pub json: bool,
}

impl BenchOptions {
    /// The defaults, with the given pooler and no peer.
    pub fn new(pooler: Option<PoolerCommand>) -> Self {
        Self {
            peers: Vec::new(),
            pooler,
            clients: vec![1, 25, 1000, 10_000],
            protocols: Protocol::ALL.to_vec(),
            seconds: 5,
            rounds: 1,
            pool_size: 25,
            auth: Auth::Trust,
            logins: 10_000,
            json: false,
        }
    }

    /// Adds a peer given as `name=command`, or as a program alone, which is its own name.
    ///
    /// # Errors
    /// Neither of both. The command itself is checked when the benchmark starts.
    pub fn add_peer(&mut self, text: &str) -> anyhow::Result<()> {
        let program = Path::new(text).file_name().and_then(|name| name.to_str());
        let alone = program.filter(|_| !text.contains(char::is_whitespace)).map(|name| (name, text));
        let (name, command) = text.split_once('=').or(alone).context("a peer is given as name=command")?;
        self.peers.push((name.trim().to_owned(), command.trim().to_owned()));
        Ok(())
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.clients.contains(&0) || self.pool_size == 0 || self.rounds == 0 || self.seconds == 0 {
            bail!("clients, pool size, rounds and seconds of a benchmark are at least 1");
        }
        for (name, command) in &self.peers {
            if name == DIRECT || name == OWN || name.is_empty() {
                bail!("a peer needs a name of its own, not {name:?}");
            }
            if command.is_empty() {
                bail!("peer {name} has no command");
            }
        }
        Ok(())
    }

    fn poolers(&self) -> Vec<(String, PoolerCommand)> {
        let peers =
            self.peers.iter().map(|(name, text)| (name.clone(), PoolerCommand::Template(text.clone())));
        peers.chain(self.pooler.iter().map(|own| (OWN.to_owned(), own.clone()))).collect()
    }
}

/// Runs the benchmark and prints its report on standard output; progress goes to standard error.
///
/// # Errors
/// Wrong options, a limit of open files that is too low, PostgreSQL that cannot be started, or an interruption. What
/// goes wrong with a pooler is part of the report.
pub fn bench(options: &BenchOptions) -> anyhow::Result<BenchReport> {
    options.check()?;
    let clients_max = options.clients.iter().copied().max().unwrap_or_default().max(options.logins);
    allow_connections(u64::from(clients_max) + u64::from(options.pool_size))?;
    let stop = stop_flag()?;
    let mut screen = Screen::new();
    screen.line("starting a private PostgreSQL");
    let server = PrivateServer::start(DATABASE)?;
    load_accounts(&server.as_application())?;

    let bench = Bench { options, poolers: options.poolers(), server: &server, stop: &stop };
    let report = BenchReport {
        machine: Machine::this(),
        postgresql: server.version()?,
        pool_size: options.pool_size,
        auth: options.auth.name().to_owned(),
        targets: bench.targets()?,
        runs: bench.runs(&mut screen)?,
        logins: bench.logins(&mut screen)?,
    };
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", report.text());
    }
    Ok(report)
}

struct Bench<'a> {
    options: &'a BenchOptions,
    poolers: Vec<(String, PoolerCommand)>,
    server: &'a PrivateServer,
    stop: &'a AtomicBool,
}

/// One run to be made.
#[derive(Clone, Copy, Debug)]
struct Cell {
    clients: u32,
    protocol: Protocol,
    round: u32,
}

/// What a pooler used.
struct Usage {
    memory_kib: u64,
    memory_per_client_bytes: u64,
    login_cpu: Duration,
    run_cpu: Duration,
}

/// A run of the generator, and what it cost the generator itself.
struct Load {
    connections: u32,
    login: Duration,
    outcome: Outcome,
    own_cpu: Duration,
}

impl Bench<'_> {
    /// Starts each pooler once, so that one that cannot start is known before the runs.
    fn targets(&self) -> anyhow::Result<Vec<BenchTarget>> {
        let target = |(name, command): &(String, PoolerCommand)| {
            let pooler =
                self.start(command, 1, self.options.auth).with_context(|| format!("starting {name}"))?;
            let version = pooler.version().unwrap_or_else(|| "no answer to SHOW VERSION".to_owned());
            Ok(BenchTarget { name: name.clone(), version })
        };
        self.poolers.iter().map(target).collect()
    }

    fn start(&self, command: &PoolerCommand, clients: u32, auth: Auth) -> anyhow::Result<RunningPooler> {
        let setup = PoolerSetup { command, pool_size: self.options.pool_size, clients, auth };
        RunningPooler::start(self.server, &setup)
    }

    fn runs(&self, screen: &mut Screen) -> anyhow::Result<Vec<BenchRun>> {
        let mut runs = Vec::new();
        for &clients in &self.options.clients {
            for &protocol in &self.options.protocols {
                for round in 1..=self.options.rounds {
                    self.compare(Cell { clients, protocol, round }, screen, &mut runs)?;
                }
            }
        }
        Ok(runs)
    }

    /// One run of each target. Who begins changes from round to round, so that none always has the warmer caches.
    fn compare(&self, cell: Cell, screen: &mut Screen, runs: &mut Vec<BenchRun>) -> anyhow::Result<()> {
        let targets = 1 + self.poolers.len();
        for index in 0..targets {
            go_on(self.stop)?;
            let at = (index + cell.round as usize - 1) % targets;
            let run = match at.checked_sub(1).and_then(|at| self.poolers.get(at)) {
                None => self.run_direct(cell)?,
                Some((name, command)) => match self.run_pooler(name, command, cell) {
                    Ok(run) => run,
                    Err(error) => {
                        go_on(self.stop)?;
                        failed_run(name, cell, &error)
                    }
                },
            };
            screen.line(&format!(
                "{:>7} clients  {:<8}  {:<10}  {:>7} requests/s",
                grouped(cell.clients.into()),
                cell.protocol.name(),
                run.target,
                grouped(run.requests_per_second.round() as u64)
            ));
            runs.push(run);
        }
        Ok(())
    }

    fn run_direct(&self, cell: Cell) -> anyhow::Result<BenchRun> {
        let fits = cell.clients <= DIRECT_CLIENTS_MAX;
        let connections = if fits { cell.clients } else { self.options.pool_size.min(DIRECT_CLIENTS_MAX) };
        let mut generator = self.generator(&self.server.as_application(), cell.protocol)?;
        let login = generator.login(connections as usize, &mut |_| {})?;
        let own_cpu_before = own_cpu_time();
        let outcome = generator.run(&self.run_options(), &mut |_| {})?;
        let own_cpu = own_cpu_time().saturating_sub(own_cpu_before);
        Ok(finished_run(DIRECT, cell, Load { connections, login, outcome, own_cpu }, None))
    }

    fn run_pooler(&self, name: &str, command: &PoolerCommand, cell: Cell) -> anyhow::Result<BenchRun> {
        let pooler = self.start(command, cell.clients, self.options.auth)?;
        let (memory_before_kib, cpu_before) = (pooler.resident_kib()?, pooler.cpu_time()?);
        let mut generator = self.generator(pooler.as_application(), cell.protocol)?;
        let login = generator.login(cell.clients as usize, &mut |_| {})?;
        let cpu_between = pooler.cpu_time()?;
        // Looked at during the load as well: a pooler may give memory back when its clients become idle.
        let mut memory_kib = 0;
        let mut observe =
            |_: &Progress| memory_kib = memory_kib.max(pooler.resident_kib().unwrap_or_default());
        let own_cpu_before = own_cpu_time();
        let outcome = generator.run(&self.run_options(), &mut observe)?;
        let own_cpu = own_cpu_time().saturating_sub(own_cpu_before);
        let memory_kib = memory_kib.max(pooler.resident_kib()?);
        let usage = Usage {
            memory_kib,
            memory_per_client_bytes: growth_bytes(memory_before_kib, memory_kib, cell.clients),
            login_cpu: cpu_between.saturating_sub(cpu_before),
            run_cpu: pooler.cpu_time()?.saturating_sub(cpu_between),
        };
        let load = Load { connections: cell.clients, login, outcome, own_cpu };
        Ok(finished_run(name, cell, load, Some(usage)))
    }

    fn generator(&self, server: &Server, protocol: Protocol) -> anyhow::Result<Generator<'_, SelectByKey>> {
        Generator::new(server, SelectByKey::new(protocol, SEED), self.stop)
    }

    fn run_options(&self) -> RunOptions {
        let limit = Limit::Duration(Duration::from_secs(self.options.seconds.into()));
        RunOptions { schedule: Schedule::Closed, limit, warm_up: WARM_UP, seed: SEED }
    }

    fn logins(&self, screen: &mut Screen) -> anyhow::Result<Vec<LoginRun>> {
        let mut runs = Vec::new();
        if self.options.logins == 0 {
            return Ok(runs);
        }
        for auth in [Auth::Trust, Auth::Scram] {
            for (name, command) in &self.poolers {
                go_on(self.stop)?;
                let run = self.login_run(name, command, auth).unwrap_or_else(|error| LoginRun {
                    error: Some(format!("{error:#}")),
                    ..empty_login_run(name, auth)
                });
                screen.line(&format!("{:<13} logins  {name:<10}  {:.2} s", auth.name(), run.seconds));
                runs.push(run);
            }
        }
        Ok(runs)
    }

    fn login_run(&self, name: &str, command: &PoolerCommand, auth: Auth) -> anyhow::Result<LoginRun> {
        let logins = self.options.logins;
        let pooler = self.start(command, logins, auth)?;
        let (memory_before_kib, cpu_before) = (pooler.resident_kib()?, pooler.cpu_time()?);
        let mut generator = self.generator(pooler.as_application(), Protocol::Simple)?;
        let seconds = generator.login(logins as usize, &mut |_| {})?.as_secs_f64();
        let cpu = pooler.cpu_time()?.saturating_sub(cpu_before);
        Ok(LoginRun {
            logins,
            seconds,
            cpu_us_per_login: microseconds_each(cpu, u64::from(logins)),
            memory_per_client_bytes: growth_bytes(memory_before_kib, pooler.resident_kib()?, logins),
            ..empty_login_run(name, auth)
        })
    }
}

fn finished_run(target: &str, cell: Cell, load: Load, usage: Option<Usage>) -> BenchRun {
    let Load { connections, login, outcome, own_cpu } = load;
    let each = |cpu: Duration| (outcome.completed > 0).then(|| microseconds_each(cpu, outcome.completed));
    BenchRun {
        target: target.to_owned(),
        clients: cell.clients,
        connections,
        protocol: cell.protocol,
        round: cell.round,
        requests: outcome.requests,
        requests_per_second: outcome.throughput(),
        p50_us: outcome.all.p50_us,
        p99_us: outcome.all.p99_us,
        max_us: outcome.all.max_us,
        p99_over_p50: outcome.all.p99_us as f64 / outcome.all.p50_us.max(1) as f64,
        cpu_us_per_request: usage.as_ref().and_then(|usage| each(usage.run_cpu)),
        generator_cpu_us_per_request: each(own_cpu),
        memory_kib: usage.as_ref().map(|usage| usage.memory_kib),
        memory_per_client_bytes: usage.as_ref().map(|usage| usage.memory_per_client_bytes),
        login_seconds: login.as_secs_f64(),
        login_cpu_us: usage.as_ref().map(|usage| microseconds_each(usage.login_cpu, connections.into())),
        errors: outcome.errors,
    }
}

fn failed_run(target: &str, cell: Cell, error: &anyhow::Error) -> BenchRun {
    let mut errors = Errors::default();
    errors.add(format!("{error:#}"));
    let outcome = Outcome { errors, ..Outcome::default() };
    let load = Load { connections: cell.clients, login: Duration::ZERO, outcome, own_cpu: Duration::ZERO };
    finished_run(target, cell, load, None)
}

fn own_cpu_time() -> Duration {
    cpu_time(std::process::id()).unwrap_or_default()
}

fn empty_login_run(name: &str, auth: Auth) -> LoginRun {
    LoginRun {
        target: name.to_owned(),
        auth: auth.name().to_owned(),
        logins: 0,
        seconds: 0.0,
        cpu_us_per_login: 0.0,
        memory_per_client_bytes: 0,
        error: None,
    }
}

fn growth_bytes(before_kib: u64, after_kib: u64, clients: u32) -> u64 {
    after_kib.saturating_sub(before_kib) * 1024 / u64::from(clients.max(1))
}

fn microseconds_each(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_options_are_refused() {
        let check = |change: &dyn Fn(&mut BenchOptions)| {
            let mut options = BenchOptions::new(None);
            change(&mut options);
            options.check().is_ok()
        };
        assert!(check(&|_| {}));
        assert!(check(&|options| options.peers = vec![("a".into(), "a {config}".into())]));
        assert!(!check(&|options| options.peers = vec![("a".into(), String::new())]));
        assert!(!check(&|options| options.peers = vec![(DIRECT.into(), "a {config}".into())]));
        assert!(!check(&|options| options.clients = vec![10, 0]));
        assert!(!check(&|options| options.pool_size = 0));
    }

    #[test]
    fn peers_by_name_and_command() {
        let mut options = BenchOptions::new(None);
        options.add_peer("other=program -x=1 {config}").unwrap();
        options.add_peer("/usr/sbin/pooler").unwrap();
        let expected = [("other", "program -x=1 {config}"), ("pooler", "/usr/sbin/pooler")];
        assert_eq!(options.peers, expected.map(|(name, command)| (name.to_owned(), command.to_owned())));
        assert!(options.add_peer("a pooler without a name").is_err());
    }

    #[test]
    fn cpu_time_is_per_request_with_the_warm_up() {
        let (requests, completed) = (50_000, 60_000);
        let outcome = Outcome { elapsed: Duration::from_secs(5), requests, completed, ..Outcome::default() };
        let usage = Usage {
            memory_kib: 1,
            memory_per_client_bytes: 1,
            login_cpu: Duration::from_millis(5),
            run_cpu: Duration::from_millis(1200),
        };
        let cell = Cell { clients: 100, protocol: Protocol::Simple, round: 1 };
        let (login, own_cpu) = (Duration::ZERO, Duration::from_millis(600));
        let run = finished_run("x", cell, Load { connections: 100, login, outcome, own_cpu }, Some(usage));
        assert!((run.requests_per_second - 10_000.0).abs() < 0.001);
        assert!((run.cpu_us_per_request.unwrap() - 20.0).abs() < 0.001);
        assert!((run.generator_cpu_us_per_request.unwrap() - 10.0).abs() < 0.001);
        assert!((run.login_cpu_us.unwrap() - 50.0).abs() < 0.001);
        let failed = failed_run("x", cell, &anyhow::anyhow!("no"));
        assert_eq!((failed.cpu_us_per_request, failed.errors.count), (None, 1));
    }
}
