//! A Redis of the test's own, and short ways to ask a cache.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgprime_cache::{
    Cache, CacheConfig, Filled, Key, KeyBuilder, Policy, RedisConfig, RedisState, Request, Served, Tables,
};
use tempfile::TempDir;

/// Long enough for a loaded machine; nothing waits for it to pass.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A redis-server on a Unix socket in a folder of its own. It ends with this value, or with the test's process.
pub(crate) struct Redis {
    folder: TempDir,
    options: Vec<String>,
    running: Option<Running>,
}

struct Running {
    server: Child,
    /// Kills the server when its input ends without a word.
    watchdog: Child,
}

impl Redis {
    pub(crate) fn start() -> Redis {
        Redis::with(&[])
    }

    pub(crate) fn with(options: &[&str]) -> Redis {
        let folder = tempfile::tempdir().unwrap();
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut redis = Redis { folder, options, running: None };
        redis.run();
        redis
    }

    /// Starts it again, with the data in its folder, if it saved any.
    pub(crate) fn run(&mut self) {
        assert!(self.running.is_none());
        let _ = std::fs::remove_file(self.socket());
        let has_redis = Command::new("redis-server").arg("--version").output().is_ok();
        let server = Command::new(if has_redis { "redis-server" } else { "valkey-server" })
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(self.socket())
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.options)
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
        let until = Instant::now() + LONG;
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

    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.running.as_ref().unwrap().server.id();
        kill(Pid::from_raw(i32::try_from(id).unwrap()), signal).unwrap();
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis")
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// A connection of the test's own.
    pub(crate) fn client(&self) -> redis::Connection {
        redis::Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    pub(crate) fn query<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query(&mut self.client()).unwrap()
    }

    /// The keys whose names contain `part`.
    pub(crate) fn keys(&self, part: &str) -> Vec<String> {
        self.query(&["KEYS", &format!("*{part}*")])
    }

    pub(crate) fn config(&self) -> RedisConfig {
        RedisConfig {
            // Only tests of slowness want a short one.
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            pause_first: Duration::from_millis(5),
            pause_max: Duration::from_millis(20),
            ..RedisConfig::new(self.url())
        }
    }

    /// A cache with this Redis, and as much memory as said.
    pub(crate) async fn cache(&self, memory_bytes_max: usize) -> Cache {
        let config = CacheConfig { memory_bytes_max, redis: Some(self.config()), ..CacheConfig::default() };
        let cache = Cache::connect(config).await.unwrap();
        assert_eq!(redis_state(&cache), RedisState::Up);
        cache
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) fn redis_state(cache: &Cache) -> RedisState {
    cache.snapshot().redis.unwrap().state
}

/// Waits until `holds`, as it will by itself.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < end, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub(crate) async fn until_up(cache: &Cache) {
    until("Redis is used again", || redis_state(cache) == RedisState::Up).await;
}

pub(crate) async fn memory_only() -> Cache {
    Cache::connect(CacheConfig::default()).await.unwrap()
}

pub(crate) fn key(text: &str) -> Key {
    KeyBuilder::new().text(text).build()
}

pub(crate) fn tables(names: &[&str]) -> Tables {
    Tables::new(names.iter().copied())
}

pub(crate) fn hour() -> Policy {
    Policy { jitter: 0.0, ..Policy::ttl(Duration::from_secs(3600)) }
}

/// The entry "q", made from table "t"; a miss fills it with `value`.
pub(crate) async fn get(cache: &Cache, value: &str) -> Served {
    get_with(cache, hour(), value).await
}

pub(crate) async fn get_with(cache: &Cache, policy: Policy, value: &str) -> Served {
    let tables = tables(&["t"]);
    let request = Request { key: key("q"), tables: &tables, label: "q", policy };
    let filled = Filled::new(value.as_bytes().to_vec());
    cache.get_or_fill(&request, || async { Ok::<_, ()>(filled) }).await.unwrap()
}
