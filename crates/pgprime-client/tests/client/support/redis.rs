//! A Redis of the test's own.

use std::time::Duration;

use pgprime_client::cache::{CacheConfig, RedisConfig};
use pgprime_client::{Database, ResultCacheConfig};
use pgprime_cluster::RedisServer;

/// A redis-server on a Unix socket in a folder of its own. It ends with this value, or with the test's process.
pub(crate) struct Redis {
    server: RedisServer,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self { server: RedisServer::start(&[]).unwrap() }
    }

    /// Starts it again, empty.
    pub(crate) fn run(&mut self) {
        self.server.run().unwrap();
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        self.server.kill();
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
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
        self.server.command(words).unwrap()
    }

    /// The names of keys that contain this.
    pub(crate) fn keys(&self, part: &str) -> Vec<String> {
        let answer = self.command(&[b"KEYS", format!("*{part}*").as_bytes()]);
        let text = String::from_utf8_lossy(&answer).into_owned();
        text.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }
}

/// Whether a database's cache uses its Redis.
pub(crate) fn is_up(database: &Database) -> bool {
    let redis = database.cache().unwrap().snapshot().redis;
    redis.is_some_and(|redis| redis.state == pgprime_client::cache::RedisState::Up)
}
