//! The session that listens to writers outside.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use pgprime_cache::Tables;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_postgres::{Client, Notification};

use super::message::{self, Changed};
use crate::config::DatabaseConfig;
use crate::connect::{OpenRequest, Opened, within};
use crate::endpoint::Endpoint;
use crate::error::{ConnectError, Error};
use crate::probe;
use crate::results::Results;
use crate::session::{Path, Pooling, SessionSettings};
use crate::tls::Tls;

const LISTEN: &str = "LISTEN pgprime_changes";
/// How often the connection is asked whether it lives, and how long it has for the answer: a dead one is noticed within
/// 10 s.
const ASK_EVERY: Duration = Duration::from_secs(5);
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Pauses between attempts to connect.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Notifications that have not been dealt with. A session that does not keep up is given up, and with it all that was kept.
const WAITING_MAX: usize = 10_000;

/// Listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Listener(AbortHandle);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Where to listen.
struct Place {
    endpoint: Endpoint,
    tls: Tls,
    connect_timeout: Duration,
}

/// A session that listens.
struct Listening {
    client: Client,
    notifications: mpsc::Receiver<Notification>,
}

/// Listens to writers outside, where the configuration says so; the first attempt has been made when it returns.
///
/// # Errors
/// [`Error::Usage`] for a URL that cannot be used, or leads to a transaction pooler, which has no session to listen with.
/// A database out of reach is none: until it can be reached, nobody is heard.
pub(crate) async fn listen(
    config: &DatabaseConfig,
    results: &Arc<Results>,
) -> Result<Option<Listener>, Error> {
    let Some(url) = config.cache.as_ref().and_then(|cache| cache.listen_url.as_deref()) else {
        return Ok(None);
    };
    let unusable = |reason: String| Error::Usage(format!("listen_url: {reason}"));
    let endpoint = Endpoint::parse(url).map_err(|error| unusable(error.to_string()))?;
    let tls = Tls::new(&endpoint.tls).map_err(|error| unusable(error.to_string()))?;
    let place = Place { endpoint, tls, connect_timeout: config.connect_timeout };
    let first = match place.open().await {
        Ok(listening) => {
            begin(results).await;
            Some(listening)
        }
        Err(NoListening::Pooler) => {
            let reason =
                "it leads to a transaction pooler, behind which nobody can LISTEN; give PostgreSQL's own URL";
            return Err(unusable(reason.to_owned()));
        }
        Err(NoListening::Trouble(error)) => {
            tracing::warn!(%error, "writers outside are not heard yet");
            None
        }
    };
    let listening = tokio::spawn(go_on(place, Arc::downgrade(results), first));
    Ok(Some(Listener(listening.abort_handle())))
}

/// Why nobody is heard.
enum NoListening {
    Pooler,
    Trouble(ConnectError),
}

impl From<ConnectError> for NoListening {
    fn from(error: ConnectError) -> Self {
        Self::Trouble(error)
    }
}

impl Place {
    async fn open(&self) -> Result<Listening, NoListening> {
        let Self { endpoint, tls, connect_timeout } = self;
        let (sender, notifications) = mpsc::channel(WAITING_MAX);
        let (options, heard) = (endpoint.options(), Some(&sender));
        let request = OpenRequest { endpoint, tls, options, sets_read_only: false, heard };
        let deadline = Instant::now() + *connect_timeout;
        let settings = SessionSettings::default();
        let (Opened { client, server }, path) =
            probe::find(request, Pooling::Auto, &settings, deadline).await?;
        if path != Path::Direct {
            return Err(NoListening::Pooler);
        }
        within(&server.target, deadline, client.batch_execute(LISTEN)).await?;
        Ok(Listening { client, notifications })
    }
}

/// Listens, and connects again and again when that ends, for as long as anybody has the cache.
async fn go_on(place: Place, results: Weak<Results>, mut first: Option<Listening>) {
    let mut pause = PAUSE_FIRST;
    loop {
        let listening = match first.take() {
            Some(listening) => Ok(listening),
            None => {
                let opened = place.open().await;
                let Some(results) = results.upgrade() else { return };
                if opened.is_ok() {
                    begin(&results).await;
                }
                opened
            }
        };
        match listening {
            Ok(listening) => {
                pause = PAUSE_FIRST;
                hear(listening, &results).await;
                let Some(results) = results.upgrade() else { return };
                results.hearing().lost();
                tracing::warn!("the session that listens to writers outside was lost");
            }
            Err(NoListening::Pooler) => tracing::warn!("listen_url leads to a transaction pooler by now"),
            Err(NoListening::Trouble(error)) => tracing::debug!(%error, "writers outside are not heard yet"),
        }
        sleep(pause.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// LISTEN is in force. What was said before has not been heard.
async fn begin(results: &Results) {
    results.schema_changed();
    let _ = results.cache().invalidate_all().await;
    results.hearing().began();
}

/// Hears until the session ends.
async fn hear(mut listening: Listening, results: &Weak<Results>) {
    let mut ticks = interval(ASK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            notification = listening.notifications.recv() => {
                let (Some(notification), Some(results)) = (notification, results.upgrade()) else { return };
                take_in(notification, &mut listening.notifications, &results).await;
            }
            _ = ticks.tick() => {
                // Answers come behind notifications, and these are taken in meanwhile by the connection's own task.
                let answer = timeout(ANSWER_MAX, listening.client.batch_execute("")).await;
                if !matches!(answer, Ok(Ok(()))) || results.strong_count() == 0 {
                    return;
                }
            }
        }
    }
}

/// Gives up what was made from the tables that this notification, and those that came with it, are about.
async fn take_in(first: Notification, more: &mut mpsc::Receiver<Notification>, results: &Results) {
    let mut changed = Some(BTreeSet::new());
    let mut next = Some(first);
    while let Some(notification) = next {
        match message::read(notification.payload(), results) {
            None => results.hearing().ignored(),
            Some(Changed::Anything) => {
                results.hearing().heard();
                changed = None;
            }
            Some(Changed::Tables(tables)) => {
                results.hearing().heard();
                if let Some(changed) = &mut changed {
                    changed.extend(tables);
                }
            }
        }
        next = more.try_recv().ok();
    }
    let _ = match changed {
        None => results.cache().invalidate_all().await,
        Some(tables) if tables.is_empty() => return,
        Some(tables) => results.cache().invalidate(&Tables::new(&tables)).await,
    };
}
