//! A Redis of the test's own.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pgprime_client::cache::{CacheConfig, RedisConfig};
use pgprime_client::{Database, ResultCacheConfig};
use tempfile::TempDir;

/// A redis-server on a Unix socket in a folder of its own. It ends with this value, or with the test's process.
pub(crate) struct Redis {
    folder: TempDir,
    running: Option<Running>,
}

struct Running {
    server: Child,
    /// Kills the server when its input ends without a word.
    watchdog: Child,
}

impl Redis {
    pub(crate) fn start() -> Self {
        let mut redis = Self { folder: tempfile::tempdir().unwrap(), running: None };
        redis.run();
        redis
    }

    /// Starts it again, empty.
    pub(crate) fn run(&mut self) {
        assert!(self.running.is_none());
        let _ = std::fs::remove_file(self.socket());
        let has_redis = Command::new("redis-server").arg("--version").output().is_ok();
        let server = Command::new(if has_redis { "redis-server" } else { "valkey-server" })
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(self.socket())
            .arg("--dir")
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server or valkey-server is installed");
        let watchdog = Command::new("sh")
            .arg("-c")
            .arg(format!("read word || kill -9 {}", server.id()))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        self.running = Some(Running { server, watchdog });
        let until = Instant::now() + Duration::from_secs(30);
        while UnixStream::connect(self.socket()).is_err() {
            assert!(Instant::now() < until, "redis-server does not listen");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        let _ = running.server.kill();
        let _ = running.server.wait();
        if let Some(mut input) = running.watchdog.stdin.take() {
            let _ = input.write_all(b"done\n");
        }
        let _ = running.watchdog.wait();
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis")
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Memory and this Redis, which is never too slow.
    pub(crate) fn config(&self) -> ResultCacheConfig {
        let redis = RedisConfig {
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            pause_first: Duration::from_millis(5),
            pause_max: Duration::from_millis(20),
            ..RedisConfig::new(self.url())
        };
        let cache = CacheConfig { redis: Some(redis), ..CacheConfig::default() };
        ResultCacheConfig { cache, ..ResultCacheConfig::default() }
    }

    /// What it answers to a command of one line.
    pub(crate) fn command(&self, words: &[&[u8]]) -> Vec<u8> {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        write!(stream, "*{}\r\n", words.len()).unwrap();
        for word in words {
            write!(stream, "${}\r\n", word.len()).unwrap();
            stream.write_all(word).unwrap();
            stream.write_all(b"\r\n").unwrap();
        }
        // The server closes after this one.
        stream.write_all(b"*1\r\n$4\r\nQUIT\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }

    /// The names of keys that contain this.
    pub(crate) fn keys(&self, part: &str) -> Vec<String> {
        let answer = self.command(&[b"KEYS", format!("*{part}*").as_bytes()]);
        let text = String::from_utf8_lossy(&answer).into_owned();
        text.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether a database's cache uses its Redis.
pub(crate) fn is_up(database: &Database) -> bool {
    let redis = database.cache().unwrap().snapshot().redis;
    redis.is_some_and(|redis| redis.state == pgprime_client::cache::RedisState::Up)
}
