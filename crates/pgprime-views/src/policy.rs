//! How views are looked after, whatever their declarations say: `[view_policy]` of `pgprime.toml`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::schedule::{duration_text, length};

/// How views are looked after. Lengths of time are written as in `30s`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// With more sessions at work than these, what can wait does. Where nothing is said half of `max_connections`, and no
    /// more than four fifths of [`Policy::servers`]: beyond that, a report competes with the service.
    pub active_max: Option<u32>,
    /// While a standby is further behind than this, what can wait does: a refresh is WAL that the standby has to replay.
    /// Default 10 s: less comes and goes by itself.
    #[serde(with = "length")]
    pub lag_max: Duration,
    /// While a client of the pooler has waited longer than this for a server, what can wait does. Default 1 s: with room in
    /// its pool nobody waits for more than milliseconds.
    #[serde(with = "length")]
    pub wait_max: Duration,
    /// Failures in a row from which a view is failing. Default 5: what is temporary has passed by then.
    pub failures_max: u32,
    /// The pause after the first failure, doubled after each. Default 30 s.
    #[serde(with = "length")]
    pub backoff: Duration,
    /// How often a failing view is tried. Default 6 h: often enough to notice that it was repaired.
    #[serde(with = "length")]
    pub failing_interval: Duration,
    /// How long a refresh waits for its lock. Default 5 s: readers queue behind a lock that is waited for.
    #[serde(with = "length")]
    pub lock_timeout: Duration,
    /// How long a scheduler sleeps at most, as changes are only seen by looking. Default 30 s.
    #[serde(with = "length")]
    pub poll_interval: Duration,
    /// Entries of the history that are kept for each view. Default 500.
    pub history_max: u32,
    /// Servers of the pooler in front of the database, where there is one: no setting, but what the pooler's say.
    #[serde(skip)]
    pub servers: Option<u32>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            active_max: None,
            lag_max: Duration::from_secs(10),
            wait_max: Duration::from_secs(1),
            failures_max: 5,
            backoff: Duration::from_secs(30),
            failing_interval: Duration::from_secs(6 * 3_600),
            lock_timeout: Duration::from_secs(5),
            poll_interval: Duration::from_secs(30),
            history_max: 500,
            servers: None,
        }
    }
}

impl Policy {
    /// Sessions at work from which on there is pressure, of a server that takes `sessions_max`.
    ///
    /// Four fifths is how busy the planner lets a pool become: `0.8 × 25 = 20`, less than half of 100.
    #[must_use]
    pub fn active_max(&self, sessions_max: u32) -> u32 {
        let half = sessions_max / 2;
        let of_servers = self.servers.map(|servers| (servers.saturating_mul(4) / 5).max(1));
        self.active_max.unwrap_or_else(|| of_servers.map_or(half, |most| most.min(half)))
    }

    /// Whether it can be done; else what is wrong, for a person.
    pub(crate) fn check(&self) -> Result<(), String> {
        let (second, minute, hour) =
            (Duration::from_secs(1), Duration::from_secs(60), Duration::from_secs(3_600));
        for (name, is, least, most) in [
            ("lag_max", self.lag_max, Duration::from_millis(100), 24 * hour),
            ("wait_max", self.wait_max, Duration::from_millis(10), hour),
            ("backoff", self.backoff, second, hour),
            ("failing_interval", self.failing_interval, minute, 7 * 24 * hour),
            ("lock_timeout", self.lock_timeout, Duration::from_millis(10), 10 * minute),
            ("poll_interval", self.poll_interval, second, hour),
        ] {
            if !(least..=most).contains(&is) {
                return Err(format!("{name}: give {} to {}", duration_text(least), duration_text(most)));
            }
        }
        for (name, is, most) in [
            ("active_max", self.active_max.unwrap_or(1), 100_000),
            ("failures_max", self.failures_max, 100),
            ("history_max", self.history_max, 100_000),
        ] {
            if !(1..=most).contains(&is) {
                return Err(format!("{name}: give 1 to {most}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_pressed_before_it_is_full() {
        for (active_max, servers, sessions_max, expected) in [
            (None, None, 100, 50),
            (None, Some(25), 100, 20),
            (None, Some(1), 100, 1),
            (None, Some(u32::MAX), 100, 50),
            (Some(30), Some(25), 100, 30),
        ] {
            let policy = Policy { active_max, servers, ..Policy::default() };
            assert_eq!(policy.active_max(sessions_max), expected, "{policy:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        let read = |text: &str| {
            let policy: Policy = toml::from_str(text).map_err(|error| error.message().to_owned())?;
            policy.check().map(|()| policy)
        };
        assert_eq!(read("").unwrap(), Policy::default());
        let all = "active_max = 12\nlag_max = '1m30s'\nwait_max = '250ms'\nfailures_max = 3\nbackoff = '1m'\n\
                   failing_interval = '1d'\nlock_timeout = '2s'\npoll_interval = '10s'\nhistory_max = 50";
        let policy = read(all).unwrap();
        assert_eq!((policy.active_max, policy.lag_max), (Some(12), Duration::from_secs(90)));
        let written = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&written).unwrap(), policy);
        for (text, said) in [
            ("active_max = 0", "active_max: give 1 to 100000"),
            ("active_max = -1", "invalid value"),
            ("active_max = 5000000000", "invalid value"),
            ("lag_max = '0s'", "not a length of time"),
            ("lag_max = '1ms'", "lag_max: give 100ms to 1d"),
            ("lag_max = 10", "invalid type"),
            ("lag_max = '1000y'", "\"1000y\" is not a length of time"),
            ("wait_max = '99999999999999999999s'", "is not a length of time"),
            ("failures_max = 0", "failures_max: give 1 to 100"),
            ("poll_interval = '1ms'", "poll_interval: give 1s to 1h"),
            ("active = 1", "unknown field `active`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
