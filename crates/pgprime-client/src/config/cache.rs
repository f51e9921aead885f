//! Settings of the cached reads of a database.

use std::fmt;
use std::time::Duration;

use pgprime_cache::{CacheConfig, RedisConfig};

/// How long an answer may be on its way after `statement_timeout`, and a COMMIT after that.
const LEASE_BEYOND_STATEMENT: Duration = Duration::from_secs(35);
/// The lease of writers whose statements may take for ever.
const LEASE_UNLIMITED: Duration = Duration::from_secs(24 * 3600);

/// Settings of the cached reads of a database; see [`Database::cached`](crate::Database::cached).
#[derive(Clone, PartialEq)]
pub struct ResultCacheConfig {
    /// The store: memory, Redis or both. Its Redis is that of `redis_url` unless one is set here. Its `write_lease` is
    /// raised to what a statement of these pools may take.
    pub cache: CacheConfig,
    /// How often the catalogs are read again, for definitions changed by others. Default 60 s. What this library itself
    /// changes is seen at once. While they cannot be read for five times as long, nothing is served from the cache.
    pub schema_refresh: Duration,
    /// PostgreSQL's own URL, not that of a transaction pooler: a session there hears which tables writers outside change, by
    /// the triggers or the publication of [`outside`](crate::outside). Default none: nobody is heard.
    pub listen_url: Option<String>,
    /// What cached reads do while that session is lost. Default [`WhileDeaf::Bypass`].
    pub while_deaf: WhileDeaf,
}

/// What cached reads do while writers outside are not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum WhileDeaf {
    /// They run on the database.
    #[default]
    Bypass,
    /// They are served what may be older than a change made outside, by their time to live at most.
    Serve,
}

impl Default for ResultCacheConfig {
    fn default() -> Self {
        Self {
            cache: CacheConfig::default(),
            schema_refresh: Duration::from_secs(60),
            listen_url: None,
            while_deaf: WhileDeaf::Bypass,
        }
    }
}

impl ResultCacheConfig {
    /// The store's settings with what they take over from the database's: its Redis, and a lease that outlasts the longest
    /// statement. The second is what there is to say about it.
    pub(crate) fn store_for(
        &self,
        redis_url: Option<&str>,
        statement_timeouts: &[Duration],
    ) -> (CacheConfig, Option<String>) {
        let mut store = self.cache.clone();
        if store.redis.is_none() {
            store.redis = redis_url.map(RedisConfig::new);
        }
        let least = lease(statement_timeouts);
        let note = (store.write_lease < least).then(|| {
            let (given, needed) = (store.write_lease.as_secs_f64(), least.as_secs_f64());
            format!(
                "the cache's write_lease of {given} s is shorter than a statement may take: {needed} s are used instead"
            )
        });
        store.write_lease = store.write_lease.max(least);
        (store, note)
    }
}

/// The least lease: the longest statement, the time its answer is waited for, and as much for COMMIT. 300 s: 335 s.
fn lease(statement_timeouts: &[Duration]) -> Duration {
    match statement_timeouts.iter().any(Duration::is_zero) {
        true => LEASE_UNLIMITED,
        false => {
            let longest = statement_timeouts.iter().max().copied().unwrap_or_default();
            longest.saturating_add(LEASE_BEYOND_STATEMENT)
        }
    }
}

/// Without what may hold a password.
impl fmt::Debug for ResultCacheConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResultCacheConfig")
            .field("cache", &self.cache)
            .field("schema_refresh", &self.schema_refresh)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lease_outlasts_every_statement() {
        let seconds = Duration::from_secs;
        for (timeouts, expected) in [
            (vec![seconds(30), seconds(300)], seconds(335)),
            (vec![seconds(30), Duration::ZERO], LEASE_UNLIMITED),
            (vec![], seconds(35)),
        ] {
            assert_eq!(lease(&timeouts), expected, "{timeouts:?}");
        }
        let config = ResultCacheConfig::default();
        let (store, note) = config.store_for(None, &[seconds(300)]);
        assert_eq!(store.write_lease, seconds(335));
        assert!(note.is_some_and(|note| note.contains("of 30 s") && note.contains("335 s")));
        let long = CacheConfig { write_lease: seconds(1_000), ..CacheConfig::default() };
        let config = ResultCacheConfig { cache: long, ..config };
        let (store, note) = config.store_for(None, &[seconds(300)]);
        assert_eq!((store.write_lease, note), (seconds(1_000), None));
    }

    #[test]
    fn redis_is_that_of_the_url_unless_one_is_set() {
        let config = ResultCacheConfig::default();
        let url = |config: &ResultCacheConfig, url| config.store_for(url, &[]).0.redis.map(|redis| redis.url);
        assert_eq!(url(&config, None), None);
        assert_eq!(url(&config, Some("redis://a")).as_deref(), Some("redis://a"));
        let own = CacheConfig { redis: Some(RedisConfig::new("redis://b")), ..CacheConfig::default() };
        let config = ResultCacheConfig { cache: own, ..config };
        assert_eq!(url(&config, Some("redis://a")).as_deref(), Some("redis://b"));
    }
}
