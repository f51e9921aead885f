//! Channels: where messages go.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::alert::Severity;
use super::secret::Secret;

/// What a channel understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    /// JSON of our own: a message with its alerts.
    Webhook,
    /// An incoming webhook of Slack, or of what speaks like it.
    Slack,
    /// Alertmanager, version 2.
    Alertmanager,
    /// PagerDuty, Events version 2.
    Pagerduty,
}

/// Where messages go, and which.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// Its name, in logs and lists.
    pub name: String,
    /// What it understands.
    pub kind: ChannelKind,
    /// Where to, `https://…`.
    pub url: Secret,
    /// The routing key of PagerDuty.
    pub key: Option<Secret>,
    /// The header `Authorization`.
    pub authorization: Option<Secret>,
    /// Alerts that are less grave are not sent. Default warning: all.
    pub severity_min: Severity,
    /// What still fires is said again after this. Default 4 hours; 1 minute for Alertmanager, which takes an alert for
    /// resolved when it does not hear of it.
    pub repeat: Duration,
    /// Certificates in PEM that are trusted instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// What messages have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// What is watched, such as `insurance at db1`.
    pub source: String,
    /// Where the dashboard is, without a slash at its end.
    pub public_url: Option<String>,
}

impl Sender {
    /// The page of the dashboard about an alert.
    pub(super) fn link(&self) -> Option<String> {
        self.public_url.as_ref().map(|url| format!("{url}/alerts"))
    }
}

/// All channels, and what their messages have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Channels {
    /// Where messages go; each name once.
    pub channels: Vec<Channel>,
    /// What messages have in common.
    pub sender: Sender,
    /// What changes within this time goes into one message. Default 10 s.
    pub group_wait: Duration,
}
