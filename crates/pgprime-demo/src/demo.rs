//! The demo: a private PostgreSQL with an insurer's data, the pooler in front of it, and ten thousand clients.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::back_office::{BackOffice, BackOfficeReport};
use crate::dashboard::{
    DashboardReport, Office, PoolsWanted, RefreshesReport, Slices, ViewsReport, asked_beside_load,
    beside_heavy_report,
};
use crate::data::dataset::Dataset;
use crate::demo_report::DemoReport;
use crate::generator::{Generator, Limit, Outcome, Progress};
use crate::interrupt::{go_on, stop_flag};
use crate::load::{load_sample_data, now_seconds};
use crate::machine::{Machine, allow_connections};
use crate::mix::{InsuranceMix, Statements};
use crate::observer::{Findings, LoadObserver, LoadedServer};
use crate::pooler_config::Auth;
use crate::pooler_process::PoolerCommand;
use crate::private_server::PrivateServer;
use crate::running_pooler::{PoolerSetup, RunningPooler};
use crate::sampler::{Sampler, Samples};
use crate::screen::Screen;
use crate::server::Address;
use crate::text::{grouped, milliseconds};
use crate::traffic::TrafficOptions;

const DATABASE: &str = "insurance";
/// What counts statements, and what tries indexes out without making them; each only where it is installed.
const EXTENSIONS: &[&str] = &["pg_stat_statements", "hypopg"];
const SEED: u64 = 20_240_229;
/// The load goes on for this part of its time, with and without a heavy report beside it.
const SLICES_PART: u32 = 2;

/// The address of Redis, which may hold a password: `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(String);

impl RedisUrl {
    /// This address.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(hidden)")
    }
}

/// What the demo is to show.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// Client connections. Default 10,000: what the product is for.
    pub clients: u32,
    /// Seconds of load. Default 20: enough for steady percentiles.
    pub seconds: u32,
    /// Size of the sample data; 1 is about a million rows. Default 1.
    pub scale: f64,
    /// Requests per second over all clients. Default 2,000: what a machine with two cores carries beside the
    /// generator, with room to spare, so that latencies show the pooler and not a queue.
    pub rate: f64,
    /// Server connections the pooler may open. Default 25.
    pub pool_size: u32,
    /// Connections of the admin pool. Default: one for every two cores. A report keeps a core busy, and the service
    /// needs some, too: on two cores, p99 beside one report is half as high again, and beside six it is five times as
    /// high.
    pub admin_pool_size: u32,
    /// Where the dashboard's results are kept beside memory. Default: nowhere.
    pub redis_url: Option<RedisUrl>,
    /// The pooler to start.
    pub pooler: PoolerCommand,
    /// How reads are executed. Default: named prepared statements.
    pub statements: Statements,
    /// Print the report as JSON on standard output.
    pub json: bool,
    /// Stay up after the load, until Ctrl-C.
    pub keep: bool,
}

impl DemoOptions {
    /// The defaults, with the given pooler.
    pub fn new(pooler: PoolerCommand) -> Self {
        Self {
            clients: 10_000,
            seconds: 20,
            scale: 1.0,
            rate: 2000.0,
            pool_size: 25,
            admin_pool_size: admin_pool_size(),
            redis_url: None,
            pooler,
            statements: Statements::Named,
            json: false,
            keep: false,
        }
    }

    fn check(&self) -> anyhow::Result<()> {
        if [self.clients, self.seconds, self.pool_size, self.admin_pool_size].contains(&0) {
            bail!("clients, seconds and pool sizes of a demo are at least 1");
        }
        if !(self.rate > 0.0 && self.rate.is_finite() && self.scale > 0.0 && self.scale.is_finite()) {
            bail!("rate and scale of a demo are above 0");
        }
        Ok(())
    }
}

/// One connection for every two cores.
fn admin_pool_size() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cores / 2).unwrap_or(u32::MAX).max(1)
}

/// Runs the demo and prints its report on standard output; progress goes to standard error. The observer looks at the
/// server before and after the load, and before the dashboard's reports come; what it found ends the report. The report also
/// tells whether it was [clean](DemoReport::is_clean).
///
/// # Errors
/// Wrong options; the limit of open files is too low for the clients asked for; PostgreSQL or the pooler cannot be started; a client
/// cannot log in; the process was interrupted before the load ran; the observer could not look before the load.
pub fn demo(
    options: &DemoOptions,
    mut observer: Option<&mut dyn LoadObserver>,
) -> anyhow::Result<DemoReport> {
    options.check()?;
    allow_connections(u64::from(options.clients) + u64::from(options.pool_size))?;
    let stop = stop_flag()?;
    let mut screen = Screen::new();
    let data = Dataset::new(options.scale, SEED, now_seconds());

    screen.line("starting a private PostgreSQL");
    let server = PrivateServer::start(DATABASE)?;
    // The back office must not take all cores from the clients.
    server.keep_to_one_core()?;
    let load_seconds = load(&server, &data, &mut screen, &stop)?;
    screen.line("starting the pooler");
    let setup = PoolerSetup {
        command: &options.pooler,
        pool_size: options.pool_size,
        clients: options.clients,
        auth: Auth::Trust,
    };
    let pooler = RunningPooler::start(&server, &setup)?;
    go_on(&stop)?;

    let office = Office::new(&server, options.redis_url.as_ref().map(RedisUrl::as_str))?;
    screen.line("making the dashboard's views");
    let views = office.make_views()?;
    go_on(&stop)?;

    let loaded = LoadedServer {
        database_url: server.url(),
        pooler_url: pooler.console_url(),
        config: office.config().to_owned(),
    };
    if let Some(observer) = &mut observer {
        server.add_extensions(EXTENSIONS)?;
        observer.load_begins(&loaded)?;
    }
    let stage =
        Stage { options, data: &data, server: &server, pooler: &pooler, office: &office, stop: &stop };
    let mut look = |screen: &mut Screen| {
        let observer = observer.as_deref_mut()?;
        screen.line("looking for what could be better");
        Some(observer.load_ended(&loaded).unwrap_or_else(|error| not_looked(&error)))
    };
    let (report, findings) = stage.play(Begun { load_seconds, views }, &mut look, &mut screen)?;
    print(&report, &findings.text, options)?;
    if options.keep {
        stay_up(&stage, &mut screen);
    }
    Ok(report)
}

/// The load is reported all the same.
fn not_looked(error: &anyhow::Error) -> Findings {
    let reason = format!("{error:#}");
    Findings {
        text: format!("nothing more was found out: {reason}\n"),
        json: serde_json::json!({ "error": reason }),
    }
}

fn print(report: &DemoReport, findings: &str, options: &DemoOptions) -> anyhow::Result<()> {
    if options.json {
        println!("{}", serde_json::to_string_pretty(report)?);
        return Ok(());
    }
    let gap = if findings.is_empty() { "" } else { "\n" };
    println!("\n{}{gap}{findings}", report.text());
    Ok(())
}

fn load(
    server: &PrivateServer,
    data: &Dataset,
    screen: &mut Screen,
    stop: &AtomicBool,
) -> anyhow::Result<f64> {
    let started = Instant::now();
    let total = data.counts.total();
    screen.line(&format!("loading {} rows of sample data", grouped(total)));
    load_sample_data(&server.as_application(), data, &mut |step, rows| {
        screen.bar(step, rows, total);
        go_on(stop)
    })?;
    Ok(started.elapsed().as_secs_f64())
}

/// Everything the load needs.
struct Stage<'a> {
    options: &'a DemoOptions,
    data: &'a Dataset,
    server: &'a PrivateServer,
    pooler: &'a RunningPooler,
    office: &'a Office,
    stop: &'a AtomicBool,
}

/// What was done before the load.
struct Begun {
    load_seconds: f64,
    views: ViewsReport,
}

/// What was measured around the load.
struct Measured {
    login: Duration,
    outcome: Outcome,
    samples: Samples,
    back_office: BackOfficeReport,
    refreshes: RefreshesReport,
    memory_before_kib: u64,
    memory_loaded_kib: u64,
    cpu: Duration,
}

/// Looks at the server after the load, if anybody does.
type Look<'a> = dyn FnMut(&mut Screen) -> Option<Findings> + 'a;

impl Stage<'_> {
    fn play(
        &self,
        begun: Begun,
        look: &mut Look<'_>,
        screen: &mut Screen,
    ) -> anyhow::Result<(DemoReport, Findings)> {
        let memory_before_kib = self.pooler.resident_kib()?;
        let workload = self.traffic().workload(self.data);
        let mut generator = Generator::new(self.pooler.as_application(), workload, self.stop)?;
        let login = self.log_in(&mut generator, screen)?;
        let measured = self.measure(&mut generator, memory_before_kib, login, screen)?;
        // Who has had enough waits for nothing more.
        let interrupted = measured.outcome.interrupted;
        let findings = if interrupted { None } else { look(screen) }.unwrap_or_default();
        let refreshes = measured.refreshes.clone();
        let mut report = self.report(begun.load_seconds, measured)?;
        if !interrupted {
            match self.show_dashboard(&mut generator, begun.views, refreshes, screen) {
                Ok(dashboard) => report.dashboard = dashboard,
                Err(error) => report.dashboard_error = Some(format!("{error:#}")),
            }
        }
        report.findings = Some(findings.json.clone()).filter(|json| !json.is_null());
        Ok((report, findings))
    }

    fn report(&self, load_seconds: f64, measured: Measured) -> anyhow::Result<DemoReport> {
        let clients = u64::from(self.options.clients.max(1));
        let memory_loaded_kib = measured.memory_loaded_kib.max(measured.samples.resident_kib_max);
        let grown_bytes = memory_loaded_kib.saturating_sub(measured.memory_before_kib) * 1024;
        let requests = measured.outcome.requests.max(1);
        Ok(DemoReport {
            clients: self.options.clients,
            pool_size: self.options.pool_size,
            rate: self.options.rate,
            rows: self.data.counts.total(),
            load_seconds,
            login_seconds: measured.login.as_secs_f64(),
            traffic: measured.outcome.into(),
            back_office: measured.back_office,
            servers_max: measured.samples.servers_max,
            sessions_max: measured.samples.sessions_max,
            clients_waiting_max: measured.samples.clients_waiting_max,
            wait_us_max: measured.samples.wait_us_max,
            memory_before_kib: measured.memory_before_kib,
            memory_loaded_kib,
            memory_per_client_bytes: grown_bytes / clients,
            cpu_us_per_request: measured.cpu.as_secs_f64() * 1e6 / requests as f64,
            machine: Machine::this(),
            postgresql: self.server.version()?,
            pooler: self.pooler.version().unwrap_or_else(|| "a pooler without a version".to_owned()),
            dashboard: None,
            dashboard_error: None,
            findings: None,
        })
    }

    fn measure(
        &self,
        generator: &mut Generator<'_, InsuranceMix>,
        memory_before_kib: u64,
        login: Duration,
        screen: &mut Screen,
    ) -> anyhow::Result<Measured> {
        screen.line(&format!("running {:.0} requests/s for {} s", self.options.rate, self.options.seconds));
        let sampler =
            Sampler::start(&self.pooler.console(), &self.server.as_admin(), DATABASE, self.pooler.pid())?;
        let back_office = BackOffice::start(self.pooler.as_application(), self.data)?;
        let keeper = self.office.keep_views();
        let cpu_before = self.pooler.cpu_time()?;
        let outcome = generator.run(&self.traffic().run_options(), &mut |progress| {
            screen.changing(&progress_line(progress));
        })?;
        let cpu = self.pooler.cpu_time()?.saturating_sub(cpu_before);
        let memory_loaded_kib = self.pooler.resident_kib()?;
        let (samples, back_office) = (sampler.finish(), back_office.finish());
        let refreshes = keeper.finish();
        Ok(Measured {
            login,
            outcome,
            samples,
            back_office,
            refreshes,
            memory_before_kib,
            memory_loaded_kib,
            cpu,
        })
    }

    /// The dashboard: beside the load that goes on, and when it is over. `None` when it was interrupted.
    fn show_dashboard(
        &self,
        generator: &mut Generator<'_, InsuranceMix>,
        views: ViewsReport,
        refreshes: RefreshesReport,
        screen: &mut Screen,
    ) -> anyhow::Result<Option<DashboardReport>> {
        let wanted =
            PoolsWanted { pooler_connections: self.options.pool_size, admin: self.options.admin_pool_size };
        let (desk, slices) = (self.office.open(wanted)?, self.slices());
        let seconds = slices.length.as_secs_f64();
        screen.line(&format!("running on for {seconds:.1} s, half of it with a heavy report beside it"));
        let mut observe = |slice: &str| screen.changing(&format!("  {slice}"));
        let Some(beside) = beside_heavy_report(generator, &desk, slices, &mut observe)? else {
            return Ok(None);
        };
        screen.line("asking the dashboard's queries of tables, views and cache, while the load goes on");
        let Some(asked) = asked_beside_load(generator, &desk, slices)? else {
            return Ok(None);
        };
        let meanwhile = asked.meanwhile.clone();
        let (admin_pool, queries) = (desk.admin_pool()?, desk.compare(asked)?);
        let cache = desk.cache_name();
        Ok(Some(DashboardReport { views, refreshes, queries, meanwhile, cache, admin_pool, beside }))
    }

    fn slices(&self) -> Slices {
        let length = Duration::from_secs(self.options.seconds.into()) / SLICES_PART;
        Slices { rate: self.options.rate, length, seed: SEED }
    }

    fn traffic(&self) -> TrafficOptions {
        TrafficOptions {
            clients: self.options.clients as usize,
            rate: Some(self.options.rate),
            limit: Limit::Duration(Duration::from_secs(self.options.seconds.into())),
            statements: self.options.statements,
            seed: SEED,
        }
    }

    fn log_in(
        &self,
        generator: &mut Generator<'_, InsuranceMix>,
        screen: &mut Screen,
    ) -> anyhow::Result<Duration> {
        let total = u64::from(self.options.clients);
        screen.line(&format!("connecting {} clients", grouped(total)));
        generator.login(self.options.clients as usize, &mut |count| screen.bar("logins", count as u64, total))
    }
}

fn progress_line(progress: &Progress) -> String {
    format!(
        "  {:3.0} s  {:>7} requests/s  p99 {:>7} ms  {} under way  {} waiting  {} errors",
        progress.elapsed.as_secs_f64(),
        grouped(progress.throughput.round() as u64),
        milliseconds(progress.p99_us),
        progress.busy,
        progress.backlog,
        progress.errors
    )
}

fn stay_up(stage: &Stage<'_>, screen: &mut Screen) {
    let (server, application) = (stage.server, stage.pooler.as_application());
    let Address::Tcp(address) = &application.address else { return };
    let (host, port, user) = (address.ip(), address.port(), &application.user);
    screen.line(&format!(
        "staying up until Ctrl-C\n  \
         through the pooler   psql 'postgres://{user}@{host}:{port}/{DATABASE}'\n  \
         the pooler's console psql 'postgres://{user}@{host}:{port}/pgbouncer' -c 'SHOW POOLS'\n  \
         PostgreSQL directly  psql 'postgres://{user}@{host}:{}/{DATABASE}'\n  \
         the views            pgprime views status --config {} --database-url 'postgres://{user}@{host}:{}/{DATABASE}'",
        server.port(),
        stage.office.config().display(),
        server.port()
    ));
    // Whoever looks at the views now finds them as fresh as they are declared to be.
    let keeper = stage.office.keep_views();
    while !stage.stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(keeper);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_options_are_refused() {
        let check = |change: &dyn Fn(&mut DemoOptions)| {
            let mut options = DemoOptions::new(PoolerCommand::Own("x".into()));
            change(&mut options);
            options.check().is_ok()
        };
        assert!(check(&|_| {}));
        assert!(!check(&|options| options.clients = 0));
        assert!(!check(&|options| options.admin_pool_size = 0));
        assert!(!check(&|options| options.rate = 0.0));
        assert!(!check(&|options| options.scale = f64::NAN));
    }

    #[test]
    fn the_address_of_redis_is_not_shown() {
        let redis_url = Some(RedisUrl::new("redis://:secret@localhost"));
        let options = DemoOptions { redis_url, ..DemoOptions::new(PoolerCommand::Own("x".into())) };
        assert!(!format!("{options:?}").contains("secret"));
    }

    #[test]
    fn progress_in_one_line() {
        let progress = Progress {
            elapsed: Duration::from_millis(3_020),
            throughput: 1999.7,
            p99_us: 1_500,
            busy: 4,
            backlog: 0,
            errors: 0,
        };
        let expected = "    3 s    2,000 requests/s  p99    1.50 ms  4 under way  0 waiting  0 errors";
        assert_eq!(progress_line(&progress), expected);
    }
}
