//! The pooler as a process.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgprime_cluster::free_port;
use tempfile::TempDir;

use super::client::Client;
use super::setup::Setup;
use super::{POLL, psql, wait_until};

const BINARY: &str = env!("CARGO_BIN_EXE_pgprime");
/// Another process may take a port between our choosing it and the pooler's binding it.
const PORT_TRIES: usize = 5;

/// A pooler that runs. Ended with SIGQUIT when dropped; its log is shown when the test has failed.
pub(crate) struct Pooler {
    child: Child,
    dir: TempDir,
    port: u16,
    setup: Setup,
}

impl Pooler {
    /// Starts one with this configuration; returns when it accepts.
    pub(crate) fn start(setup: Setup) -> Self {
        Self::start_as(setup, |config| {
            let mut command = Command::new(BINARY);
            command.arg("pooler").arg(config);
            command
        })
    }

    /// Starts one by another command line, made from the path of the configuration.
    pub(crate) fn start_as(setup: Setup, command: impl Fn(&Path) -> Command) -> Self {
        for _ in 0..PORT_TRIES {
            let mut pooler = Self::spawn(setup.clone(), &command);
            if pooler.await_listening() {
                return pooler;
            }
            assert!(pooler.log().contains("in use"), "did not start:\n{}", pooler.log());
        }
        panic!("no free port in {PORT_TRIES} tries");
    }

    fn spawn(setup: Setup, command: &impl Fn(&Path) -> Command) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        setup.write(dir.path(), port);
        let log = File::create(dir.path().join("stderr.log")).unwrap();
        let mut command = command(&dir.path().join("pgbouncer.ini"));
        command.env("PGPRIME_WORKERS", setup.workers.to_string()).stdin(Stdio::null());
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Self { child, dir, port, setup }
    }

    /// `false` when it has ended instead.
    fn await_listening(&mut self) -> bool {
        let mut has_ended = false;
        wait_until("the pooler listens", || {
            has_ended = self.child.try_wait().unwrap().is_some();
            // The port may be another's: only our own child says so.
            has_ended || (self.log().contains("listening") && TcpStream::connect(self.address()).is_ok())
        });
        !has_ended
    }

    pub(crate) fn address(&self) -> (&'static str, u16) {
        ("127.0.0.1", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its configuration, its log and its Unix socket.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.dir().join("pgbouncer.ini")
    }

    /// What it has written to standard output and standard error.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir().join("stderr.log")).unwrap_or_default()
    }

    /// Key and value pairs for a client: the user `postgres` over TCP.
    pub(crate) fn conninfo(&self, database: &str) -> String {
        format!("host=127.0.0.1 port={} user=postgres dbname={database}", self.port)
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    pub(crate) async fn connect(&self, database: &str) -> Client {
        Client::connect(&self.conninfo(database)).await.unwrap()
    }

    /// A client of the console.
    pub(crate) async fn console(&self) -> Client {
        self.connect("pgbouncer").await
    }

    /// What psql writes when it runs these commands, each with an option of its own.
    pub(crate) fn psql(&self, database: &str, commands: &[&str]) -> Output {
        let mut command = psql();
        command.arg("--dbname").arg(self.conninfo(database));
        for text in commands {
            command.arg("--command").arg(text);
        }
        command.output().unwrap()
    }

    /// Writes a changed configuration, to be read at the next reload.
    pub(crate) fn reconfigure(&mut self, change: impl FnOnce(Setup) -> Setup) {
        self.setup = change(self.setup.clone());
        self.setup.write(self.dir.path(), self.port);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// How it ended, if it did.
    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    pub(crate) fn wait_exit(&mut self) -> ExitStatus {
        wait_until("the pooler ends", || self.status().is_some());
        self.status().unwrap()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.pid()), Signal::SIGQUIT);
        let deadline = Instant::now() + Duration::from_secs(10);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let from = log.len().saturating_sub(20_000);
            eprintln!("--- the pooler's log:\n{}", log.get(from..).unwrap_or(&log));
        }
    }
}
