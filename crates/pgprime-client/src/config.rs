//! The configuration: what the pools lead to, how large they are, and what their sessions are told.

mod admin;
#[cfg(feature = "cache")]
mod cache;
mod environment;
mod error;
mod sizes;

use std::fmt;
use std::time::Duration;

use crate::endpoint::{Endpoint, EndpointError};
use crate::retry::RetryPolicy;
use crate::session::{Pooling, Role, SessionSettings};
use crate::tls::Tls;

use environment::Variables;

pub use admin::AdminConfig;
#[cfg(feature = "cache")]
pub use cache::{ResultCacheConfig, WhileDeaf};
pub use error::ConfigError;
pub use sizes::{LiveLimits, PoolSize, Sizes};

/// The configuration of a [`Database`](crate::Database).
///
/// ```
/// use std::time::Duration;
/// use pgprime_client::DatabaseConfig;
///
/// let mut config = DatabaseConfig::new("postgresql://app@localhost:6432/insurance");
/// config.max_connections = Some(100);
/// config.instances = 5;
/// config.requests_per_s = Some(1_000.0);
/// config.service_time = Duration::from_millis(20);
/// config.statements = vec![("get_quote_by_id".into(), "SELECT * FROM quotes WHERE id = $1".into())];
/// assert_eq!(config.timeout, Duration::from_secs(10));
/// ```
#[derive(Clone, PartialEq)]
pub struct DatabaseConfig {
    /// The main database: a URL or libpq's keywords, TLS parameters included (`DATABASE_URL`).
    pub url: String,
    /// What sessions are called (`application_name`) where the URLs do not say it. Default `pgprime-client`.
    pub application_name: Option<String>,
    /// A replica for reads (`DATABASE_READ_URL`). Without one, reads go to the main database.
    pub read_url: Option<String>,
    /// Where results are cached (`REDIS_URL`). Kept for the cache; the pools do not use it.
    pub redis_url: Option<String>,
    /// Least connections of the main and the read pool (`DATABASE_POOL_MIN`); calculated when not given.
    pub pool_min: Option<u32>,
    /// Most connections of the main and the read pool each (`DATABASE_POOL_MAX`); calculated when not given.
    pub pool_max: Option<u32>,
    /// How long a task waits for a connection (`DATABASE_POOL_TIMEOUT`, seconds). Default 10 s: people have given up by then.
    pub timeout: Duration,
    /// How long opening a connection may take. Default 5 s: a login takes milliseconds, and a lost first packet is sent
    /// again after 1 and 3 s.
    pub connect_timeout: Duration,
    /// `max_connections` of the database (`DATABASE_MAX_CONNECTIONS`); read from the database when not given.
    pub max_connections: Option<u32>,
    /// Instances of the application, which divide the database's connections (`DATABASE_INSTANCES`). Default 1.
    pub instances: u32,
    /// The fraction of `max_connections` that all instances may use together. Default 0.8, so that maintenance and
    /// monitoring always find a connection.
    pub safety_margin: f64,
    /// Requests per second to be expected over all instances, for the minimum (`DATABASE_EXPECTED_RPS`). Without it pools
    /// start with one connection and follow the load they observe.
    pub requests_per_s: Option<f64>,
    /// How long a request keeps a connection busy, on average. Default 20 ms, the assumption of `pgprime plan`.
    pub service_time: Duration,
    /// Statements by name, prepared as each connection opens.
    pub statements: Vec<(String, String)>,
    /// What stands between the application and PostgreSQL. Default: it is found out.
    pub pooling: Pooling,
    /// A statement of the main and read pools is cancelled after this time. Default 30 s: longer than anybody waits, short
    /// enough to stop what runs away. Zero is no limit. When nothing is heard for 5 s more, server or network hang: then the
    /// statement is given up on this side.
    pub statement_timeout: Duration,
    /// A transaction that does nothing is ended after this time. Default 60 s: it holds locks and keeps vacuum from cleaning.
    /// Zero is no limit.
    pub idle_in_transaction_timeout: Duration,
    /// The pool for long analytical queries.
    pub admin: AdminConfig,
    /// Reads go to the main database when the replica's data is older. Default 5 s: people notice older data on their next
    /// page, and replicas that keep up are milliseconds behind.
    pub replica_lag_max: Duration,
    /// From here on a statement is slow. Default 1 s, as in the monitor.
    pub slow_query: Duration,
    /// A connection that the load does not need is closed after idling for so long. Default 5 min: longer than the
    /// pauses between peaks.
    pub idle_timeout: Duration,
    /// The greatest age of a connection. Default 30 min: what a server process gathers in memory is let go, and a changed
    /// address is followed.
    pub lifetime: Duration,
    /// A connection idle for so long must answer before it is handed out. Default 30 s: below what firewalls remember.
    pub check_after_idle: Duration,
    /// How often and for how long an operation is tried again, where that is safe.
    pub retry: RetryPolicy,
    /// Cached reads ([`Database::cached`](crate::Database::cached)) and writes that announce themselves to them. Default
    /// none: nothing is kept, and writes cost nothing more.
    #[cfg(feature = "cache")]
    pub cache: Option<ResultCacheConfig>,
    /// A connection held for longer is reported as leaked. Default 60 s: longer than requests of a service take.
    pub leak_after: Duration,
}

impl DatabaseConfig {
    /// This main database, and the defaults.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            application_name: None,
            read_url: None,
            redis_url: None,
            pool_min: None,
            pool_max: None,
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            max_connections: None,
            instances: 1,
            safety_margin: 0.8,
            requests_per_s: None,
            service_time: Duration::from_millis(20),
            statements: Vec::new(),
            pooling: Pooling::Auto,
            statement_timeout: Duration::from_secs(30),
            idle_in_transaction_timeout: Duration::from_secs(60),
            admin: AdminConfig::default(),
            replica_lag_max: Duration::from_secs(5),
            slow_query: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(300),
            lifetime: Duration::from_secs(1_800),
            check_after_idle: Duration::from_secs(30),
            retry: RetryPolicy::default(),
            #[cfg(feature = "cache")]
            cache: None,
            leak_after: Duration::from_secs(60),
        }
    }

    /// From the environment: `DATABASE_URL`, which must be there, and the other variables named at the fields. An empty
    /// variable counts as not given.
    ///
    /// # Errors
    /// [`ConfigError`] for the first variable that cannot be used.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// From variables that `lookup` finds.
    ///
    /// # Errors
    /// As [`DatabaseConfig::from_env`].
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut config = Self::new(String::new());
        config.overlay(lookup)?;
        if config.url.is_empty() {
            let remedy = "set it, such as DATABASE_URL=postgresql://app@localhost:6432/insurance";
            return Err(ConfigError::new("DATABASE_URL", "is not set", remedy));
        }
        Ok(config)
    }

    /// Takes over the variables that `lookup` finds and keeps the rest.
    ///
    /// # Errors
    /// As [`DatabaseConfig::from_env`]; what came before the faulty variable has been taken over.
    pub fn overlay(&mut self, lookup: impl Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
        let found = Variables::read(lookup)?;
        if let Some(url) = found.url {
            endpoint("DATABASE_URL", &url)?;
            self.url = url;
        }
        if let Some(url) = found.read_url {
            endpoint("DATABASE_READ_URL", &url)?;
            self.read_url = Some(url);
        }
        self.redis_url = found.redis_url.or(self.redis_url.take());
        self.pool_min = found.pool_min.or(self.pool_min);
        self.pool_max = found.pool_max.or(self.pool_max);
        self.timeout = found.timeout.unwrap_or(self.timeout);
        self.max_connections = found.max_connections.or(self.max_connections);
        self.instances = found.instances.unwrap_or(self.instances);
        self.requests_per_s = found.requests_per_s.or(self.requests_per_s);
        sizes::check_order(self.pool_min, self.pool_max)
    }

    /// Checks all that can be checked without a database.
    ///
    /// # Errors
    /// [`ConfigError`] for the first setting that cannot be used.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.endpoint()?;
        self.read_endpoint()?;
        sizes::check_order(self.pool_min, self.pool_max)?;
        self.admin.validate()?;
        let mut names: Vec<&str> = self.statements.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let problem = format!("has two statements named `{}`", pair[0]);
            return Err(ConfigError::new("statements", problem, "give each a name of its own"));
        }
        Ok(())
    }

    /// The sizes of the pools of one instance, calculated unless they are given. `live` is what the database itself says.
    ///
    /// The maximum is the database's budget, divided over the instances; the minimum is Little's law on the expected load.
    ///
    /// # Errors
    /// [`ConfigError`] when a size can neither be taken from the configuration nor calculated: there is no default.
    pub fn pool_sizes(&self, live: Option<LiveLimits>) -> Result<Sizes, ConfigError> {
        let load = sizes::Load {
            requests_per_s: self.requests_per_s,
            service_time: self.service_time,
            instances: self.instances,
            safety_margin: self.safety_margin,
        };
        let asked = sizes::Asked {
            min: self.pool_min,
            max: self.pool_max,
            admin: &self.admin,
            has_replica: self.read_url.is_some(),
        };
        sizes::calculate(&load, &asked, self.max_connections, live)
    }

    /// Where the main database is.
    pub(crate) fn endpoint(&self) -> Result<(Endpoint, Tls), ConfigError> {
        self.endpoint_of("DATABASE_URL", &self.url)
    }

    /// Where the replica is.
    pub(crate) fn read_endpoint(&self) -> Result<Option<(Endpoint, Tls)>, ConfigError> {
        self.read_url.as_deref().map(|url| self.endpoint_of("DATABASE_READ_URL", url)).transpose()
    }

    fn endpoint_of(&self, name: &'static str, url: &str) -> Result<(Endpoint, Tls), ConfigError> {
        let (endpoint, tls) = endpoint(name, url)?;
        Ok((endpoint.called(self.application_name.as_deref()), tls))
    }

    /// What sessions of a pool are told.
    pub fn session_settings(&self, role: Role) -> SessionSettings {
        match role {
            Role::Main | Role::Read => SessionSettings {
                statement_timeout: Some(self.statement_timeout),
                idle_in_transaction_timeout: Some(self.idle_in_transaction_timeout),
                read_only: role == Role::Read,
                ..SessionSettings::default()
            },
            Role::Admin => self.admin.session_settings(),
        }
    }
}

fn endpoint(name: &'static str, url: &str) -> Result<(Endpoint, Tls), ConfigError> {
    let unusable = |reason: String| ConfigError::new(name, format!("cannot be used: {reason}"), "");
    let endpoint = Endpoint::parse(url).map_err(|error: EndpointError| unusable(error.to_string()))?;
    let tls = Tls::new(&endpoint.tls).map_err(|error| unusable(error.to_string()))?;
    Ok((endpoint, tls))
}

/// URLs are shown without their passwords.
impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown =
            |url: &str| Endpoint::parse(url).map_or_else(|_| "(not usable)".to_owned(), |it| it.to_string());
        let Self { read_url, redis_url, pool_min, pool_max, timeout, max_connections, .. } = self;
        f.debug_struct("DatabaseConfig")
            .field("url", &shown(&self.url))
            .field("read_url", &read_url.as_deref().map(shown))
            .field("redis_url", &redis_url.as_ref().map(|_| "(hidden)"))
            .field("pool_min", pool_min)
            .field("pool_max", pool_max)
            .field("timeout", timeout)
            .field("max_connections", max_connections)
            .field("instances", &self.instances)
            .field("safety_margin", &self.safety_margin)
            .field("requests_per_s", &self.requests_per_s)
            .field("service_time", &self.service_time)
            .field("pooling", &self.pooling)
            .field("admin", &self.admin)
            .field("statements", &self.statements.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<DatabaseConfig, ConfigError> {
        let lookup = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        DatabaseConfig::from_lookup(lookup)
    }

    const URL: (&str, &str) = ("DATABASE_URL", "postgresql://app_user:secret@localhost:6432/pd_prime_demo");

    #[test]
    fn all_variables_are_read() {
        let config = read(&[
            URL,
            ("DATABASE_READ_URL", "postgresql://app_readonly:secret@read-replica:5432/pd_prime_demo"),
            ("DATABASE_POOL_MIN", "5"),
            ("DATABASE_POOL_MAX", " 20 "),
            ("DATABASE_POOL_TIMEOUT", "2.5"),
            ("DATABASE_MAX_CONNECTIONS", "100"),
            ("DATABASE_INSTANCES", "5"),
            ("DATABASE_EXPECTED_RPS", "1e3"),
            ("REDIS_URL", "redis://:secret@localhost"),
        ])
        .unwrap();
        assert_eq!(
            (config.pool_min, config.pool_max, config.max_connections),
            (Some(5), Some(20), Some(100))
        );
        assert_eq!(config.timeout, Duration::from_millis(2_500));
        assert_eq!((config.instances, config.requests_per_s), (5, Some(1_000.0)));
        let shown = format!("{config:?}");
        assert!(!shown.contains("secret"), "{shown}");
        assert!(shown.contains("localhost:6432/pd_prime_demo as app_user"), "{shown}");
        assert!(shown.contains("read-replica:5432/pd_prime_demo as app_readonly"), "{shown}");
    }

    #[test]
    fn what_is_not_given_keeps_its_value() {
        let mut config = read(&[URL, ("DATABASE_POOL_MAX", "")]).unwrap();
        assert_eq!(config, DatabaseConfig::new(URL.1));
        config.overlay(|name| (name == "DATABASE_POOL_MAX").then(|| "7".to_owned())).unwrap();
        assert_eq!((config.pool_max, config.url.as_str()), (Some(7), URL.1));
    }

    #[test]
    fn mistakes_name_the_variable_and_what_to_write() {
        for (name, value, expected) in [
            ("DATABASE_URL", "", "DATABASE_URL is not set; set it, such as DATABASE_URL=postgresql://"),
            (
                "DATABASE_URL",
                "postgresql+asyncpg://u:secret@h/d",
                "DATABASE_URL cannot be used: `postgresql+asyncpg://`",
            ),
            (
                "DATABASE_URL",
                "postgres://u:se/secret@h/d",
                "DATABASE_URL cannot be used: the user name or the password",
            ),
            ("DATABASE_READ_URL", "postgres:///d", "DATABASE_READ_URL cannot be used: it names no host"),
            ("DATABASE_POOL_MIN", "-1", "DATABASE_POOL_MIN is `-1`, not a whole number; give"),
            ("DATABASE_POOL_MAX", "0", "DATABASE_POOL_MAX is 0; give at least 1"),
            ("DATABASE_POOL_MAX", "many", "DATABASE_POOL_MAX is `many`, not a whole number; give"),
            (
                "DATABASE_MAX_CONNECTIONS",
                "99999999999",
                "DATABASE_MAX_CONNECTIONS is `99999999999`, not a whole number",
            ),
            ("DATABASE_INSTANCES", "0", "DATABASE_INSTANCES is 0; give at least 1"),
            (
                "DATABASE_EXPECTED_RPS",
                "-3",
                "DATABASE_EXPECTED_RPS is `-3`, not a number of requests per second",
            ),
            ("DATABASE_POOL_TIMEOUT", "NaN", "DATABASE_POOL_TIMEOUT is `NaN`, not a number of seconds; give"),
            ("DATABASE_POOL_TIMEOUT", "-1", "DATABASE_POOL_TIMEOUT is `-1`, not a number of seconds"),
            ("DATABASE_POOL_TIMEOUT", "1e30", "DATABASE_POOL_TIMEOUT is `1e30`, not a number of seconds"),
        ] {
            let mut variables = vec![(name, value)];
            variables.push(URL);
            let error = read(&variables).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{name}={value}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let error =
            read(&[URL, ("DATABASE_POOL_MIN", "9"), ("DATABASE_POOL_MAX", "8")]).unwrap_err().to_string();
        assert_eq!(
            error,
            "DATABASE_POOL_MIN is 9, more than DATABASE_POOL_MAX, which is 8; exchange them, or leave one out"
        );
    }

    #[test]
    fn sessions_of_the_roles_differ() {
        let config = DatabaseConfig::new(URL.1);
        assert_eq!(config.session_settings(Role::Main).statement_timeout, Some(Duration::from_secs(30)));
        assert!(config.session_settings(Role::Read).read_only);
        let admin = config.session_settings(Role::Admin);
        assert_eq!((admin.work_mem.as_deref(), admin.read_only), (Some("64MB"), false));
        assert_eq!(admin.statement_timeout, Some(Duration::from_secs(300)));
    }

    #[test]
    fn validation_finds_what_postgresql_would_not_take() {
        let mut config = DatabaseConfig::new(URL.1);
        assert_eq!(config.validate(), Ok(()));
        for text in ["much", "64 mb", "-1MB", "64MB -c x=y", ""] {
            config.admin.work_mem = text.to_owned();
            assert!(config.validate().is_err(), "{text}");
        }
        for text in ["65536", "64MB", "64 MB", "1GB"] {
            config.admin.work_mem = text.to_owned();
            assert_eq!(config.validate(), Ok(()), "{text}");
        }
        config.statements = vec![("a".into(), "SELECT 1".into()), ("a".into(), "SELECT 2".into())];
        assert!(config.validate().unwrap_err().to_string().contains("two statements named `a`"));
    }
}
