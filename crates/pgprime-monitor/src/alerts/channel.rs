//! Channels: where messages go.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::alert::{Alert, Severity};
use super::secret::Secret;

/// What PagerDuty takes as a key.
const KEY_CHARS_MAX: usize = 255;
/// What tells long keys apart: a sign and 16 digits.
const KEY_END_CHARS: usize = 17;

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
    /// What an alert is called by those who make one of all messages about it: the same in all instances that call the
    /// database the same, before and after a restart, and whenever it comes again.
    pub(super) fn key(&self, alert: &Alert) -> String {
        let key = format!("{}/{}", self.source, alert.rule);
        match key.char_indices().nth(KEY_CHARS_MAX) {
            None => key,
            Some(_) => {
                let begin: String = key.chars().take(KEY_CHARS_MAX - KEY_END_CHARS).collect();
                format!("{begin}#{:016x}", fingerprint(&key))
            }
        }
    }

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

/// FNV-1a, 64 bits: the same in every version and on every machine.
fn fingerprint(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::super::message::test_notice;
    use super::*;

    #[test]
    fn a_key_has_no_time_and_is_never_too_long() {
        let alert = |rule: &str, seconds| {
            let at = jiff::Timestamp::from_second(seconds).unwrap();
            Alert { rule: rule.to_owned(), ..test_notice(at).alert }
        };
        let sender = |source: &str| Sender { source: source.to_owned(), public_url: None };
        let key = |source: &str, rule, at| sender(source).key(&alert(rule, at));
        assert_eq!(key("shop at db1", "disk.free.critical", 1), "shop at db1/disk.free.critical");
        assert_eq!(key("shop at db1", "disk.free.critical", 2), "shop at db1/disk.free.critical");
        assert_ne!(key("shop at db2", "disk.free.critical", 1), key("shop at db1", "disk.free.critical", 1));
        let long = "ä".repeat(300);
        let (one, other) = (key(&long, "a", 1), key(&long, "b", 1));
        assert!(one != other && one.chars().count() == 255, "{one} {other}");
    }
}
