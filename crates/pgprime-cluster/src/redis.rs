//! Private Redis or Valkey servers, for tests that talk to the real thing.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::ClusterError;
use crate::process;

/// The variable that names the program, where it is to be another than the one on the path.
pub const REDIS_SERVER_VARIABLE: &str = "PGPRIME_REDIS_SERVER";

/// In its folder.
const SOCKET: &str = "redis";
/// A server is ready within this time, even on a busy machine.
const START_TIME_MAX: Duration = Duration::from_secs(30);

/// A Redis or Valkey on a Unix socket in a folder of its own. It ends with this value, or with the process that has it.
///
/// The program is that of `PGPRIME_REDIS_SERVER`, else `redis-server`, else `valkey-server`.
#[derive(Debug)]
pub struct RedisServer {
    folder: TempDir,
    role: Role,
    running: Option<Running>,
}

#[derive(Debug)]
enum Role {
    /// With these options.
    Server(Vec<String>),
    /// With a file that it writes to itself.
    Sentinel(PathBuf),
}

#[derive(Debug)]
struct Running {
    server: Child,
    /// Kills the server when its input ends without a word.
    watchdog: Child,
}

impl RedisServer {
    /// Starts one with these options beside those of its own, such as `--save` and its value. It saves nothing otherwise.
    ///
    /// # Errors
    /// [`ClusterError`]: there is no such program, or it does not listen in time.
    pub fn start(options: &[&str]) -> Result<Self, ClusterError> {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Self::start_as(folder()?, Role::Server(options))
    }

    /// Starts a sentinel on this port of loopback, with these lines of its configuration.
    ///
    /// # Errors
    /// As [`RedisServer::start`].
    pub fn start_sentinel(port: u16, lines: &str) -> Result<Self, ClusterError> {
        let folder = folder()?;
        let (file, home) = (folder.path().join("sentinel.conf"), folder.path().display());
        let text = format!("port {port}\nbind 127.0.0.1\nunixsocket {home}/{SOCKET}\ndir {home}\n{lines}\n");
        std::fs::write(&file, text).map_err(ClusterError::io("write a sentinel's configuration"))?;
        Self::start_as(folder, Role::Sentinel(file))
    }

    fn start_as(folder: TempDir, role: Role) -> Result<Self, ClusterError> {
        let mut server = Self { folder, role, running: None };
        server.run()?;
        Ok(server)
    }

    fn command_line(&self) -> Command {
        let mut command = Command::new(program());
        match &self.role {
            Role::Sentinel(file) => command.arg(file).arg("--sentinel"),
            Role::Server(options) => command
                .args(["--port", "0", "--save", "", "--unixsocket"])
                .arg(self.socket())
                .arg("--dir")
                .arg(self.folder.path())
                .args(options),
        };
        command
    }

    /// Starts it again, with the data in its folder, if it saved any. Does nothing while it runs.
    ///
    /// # Errors
    /// As [`RedisServer::start`].
    pub fn run(&mut self) -> Result<(), ClusterError> {
        if self.running.is_some() {
            return Ok(());
        }
        let _absent = std::fs::remove_file(self.socket());
        let server = self
            .command_line()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(ClusterError::io("start redis-server or valkey-server"))?;
        let watchdog = Command::new("sh")
            .arg("-c")
            .arg(format!("read word || kill -9 {}", server.id()))
            .stdin(Stdio::piped())
            .spawn();
        let watchdog = watchdog.map_err(ClusterError::io("start a watchdog"))?;
        self.running = Some(Running { server, watchdog });
        self.wait_until_it_listens()
    }

    fn wait_until_it_listens(&mut self) -> Result<(), ClusterError> {
        let until = Instant::now() + START_TIME_MAX;
        // It listens before it knows that it can have all its ports.
        while !self.answers() {
            let ended = self.running.as_mut().and_then(|running| running.server.try_wait().ok().flatten());
            let reason = match ended {
                Some(status) => format!("it ended with {status}"),
                None if Instant::now() > until => format!("it does not listen after {START_TIME_MAX:?}"),
                None => {
                    std::thread::sleep(process::POLL);
                    continue;
                }
            };
            let log_tail = format!("{:?}", self.role);
            return Err(ClusterError::Start { node: "redis-server".to_owned(), reason, log_tail });
        }
        Ok(())
    }

    /// Whether it says anything.
    fn answers(&self) -> bool {
        let ask = || {
            let mut stream = UnixStream::connect(self.socket())?;
            stream.set_read_timeout(Some(START_TIME_MAX))?;
            stream.write_all(b"*1\r\n$4\r\nPING\r\n")?;
            stream.read(&mut [0])
        };
        ask().is_ok_and(|count| count > 0)
    }

    /// Ends it by SIGKILL, if it runs.
    pub fn kill(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        let _gone = running.server.kill();
        let _gone = running.server.wait();
        if let Some(mut input) = running.watchdog.stdin.take() {
            let _gone = input.write_all(b"done\n");
        }
        let _gone = running.watchdog.wait();
    }

    /// Sends a signal, such as those that stop it and let it go on. Does nothing while it does not run.
    pub fn signal(&self, signal: Signal) {
        if let Some(running) = &self.running {
            process::signal(process::id(&running.server), signal);
        }
    }

    /// Its process, while it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.server.id())
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join(SOCKET)
    }

    /// The same as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// What it answers to one command, as it comes over the wire.
    ///
    /// # Errors
    /// [`ClusterError::Io`]: it does not listen, or went away.
    pub fn command(&self, words: &[&[u8]]) -> Result<Vec<u8>, ClusterError> {
        let ask = || {
            let mut request = format!("*{}\r\n", words.len()).into_bytes();
            for word in words {
                request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
                request.extend_from_slice(word);
                request.extend_from_slice(b"\r\n");
            }
            // The server closes after this one.
            request.extend_from_slice(b"*1\r\n$4\r\nQUIT\r\n");
            let mut stream = UnixStream::connect(self.socket())?;
            stream.write_all(&request)?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            Ok(answer)
        };
        ask().map_err(ClusterError::io("ask Redis"))
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn folder() -> Result<TempDir, ClusterError> {
    let folder = tempfile::Builder::new().prefix("pgprime-redis-").tempdir();
    folder.map_err(ClusterError::io("make a folder for Redis"))
}

fn program() -> PathBuf {
    if let Some(named) = std::env::var_os(REDIS_SERVER_VARIABLE).filter(|named| !named.is_empty()) {
        return named.into();
    }
    let is_there = |name: &str| Command::new(name).arg("--version").stdout(Stdio::null()).status().is_ok();
    if is_there("redis-server") { "redis-server".into() } else { "valkey-server".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_and_can_be_killed_and_started_again() {
        let mut redis = RedisServer::start(&[]).unwrap();
        let ping = |redis: &RedisServer| redis.command(&[b"PING"]).unwrap();
        assert!(ping(&redis).starts_with(b"+PONG\r\n"));
        redis.kill();
        assert!(redis.command(&[b"PING"]).is_err());
        redis.run().unwrap();
        assert!(ping(&redis).starts_with(b"+PONG\r\n"));
    }

    #[test]
    fn what_ends_it_at_once_is_told() {
        let error = RedisServer::start(&["--no-such-option", "1"]).unwrap_err().to_string();
        assert!(
            error.contains("redis-server did not start") && error.contains("--no-such-option"),
            "{error}"
        );
    }
}
