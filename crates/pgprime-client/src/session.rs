//! What a session is for, what is set in it, and what stands between it and PostgreSQL.

use std::fmt::Write as _;
use std::time::Duration;

/// Which of the pools a connection belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The service's own statements, on the primary.
    Main,
    /// Reads, on a replica where there is one; its sessions refuse writes.
    Read,
    /// Long analytical queries, with a longer timeout and more memory for each.
    Admin,
}

impl Role {
    /// The pool's name: `main`, `read` or `admin`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}

/// What stands between the application and PostgreSQL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// It is found out when the pool starts.
    #[default]
    Auto,
    /// Nothing: a session is the connection's own.
    Direct,
    /// A pooler in transaction mode. Whether it carries named statements is found out when the pool starts.
    TransactionPooler,
}

/// What was found between the application and PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// The connection is a session of PostgreSQL: settings and prepared statements stay.
    Direct,
    /// Each transaction may run in another session.
    TransactionPooler {
        /// Whether the pooler translates the names of prepared statements, so that they can be used all the same.
        named_statements: bool,
    },
}

impl Path {
    /// Whether a statement that was prepared can be used later by its name.
    pub(crate) fn has_named_statements(self) -> bool {
        self != Self::TransactionPooler { named_statements: false }
    }
}

/// The first version that knows `client_connection_check_interval`.
const KNOWS_CLIENT_CHECK: u32 = 14;
/// The first version that knows `transaction_timeout`.
const KNOWS_TRANSACTION_TIMEOUT: u32 = 17;

/// What PostgreSQL is told for a session of a pool.
///
/// A direct connection says it at its start, but for what older versions do not know, which follows the login. Through a
/// transaction pooler a setting of the session would reach others or get lost: there, [`SessionSettings::in_transaction`]
/// goes into every transaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionSettings {
    /// `statement_timeout`, whole milliseconds; zero means no limit.
    pub statement_timeout: Option<Duration>,
    /// `idle_in_transaction_session_timeout`, whole milliseconds; zero means no limit.
    pub idle_in_transaction_timeout: Option<Duration>,
    /// `lock_timeout`, whole milliseconds; zero means no limit.
    pub lock_timeout: Option<Duration>,
    /// `work_mem` as PostgreSQL writes it: `64MB`.
    pub work_mem: Option<String>,
    /// `hash_mem_multiplier`: how many times `work_mem` a hash table may take.
    pub hash_mem_multiplier: Option<f64>,
    /// `temp_file_limit` as PostgreSQL writes it. Only superusers may set it, and from version 15 on who was granted it.
    pub temp_file_limit: Option<String>,
    /// `max_parallel_workers_per_gather`: processes that a statement may have beside its own.
    pub parallel_workers_max: Option<u32>,
    /// `transaction_timeout`, whole milliseconds; zero means no limit. Version 17 or newer.
    pub transaction_timeout: Option<Duration>,
    /// `client_connection_check_interval`, whole milliseconds; zero means never. Version 14 or newer, and only of a session
    /// of one's own: it is the pooler that is a pooled session's client.
    pub client_check_interval: Option<Duration>,
    /// Whether writes are refused (`default_transaction_read_only`).
    pub read_only: bool,
}

impl SessionSettings {
    /// Those that a server of this version knows; 0 is a version that is not known.
    pub(crate) fn known_to(&self, version: u32) -> Self {
        Self {
            transaction_timeout: self.transaction_timeout.filter(|_| version >= KNOWS_TRANSACTION_TIMEOUT),
            client_check_interval: self.client_check_interval.filter(|_| version >= KNOWS_CLIENT_CHECK),
            ..self.clone()
        }
    }

    /// `SET …` for what a login cannot say, since a server that does not know it refuses the login; `None` when there is
    /// nothing of it. The settings must be [known](Self::known_to).
    pub(crate) fn after_login(&self) -> Option<String> {
        let mut sql = String::new();
        for (name, time) in [
            ("TRANSACTION_TIMEOUT", self.transaction_timeout),
            ("CLIENT_CONNECTION_CHECK_INTERVAL", self.client_check_interval),
        ] {
            if let Some(time) = time {
                // The server tells an application's own by the spelling.
                let _ = write!(sql, "SET /* pgprime */ \"{name}\" = '{}';", time.as_millis());
            }
        }
        (!sql.is_empty()).then_some(sql)
    }

    /// `SET LOCAL …` for the beginning of a transaction, `None` when there is nothing to set. Read-only is not part of it:
    /// that is said by `BEGIN READ ONLY`.
    pub fn in_transaction(&self) -> Option<String> {
        let mut sql = String::new();
        let transaction_timeout = self.transaction_timeout.map(|time| time.as_millis().to_string());
        let newer = transaction_timeout.map(|value| ("transaction_timeout", value));
        for (name, value) in self.values().chain(newer) {
            // The values are numbers, or checked by the configuration.
            let _ = write!(sql, "SET LOCAL {name} = '{}';", value.replace('\'', "''"));
        }
        (!sql.is_empty()).then_some(sql)
    }

    /// The startup parameter `options`. What the URL says comes later and wins, but for read-only.
    pub(crate) fn startup_options(&self, from_url: Option<&str>) -> String {
        let mut words: Vec<String> =
            self.values().map(|(name, value)| format!("-c {name}={}", escaped(&value))).collect();
        words.extend(from_url.map(str::to_owned));
        if self.read_only {
            words.push("-c default_transaction_read_only=on".to_owned());
        }
        words.join(" ")
    }

    fn values(&self) -> impl Iterator<Item = (&'static str, String)> {
        let ms = |time: Option<Duration>| time.map(|time| time.as_millis().to_string());
        let values = [
            ("statement_timeout", ms(self.statement_timeout)),
            ("idle_in_transaction_session_timeout", ms(self.idle_in_transaction_timeout)),
            ("lock_timeout", ms(self.lock_timeout)),
            ("work_mem", self.work_mem.clone()),
            ("hash_mem_multiplier", self.hash_mem_multiplier.map(|times| times.to_string())),
            ("temp_file_limit", self.temp_file_limit.clone()),
            ("max_parallel_workers_per_gather", self.parallel_workers_max.map(|count| count.to_string())),
        ];
        values.into_iter().filter_map(|(name, value)| value.map(|value| (name, value)))
    }
}

/// PostgreSQL splits `options` at spaces that have no backslash before them.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace(' ', "\\ ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_become_startup_options_or_sql() {
        let settings = SessionSettings {
            statement_timeout: Some(Duration::from_secs(30)),
            idle_in_transaction_timeout: Some(Duration::ZERO),
            lock_timeout: Some(Duration::from_secs(5)),
            work_mem: Some("64 MB".to_owned()),
            hash_mem_multiplier: Some(2.5),
            temp_file_limit: Some("10GB".to_owned()),
            parallel_workers_max: Some(0),
            transaction_timeout: Some(Duration::from_secs(60)),
            client_check_interval: Some(Duration::from_secs(10)),
            read_only: true,
        };
        let expected = "-c statement_timeout=30000 -c idle_in_transaction_session_timeout=0 -c lock_timeout=5000 \
                        -c work_mem=64\\ MB -c hash_mem_multiplier=2.5 -c temp_file_limit=10GB \
                        -c max_parallel_workers_per_gather=0 -c geqo=off \
                        -c default_transaction_read_only=on";
        assert_eq!(settings.startup_options(Some("-c geqo=off")), expected);
        let sql = "SET LOCAL statement_timeout = '30000';SET LOCAL idle_in_transaction_session_timeout = '0';\
                   SET LOCAL lock_timeout = '5000';SET LOCAL work_mem = '64 MB';\
                   SET LOCAL hash_mem_multiplier = '2.5';SET LOCAL temp_file_limit = '10GB';\
                   SET LOCAL max_parallel_workers_per_gather = '0';";
        assert_eq!(settings.known_to(16).in_transaction().as_deref(), Some(sql));
        let newer = format!("{sql}SET LOCAL transaction_timeout = '60000';");
        assert_eq!(settings.known_to(17).in_transaction(), Some(newer));
        assert_eq!(SessionSettings::default().in_transaction(), None);
        assert_eq!(SessionSettings::default().startup_options(None), "");
        let check = "SET /* pgprime */ \"CLIENT_CONNECTION_CHECK_INTERVAL\" = '10000';";
        let both = format!("SET /* pgprime */ \"TRANSACTION_TIMEOUT\" = '60000';{check}");
        for (version, expected) in [(0, None), (13, None), (14, Some(check)), (17, Some(both.as_str()))] {
            assert_eq!(settings.known_to(version).after_login().as_deref(), expected, "{version}");
        }
    }
}
