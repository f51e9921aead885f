//! Environment variables, read and checked.

use std::time::Duration;

use super::error::ConfigError;

/// What the variables say; `None` where one is not set or empty.
pub(super) struct Variables {
    pub(super) url: Option<String>,
    pub(super) read_url: Option<String>,
    pub(super) redis_url: Option<String>,
    pub(super) pool_min: Option<u32>,
    pub(super) pool_max: Option<u32>,
    pub(super) timeout: Option<Duration>,
    pub(super) max_connections: Option<u32>,
    pub(super) instances: Option<u32>,
    pub(super) requests_per_s: Option<f64>,
}

impl Variables {
    pub(super) fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let text =
            |name: &str| lookup(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let size = "give a number of connections such as 16, or leave it out to have it calculated";
        let limit = "give max_connections of the database, such as 100";
        let number = |name, remedy| text(name).map(|value| number(name, &value, remedy)).transpose();
        let instances = "give the number of instances of the application, such as 5";
        let (timeout, rate) = ("DATABASE_POOL_TIMEOUT", "DATABASE_EXPECTED_RPS");
        Ok(Self {
            url: text("DATABASE_URL"),
            read_url: text("DATABASE_READ_URL"),
            redis_url: text("REDIS_URL"),
            pool_min: number("DATABASE_POOL_MIN", size)?,
            pool_max: number("DATABASE_POOL_MAX", size)?
                .map(|max| at_least_one("DATABASE_POOL_MAX", max))
                .transpose()?,
            timeout: text(timeout).map(|value| seconds(timeout, &value)).transpose()?,
            max_connections: number("DATABASE_MAX_CONNECTIONS", limit)?
                .map(|max| at_least_one("DATABASE_MAX_CONNECTIONS", max))
                .transpose()?,
            instances: number("DATABASE_INSTANCES", instances)?
                .map(|count| at_least_one("DATABASE_INSTANCES", count))
                .transpose()?,
            requests_per_s: text(rate).map(|value| requests_per_s(rate, &value)).transpose()?,
        })
    }
}

fn number(name: &'static str, value: &str, remedy: &'static str) -> Result<u32, ConfigError> {
    value.parse().map_err(|_| ConfigError::new(name, format!("is `{value}`, not a whole number"), remedy))
}

fn at_least_one(name: &'static str, value: u32) -> Result<u32, ConfigError> {
    if value > 0 {
        Ok(value)
    } else {
        Err(ConfigError::new(name, "is 0", "give at least 1, or leave it out"))
    }
}

fn requests_per_s(name: &'static str, value: &str) -> Result<f64, ConfigError> {
    let rate = value.parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| {
        let problem = format!("is `{value}`, not a number of requests per second");
        ConfigError::new(name, problem, "give what all instances together are expected to get, such as 1000")
    })
}

fn seconds(name: &'static str, value: &str) -> Result<Duration, ConfigError> {
    let seconds = value.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    // Beyond a day it is a slip of the unit.
    seconds.filter(|seconds| *seconds <= Duration::from_secs(86_400)).ok_or_else(|| {
        let problem = format!("is `{value}`, not a number of seconds");
        ConfigError::new(name, problem, "give seconds from 0 to 86400, such as 10.0")
    })
}
