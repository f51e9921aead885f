//! What the service is told: the `DATABASE_*` environment, and what it knows about its own statements.

use std::time::Duration;

use pgprime_client::{ConfigError, DatabaseConfig};

use crate::{customers, policies, quotes};

/// The service's statements take milliseconds; one that takes this long holds a connection that others wait for.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);

/// Binding is serializable, and while its tables are small PostgreSQL locks whole pages for it, so that strangers get into
/// each other's way. Those who pause hold no connection: a few attempts more cost nothing but their time.
const ATTEMPTS_MAX: u32 = 10;

/// No attempt begins later: who asked is still there then.
const ATTEMPTS_TIME_MAX: Duration = Duration::from_secs(5);

/// The configuration from the variables that `lookup` finds: `DATABASE_URL`, `DATABASE_READ_URL`, `DATABASE_POOL_MIN`,
/// `DATABASE_POOL_MAX`, `DATABASE_POOL_TIMEOUT` and `DATABASE_MAX_CONNECTIONS`.
///
/// # Errors
/// [`ConfigError`] for the first variable that cannot be used.
pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<DatabaseConfig, ConfigError> {
    let mut config = DatabaseConfig::from_lookup(lookup)?;
    config.statement_timeout = STATEMENT_TIMEOUT;
    config.retry.attempts_max = ATTEMPTS_MAX;
    config.retry.time_max = ATTEMPTS_TIME_MAX;
    let statements = [customers::STATEMENTS, quotes::STATEMENTS, policies::STATEMENTS].concat();
    config.statements = statements.into_iter().map(|(name, sql)| (name.to_owned(), sql.to_owned())).collect();
    Ok(config)
}

/// How long requests may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// A request of a user: its last attempt begins late, waits long for a connection, and meets one slow statement.
    pub(crate) request: Duration,
    /// A report in the admin pool.
    pub(crate) report: Duration,
}

impl Limits {
    /// What follows from the database's limits: a request never ends before the error that explains it.
    pub(crate) fn new(config: &DatabaseConfig) -> Self {
        Self {
            request: config.retry.time_max + config.timeout + config.statement_timeout,
            report: config.retry.time_max + config.timeout + config.admin.statement_timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_follow_from_the_environment() {
        let lookup = |name: &str| match name {
            "DATABASE_URL" => Some("postgresql://app@localhost/insurance".to_owned()),
            "DATABASE_POOL_TIMEOUT" => Some("2".to_owned()),
            _ => None,
        };
        let config = read(lookup).unwrap();
        config.validate().unwrap();
        let expected = Limits { request: Duration::from_secs(12), report: Duration::from_secs(307) };
        assert_eq!(Limits::new(&config), expected);
        assert!(config.statements.iter().any(|(name, _)| name == "get_quote_by_id"));
        assert!(config.statements.iter().any(|(name, _)| name == "get_customer_policies"));
        assert!(read(|_| None).is_err());
    }
}
