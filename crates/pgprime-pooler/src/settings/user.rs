//! An entry of `[users]`: limits for one user.

use std::time::Duration;

use super::entry::{self, Key};
use super::value::{Count, Kind, PoolMode, Seconds, unless_unset};

/// What holds for one user instead of the setting of its database and the general one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserConfig {
    /// The user as clients log in.
    pub name: String,
    /// Overrides `pool_mode`.
    pub pool_mode: Option<PoolMode>,
    /// Server connections of each of its pools at most; overrides `default_pool_size`.
    pub pool_size: Option<u32>,
    /// Further connections for clients that wait long; overrides `reserve_pool_size`.
    pub reserve_pool_size: Option<u32>,
    /// Server connections of all its pools together at most; overrides `max_user_connections`.
    pub max_user_connections: Option<u32>,
    /// Client connections at most; overrides `max_user_client_connections`.
    pub max_user_client_connections: Option<u32>,
    /// Overrides `query_timeout`.
    pub query_timeout: Option<Duration>,
    /// Overrides `query_wait_timeout`.
    pub query_wait_timeout: Option<Duration>,
    /// Overrides `idle_transaction_timeout`.
    pub idle_transaction_timeout: Option<Duration>,
    /// Overrides `transaction_timeout`.
    pub transaction_timeout: Option<Duration>,
    /// Overrides `client_idle_timeout`.
    pub client_idle_timeout: Option<Duration>,
}

impl UserConfig {
    /// An entry in which nothing is set.
    pub fn new(name: impl Into<String>) -> UserConfig {
        UserConfig { name: name.into(), ..UserConfig::default() }
    }

    /// Reads an entry.
    pub(super) fn parse(name: &str, text: &str) -> Result<UserConfig, String> {
        let mut user = UserConfig::new(name);
        entry::fill(text, KEYS, &mut user)?;
        Ok(user)
    }
}

/// A key whose value goes to the field of its name.
macro_rules! key {
    ($field:ident : $kind:ty) => {
        Key::new(stringify!($field), |user: &mut UserConfig, text| {
            user.$field = unless_unset::<$kind>(text)?;
            Ok(())
        })
    };
}

static KEYS: &[Key<UserConfig>] = &[
    Key::new("pool_mode", |user, text| {
        user.pool_mode = Some(PoolMode::parse(text)?);
        Ok(())
    }),
    key!(pool_size: Count),
    key!(reserve_pool_size: Count),
    key!(max_user_connections: Count),
    key!(max_user_client_connections: Count),
    key!(query_timeout: Seconds),
    key!(query_wait_timeout: Seconds),
    key!(idle_transaction_timeout: Seconds),
    key!(transaction_timeout: Seconds),
    key!(client_idle_timeout: Seconds),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read() {
        let text = "pool_mode=session pool_size=5 reserve_pool_size=1 max_user_connections=6 \
                    max_user_client_connections=60 query_timeout=1 query_wait_timeout=2 \
                    idle_transaction_timeout=3 transaction_timeout=4 client_idle_timeout=0.5";
        let expected = UserConfig {
            name: "batch".to_owned(),
            pool_mode: Some(PoolMode::Session),
            pool_size: Some(5),
            reserve_pool_size: Some(1),
            max_user_connections: Some(6),
            max_user_client_connections: Some(60),
            query_timeout: Some(Duration::from_secs(1)),
            query_wait_timeout: Some(Duration::from_secs(2)),
            idle_transaction_timeout: Some(Duration::from_secs(3)),
            transaction_timeout: Some(Duration::from_secs(4)),
            client_idle_timeout: Some(Duration::from_millis(500)),
        };
        assert_eq!(UserConfig::parse("batch", text), Ok(expected));
        assert_eq!(UserConfig::parse("a", "pool_size=-1"), Ok(UserConfig::new("a")));
    }

    #[test]
    fn wrong_entries_are_refused() {
        let check = |text: &str, expected: &str| {
            let error = UserConfig::parse("a", text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check("host=h", "there is no key \"host\"; known keys: pool_mode, pool_size");
        check("pool_mod=session", "did you mean pool_mode?");
        check("query_timeout=soon", "query_timeout: expected a number of seconds");
    }
}
