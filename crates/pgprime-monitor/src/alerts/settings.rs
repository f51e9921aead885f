//! What the configuration says of alerts: the table `[alerts]` of `pgprime.toml`.
//!
//! ```
//! use pgprime_monitor::alerts::{AlertSettings, Severity};
//!
//! let settings = AlertSettings::from_toml(
//!     r#"
//!     [api]
//!     public_url = "https://db.example.com"
//!
//!     [alerts]
//!     repeat = "8h"
//!
//!     [[alerts.rules]]
//!     check = "connections.used"
//!     severity = "critical"
//!     for = "30s"
//!
//!     [[alerts.rules]]
//!     check = "bloat.indexes"
//!     severity = "warning"
//!     enabled = false
//!
//!     [[alerts.channels]]
//!     name = "on call"
//!     kind = "pagerduty"
//!     key = "0123456789abcdef"
//!     severity = "critical"
//!     "#,
//! )?;
//! let rule = settings.rules.iter().find(|rule| rule.name == "connections.used.critical").unwrap();
//! assert_eq!(rule.fires_after.as_secs(), 30);
//! assert_eq!(settings.channels.channels[0].severity_min, Severity::Critical);
//! # Ok::<(), pgprime_monitor::alerts::AlertSettingsError>(())
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer};

use super::alert::Severity;
use super::channel::{Channel, ChannelKind, Channels, Sender};
use super::http::Target;
use super::rule::{CLEAR_AFTER, MARGIN, Rule, default_rules, is_known};
use super::secret::Secret;

const GROUP_WAIT: Duration = Duration::from_secs(10);
const REPEAT: Duration = Duration::from_secs(4 * 3_600);
const REPEAT_MIN: Duration = Duration::from_secs(60);
const PAGERDUTY_URL: &str = "https://events.pagerduty.com/v2/enqueue";
/// More than anybody writes by hand.
const RULES_MAX: usize = 1_000;
const CHANNELS_MAX: usize = 50;

/// Rules and channels as they are configured, with what is usual where nothing is said.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertSettings {
    /// The rules: the default ones, as far as they are not changed or switched off, and further ones.
    pub rules: Vec<Rule>,
    /// Where messages go.
    pub channels: Channels,
}

impl Default for AlertSettings {
    fn default() -> Self {
        let channels = Channels { group_wait: GROUP_WAIT, ..Channels::default() };
        Self { rules: default_rules(), channels }
    }
}

/// Why the table `[alerts]` cannot be used. Never shows a URL or key.
#[derive(Debug, thiserror::Error)]
pub enum AlertSettingsError {
    /// The text is not TOML, or has fields that are unknown or of the wrong kind.
    #[error("[alerts]: {0}")]
    Toml(String),
    /// A rule cannot work.
    #[error("[[alerts.rules]] {rule}: {reason}")]
    Rule {
        /// Its check or name.
        rule: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A channel cannot work.
    #[error("[[alerts.channels]] {channel}: {reason}")]
    Channel {
        /// Its name.
        channel: String,
        /// What is wrong with it.
        reason: String,
    },
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    alerts: Written,
    #[serde(default)]
    api: Api,
}

/// Others read the rest of it.
#[derive(Default, Deserialize)]
struct Api {
    public_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    defaults: bool,
    #[serde(deserialize_with = "duration")]
    group_wait: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    repeat: Option<Duration>,
    source: Option<String>,
    rules: Vec<WrittenRule>,
    channels: Vec<WrittenChannel>,
}

impl Default for Written {
    fn default() -> Self {
        Self { defaults: true, group_wait: None, repeat: None, source: None, rules: vec![], channels: vec![] }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    name: Option<String>,
    check: String,
    severity: Severity,
    #[serde(rename = "for", default, deserialize_with = "duration")]
    fires_after: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    clear_after: Option<Duration>,
    /// In percent of the threshold.
    margin: Option<f64>,
    description: Option<String>,
    enabled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenChannel {
    name: String,
    kind: ChannelKind,
    url: Option<String>,
    url_file: Option<PathBuf>,
    key: Option<String>,
    key_file: Option<PathBuf>,
    authorization: Option<String>,
    authorization_file: Option<PathBuf>,
    severity: Option<Severity>,
    #[serde(default, deserialize_with = "duration")]
    repeat: Option<Duration>,
    ca_file: Option<PathBuf>,
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    let wrong = || serde::de::Error::custom("expected a time such as \"30s\", \"5m\" or \"4h\"");
    parsed.map(Some).ok_or_else(wrong)
}

impl AlertSettings {
    /// Reads the table `[alerts]` of a configuration, and `public_url` of `[api]`; its other sections are others'
    /// business. Files of secrets are looked for in the current folder.
    ///
    /// # Errors
    /// [`AlertSettingsError`], with the name of the rule or channel.
    pub fn from_toml(text: &str) -> Result<Self, AlertSettingsError> {
        Self::from_toml_in(text, Path::new("."))
    }

    /// Likewise, with files of secrets looked for in a folder.
    ///
    /// # Errors
    /// [`AlertSettingsError`], with the name of the rule or channel.
    pub fn from_toml_in(text: &str, folder: &Path) -> Result<Self, AlertSettingsError> {
        // The error's text shows the line it is about, which may hold a secret: only what is wrong is kept.
        let file: File =
            toml::from_str(text).map_err(|error| AlertSettingsError::Toml(without_values(&error, text)))?;
        let Written { defaults, group_wait, repeat, source, rules, channels } = file.alerts;
        let rules = self::rules(if defaults { default_rules() } else { Vec::new() }, rules)?;
        let public_url = file.api.public_url.map(|url| url.trim_end_matches('/').to_owned());
        let sender = Sender { source: source.unwrap_or_default(), public_url };
        let repeat = repeat.unwrap_or(REPEAT).max(REPEAT_MIN);
        let channels = self::channels(channels, repeat, folder)?;
        let group_wait = group_wait.unwrap_or(GROUP_WAIT);
        Ok(Self { rules, channels: Channels { channels, sender, group_wait } })
    }
}

fn without_values(error: &toml::de::Error, text: &str) -> String {
    let line = error.span().map(|span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
    // What serde says of a wrong kind quotes the value.
    let said = error.message();
    let said = match said.find("invalid type").or_else(|| said.find("invalid value")) {
        Some(_) => "a value of the wrong kind",
        None => said,
    };
    line.map_or_else(|| said.to_owned(), |line| format!("line {line}: {said}"))
}

fn rules(mut rules: Vec<Rule>, written: Vec<WrittenRule>) -> Result<Vec<Rule>, AlertSettingsError> {
    if written.len() > RULES_MAX {
        let reason = format!("there are more than {RULES_MAX}");
        return Err(AlertSettingsError::Rule { rule: "all".to_owned(), reason });
    }
    let mut named = std::collections::BTreeSet::new();
    for line in written {
        let wrong =
            |reason: &str| AlertSettingsError::Rule { rule: line.check.clone(), reason: reason.to_owned() };
        if !is_known(&line.check) {
            return Err(wrong("there is no such check; pgprime health lists them"));
        }
        if line.margin.is_some_and(|margin| !(0.0..=50.0).contains(&margin)) {
            return Err(wrong("margin is a percentage from 0 to 50"));
        }
        let mut rule = Rule::new(&line.check, line.severity, line.fires_after.unwrap_or_default());
        let name = line.name.clone().unwrap_or_else(|| rule.name.clone());
        if !named.insert(name.clone()) {
            return Err(wrong("there are two rules for this check and severity: give them names"));
        }
        let before = rules.iter().position(|rule| rule.name == name);
        if let Some(before) = before.map(|before| rules.remove(before)) {
            if before.check != line.check {
                return Err(wrong("a rule of this name is about another check"));
            }
            rule.fires_after = line.fires_after.unwrap_or(before.fires_after);
        } else if line.fires_after.is_none() && line.enabled != Some(false) {
            return Err(wrong("for is missing: how long the check has to be bad, such as \"5m\""));
        }
        rule.name = name;
        rule.clear_after = line.clear_after.unwrap_or(CLEAR_AFTER);
        rule.margin = line.margin.map_or(MARGIN, |percent| percent / 100.0);
        rule.description = line.description.unwrap_or(rule.description);
        if line.enabled != Some(false) {
            rules.push(rule);
        }
    }
    Ok(rules)
}

fn channels(
    written: Vec<WrittenChannel>,
    repeat: Duration,
    folder: &Path,
) -> Result<Vec<Channel>, AlertSettingsError> {
    let mut channels: Vec<Channel> = Vec::new();
    for line in written {
        let name = line.name.clone();
        let wrong = |reason: String| AlertSettingsError::Channel { channel: name.clone(), reason };
        let channel = channel(line, repeat, folder).map_err(wrong)?;
        if channels.iter().any(|other| other.name == channel.name) {
            return Err(wrong("there are two channels of this name".to_owned()));
        }
        channels.push(channel);
        if channels.len() > CHANNELS_MAX {
            return Err(wrong(format!("there are more than {CHANNELS_MAX} channels")));
        }
    }
    Ok(channels)
}

fn channel(line: WrittenChannel, repeat: Duration, folder: &Path) -> Result<Channel, String> {
    let url = secret("url", line.url, line.url_file, folder)?;
    let key = secret("key", line.key, line.key_file, folder)?;
    let authorization = secret("authorization", line.authorization, line.authorization_file, folder)?;
    let url = match (line.kind, url) {
        (_, Some(url)) => url,
        (ChannelKind::Pagerduty, None) => Secret::new(PAGERDUTY_URL),
        (_, None) => return Err("url is missing (or url_file)".to_owned()),
    };
    match (line.kind, &key) {
        (ChannelKind::Pagerduty, None) => {
            return Err("key is missing: the integration's routing key".to_owned());
        }
        (ChannelKind::Pagerduty, Some(_)) | (_, None) => {}
        (_, Some(_)) => return Err("key is for PagerDuty; others take authorization".to_owned()),
    }
    Target::parse(&url).map_err(|error| error.to_string())?;
    let usual = if line.kind == ChannelKind::Alertmanager { REPEAT_MIN } else { repeat };
    let ca_file = line.ca_file.map(|file| folder.join(file));
    Ok(Channel {
        name: line.name,
        kind: line.kind,
        url,
        key,
        authorization,
        severity_min: line.severity.unwrap_or(Severity::Warning),
        repeat: line.repeat.unwrap_or(usual).max(REPEAT_MIN),
        ca_file,
    })
}

/// Written in place, or in a file that only its owner has to be able to read.
fn secret(
    name: &str,
    written: Option<String>,
    file: Option<PathBuf>,
    folder: &Path,
) -> Result<Option<Secret>, String> {
    match (written, file) {
        (Some(_), Some(_)) => Err(format!("{name} and {name}_file are both there: one is enough")),
        (Some(written), None) => Ok(Some(Secret::new(written))),
        (None, Some(file)) => {
            let read = std::fs::read_to_string(folder.join(&file));
            let text =
                read.map_err(|error| format!("cannot read {name}_file {}: {error}", file.display()))?;
            Ok(Some(Secret::new(text.trim())))
        }
        (None, None) => Ok(None),
    }
}
