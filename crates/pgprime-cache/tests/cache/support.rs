//! A Redis of the test's own, and short ways to ask a cache.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use pgprime_cache::{
    Cache, CacheConfig, Filled, Key, KeyBuilder, Policy, RedisConfig, RedisState, Request, Served, Tables,
};
use pgprime_cluster::{RedisServer, free_port};

/// Long enough for a loaded machine; nothing waits for it to pass.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A redis-server on a Unix socket in a folder of its own. It ends with this value, or with the test's process.
pub(crate) struct Redis {
    server: RedisServer,
    port: u16,
}

impl Redis {
    pub(crate) fn start() -> Redis {
        Redis::with(&[])
    }

    pub(crate) fn with(options: &[&str]) -> Redis {
        Redis { server: RedisServer::start(options).unwrap(), port: 0 }
    }

    /// One that listens on a port of loopback as well.
    pub(crate) fn on_a_port(options: &[&str]) -> Redis {
        let mut tries = 0;
        loop {
            let port = free_port();
            let text = port.to_string();
            let given = ["--port", text.as_str(), "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0"];
            match RedisServer::start(&[&given, options].concat()) {
                Ok(server) => return Redis { server, port },
                // Somebody was faster.
                Err(error) => assert!(tries < 10, "{error}"),
            }
            tries += 1;
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Starts it again, with the data in its folder, if it saved any.
    pub(crate) fn run(&mut self) {
        self.server.run().unwrap();
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        self.server.kill();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.server.signal(signal);
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
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

    /// The same of a server that may be down, hang or refuse it.
    pub(crate) fn try_query<T: redis::FromRedisValue>(&self, words: &[&str]) -> Option<T> {
        let patience = Duration::from_millis(300);
        let mut client =
            redis::Client::open(self.url()).unwrap().get_connection_with_timeout(patience).ok()?;
        client.set_read_timeout(Some(patience)).unwrap();
        redis::cmd(words[0]).arg(&words[1..]).query(&mut client).ok()
    }

    /// As `try_query` of a server that wants a password. Sentinels close what others have open there.
    pub(crate) fn authenticated<T: redis::FromRedisValue>(
        &self,
        password: &str,
        words: &[&str],
    ) -> Option<T> {
        let client = redis::Client::open(format!("{}?pass={password}", self.url())).unwrap();
        redis::cmd(words[0]).arg(&words[1..]).query(&mut client.get_connection().ok()?).ok()
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

/// Waits until the replica has all that the primary has now.
pub(crate) async fn replicated(primary: &Redis, replica: &Redis) {
    let offset = |redis: &Redis, name: &str| -> Option<u64> {
        let info = redis.query::<String>(&["INFO", "replication"]);
        info.lines().find_map(|line| line.strip_prefix(name)?.parse().ok())
    };
    let written = offset(primary, "master_repl_offset:").unwrap();
    let has_all = || offset(replica, "slave_repl_offset:").is_some_and(|read| read >= written);
    until("the replica has caught up", has_all).await;
}

/// A lost connection is noticed by the next who uses it.
pub(crate) async fn until_up_by_use(cache: &Cache) {
    let _ = cache.invalidate(&tables(&["nothing"])).await;
    until_up(cache).await;
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
