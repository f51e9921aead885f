//! Who listens to writers outside: from one session to the next.

use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use super::listening::{End, Listening, Look};
use super::replication::{self, Changes, SLOT_AWAITED};
use crate::config::DatabaseConfig;
use crate::connect::{OpenRequest, Opened, within};
use crate::endpoint::Endpoint;
use crate::error::{ConnectError, Error};
use crate::probe;
use crate::results::Results;
use crate::session::{Path, Pooling, SessionSettings};
use crate::tls::Tls;

const LISTEN: &str = "LISTEN pgprime_changes";
/// Pauses between attempts to connect.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long the slot for logical decoding is waited for, once nobody waits for us: as long as others' transactions take.
const SLOT_WAIT_MAX: Duration = Duration::from_secs(300);
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
    let mut log = Log::default();
    let first = match place.open(config.connect_timeout).await {
        Ok(listening) => {
            begin(&listening, results, &mut log).await;
            Some(listening)
        }
        Err(NoListening::Pooler) => {
            let reason =
                "it leads to a transaction pooler, behind which nobody can LISTEN; give PostgreSQL's own URL";
            return Err(unusable(reason.to_owned()));
        }
        Err(NoListening::Trouble(reason)) => {
            log.deaf(&reason);
            results.hearing().deaf(&reason);
            None
        }
    };
    let listening = tokio::spawn(go_on(place, Arc::downgrade(results), first, log));
    Ok(Some(Listener(listening.abort_handle())))
}

/// Why nobody is heard.
enum NoListening {
    Pooler,
    Trouble(String),
}

impl From<ConnectError> for NoListening {
    fn from(error: ConnectError) -> Self {
        Self::Trouble(match remedy(&error) {
            Some(remedy) => format!("{error}; {remedy}"),
            None => error.to_string(),
        })
    }
}

/// What to do about it.
fn remedy(error: &ConnectError) -> Option<&'static str> {
    let (ConnectError::Rejected { reason, sqlstate, .. }
    | ConnectError::Unavailable { reason, sqlstate, .. }) = error
    else {
        return None;
    };
    match sqlstate.as_str() {
        "55000" if reason.contains("wal_level") => {
            Some("set wal_level = logical and restart PostgreSQL, or DROP PUBLICATION pgprime_changes")
        }
        "42501" => {
            Some("ALTER ROLE … REPLICATION for the role of listen_url, or DROP PUBLICATION pgprime_changes")
        }
        "53400" => Some("raise max_replication_slots, or drop a slot that nobody uses"),
        "53300" if reason.contains("max_wal_senders") => Some("raise max_wal_senders"),
        _ => None,
    }
}

impl Place {
    /// Opens a session that listens, and where there is the publication, one that hears it.
    async fn open(&self, slot_wait: Duration) -> Result<Listening, NoListening> {
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
        let look = within(&server.target, deadline, Look::take(&client)).await?;
        let changes = match &look.publication {
            None => None,
            Some(_) if look.takes_us_for_standby => {
                return Err(NoListening::Trouble(Look::STANDBY.to_owned()));
            }
            Some(_) => {
                let source = replication::Source { endpoint, tls, server: &server };
                Some(Changes::open(source, deadline.max(Instant::now() + slot_wait)).await?)
            }
        };
        let deadline = deadline.max(Instant::now() + *connect_timeout);
        within(&server.target, deadline, client.batch_execute(LISTEN)).await?;
        Ok(Listening::new(client, notifications, changes, look))
    }
}

/// Listens, and connects again and again when that ends, for as long as anybody has the cache.
async fn go_on(place: Place, results: Weak<Results>, mut first: Option<Listening>, mut log: Log) {
    let mut pause = PAUSE_FIRST;
    loop {
        let listening = match first.take() {
            Some(listening) => Ok(listening),
            None => {
                let opened = open_patiently(&place, &results, &mut log).await;
                let Some(results) = results.upgrade() else { return };
                if let Ok(listening) = &opened {
                    begin(listening, &results, &mut log).await;
                }
                opened
            }
        };
        let end = match listening {
            Ok(listening) => {
                pause = PAUSE_FIRST;
                listening.hear(&results).await
            }
            Err(NoListening::Pooler) => {
                End::NotBegun("listen_url leads to a transaction pooler by now".to_owned())
            }
            Err(NoListening::Trouble(reason)) => End::NotBegun(reason),
        };
        let Some(results) = results.upgrade() else { return };
        if report(&end, &results, &mut log) == Next::AtOnce {
            continue;
        }
        drop(results);
        sleep(pause.mul_f64(0.5 + 0.5 * fastrand::f64())).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// When the next attempt is made.
#[derive(PartialEq, Eq)]
enum Next {
    AtOnce,
    AfterPause,
}

fn report(end: &End, results: &Results, log: &mut Log) -> Next {
    match end {
        End::Lost(reason) => {
            results.hearing().lost(reason);
            log.deaf(reason);
            Next::AfterPause
        }
        End::NotBegun(reason) => {
            results.hearing().deaf(reason);
            log.deaf(reason);
            Next::AfterPause
        }
        End::Changed => {
            results.hearing().deaf("the publication has come, gone or been made anew");
            tracing::info!(
                "the publication pgprime_changes has come, gone or been made anew; listening begins anew"
            );
            Next::AtOnce
        }
        // Found out with the next attempt, too.
        End::Over => Next::AtOnce,
    }
}

/// Opens a session, and says so when the slot is long in coming.
async fn open_patiently(
    place: &Place,
    results: &Weak<Results>,
    log: &mut Log,
) -> Result<Listening, NoListening> {
    let mut opening = pin!(place.open(SLOT_WAIT_MAX));
    // All else takes no longer than this.
    if let Ok(opened) = timeout(place.connect_timeout, &mut opening).await {
        return opened;
    }
    if let Some(results) = results.upgrade() {
        results.hearing().deaf(SLOT_AWAITED);
        log.deaf(SLOT_AWAITED);
    }
    opening.await
}

/// LISTEN is in force, and the slot is there. What was said before has not been heard.
async fn begin(listening: &Listening, results: &Results, log: &mut Log) {
    results.schema_changed();
    let _ = results.cache().invalidate_all().await;
    results.hearing().began(listening.sources());
    log.began(listening);
}

/// Says each trouble once.
#[derive(Default)]
struct Log {
    said: Option<String>,
}

impl Log {
    fn deaf(&mut self, reason: &str) {
        match self.said.as_deref() == Some(reason) {
            true => tracing::debug!(reason, "writers outside are still not heard"),
            false => tracing::warn!(reason, "writers outside are not heard"),
        }
        self.said = Some(reason.to_owned());
    }

    fn began(&mut self, listening: &Listening) {
        let publication = listening.sources().publication;
        tracing::info!(notifications = true, publication, "writers outside are heard");
        self.said = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn troubles_say_what_to_do() {
        let rejected = |sqlstate: &str, reason: &str| ConnectError::Rejected {
            target: "h".to_owned(),
            reason: reason.to_owned(),
            sqlstate: sqlstate.to_owned(),
        };
        for (sqlstate, reason, expected) in [
            ("55000", "logical decoding requires \"wal_level\" >= \"logical\"", Some("wal_level = logical")),
            ("55000", "something else", None),
            ("42501", "permission denied to start WAL sender", Some("ALTER ROLE")),
            ("53400", "all replication slots are in use", Some("max_replication_slots")),
            (
                "53300",
                "number of requested standby connections exceeds max_wal_senders",
                Some("max_wal_senders"),
            ),
            ("53300", "sorry, too many clients already", None),
        ] {
            let found = remedy(&rejected(sqlstate, reason));
            assert_eq!(found.is_some(), expected.is_some(), "{reason}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()), "{reason}: {found:?}");
        }
    }
}
