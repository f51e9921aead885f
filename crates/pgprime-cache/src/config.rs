//! Settings of a cache and of each request.

use std::fmt;
use std::time::Duration;

/// How long and in which form a result is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// How long a result is served as fresh. Default 60 s.
    pub ttl: Duration,
    /// How much longer it is served while one caller fills it anew. It never outlives a change of its tables. Default none.
    pub stale_while_revalidate: Option<Duration>,
    /// By what part of itself the time to live is shortened at most, at random, so that results stored together do not
    /// expire together: 0 to 1. Default 0.1.
    pub jitter: f64,
    /// Results larger than this are compressed in Redis; those in memory are kept as they are. Default 4 KiB, below which
    /// LZ4 saves less than a network packet.
    pub compress_above_bytes: usize,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            ttl: Duration::from_secs(60),
            stale_while_revalidate: None,
            jitter: 0.1,
            compress_above_bytes: 4096,
        }
    }
}

impl Policy {
    /// The defaults with this time to live.
    pub fn ttl(ttl: Duration) -> Policy {
        Policy { ttl, ..Policy::default() }
    }

    /// The time to live shortened by `random`, 0 to 1, times the jitter. 60 s, jitter 0.1, random 0.5: 57 s.
    pub(crate) fn fresh_for(&self, random: f64) -> Duration {
        let jitter = if self.jitter.is_finite() { self.jitter.clamp(0.0, 1.0) } else { 0.0 };
        self.ttl.mul_f64(1.0 - jitter * random.clamp(0.0, 1.0))
    }

    pub(crate) fn stale_for(&self) -> Duration {
        self.stale_while_revalidate.unwrap_or_default()
    }
}

/// How far a reader may lag behind a commit of another instance. Its own instance's commits it always sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// Not at all: the epochs in Redis are asked for every time, one round trip. While Redis cannot be reached, nothing is
    /// served from the cache, only concurrent readers still share one fill.
    Strict,
    /// At most so long: epochs seen in Redis are believed for that time. While Redis cannot be reached, entries of
    /// memory are served up to that age.
    Within(Duration),
}

/// Settings of a cache.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheConfig {
    /// Bytes of entries in memory, their administration included; 0 for no tier in memory. Default 64 MiB.
    pub memory_bytes_max: usize,
    /// Larger results are handed to their readers, but not stored. Default 1 MiB: above it one result displaces hundreds.
    pub value_bytes_max: usize,
    /// Tables of one result; one made from more is not stored. Default 64.
    pub tables_max: usize,
    /// Fills that can be waited for at once; beyond it, readers fill for themselves. Default 10,000.
    pub flights_max: usize,
    /// Names of queries counted apart; further ones are counted together. Default 1,000.
    pub labels_max: usize,
    /// After this time a writer that did not say how it ended is taken for committed. It must be longer than a COMMIT can
    /// take. Default 30 s.
    pub write_lease: Duration,
    /// Default strict.
    pub consistency: Consistency,
    /// The tier that instances share. Default none.
    pub redis: Option<RedisConfig>,
}

impl Default for CacheConfig {
    fn default() -> CacheConfig {
        CacheConfig {
            memory_bytes_max: 64 << 20,
            value_bytes_max: 1 << 20,
            tables_max: 64,
            flights_max: 10_000,
            labels_max: 1_000,
            write_lease: Duration::from_secs(30),
            consistency: Consistency::Strict,
            redis: None,
        }
    }
}

/// Settings of the tier in Redis or Valkey.
#[derive(Clone, PartialEq)]
pub struct RedisConfig {
    /// `redis://`, `rediss://` (TLS), `unix://` or `redis+sentinel://`; several, separated by commas, are nodes of one cluster.
    /// A server that says it is part of a cluster is used as one. Certificates (`sslrootcert`, `sslcert`, `sslkey`) and a file
    /// with the password (`password_file`) are parameters behind a `?`; docs/cache.md has all of them.
    pub url: String,
    /// Instances with the same namespace share entries and epochs. Default `pgprime`.
    pub namespace: String,
    /// Of one operation; what takes longer counts as a failure. Default 50 ms: a cache slower than that is no cache.
    pub timeout: Duration,
    /// Of connecting, TLS and login included. Nobody but [`Cache::connect`](crate::Cache::connect) waits for it. Default 1 s.
    pub connect_timeout: Duration,
    /// Slow or failed operations in a row after which Redis is left alone. A lost connection is enough by itself. Default 3.
    pub failures_max: u32,
    /// The first pause before Redis is tried again; it doubles, and each is shortened by up to a half at random. Default 100 ms.
    pub pause_first: Duration,
    /// The longest pause. Default 10 s.
    pub pause_max: Duration,
    /// How long a fill can keep other instances from filling the same. Default 10 s.
    pub fill_lease: Duration,
    /// How long another instance's fill is waited for; then this one fills, too. Default 1 s.
    pub fill_wait_max: Duration,
    /// Changed tables that are remembered while Redis cannot be told; beyond it everything in Redis is given up instead.
    /// Default 10,000.
    pub debts_max: usize,
    /// How long the epoch of a table is kept after its last change; afterwards its entries are misses. Default 24 h.
    pub epoch_ttl: Duration,
}

impl RedisConfig {
    /// The defaults with this URL, as in `REDIS_URL`.
    pub fn new(url: impl Into<String>) -> RedisConfig {
        RedisConfig {
            url: url.into(),
            namespace: "pgprime".into(),
            timeout: Duration::from_millis(50),
            connect_timeout: Duration::from_secs(1),
            failures_max: 3,
            pause_first: Duration::from_millis(100),
            pause_max: Duration::from_secs(10),
            fill_lease: Duration::from_secs(10),
            fill_wait_max: Duration::from_secs(1),
            debts_max: 10_000,
            epoch_ttl: Duration::from_secs(24 * 3600),
        }
    }
}

/// Without the URL: there may be a password in it.
impl fmt::Debug for RedisConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RedisConfig")
            .field("namespace", &self.namespace)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Settings with which there can be no cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The URL of Redis cannot be read. It is not repeated here: there may be a password in it.
    #[error("the URL of Redis, such as redis://[user:password@]host[:port][/database], cannot be used: {0}")]
    Url(String),
    /// A namespace with a character that means something in names of keys.
    #[error(
        "the namespace {0:?} is empty, longer than 100 bytes, or has a brace or a character that is not printable ASCII"
    )]
    Namespace(String),
    /// A duration that has to be longer than nothing.
    #[error("{0} must be at least a millisecond")]
    Zero(&'static str),
    /// Redis is used by tasks.
    #[error("a cache with Redis has to be made inside a tokio runtime")]
    NoRuntime,
    /// The system has no random numbers, which tell instances apart.
    #[error("no random numbers: {0}")]
    NoRandomness(String),
}

impl CacheConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        not_zero("write_lease", self.write_lease)?;
        let Some(redis) = &self.redis else { return Ok(()) };
        let name = &redis.namespace;
        let plain = name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'{' | b'}'));
        if name.is_empty() || name.len() > 100 || !plain {
            return Err(ConfigError::Namespace(name.clone()));
        }
        not_zero("timeout", redis.timeout)?;
        not_zero("connect_timeout", redis.connect_timeout)?;
        not_zero("pause_first", redis.pause_first)?;
        not_zero("fill_lease", redis.fill_lease)?;
        not_zero("epoch_ttl", redis.epoch_ttl)
    }
}

fn not_zero(name: &'static str, duration: Duration) -> Result<(), ConfigError> {
    if duration < Duration::from_millis(1) { Err(ConfigError::Zero(name)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_only_shortens_and_stays_in_its_bounds() {
        let policy = |jitter| Policy { jitter, ..Policy::ttl(Duration::from_secs(60)) };
        assert_eq!(policy(0.1).fresh_for(0.5), Duration::from_secs(57));
        for (jitter, shortest) in [(0.0, 60), (0.1, 54), (1.0, 0), (7.0, 0), (-1.0, 60), (f64::NAN, 60)] {
            for random in [0.0, 0.3, 1.0] {
                let fresh = policy(jitter).fresh_for(random);
                assert!(fresh <= Duration::from_secs(60), "{jitter} {random}: {fresh:?}");
                assert!(fresh >= Duration::from_secs(shortest), "{jitter} {random}: {fresh:?}");
            }
        }
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let with = |change: fn(&mut RedisConfig)| {
            let mut redis = RedisConfig::new("redis://localhost");
            change(&mut redis);
            CacheConfig { redis: Some(redis), ..CacheConfig::default() }.check()
        };
        assert!(with(|_| ()).is_ok());
        for change in [
            (|redis| redis.namespace.clear()) as fn(&mut RedisConfig),
            |redis| redis.namespace = "a{b".into(),
            |redis| redis.namespace = "a b".into(),
            |redis| redis.namespace = "x".repeat(101),
            |redis| redis.timeout = Duration::ZERO,
            |redis| redis.pause_first = Duration::ZERO,
        ] {
            assert!(with(change).is_err());
        }
        let zero = CacheConfig { write_lease: Duration::ZERO, ..CacheConfig::default() };
        assert!(zero.check().is_err());
    }

    #[test]
    fn no_password_is_printed() {
        let config = RedisConfig::new("redis://:secret@localhost");
        assert!(!format!("{config:?}").contains("secret"));
    }
}
