//! The pool for reports, and how much of the database it may use.

use std::time::Duration;

use super::error::ConfigError;
use crate::session::SessionSettings;

/// The pool for long analytical queries.
#[derive(Clone, Debug, PartialEq)]
pub struct AdminConfig {
    /// Its size; else it is calculated from `share`.
    pub size: Option<u32>,
    /// Its fraction of an instance's connections. Default 0.1: a few reports at a time.
    pub share: f64,
    /// `work_mem` of its sessions. Default 64MB: sorts and hashes of reports stay in memory, and the pool is small.
    pub work_mem: String,
    /// How many times `work_mem` a hash table may take (`hash_mem_multiplier`), from 1 to 1,000. Default 2, as PostgreSQL has
    /// it since version 15; said all the same, so that what a report may take is not the server's business.
    pub hash_mem_multiplier: f64,
    /// What the temporary files of a session may take on disk at a time (`temp_file_limit`), as PostgreSQL writes it. Default
    /// none: the server's own, which is no limit where nobody has set one, so that a sort may fill the disk. A role that is
    /// no superuser needs version 15 and `GRANT SET ON PARAMETER temp_file_limit TO role`; without that its
    /// statements are refused. In any version a superuser can say `ALTER ROLE role SET temp_file_limit = '10GB'` instead.
    pub temp_file_limit: Option<String>,
    /// A statement is cancelled after this time. Default 5 min.
    pub statement_timeout: Duration,
    /// A statement that waits longer for a lock is cancelled; zero is no limit. Default 5 s: all who come later wait behind
    /// one that waits for a lock.
    pub lock_timeout: Duration,
    /// A transaction that does nothing is ended after this time; zero is no limit. Default 60 s, as in the other pools.
    pub idle_in_transaction_timeout: Duration,
    /// A transaction is ended after this time, whatever it does (`transaction_timeout`; version 17 or newer); zero is no limit.
    /// Default 30 min: as long as one goes on, VACUUM removes nothing that was deleted since it began. It ends a report
    /// whose rows nobody fetches, too: a server that waits for its client to read may not heed `statement_timeout`.
    pub transaction_timeout: Duration,
    /// How often the server looks, while a statement runs, whether we are still there (`client_connection_check_interval`;
    /// version 14 or newer); zero is never. Default 10 s: reports of a process that was killed would go on to their
    /// end, beside those that it begins after its restart. Behind a pooler that is the pooler's business.
    pub client_check_interval: Duration,
    /// Processes that a statement may have beside its own (`max_parallel_workers_per_gather`). Default 0: a report keeps one
    /// core busy and no more, and takes longer rather than the service's cores; each more takes `work_mem`, too.
    pub parallel_workers_max: u32,
    /// Whether statements are not begun while requests wait for connections of the main pool; they wait until none does, as
    /// long as they would for a connection, and then fail with [`Error::HeldBack`](crate::Error::HeldBack). Default true: a
    /// service with a queue has no room for reports.
    pub yield_to_service: bool,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            size: None,
            share: 0.1,
            work_mem: "64MB".to_owned(),
            hash_mem_multiplier: 2.0,
            temp_file_limit: None,
            statement_timeout: Duration::from_secs(300),
            lock_timeout: Duration::from_secs(5),
            idle_in_transaction_timeout: Duration::from_secs(60),
            transaction_timeout: Duration::from_secs(1_800),
            client_check_interval: Duration::from_secs(10),
            parallel_workers_max: 0,
            yield_to_service: true,
        }
    }
}

impl AdminConfig {
    /// What its sessions are told.
    pub(super) fn session_settings(&self) -> SessionSettings {
        SessionSettings {
            statement_timeout: Some(self.statement_timeout),
            idle_in_transaction_timeout: Some(self.idle_in_transaction_timeout),
            lock_timeout: Some(self.lock_timeout),
            work_mem: Some(self.work_mem.clone()),
            hash_mem_multiplier: Some(self.hash_mem_multiplier),
            temp_file_limit: self.temp_file_limit.clone(),
            transaction_timeout: Some(self.transaction_timeout),
            client_check_interval: Some(self.client_check_interval),
            parallel_workers_max: Some(self.parallel_workers_max),
            read_only: false,
        }
    }

    /// Checks what PostgreSQL would not take.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if memory_bytes(&self.work_mem).is_none() {
            return Err(ConfigError::new(
                "admin.work_mem",
                "is not an amount of memory as PostgreSQL writes it",
                "give a whole number with its unit, such as 64MB",
            ));
        }
        if self.temp_file_limit.as_deref().is_some_and(|limit| limit != "-1" && memory_bytes(limit).is_none())
        {
            return Err(ConfigError::new(
                "admin.temp_file_limit",
                "is not an amount as PostgreSQL writes it",
                "give a whole number with its unit, such as 10GB, or leave it out",
            ));
        }
        if !(1.0..=HASH_MULTIPLIER_MAX).contains(&self.hash_mem_multiplier) {
            return Err(ConfigError::new(
                "admin.hash_mem_multiplier",
                format!("is {}", self.hash_mem_multiplier),
                "give a number from 1 to 1000, such as 2",
            ));
        }
        if self.parallel_workers_max > PARALLEL_WORKERS_MAX {
            return Err(ConfigError::new(
                "admin.parallel_workers_max",
                format!("is {}", self.parallel_workers_max),
                "give a number of processes from 0 to 1024",
            ));
        }
        for (name, time) in [
            ("admin.statement_timeout", self.statement_timeout),
            ("admin.lock_timeout", self.lock_timeout),
            ("admin.idle_in_transaction_timeout", self.idle_in_transaction_timeout),
            ("admin.transaction_timeout", self.transaction_timeout),
            ("admin.client_check_interval", self.client_check_interval),
        ] {
            if time.as_millis() > TIMEOUT_MS_MAX {
                return Err(ConfigError::new(
                    name,
                    "is more than 24 days",
                    "give less, or zero for no limit",
                ));
            }
        }
        Ok(())
    }

    /// What a pool of this size may take of memory, as a sentence; `None` where that cannot be said.
    ///
    /// A statement may take `work_mem` several times: for each sort, and `hash_mem_multiplier` times that for each hash table;
    /// each of its processes for itself. 2 reports with 64MB, 2 times that and no further processes: 2 × 64 MB × 2 =
    /// 256 MB for one hash table each.
    pub(super) fn memory_note(&self, size: u32, instances: u32) -> Option<String> {
        let reports = f64::from(size) * f64::from(instances.max(1));
        let processes = f64::from(self.parallel_workers_max) + 1.0;
        let work_mem = memory_bytes(&self.work_mem)?;
        let times = self.hash_mem_multiplier;
        let all = work_mem * reports * processes * times;
        let (each, processes) = match self.parallel_workers_max {
            0 => (amount(work_mem), String::new()),
            more => (amount(work_mem), format!(" in each of {} processes", u64::from(more) + 1)),
        };
        Some(format!(
            "{reports} admin statements at a time may take {each} for each sort{processes} and {times} times that \
             for each hash table: {} when each has one; {}",
            amount(all),
            self.disk_note()
        ))
    }

    fn disk_note(&self) -> String {
        match &self.temp_file_limit {
            Some(limit) => format!("of the disk, {limit} each"),
            None => "of the disk, what temp_file_limit of the server leaves them".to_owned(),
        }
    }
}

/// PostgreSQL's own limit.
const HASH_MULTIPLIER_MAX: f64 = 1_000.0;

/// PostgreSQL's own limit.
const PARALLEL_WORKERS_MAX: u32 = 1_024;

/// Timeouts of PostgreSQL are 32-bit milliseconds.
const TIMEOUT_MS_MAX: u128 = i32::MAX as u128;

/// An amount of memory as PostgreSQL writes it, in bytes; without a unit it is in kB.
fn memory_bytes(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
    let factor = match text[digits.len()..].trim_start() {
        "B" => 1.0,
        "" | "kB" => 1_024.0,
        "MB" => 1_048_576.0,
        "GB" => 1_073_741_824.0,
        "TB" => 1_099_511_627_776.0,
        _ => return None,
    };
    // Far below what a float holds exactly.
    digits.parse::<u64>().ok().map(|count| count as f64 * factor)
}

fn amount(bytes: f64) -> String {
    match bytes {
        b if b < 1_048_576.0 => format!("{:.0} kB", b / 1_024.0),
        b if b < 10_737_418_240.0 => format!("{:.0} MB", b / 1_048_576.0),
        b => format!("{:.0} GB", b / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_memory_is_said() {
        let mut config = AdminConfig::default();
        let expected = "2 admin statements at a time may take 64 MB for each sort and 2 times that for each hash table: \
                        256 MB when each has one; of the disk, what temp_file_limit of the server leaves them";
        assert_eq!(config.memory_note(2, 1).as_deref(), Some(expected));
        (config.work_mem, config.parallel_workers_max) = ("1GB".to_owned(), 1);
        let note = config.memory_note(3, 5).unwrap();
        assert!(note.starts_with("15 admin statements") && note.contains("in each of 2 processes"), "{note}");
        // 3 × 5 × 1 GB × 2 processes × 2.
        assert!(note.contains(": 60 GB when each has one; "), "{note}");
        (config.hash_mem_multiplier, config.temp_file_limit) = (1.5, Some("10GB".to_owned()));
        let note = config.memory_note(3, 5).unwrap();
        assert!(note.contains("and 1.5 times that for each hash table: 45 GB"), "{note}");
        assert!(note.ends_with("; of the disk, 10GB each"), "{note}");
        config.work_mem = "much".to_owned();
        assert_eq!(config.memory_note(2, 1), None);
    }

    #[test]
    fn amounts_of_memory() {
        for (text, expected) in [
            ("65536", Some(67_108_864.0)),
            ("64MB", Some(67_108_864.0)),
            ("64 MB", Some(67_108_864.0)),
            ("100B", Some(100.0)),
            ("1 TB", Some(1_099_511_627_776.0)),
            ("64mb", None),
            ("MB", None),
            ("-1MB", None),
            ("", None),
        ] {
            assert_eq!(memory_bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn what_postgresql_would_not_take_is_refused() {
        let refused = |change: fn(&mut AdminConfig)| {
            let mut config = AdminConfig::default();
            change(&mut config);
            config.validate().unwrap_err().setting()
        };
        assert_eq!(refused(|config| config.parallel_workers_max = 1_025), "admin.parallel_workers_max");
        assert_eq!(refused(|config| config.lock_timeout = Duration::MAX), "admin.lock_timeout");
        assert_eq!(refused(|config| config.work_mem.clear()), "admin.work_mem");
        assert_eq!(refused(|config| config.transaction_timeout = Duration::MAX), "admin.transaction_timeout");
        assert_eq!(refused(|config| config.hash_mem_multiplier = f64::NAN), "admin.hash_mem_multiplier");
        let much = |config: &mut AdminConfig| config.temp_file_limit = Some("1GB -c x=y".to_owned());
        assert_eq!(refused(much), "admin.temp_file_limit");
        assert_eq!(AdminConfig::default().validate(), Ok(()));
    }
}
