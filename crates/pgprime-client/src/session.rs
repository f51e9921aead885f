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

/// What PostgreSQL is told for a session of a pool.
///
/// A direct connection says it at its start. Through a transaction pooler a setting of the session would reach others
/// or get lost: there, [`SessionSettings::in_transaction`] goes into every transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionSettings {
    /// `statement_timeout`, whole milliseconds; zero means no limit.
    pub statement_timeout: Option<Duration>,
    /// `idle_in_transaction_session_timeout`, whole milliseconds; zero means no limit.
    pub idle_in_transaction_timeout: Option<Duration>,
    /// `lock_timeout`, whole milliseconds; zero means no limit.
    pub lock_timeout: Option<Duration>,
    /// `work_mem` as PostgreSQL writes it: `64MB`.
    pub work_mem: Option<String>,
    /// `max_parallel_workers_per_gather`: processes that a statement may have beside its own.
    pub parallel_workers_max: Option<u32>,
    /// Whether writes are refused (`default_transaction_read_only`).
    pub read_only: bool,
}

impl SessionSettings {
    /// `SET LOCAL …` for the beginning of a transaction, `None` when there is nothing to set. Read-only is not part of it:
    /// that is said by `BEGIN READ ONLY`.
    pub fn in_transaction(&self) -> Option<String> {
        let mut sql = String::new();
        for (name, value) in self.values() {
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
            parallel_workers_max: Some(0),
            read_only: true,
        };
        let expected = "-c statement_timeout=30000 -c idle_in_transaction_session_timeout=0 -c lock_timeout=5000 \
                        -c work_mem=64\\ MB -c max_parallel_workers_per_gather=0 -c geqo=off \
                        -c default_transaction_read_only=on";
        assert_eq!(settings.startup_options(Some("-c geqo=off")), expected);
        let sql = "SET LOCAL statement_timeout = '30000';SET LOCAL idle_in_transaction_session_timeout = '0';\
                   SET LOCAL lock_timeout = '5000';SET LOCAL work_mem = '64 MB';\
                   SET LOCAL max_parallel_workers_per_gather = '0';";
        assert_eq!(settings.in_transaction().as_deref(), Some(sql));
        assert_eq!(SessionSettings::default().in_transaction(), None);
        assert_eq!(SessionSettings::default().startup_options(None), "");
    }
}
