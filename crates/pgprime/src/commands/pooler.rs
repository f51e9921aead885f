//! `pgprime pooler CONFIG.ini`

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use pgprime_pooler::Pooler;
use pgprime_pooler::core::{CaptureSettings, MeasureSettings, Redaction};
use pgprime_pooler::settings::Config;

use crate::{daemon, logging};

/// Options of the pooler.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Settings and databases, in PgBouncer's syntax
    pub(crate) config: PathBuf,
    /// Event loops, each on a thread of its own [default: half of the cores, as PostgreSQL needs the rest]
    #[arg(long, env = "PGPRIME_WORKERS")]
    pub(crate) workers: Option<usize>,
    /// Do not log to standard error
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Log more; twice for even more
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Run in the background
    #[arg(short, long)]
    pub(crate) daemon: bool,
    /// Become this system user after start as root
    #[arg(short, long)]
    pub(crate) user: Option<String>,
    /// Measure statements, applications and users, for SHOW STATEMENTS and its like
    #[arg(
        long,
        env = "PGPRIME_STATEMENT_STATISTICS",
        value_enum,
        default_value = "on",
        value_name = "on|off"
    )]
    pub(crate) statement_statistics: Switch,
    /// Keep the parameters of statements that take at least so long, for SHOW PARAMETERS; 0 keeps none
    #[arg(long, env = "PGPRIME_CAPTURE_PARAMETERS_MS", default_value = "0", value_name = "MS")]
    pub(crate) capture_parameters_ms: u32,
    /// Of captured parameters keep type and length only
    #[arg(long)]
    pub(crate) redact_parameters: bool,
}

/// Whether something is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Switch {
    #[default]
    On,
    Off,
}

impl Switch {
    /// As the variable says, where there are no options of our own.
    pub(crate) fn from_environment() -> Self {
        let value = std::env::var("PGPRIME_STATEMENT_STATISTICS");
        if value.is_ok_and(|value| value.eq_ignore_ascii_case("off")) { Self::Off } else { Self::On }
    }
}

impl Arguments {
    fn measure(&self) -> MeasureSettings {
        let redaction = if self.redact_parameters { Redaction::Redacted } else { Redaction::Shown };
        let threshold = Duration::from_millis(self.capture_parameters_ms.into());
        MeasureSettings {
            is_on: self.statement_statistics == Switch::On,
            capture: (self.capture_parameters_ms > 0).then_some(CaptureSettings { threshold, redaction }),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = Config::load(&arguments.config)?;
    if arguments.daemon && !daemon::is_child() {
        let pidfile = config.settings.pidfile.as_deref();
        daemon::start_child(
            pidfile.context("to run in the background, set pidfile (and logfile, to see what happens)")?,
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(user) = arguments.user.as_ref().or(config.settings.user.as_ref()) {
        daemon::become_user(user)?;
    }
    let is_quiet = arguments.quiet || daemon::is_child();
    let verbosity = u32::from(arguments.verbose).max(config.settings.verbose);
    logging::start(config.settings.logfile.as_deref(), is_quiet, verbosity)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let pidfile = config.settings.pidfile.clone().map(PidFile::claim).transpose()?;
    let workers = arguments.workers.unwrap_or_else(default_workers);
    let pooler = Pooler::bind_measuring(config, workers, arguments.measure())?;
    if let Some(pidfile) = &pidfile {
        pidfile.write()?;
    }
    pooler.run()?;
    Ok(ExitCode::SUCCESS)
}

/// Half of the cores: PostgreSQL needs the others.
pub(crate) fn default_workers() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / 2).max(1)
}

/// A file with our process id in it, removed at the end.
struct PidFile {
    path: PathBuf,
}

impl PidFile {
    /// Refuses when the process named in the file still runs.
    fn claim(path: PathBuf) -> anyhow::Result<Self> {
        if let Some(running) = running_process(&path) {
            anyhow::bail!("already running as process {running}, says {}", path.display());
        }
        Ok(Self { path })
    }

    fn write(&self) -> anyhow::Result<()> {
        fs::write(&self.path, format!("{}\n", std::process::id()))
            .with_context(|| format!("cannot write pidfile {}", self.path.display()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn running_process(path: &Path) -> Option<i32> {
    let process = fs::read_to_string(path).ok()?.trim().parse().ok()?;
    let own = i32::try_from(std::process::id()).ok();
    let exists =
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), None) != Err(nix::errno::Errno::ESRCH);
    (exists && Some(process) != own).then_some(process)
}
