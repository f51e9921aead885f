//! One server of a cluster: its life, and statements on it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::error::ClusterError;
use crate::home::{Home, without_postgres_variables};
use crate::installation::Installation;
use crate::process;
use crate::settings;

const START_PATIENCE: Duration = Duration::from_secs(60);
const STOP_PATIENCE: Duration = Duration::from_secs(60);
/// PostgreSQL itself kills what has not ended 5 s after an immediate shutdown began.
const IMMEDIATE_PATIENCE: Duration = Duration::from_secs(15);
const SIGNAL_PATIENCE: Duration = Duration::from_secs(10);
const REPLAY_PATIENCE: Duration = Duration::from_secs(60);
const RELOAD_PATIENCE: Duration = Duration::from_secs(20);
const LOG_TAIL_LINES: usize = 30;

/// How a server is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Open transactions are rolled back, clients are disconnected, a checkpoint is written.
    Fast,
    /// Nothing is written; the next start recovers as after a crash.
    Immediate,
}

/// One server: the primary or a replica. Its port stays the same over restarts.
///
/// Methods that change the server's life may be called from any thread; they wait for each other.
#[derive(Debug)]
pub struct Node {
    name: String,
    cluster_name: String,
    port: u16,
    data_dir: PathBuf,
    log_path: PathBuf,
    installation: Installation,
    home: Arc<Home>,
    postmaster: Mutex<Option<Child>>,
}

impl Node {
    /// A node that has no data yet. The name is its own within the cluster.
    pub(crate) fn new(home: &Arc<Home>, installation: &Installation, name: &str, port: u16) -> Self {
        let folder = home.dir().file_name().unwrap_or_default().to_string_lossy();
        Self {
            name: name.to_owned(),
            cluster_name: format!("{folder}-{name}"),
            port,
            data_dir: home.dir().join(name),
            log_path: home.dir().join(format!("{name}.log")),
            installation: installation.clone(),
            home: Arc::clone(home),
            postmaster: Mutex::new(None),
        }
    }

    /// Chooses another port, before the first start.
    pub(crate) fn set_port(&mut self, port: u16) {
        self.port = port;
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// `primary`, or `replica1` and so on.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The setting `cluster_name`: unlike [`Node::name`] it is unique on the machine. `SHOW cluster_name` tells which
    /// node a connection has reached, and a replica's entry in `pg_stat_replication` has it as `application_name`.
    #[must_use]
    pub fn cluster_name(&self) -> &str {
        &self.cluster_name
    }

    /// The TCP port on 127.0.0.1, which is also in the name of the Unix socket.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the Unix socket; its path is short enough for a socket, and any user may enter it.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        self.home.dir()
    }

    /// For the superuser, over TCP: `postgres://postgres@127.0.0.1:port/database`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{}", self.port, percent_encoded(database))
    }

    /// For the superuser, over the Unix socket: `postgres://postgres@/database?host=…&port=…`.
    #[must_use]
    pub fn socket_url(&self, database: &str) -> String {
        let host = percent_encoded(&self.socket_dir().display().to_string());
        format!("postgres://postgres@/{}?host={host}&port={}", percent_encoded(database), self.port)
    }

    /// The file with everything that the server has logged since its first start.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log_path
    }

    /// What the server has logged since its first start.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log_path).unwrap_or_default()).into_owned()
    }

    /// Whether the server runs; a paused one does.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running(&mut self.lock()).is_some()
    }

    /// The process id of the postmaster, while the server runs.
    #[must_use]
    pub fn postmaster_pid(&self) -> Option<u32> {
        self.running(&mut self.lock()).map(|child| child.id())
    }

    /// Starts the server and returns when it accepts connections. Does nothing when it runs.
    ///
    /// # Errors
    /// [`ClusterError::PortTaken`], or [`ClusterError::Start`] with the end of the log.
    pub fn start(&self) -> Result<(), ClusterError> {
        let mut postmaster = self.lock();
        if self.running(&mut postmaster).is_some() {
            return Ok(());
        }
        let log_start = self.log().len();
        let log = open_log(&self.log_path)?;
        let error_log = log.try_clone().map_err(ClusterError::io("share the log file"))?;
        let mut command = self.home.command(&self.name, &self.installation.program("postgres"));
        command.arg("-D").arg(&self.data_dir).stdout(log).stderr(error_log);
        let child = command.spawn().map_err(ClusterError::io(format!("start {}", self.name)))?;
        let child = postmaster.insert(child);
        let outcome = self.await_ready(child, log_start);
        if outcome.is_err() {
            self.destroy(&mut postmaster);
        }
        outcome
    }

    /// Stops the server, a paused one too. Does nothing when it does not run.
    ///
    /// # Errors
    /// [`ClusterError::Stop`] when it takes longer than a minute.
    pub fn stop(&self, mode: StopMode) -> Result<(), ClusterError> {
        let mut postmaster = self.lock();
        let Some(child) = self.running(&mut postmaster) else { return Ok(()) };
        let (signal, patience) = match mode {
            StopMode::Fast => (Signal::SIGINT, STOP_PATIENCE),
            StopMode::Immediate => (Signal::SIGQUIT, IMMEDIATE_PATIENCE),
        };
        process::thaw(process::id(child));
        process::signal(process::id(child), signal);
        if !process::wait_exit(child, patience) {
            return Err(ClusterError::Stop { node: self.name.clone(), waited: patience });
        }
        self.forget(&mut postmaster);
        Ok(())
    }

    /// Stops the server and starts it again.
    ///
    /// # Errors
    /// Those of [`Node::stop`] and [`Node::start`].
    pub fn restart(&self, mode: StopMode) -> Result<(), ClusterError> {
        self.stop(mode)?;
        self.start()
    }

    /// Kills the postmaster and all its children at once, as a power failure would. Does nothing when it does not run.
    pub fn kill(&self) {
        self.destroy(&mut self.lock());
    }

    /// Stops all the server's processes from running, as a machine that hangs: connections stay open and the port
    /// takes new ones, but nothing answers.
    ///
    /// # Errors
    /// [`ClusterError::NotRunning`].
    pub fn pause(&self) -> Result<(), ClusterError> {
        process::freeze(self.running_pid()?, SIGNAL_PATIENCE);
        Ok(())
    }

    /// Lets a paused server go on.
    ///
    /// # Errors
    /// [`ClusterError::NotRunning`].
    pub fn resume(&self) -> Result<(), ClusterError> {
        process::thaw(self.running_pid()?);
        Ok(())
    }

    /// Makes a replica a primary; returns when it accepts writes.
    ///
    /// # Errors
    /// [`ClusterError::Sql`], also when it is a primary already.
    pub fn promote(&self) -> Result<(), ClusterError> {
        self.psql("postgres", "SELECT pg_promote(true, 60)").map(drop)
    }

    /// Makes the server read its configuration again; returns when new connections see it.
    ///
    /// # Errors
    /// [`ClusterError::NotRunning`], [`ClusterError::Sql`].
    pub fn reload(&self) -> Result<(), ClusterError> {
        let loaded = || self.psql("postgres", "SELECT pg_conf_load_time()");
        let before = loaded()?;
        process::signal(self.running_pid()?, Signal::SIGHUP);
        let deadline = Instant::now() + RELOAD_PATIENCE;
        while loaded()? == before {
            if Instant::now() > deadline {
                return Err(self.sql_error("postgres", "the configuration was not read again"));
            }
            std::thread::sleep(process::POLL);
        }
        Ok(())
    }

    /// Puts these lines in force as the node's pg_hba.conf. The superuser's own way in over the Unix socket stays.
    ///
    /// # Errors
    /// [`ClusterError::Hba`] for lines that the server does not accept: the former ones are then still in force.
    pub fn set_hba(&self, lines: &[String]) -> Result<(), ClusterError> {
        let path = self.data_dir.join("pg_hba.conf");
        let former = std::fs::read_to_string(&path).map_err(ClusterError::io("read pg_hba.conf"))?;
        self.home.write(&path, &settings::hba(Some(lines)))?;
        let faults = "SELECT line_number || ': ' || error FROM pg_hba_file_rules WHERE error IS NOT NULL";
        let faults = self.psql("postgres", faults)?;
        if faults.is_empty() {
            return self.reload();
        }
        self.home.write(&path, &former)?;
        Err(ClusterError::Hba { node: self.name.clone(), message: faults })
    }

    /// Runs the statements as the superuser over the Unix socket, until the first that fails, and returns the rows:
    /// one a line, columns separated by `|`, without the last line's end. What psql understands, such as
    /// backslash commands, is understood.
    ///
    /// # Errors
    /// [`ClusterError::Sql`] with what psql reported.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String, ClusterError> {
        let output = self.run_psql(database, sql).map_err(ClusterError::io("run psql"))?;
        if !output.status.success() {
            return Err(self.sql_error(database, String::from_utf8_lossy(&output.stderr).trim_end()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned())
    }

    /// Creates an empty database.
    ///
    /// # Errors
    /// [`ClusterError::Sql`], also when there is one of that name.
    pub fn create_database(&self, name: &str) -> Result<(), ClusterError> {
        let name = name.replace('"', "\"\"");
        self.psql("postgres", &format!("CREATE DATABASE \"{name}\"")).map(drop)
    }

    /// Waits until the server's statistics hold what sessions did that have ended before this call. From version 15 on
    /// they do at once; before it a collector writes them into files that others read for half a second.
    ///
    /// # Errors
    /// [`ClusterError::Sql`].
    pub fn wait_for_statistics(&self, database: &str) -> Result<(), ClusterError> {
        if self.installation.version_major() >= 15 {
            return Ok(());
        }
        // The collector takes reports in their order, so what it heard before this ANALYZE is there with it.
        let wait = "DO $$
            DECLARE began timestamptz := clock_timestamp();
            BEGIN
                ANALYZE pg_catalog.pg_am;
                LOOP
                    PERFORM pg_stat_clear_snapshot();
                    EXIT WHEN pg_stat_get_last_analyze_time('pg_catalog.pg_am'::regclass) >= began;
                    PERFORM pg_sleep(0.02);
                END LOOP;
            END $$";
        self.psql(database, wait).map(drop)
    }

    /// On a replica: waits until it has replayed everything committed on the primary before this call.
    ///
    /// # Errors
    /// [`ClusterError::Behind`] after a minute; [`ClusterError::Sql`].
    pub fn wait_for_replay(&self, primary: &Node) -> Result<(), ClusterError> {
        // With synchronous_commit off a commit may still be in memory; one that waits for the log takes all with it.
        let flush = "SET synchronous_commit = local; \
                     SELECT FROM pg_logical_emit_message(true, 'pgprime', ''); \
                     SELECT pg_current_wal_flush_lsn();";
        let flushed = primary.psql("postgres", flush)?;
        let lsn = flushed.lines().last().unwrap_or_default().to_owned();
        let deadline = Instant::now() + REPLAY_PATIENCE;
        let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{lsn}'");
        while self.psql("postgres", &replayed)? != "t" {
            if Instant::now() > deadline {
                return Err(ClusterError::Behind { node: self.name.clone(), lsn, waited: REPLAY_PATIENCE });
            }
            std::thread::sleep(process::POLL);
        }
        Ok(())
    }

    /// The lock is on a process, not on data that a panic could leave half changed.
    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.postmaster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The postmaster, if it runs; one that has ended by itself is forgotten.
    fn running<'a>(&self, postmaster: &'a mut Option<Child>) -> Option<&'a mut Child> {
        if postmaster.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None))) {
            self.forget(postmaster);
        }
        postmaster.as_mut()
    }

    fn running_pid(&self) -> Result<i32, ClusterError> {
        let mut postmaster = self.lock();
        let running = self.running(&mut postmaster).map(|child| process::id(child));
        running.ok_or_else(|| ClusterError::NotRunning { node: self.name.clone() })
    }

    fn forget(&self, postmaster: &mut Option<Child>) {
        *postmaster = None;
        self.home.ended(&self.name);
    }

    /// Waits until the postmaster has written that it is ready, which is what `pg_ctl --wait` goes by, too.
    fn await_ready(&self, child: &mut Child, log_start: usize) -> Result<(), ClusterError> {
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            if let Some(status) = child.try_wait().map_err(ClusterError::io("wait for the server"))? {
                return Err(self.start_error(log_start, format!("it ended with {status}")));
            }
            if self.pid_file().is_some_and(|file| file.is_ready(child.id())) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(self.start_error(log_start, format!("not ready after {START_PATIENCE:?}")));
            }
            std::thread::sleep(process::POLL);
        }
    }

    fn start_error(&self, log_start: usize, reason: String) -> ClusterError {
        let log = self.log();
        let log = log.get(log_start..).unwrap_or_default();
        let node = self.name.clone();
        if log.contains("could not create any TCP/IP sockets") {
            return ClusterError::PortTaken { node, port: self.port };
        }
        let lines: Vec<&str> = log.lines().collect();
        let log_tail = lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n");
        ClusterError::Start { node, reason, log_tail }
    }

    fn sql_error(&self, database: &str, message: impl Into<String>) -> ClusterError {
        ClusterError::Sql { node: self.name.clone(), database: database.to_owned(), message: message.into() }
    }

    /// Kills all processes and removes what only the postmaster could have removed.
    fn destroy(&self, postmaster: &mut Option<Child>) {
        let Some(child) = postmaster.as_mut() else { return };
        let tree = process::freeze(process::id(child), SIGNAL_PATIENCE);
        let pid_file = self.pid_file();
        for process in &tree {
            process::signal(process.pid, Signal::SIGKILL);
        }
        let _status = child.wait();
        process::wait_gone(&tree, SIGNAL_PATIENCE);
        if let Some(segment) = pid_file.as_ref().and_then(PidFile::segment) {
            remove_segment(segment);
        }
        let socket_lock = format!(".s.PGSQL.{}.lock", self.port);
        // Left behind, these could name a process id that has become another's, and the next start would refuse.
        for path in [self.data_dir.join("postmaster.pid"), self.home.dir().join(socket_lock)] {
            let _gone = std::fs::remove_file(path);
        }
        self.forget(postmaster);
    }

    fn pid_file(&self) -> Option<PidFile> {
        std::fs::read_to_string(self.data_dir.join("postmaster.pid")).ok().map(PidFile)
    }

    fn run_psql(&self, database: &str, sql: &str) -> std::io::Result<Output> {
        let mut command = Command::new(self.installation.program("psql"));
        without_postgres_variables(&mut command);
        command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"]);
        command.env("PGHOST", self.socket_dir()).env("PGPORT", self.port.to_string());
        command.env("PGUSER", "postgres").env("PGDATABASE", database);
        command.env("PGCLIENTENCODING", "UTF8").env("PGCONNECT_TIMEOUT", "30");
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut input = child.stdin.take().expect("the input is piped");
        std::thread::scope(|scope| {
            // psql reads on only as its output is taken, so both happen at once. It may end before it has read all.
            scope.spawn(move || input.write_all(sql.as_bytes()));
            child.wait_with_output()
        })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // What cannot be stopped is left to the watchdog.
        let _stopped = self.stop(StopMode::Immediate);
    }
}

/// The text of postmaster.pid: process id, folder, start time, port, socket folder, address, shared memory, status.
struct PidFile(String);

impl PidFile {
    /// Whether the server with this process id accepts connections.
    fn is_ready(&self, pid: u32) -> bool {
        let line = |index| self.0.lines().nth(index).map(str::trim);
        line(0) == Some(&pid.to_string()) && line(7) == Some("ready")
    }

    /// The id of the System V shared memory segment.
    fn segment(&self) -> Option<&str> {
        self.0.lines().nth(6)?.split_whitespace().nth(1)
    }
}

/// Removes a System V shared memory segment. It outlives a postmaster that is killed, and the system has room for few.
fn remove_segment(id: &str) {
    let mut command = Command::new("ipcrm");
    command.args(["-m", id]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _gone = command.status();
}

fn open_log(path: &Path) -> Result<File, ClusterError> {
    let log = OpenOptions::new().create(true).append(true).open(path);
    log.map_err(ClusterError::io(format!("open {}", path.display())))
}

fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_percent_encoded() {
        assert_eq!(percent_encoded("plain-1._~"), "plain-1._~");
        assert_eq!(percent_encoded("/run/a b?é"), "%2Frun%2Fa%20b%3F%C3%A9");
    }

    #[test]
    fn the_pid_file_tells_readiness_and_shared_memory() {
        let file =
            |status: &str| PidFile(format!("7\n/d\n1\n5432\n/s\n127.0.0.1\n  5432001         3\n{status}\n"));
        assert!(file("ready   ").is_ready(7));
        assert!(!file("ready   ").is_ready(8));
        assert!(!file("starting").is_ready(7));
        assert!(!PidFile("7\n/d\n".into()).is_ready(7));
        assert_eq!(file("ready   ").segment(), Some("3"));
        assert_eq!(PidFile(String::new()).segment(), None);
    }
}
