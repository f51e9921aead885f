//! Starting, running and ending a pooler.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use pgprime_pool::WorkerIndex;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::unbounded_channel;

use crate::connect;
use crate::context::{Context, Stage};
use crate::core::{CoreSettings, MeasureSettings, Measured, PoolRow};
use crate::directory::{Directory, core_settings};
use crate::error::PoolerError;
use crate::listener::Listeners;
use crate::mail::{Detail, Mail, MailSender};
use crate::reload;
use crate::settings::Config;
use crate::statistics::by_database;
use crate::status::{self, Repeats, Sessions, Statements, Status};
use crate::worker::WorkerSeed;

/// How often a pooler that drains looks whether it is done.
const DRAIN_INTERVAL: Duration = Duration::from_millis(50);
/// File descriptors besides clients and servers: log, listeners, event loops.
const DESCRIPTORS_SPARE: u64 = 64;

/// A pooler that is listening: bound, with its workers waiting, and not yet accepting.
#[derive(Debug)]
pub struct Pooler {
    context: Arc<Context>,
    listeners: Listeners,
    runtime: Runtime,
    workers: Vec<JoinHandle<()>>,
    requests: tokio::sync::mpsc::UnboundedReceiver<crate::mail::ColdRequest>,
}

/// Steers a pooler from another thread. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Handle {
    context: Arc<Context>,
    port: u16,
}

impl Handle {
    /// The port clients connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its state, added up over its workers. Cheap enough to be asked for every second.
    pub async fn status(&self) -> Status {
        status::status(&self.context).await
    }

    /// Who is connected, clients and servers one by one.
    pub async fn sessions(&self) -> Sessions {
        status::sessions(&self.context).await
    }

    /// All executions since the start: times and waits with their distribution. [`Measured::since`] tells those of an
    /// interval.
    pub async fn executions(&self) -> Measured {
        status::executions(&self.context).await
    }

    /// What was measured of statements. Texts are without constants.
    pub async fn statements(&self) -> Statements {
        status::statements(&self.context).await
    }

    /// Statements that clients ran again and again, where one statement would have done.
    pub async fn repeats(&self) -> Repeats {
        status::repeats(&self.context).await
    }

    /// Whether its end has begun: no new clients are let in.
    pub fn is_ending(&self) -> bool {
        self.context.stage() != Stage::Running
    }

    /// Puts another configuration in force, as RELOAD does with the file it came from.
    ///
    /// # Errors
    /// What of it is not possible; all stays as it is then.
    pub fn replace(&self, config: Config) -> Result<(), PoolerError> {
        reload::replace(&self.context, config)
    }

    /// Ends the pooler as SIGTERM does: when its clients have gone, or at once when it is told so a second time.
    pub fn drain(&self) {
        end(&self.context, "drain", Stage::WaitForClients);
    }

    /// Ends the pooler at once: clients are told so.
    pub fn stop(&self) {
        self.context.advance(Stage::Stop);
    }
}

impl Pooler {
    /// Reads the users, binds the sockets and starts `workers` event loops (at least one, at most 256).
    ///
    /// # Errors
    /// What of this is not possible, with what to do about it.
    pub fn bind(config: Config, workers: usize) -> Result<Self, PoolerError> {
        Self::bind_measuring(config, workers, MeasureSettings::default())
    }

    /// As [`Pooler::bind`], with other settings for what is measured of statements.
    ///
    /// # Errors
    /// What of this is not possible, with what to do about it.
    pub fn bind_measuring(
        config: Config,
        workers: usize,
        measure: MeasureSettings,
    ) -> Result<Self, PoolerError> {
        let system = |step| move |source| PoolerError::System { step, source };
        let secrets = reload::load_secrets(&config)?;
        let tls = reload::load_tls(&config.settings)?;
        let listeners = Listeners::bind(&config.settings)?;
        check_descriptors(&config);
        let seeds = (0..workers.clamp(1, 256)).map(|_| WorkerSeed::new());
        let seeds: Vec<WorkerSeed> = seeds.collect::<io::Result<_>>().map_err(system("an event loop"))?;
        let senders: Vec<MailSender> = seeds.iter().map(|seed| seed.sender.clone()).collect();
        let (cold, requests) = unbounded_channel();
        let mut threads = Vec::new();
        for (index, seed) in (0u16..).zip(seeds) {
            let settings = CoreSettings { measure, ..core_settings(&config.settings) };
            let thread = seed.start(WorkerIndex(index), settings, senders.clone(), cold.clone());
            threads.push(thread.map_err(system("a worker"))?);
        }
        let directory = Directory::new(config, secrets, tls, senders.clone());
        let context = Arc::new(Context::new(directory, senders));
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(2)
            .thread_name("pgprime-cold")
            .build()
            .map_err(system("the runtime"))?;
        Ok(Self { context, listeners, runtime, workers: threads, requests })
    }

    /// A handle for other threads.
    pub fn handle(&self) -> Handle {
        Handle { context: Arc::clone(&self.context), port: self.listeners.port }
    }

    /// Serves until it is told to end, by its handle, by the console or by a signal: SIGHUP reloads, SIGTERM waits
    /// for clients to go (a second one does not), SIGINT waits for servers to be free, SIGQUIT ends at once.
    ///
    /// # Errors
    /// When sockets or signals cannot be used.
    pub fn run(self) -> Result<(), PoolerError> {
        let Self { context, listeners, runtime, workers, requests } = self;
        let outcome = runtime.block_on(async {
            let signals = Signals::new()?;
            tokio::spawn(connect::serve_workers(Arc::clone(&context), requests));
            tokio::spawn(signals.heed(Arc::clone(&context)));
            tokio::spawn(keep_statistics(Arc::clone(&context)));
            context.directory.open_fixed_pools();
            tracing::info!(port = listeners.port, "listening");
            listeners.serve(Arc::clone(&context)).await?;
            drain(&context).await;
            io::Result::Ok(())
        });
        context.advance(Stage::Stop);
        context.mail_all(|| Mail::Shutdown);
        for worker in workers {
            if worker.join().is_err() {
                tracing::error!("a worker had panicked");
            }
        }
        runtime.shutdown_timeout(Duration::from_secs(1));
        tracing::info!("shut down");
        outcome.map_err(|source| PoolerError::System { step: "serving", source })
    }
}

/// Waits for what the stage says is to be waited for.
async fn drain(context: &Context) {
    let mut is_held = false;
    loop {
        let is_done = match context.stage() {
            Stage::Running => false,
            Stage::Stop => true,
            Stage::WaitForClients => context.directory.clients.used() == 0,
            Stage::WaitForServers => {
                if !is_held {
                    is_held = true;
                    context.directory.note_held(|held| held.all_paused = true);
                    context.directory.mail_pools(None, Mail::Pause);
                }
                let snapshots = context.snapshot(Detail::Pools).await;
                snapshots.iter().flat_map(|snapshot| &snapshot.pools).all(is_at_rest)
            }
        };
        if is_done {
            return;
        }
        tokio::time::sleep(DRAIN_INTERVAL).await;
    }
}

fn is_at_rest(pool: &PoolRow) -> bool {
    pool.paused && pool.servers_active + pool.servers_tested + pool.servers_being_cancelled == 0
}

async fn keep_statistics(context: Arc<Context>) {
    loop {
        let settings = context.directory.config().settings.clone();
        tokio::time::sleep(settings.stats_period.max(Duration::from_secs(1))).await;
        let totals = by_database(&context.snapshot(Detail::Pools).await);
        context.statistics.turn(totals.clone(), settings.stats_period);
        if settings.log_stats {
            let gained = totals.keys().map(|name| context.statistics.gained(name).0);
            let sum = gained.fold(crate::core::Counters::default(), |sum, counters| sum + counters);
            let seconds = settings.stats_period.as_secs().max(1);
            tracing::info!(
                transactions_per_s = sum.transactions / seconds,
                queries_per_s = sum.queries / seconds,
                received_bytes_per_s = sum.received_bytes / seconds,
                sent_bytes_per_s = sum.sent_bytes / seconds,
                transaction_us = sum.transaction_us / sum.transactions.max(1),
                query_us = sum.query_us / sum.queries.max(1),
                wait_us = sum.wait_us / sum.assignments.max(1),
                "stats"
            );
        }
    }
}

/// The signals that steer a pooler.
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    async fn heed(mut self, context: Arc<Context>) {
        loop {
            tokio::select! {
                _ = self.hangup.recv() => {
                    tracing::info!("got SIGHUP, reloading");
                    if let Err(error) = reload::reload(&context).await {
                        tracing::error!(%error, "reload failed: the configuration in force stays");
                    }
                }
                _ = self.terminate.recv() => end(&context, "SIGTERM", Stage::WaitForClients),
                _ = self.interrupt.recv() => end(&context, "SIGINT", Stage::WaitForServers),
                _ = self.quit.recv() => end(&context, "SIGQUIT", Stage::Stop),
            }
        }
    }
}

/// A signal for the second time does not wait any longer.
fn end(context: &Context, name: &str, stage: Stage) {
    let is_repeated = context.stage() == stage;
    tracing::info!(signal = name, "shutting down");
    context.advance(if is_repeated { Stage::Stop } else { stage });
}

/// Raises the limit on open files as far as allowed, and says so when it does not suffice.
fn check_descriptors(config: &Config) {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_err() {
        tracing::warn!(limit = soft, "the limit on open files could not be raised");
    }
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(soft, |(soft, _)| soft);
    let settings = &config.settings;
    let pools = config.databases.len().max(1) as u64;
    let needed = u64::from(settings.max_client_conn)
        + pools * u64::from(settings.default_pool_size + settings.reserve_pool_size)
        + DESCRIPTORS_SPARE;
    if limit < needed {
        tracing::warn!(
            limit,
            needed,
            "the limit on open files is too low for max_client_conn: raise it with `ulimit -n {needed}` or LimitNOFILE="
        );
    }
}
