//! What the publication says: logical decoding, heard over a connection for replication.
//!
//! The slot is temporary: it is gone with the session, and no WAL is kept for a listener that is dead.

mod login;
mod messages;
mod wire;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, split};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};
use tokio_postgres::CancelToken;

use crate::connect::{Server, classify};
use crate::connection::cancel;
use crate::endpoint::Endpoint;
use crate::error::ConnectError;
use crate::tls::Tls;
use login::{Session, Wire};
use messages::{Decoder, News};
use wire::{Frame, Reply};

pub(super) use messages::Touched;

/// The publication's name.
pub(super) const PUBLICATION: &str = "pgprime_changes";
/// The name of these sessions.
pub(super) const APPLICATION_NAME: &str = login::APPLICATION_NAME;
/// How often the server is told how far we are, if it does not ask: it may give up the WAL behind.
const CONFIRM_EVERY: Duration = Duration::from_secs(1);
/// Why a slot is long in coming.
pub(super) const SLOT_AWAITED: &str = "the slot for logical decoding is not ready yet: PostgreSQL waits until all \
                                       transactions in progress have ended, prepared ones and those of other databases \
                                       included (pg_stat_activity.backend_xid, pg_prepared_xacts)";
const BUFFER_BYTES: usize = 64 * 1024;

/// Where to hear changes.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) tls: &'a Tls,
    pub(super) server: &'a Server,
}

/// Changes as they are committed; heard until this is dropped.
#[derive(Debug)]
pub(super) struct Changes {
    shared: Arc<Shared>,
    task: AbortHandle,
}

/// What was said since it was last asked for.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) touched: Touched,
    /// Transactions that touched anything.
    pub(super) commits: u64,
    /// Everything that was committed before this position has been said.
    pub(super) position: u64,
    /// Why nothing more will be said.
    pub(super) end: Option<String>,
}

#[derive(Debug)]
struct Shared {
    said: Mutex<Said>,
    /// Something was said.
    news: Notify,
    /// The server is to be told the position.
    urgent: Notify,
}

#[derive(Debug)]
struct Said {
    batch: Batch,
    /// The server's position is asked for.
    asks: bool,
    /// When the server said anything at all.
    at: Instant,
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Changes {
    /// Opens the connection, makes the slot, and begins to hear. PostgreSQL makes a slot when all transactions that are in
    /// progress have ended, for which it has until `deadline`.
    pub(super) async fn open(source: Source<'_>, deadline: Instant) -> Result<Self, ConnectError> {
        let Source { endpoint, tls, server } = source;
        let session = login::login(endpoint, tls, server, deadline).await?;
        let slot = format!("pgprime_{:016x}", fastrand::u64(..));
        make_slot(&session, &slot, source, deadline).await?;
        let unreachable = |error: io::Error| ConnectError::Unreachable {
            target: server.target.clone(),
            reason: format!("replication: {error}"),
        };
        let lost = || unreachable(io::ErrorKind::NotConnected.into());
        let wire = session.into_wire().await.ok_or_else(lost)?;
        let (from, mut to) = split(wire);
        let mut from = BufReader::with_capacity(BUFFER_BYTES, from);
        let started = timeout_at(deadline, start(&mut from, &mut to, &slot)).await;
        let started = started.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if let Some((sqlstate, reason)) = started.map_err(unreachable)? {
            return Err(ConnectError::Rejected { target: server.target.clone(), reason, sqlstate });
        }
        let said = Said { batch: Batch::default(), asks: false, at: Instant::now() };
        let shared = Shared { said: Mutex::new(said), news: Notify::new(), urgent: Notify::new() };
        let shared = Arc::new(shared);
        let task = tokio::spawn(carry(Arc::clone(&shared), from, to)).abort_handle();
        Ok(Self { shared, task })
    }

    /// Waits until something was said.
    pub(super) async fn news(&self) {
        self.shared.news.notified().await;
    }

    /// What was said since the last time.
    pub(super) fn take(&self) -> Batch {
        let mut said = self.shared.said();
        let Batch { position, end, .. } = &said.batch;
        let rest = Batch { position: *position, end: end.clone(), ..Batch::default() };
        std::mem::replace(&mut said.batch, rest)
    }

    /// Asks the server how far it is; the answer is news.
    pub(super) fn ask(&self) {
        self.shared.said().asks = true;
        self.shared.urgent.notify_one();
    }

    /// When the server has said anything at all.
    pub(super) fn said_at(&self) -> Instant {
        self.shared.said().at
    }
}

/// Makes the slot. If that is given up, the server is told: it would wait for others' transactions all the same, and with
/// every attempt a slot more would be taken.
async fn make_slot(
    session: &Session,
    slot: &str,
    source: Source<'_>,
    deadline: Instant,
) -> Result<(), ConnectError> {
    let Source { tls, server, .. } = source;
    let cancel = (session.client.cancel_token(), server.clone(), tls.clone());
    let mut waiting = Waiting(Some(cancel));
    let sql = format!("CREATE_REPLICATION_SLOT \"{slot}\" TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT");
    let answer = timeout_at(deadline, session.client.simple_query(&sql)).await;
    let Ok(answer) = answer else {
        let reason = SLOT_AWAITED.to_owned();
        return Err(ConnectError::Unreachable { target: server.target.clone(), reason });
    };
    waiting.0 = None;
    answer.map(drop).map_err(|error| classify(server.target.clone(), &error))
}

/// A command that is cancelled when this is dropped.
struct Waiting(Option<(CancelToken, Server, Tls)>);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let (Some((token, server, tls)), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(async move { cancel(token, &server, &tls).await });
        }
    }
}

/// Starts replication; if the server refuses, its SQLSTATE and words.
async fn start(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    slot: &str,
) -> io::Result<Option<(String, String)>> {
    use pgprime_wire::tag::backend::{COPY_BOTH_RESPONSE, ERROR_RESPONSE};
    let options = format!("proto_version '1', publication_names '{PUBLICATION}'");
    to.write_all(&wire::query(&format!("START_REPLICATION SLOT \"{slot}\" LOGICAL 0/0 ({options})"))).await?;
    to.flush().await?;
    loop {
        let Frame { tag, head, .. } = wire::read(from).await?;
        match tag {
            COPY_BOTH_RESPONSE => return Ok(None),
            ERROR_RESPONSE => return Ok(Some(wire::refusal(&head))),
            _ => {}
        }
    }
}

type From = BufReader<tokio::io::ReadHalf<Wire>>;
type To = tokio::io::WriteHalf<Wire>;

/// Hears and answers until the session ends. Answers do not wait for those who deal with what was heard.
async fn carry(shared: Arc<Shared>, mut from: From, mut to: To) {
    let end = tokio::select! {
        end = hear(&shared, &mut from) => end,
        outcome = answer(&shared, &mut to) => outcome.err().map_or_else(String::new, |error| error.to_string()),
    };
    shared.said().batch.end = Some(end);
    shared.news.notify_one();
}

/// Hears until the session ends; why it did.
async fn hear(shared: &Shared, from: &mut From) -> String {
    use pgprime_wire::tag::backend::{
        COPY_DATA, ERROR_RESPONSE, NOTICE_RESPONSE, NOTIFICATION_RESPONSE, PARAMETER_STATUS,
    };
    let mut decoder = Decoder::default();
    loop {
        let Frame { tag, head, is_cut } = match wire::read(from).await {
            Ok(frame) => frame,
            Err(error) => return error.to_string(),
        };
        match tag {
            COPY_DATA => match decoder.take_in(&head, is_cut) {
                Ok(news) => shared.take_in(news),
                Err(malformed) => return malformed.to_string(),
            },
            ERROR_RESPONSE => return wire::refusal(&head).1,
            NOTICE_RESPONSE | NOTIFICATION_RESPONSE | PARAMETER_STATUS => {}
            _ => return "the server ended replication".to_owned(),
        }
    }
}

/// Tells the server how far we are: when it asks, when we ask, and from time to time.
async fn answer(shared: &Shared, to: &mut To) -> io::Result<()> {
    let mut ticks = interval(CONFIRM_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut confirmed = 0;
    loop {
        let is_urgent = tokio::select! {
            () = shared.urgent.notified() => true,
            _ = ticks.tick() => false,
        };
        let (position, asks) = {
            let mut said = shared.said();
            (said.batch.position, std::mem::take(&mut said.asks))
        };
        if is_urgent || position > confirmed {
            let reply = if asks { Reply::Wanted } else { Reply::NotWanted };
            to.write_all(&wire::status(position, reply)).await?;
            to.flush().await?;
            confirmed = position;
        }
    }
}

impl Shared {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_in(&self, news: News) {
        let mut said = self.said();
        said.at = Instant::now();
        let batch = &mut said.batch;
        match news {
            News::None => return,
            News::Committed { touched, position } => {
                batch.position = batch.position.max(position);
                batch.commits += u64::from(!touched.is_nothing());
                batch.touched.add(touched);
            }
            News::Position { position, wants_reply } => {
                batch.position = batch.position.max(position);
                if wants_reply {
                    self.urgent.notify_one();
                }
            }
        }
        drop(said);
        self.news.notify_one();
    }
}
