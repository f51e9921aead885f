//! Delivering one message to one channel.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio_rustls::TlsConnector;

use super::channel::{Channel, ChannelKind, Channels, Sender};
use super::format::{bodies, test_bodies};
use super::http::{self, HttpError, Target};
use super::message::{Message, test_notice};

/// For one request, from its connection to its answer.
const TIMEOUT: Duration = Duration::from_secs(10);
const ALERTMANAGER_PATH: &str = "/api/v2/alerts";

/// How a delivery went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Delivery {
    /// The channel's name.
    pub channel: String,
    /// When.
    pub at: Timestamp,
    /// Whether it arrived.
    pub ok: bool,
    /// What went wrong, or `delivered`; without URL and key.
    pub detail: String,
}

/// Sends a message that says it is a test to each channel, all at once, once each.
pub async fn test_delivery(channels: &Channels) -> Vec<Delivery> {
    let mut tests = tokio::task::JoinSet::new();
    for (index, channel) in channels.channels.iter().enumerate() {
        let (channel, sender) = (channel.clone(), channels.sender.clone());
        tests.spawn(async move { (index, test(&channel, &sender).await) });
    }
    let mut deliveries = tests.join_all().await;
    deliveries.sort_by_key(|(index, _)| *index);
    deliveries.into_iter().map(|(_, delivery)| delivery).collect()
}

async fn test(channel: &Channel, sender: &Sender) -> Delivery {
    let now = Timestamp::now();
    let message = Message { at: now, notices: vec![test_notice(now)] };
    let outcome = match Line::new(channel, TIMEOUT) {
        Ok(line) => line.post_all(channel, test_bodies(channel, sender, &message)).await,
        Err(error) => Err(error),
    };
    delivery(channel, now, &outcome)
}

/// How a delivery went, for people.
pub(super) fn delivery(channel: &Channel, at: Timestamp, outcome: &Result<(), HttpError>) -> Delivery {
    let detail = match outcome {
        Ok(()) => "delivered".to_owned(),
        Err(error) => hidden(channel, &error.to_string()),
    };
    Delivery { channel: channel.name.clone(), at, ok: outcome.is_ok(), detail }
}

/// An answer may repeat what was asked.
fn hidden(channel: &Channel, text: &str) -> String {
    let secrets = [Some(&channel.url), channel.key.as_ref(), channel.authorization.as_ref()];
    secrets.into_iter().flatten().fold(text.to_owned(), |text, secret| secret.hide_in(&text))
}

/// What connections to a channel are made with.
pub(super) struct Line {
    target: Target,
    tls: TlsConnector,
    timeout: Duration,
}

impl Line {
    /// Reads certificates: blocks for a moment.
    pub(super) fn new(channel: &Channel, timeout: Duration) -> Result<Self, HttpError> {
        let mut target = Target::parse(&channel.url)?;
        if channel.kind == ChannelKind::Alertmanager {
            target = target.with_path(ALERTMANAGER_PATH);
        }
        Ok(Self { target, tls: http::tls(channel.ca_file.as_deref())?, timeout })
    }

    /// Delivers a message.
    pub(super) async fn deliver(
        &self,
        channel: &Channel,
        sender: &Sender,
        message: &Message,
    ) -> Result<(), HttpError> {
        self.post_all(channel, bodies(channel, sender, message)).await
    }

    /// In order; ends with the first that fails. What is sent again is the same to the one who gets it.
    async fn post_all(&self, channel: &Channel, bodies: Vec<serde_json::Value>) -> Result<(), HttpError> {
        for body in bodies {
            let body = body.to_string().into_bytes();
            http::post(&self.target, &self.tls, channel.authorization.as_ref(), body, self.timeout).await?;
        }
        Ok(())
    }
}

/// The usual limit on a request.
pub(super) fn timeout() -> Duration {
    TIMEOUT
}
