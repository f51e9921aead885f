//! What the configuration says of health: the table `[health]` of `pgprime.toml`.
//!
//! ```
//! use pgprime_monitor::health::Settings;
//!
//! let settings = Settings::from_toml(
//!     r#"
//!     [health]
//!     interval = "10s"
//!     slow_ms = 500
//!     replicas = 1
//!     off = ["views.stale"]
//!
//!     [health.thresholds]
//!     "connections.used" = { warning = 70, critical = 85 }
//!     "checkpoints.wal_bytes_per_s" = { warning = 50e6 }
//!     "#,
//! )?;
//! assert_eq!(settings.thresholds("connections.used").map(|at| at.critical), Some(85.0));
//! # Ok::<(), pgprime_monitor::health::SettingsError>(())
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer};

use super::report::Thresholds;
use super::table::{Definition, NEVER, definition};

/// A configuration that is larger is some other file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// How health is looked at, and from where on it is bad.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Between two looks. Default 10 s: an outage is seen at once, and a look takes a few milliseconds.
    pub interval: Duration,
    /// Of a whole look, connecting included. Default 5 s: what takes longer is as good as down for those who wait.
    pub timeout: Duration,
    /// Of one statement of a look. Default 2 s: hundreds of times what it takes.
    pub statement_timeout: Duration,
    /// Of a wait for a lock. Default 100 ms: a look must not queue behind a migration.
    pub lock_timeout: Duration,
    /// From how many milliseconds on a statement is slow. Default 1,000, as of `pgprime slow-queries`.
    pub slow_ms: f64,
    /// How many replicas there are to be. Default: those that were seen in the past week.
    pub replicas: Option<u32>,
    /// Between two looks at tables, indexes and sizes. Default 60 s: they are many and change slowly.
    pub catalog_every: Duration,
    /// Between two reports on space, from which bloat is told. Default 30 min: it reads statistics of all columns.
    pub space_every: Duration,
    /// Between two looks at declared views. Default 60 s.
    pub views_every: Duration,
    thresholds: BTreeMap<String, Thresholds>,
    off: BTreeSet<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(2),
            lock_timeout: Duration::from_millis(100),
            slow_ms: 1_000.0,
            replicas: None,
            catalog_every: Duration::from_secs(60),
            space_every: Duration::from_secs(1_800),
            views_every: Duration::from_secs(60),
            thresholds: BTreeMap::new(),
            off: BTreeSet::new(),
        }
    }
}

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The text is not TOML, or has fields that are unknown or of the wrong kind.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// There is no check of this name.
    #[error("[health] there is no check {id:?}; pgprime health --json lists them")]
    UnknownCheck {
        /// As written.
        id: String,
    },
    /// Thresholds that contradict each other or the check.
    #[error("[health.thresholds] {id}: {reason}")]
    Thresholds {
        /// Of which check.
        id: &'static str,
        /// What is wrong with them.
        reason: String,
    },
    /// A number that makes no sense.
    #[error("[health] {name}: {reason}")]
    Value {
        /// The setting.
        name: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The file could not be read.
    #[error("cannot read {}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl Settings {
    /// Reads the table `[health]`; other tables are left to others, and without it all is as by default.
    ///
    /// # Errors
    /// [`SettingsError`] for the first mistake.
    pub fn from_toml(text: &str) -> Result<Self, SettingsError> {
        let File { health } = toml::from_str(text)?;
        let defaults = Self::default();
        let mut settings = Self {
            interval: health.interval.unwrap_or(defaults.interval),
            timeout: health.timeout.unwrap_or(defaults.timeout),
            slow_ms: health.slow_ms.unwrap_or(defaults.slow_ms),
            replicas: health.replicas,
            catalog_every: health.catalog_every.unwrap_or(defaults.catalog_every),
            space_every: health.space_every.unwrap_or(defaults.space_every),
            views_every: health.views_every.unwrap_or(defaults.views_every),
            ..defaults
        };
        // A statement that may take longer than the whole says nothing of what holds it up.
        settings.statement_timeout = settings.statement_timeout.min(settings.timeout / 2);
        check_values(&settings)?;
        for (id, given) in &health.thresholds {
            let definition = known(id)?;
            settings.thresholds.insert(id.clone(), thresholds(definition, given)?);
        }
        for id in health.off {
            known(&id)?;
            settings.off.insert(id);
        }
        Ok(settings)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let failed = |source| SettingsError::File { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
            return Err(failed(std::io::Error::other("it is larger than 1 MiB")));
        }
        Self::from_toml(&std::fs::read_to_string(path).map_err(failed)?)
    }

    /// From where on a check is bad, as set or as defined.
    #[must_use]
    pub fn thresholds(&self, id: &str) -> Option<Thresholds> {
        self.thresholds.get(id).copied().or_else(|| definition(id)?.thresholds)
    }

    /// Whether a check is not wanted.
    #[must_use]
    pub fn is_off(&self, id: &str) -> bool {
        self.off.contains(id)
    }

    /// With other thresholds for a check. Ids that are not known are ignored.
    #[must_use]
    pub fn with_thresholds(mut self, id: &str, thresholds: Thresholds) -> Self {
        self.thresholds.insert(id.to_owned(), thresholds);
        self
    }
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    health: Given,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Given {
    #[serde(deserialize_with = "duration")]
    interval: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    timeout: Option<Duration>,
    slow_ms: Option<f64>,
    replicas: Option<u32>,
    #[serde(deserialize_with = "duration")]
    catalog_every: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    space_every: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    views_every: Option<Duration>,
    thresholds: BTreeMap<String, GivenThresholds>,
    off: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenThresholds {
    warning: Option<f64>,
    critical: Option<f64>,
}

/// A time as people write it, as `10s` or `1m30s`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time = text.parse::<SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
    let help = || serde::de::Error::custom(format!("{text:?} is no length of time; write 10s or 5m"));
    time.ok_or_else(help).map(Some)
}

fn known(id: &str) -> Result<&'static Definition, SettingsError> {
    definition(id).ok_or_else(|| SettingsError::UnknownCheck { id: id.to_owned() })
}

fn check_values(settings: &Settings) -> Result<(), SettingsError> {
    let second = Duration::from_secs(1);
    let value = |name, reason| Err(SettingsError::Value { name, reason });
    match settings {
        settings if settings.interval < second => value("interval", "give a second or more"),
        settings if settings.timeout < second / 10 => value("timeout", "give 100ms or more"),
        settings if settings.timeout > Duration::from_secs(60) => value("timeout", "give a minute at most"),
        settings if !(settings.slow_ms > 0.0 && settings.slow_ms.is_finite()) => {
            value("slow_ms", "give a number of milliseconds above 0")
        }
        settings if settings.space_every < Duration::from_secs(60) => {
            value("space_every", "give a minute or more")
        }
        _ => Ok(()),
    }
}

/// One that is left out is never reached; which way is bad is the check's to say.
fn thresholds(definition: &Definition, given: &GivenThresholds) -> Result<Thresholds, SettingsError> {
    let refused =
        |reason: &str| Err(SettingsError::Thresholds { id: definition.id, reason: reason.to_owned() });
    let is_below = definition.is_bad_below();
    let never = if is_below { -NEVER } else { NEVER };
    let (warning, critical) = match (given.warning, given.critical) {
        (None, None) => return refused("give warning, critical or both"),
        (warning, critical) => (warning, critical.unwrap_or(never)),
    };
    let warning = warning.unwrap_or(critical);
    if [given.warning, given.critical].iter().flatten().any(|value| !value.is_finite()) {
        return refused("give a number");
    }
    match is_below {
        true if warning < critical => {
            refused("small values are the bad ones here: critical must not be above warning")
        }
        false if warning > critical => {
            refused("large values are the bad ones here: critical must not be below warning")
        }
        _ => Ok(Thresholds { warning, critical }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_said_is_the_default() {
        assert_eq!(Settings::from_toml("").unwrap(), Settings::default());
        assert_eq!(Settings::from_toml("[[views]]\nname = \"a\"").unwrap(), Settings::default());
        assert_eq!(
            Settings::default().thresholds("connections.used"),
            Some(Thresholds { warning: 80.0, critical: 90.0 })
        );
    }

    #[test]
    fn what_is_said_holds() {
        let text = "[health]\ninterval = \"1m\"\ntimeout = \"2s\"\nreplicas = 2\noff = [\"disk.free\"]\n\
                    [health.thresholds]\n\"disk.free\" = { warning = 5 }\n\"replication.lag_s\" = { critical = 30 }";
        let settings = Settings::from_toml(text).unwrap();
        assert_eq!((settings.interval, settings.replicas), (Duration::from_secs(60), Some(2)));
        assert_eq!(settings.statement_timeout, Duration::from_secs(1));
        assert!(settings.is_off("disk.free") && !settings.is_off("database.up"));
        let disk = settings.thresholds("disk.free").unwrap();
        assert!(disk.is_below() && disk.critical == -NEVER);
        assert_eq!(
            settings.thresholds("replication.lag_s"),
            Some(Thresholds { warning: 30.0, critical: 30.0 })
        );
    }

    #[test]
    fn mistakes_are_refused() {
        for (text, said) in [
            ("[health]\ninterval = \"often\"", "\"often\" is no length of time"),
            ("[health]\ninterval = \"10ms\"", "interval: give a second or more"),
            ("[health]\nslow_ms = -1", "slow_ms"),
            ("[health]\ncolour = 1", "unknown field `colour`"),
            ("[health]\noff = [\"connections\"]", "there is no check \"connections\""),
            (
                "[health.thresholds]\n\"connections.usde\" = { warning = 1 }",
                "there is no check \"connections.usde\"",
            ),
            ("[health.thresholds]\n\"connections.used\" = { warn = 1 }", "unknown field `warn`"),
            ("[health.thresholds]\n\"connections.used\" = {}", "give warning, critical or both"),
            ("[health.thresholds]\n\"connections.used\" = { warning = nan }", "give a number"),
            (
                "[health.thresholds]\n\"connections.used\" = { warning = 90, critical = 80 }",
                "must not be below warning",
            ),
            (
                "[health.thresholds]\n\"disk.free\" = { warning = 10, critical = 20 }",
                "must not be above warning",
            ),
        ] {
            let error = Settings::from_toml(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
