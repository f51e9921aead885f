//! What statements write, said to the cache of results: before it can be seen by others, and when it is known how it ended.
//!
//! A statement by itself is announced before it is sent. In a transaction tables are gathered, and announced before COMMIT is
//! sent. Where a text begins or ends transactions by itself nobody knows what commits when: from then on every request
//! announces all that the session may have written, until the connection has been cleaned.

mod gathered;
mod shared;

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::future::{join, join_all};
use pgprime_footprint::{Control, Footprint, Writes};
use tokio::sync::Mutex as AsyncMutex;

use crate::statements::Effect;
use gathered::{Gathered, Names};
use shared::{OnRefusal, Open, Shared};

pub(crate) use shared::Announcer;
pub use shared::WriteReport;

/// What one session has written that is not said yet.
#[derive(Debug)]
pub(crate) struct SessionWrites {
    announcer: Announcer,
    session: Mutex<Session>,
    /// Transactions that have ended here.
    ended: AtomicU32,
    /// Held from a request's turn to be announced until it may be sent, so that requests keep their order.
    order: AsyncMutex<()>,
}

#[derive(Debug, Default)]
struct Session {
    /// Of statements whose COMMIT is still to come.
    gathered: Gathered,
    names: Names,
    transaction: Transaction,
    /// A text began or ended a transaction by itself.
    is_loose: bool,
    /// The driver's client was handed out.
    is_unseen: bool,
    /// Of requests whose futures were dropped: what still runs is known when the connection is quiet.
    given_up: Vec<Announced>,
}

/// What the open transaction, if any, may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Transaction {
    #[default]
    MayWrite,
    /// `READ ONLY`, as long as nothing but queries ran in it.
    ReadOnly,
}

/// What has to be said before a request is sent.
#[derive(Debug, Default)]
pub(super) struct Due {
    what: What,
    touches: bool,
}

#[derive(Debug, Default)]
enum What {
    #[default]
    Nothing,
    Later(Later),
    Now {
        writes: Gathered,
        on_refusal: OnRefusal,
    },
}

/// A statement of an open transaction.
#[derive(Debug)]
pub(crate) struct Later {
    /// How many had ended before.
    transaction: u32,
    footprint: Arc<Footprint>,
    names: Names,
}

/// What has been said of a request, for as long as it runs.
#[derive(Debug, Default)]
pub(crate) enum Announced {
    #[default]
    Nothing,
    /// It is in an open transaction: COMMIT announces it.
    Gathered(Later),
    Now(Box<Open>),
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Its answer has been read to the end.
    Answered,
    /// The server refused it.
    Refused,
    /// Nothing was sent.
    Unsent,
    /// The session was lost, so nobody knows what became of it.
    Lost,
}

/// The way of the word how a request ended. It arrives, too, when it is dropped halfway.
#[must_use = "whoever does not wait for it may read what is older than his own write"]
pub(crate) struct Telling(Option<Mutex<Work>>);

/// In a mutex that is never locked, since streams of rows can be shared between threads.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Due {
    /// Whether the session has to be cleaned before anybody else gets it.
    pub(super) fn touches(&self) -> bool {
        self.touches
    }
}

impl SessionWrites {
    pub(super) fn new(announcer: Announcer) -> Self {
        let (session, order) = (Mutex::default(), AsyncMutex::new(()));
        Self { announcer, session, ended: AtomicU32::new(0), order }
    }

    /// A transaction begins by this text.
    pub(super) fn begin(&self, sql: &str) {
        if self.announcer.shared().is_some() && sql.contains("READ ONLY") {
            self.session().transaction = Transaction::ReadOnly;
        }
    }

    /// Takes note of what a statement is about to write. At once, so that a COMMIT that is sent behind it finds it.
    pub(super) fn note(&self, sql: &str, is_in_transaction: bool) -> Due {
        let Some(shared) = self.announcer.shared() else {
            return Due::default();
        };
        // Before the look: a change in between is seen when the request has ended.
        let definitions = shared.definitions();
        let footprint = shared.footprint(sql);
        let mut session = self.session();
        if session.transaction == Transaction::ReadOnly && !session.is_loose {
            // SET TRANSACTION READ WRITE, for one, is no query.
            if footprint.control == Control::None && Effect::of(sql) == Effect::Contained {
                return Due::default();
            }
            session.transaction = Transaction::MayWrite;
        }
        let loosens = footprint.control == Control::Some;
        session.is_loose |= loosens;
        let touches = loosens || footprint.leaves_traces;
        // Of a text that changes names and writes, nobody knows which it does first.
        let names = session.names.after(sql, &footprint);
        session.names = names;
        let footprint = match (names, &footprint.writes) {
            // By another path it may call another function.
            (Names::Changed, Writes::Nothing) => shared.footprint_by_any_path(sql),
            _ => footprint,
        };
        let what = if session.is_loose {
            session.gathered.add(&footprint, names, definitions);
            match session.gathered.is_empty() {
                true => What::Nothing,
                // Part of it may be committed although the rest is refused.
                false => What::Now { writes: session.gathered.clone(), on_refusal: OnRefusal::Committed },
            }
        } else if footprint.writes == Writes::Nothing {
            What::Nothing
        } else if is_in_transaction {
            session.gathered.add(&footprint, names, definitions);
            let transaction = self.ended.load(Ordering::Acquire);
            What::Later(Later { transaction, footprint, names })
        } else {
            let writes = Gathered::of(&footprint, names, definitions);
            // What nothing is known of may have committed something before it failed, as a procedure can.
            let on_refusal = match footprint.writes {
                Writes::Anything { .. } => OnRefusal::Committed,
                _ => OnRefusal::RolledBack,
            };
            What::Now { writes, on_refusal }
        };
        Due { what, touches }
    }

    /// Takes note of the end of the library's own transaction: COMMIT or ROLLBACK.
    pub(super) fn note_end(&self, sql: &str) -> Due {
        if self.announcer.shared().is_none() {
            return Due::default();
        }
        let mut session = self.session();
        let is_loose = session.is_loose;
        let writes = match is_loose {
            true => session.gathered.clone(),
            false => std::mem::take(&mut session.gathered),
        };
        if sql != "COMMIT" || writes.is_empty() {
            return Due::default();
        }
        let on_refusal = if is_loose { OnRefusal::Committed } else { OnRefusal::RolledBack };
        Due { what: What::Now { writes, on_refusal }, touches: false }
    }

    /// Says what is due. Whoever comes later waits for it, too, so that requests are sent in the order of their notes.
    pub(super) async fn say(&self, due: Due) -> Announced {
        let Some(shared) = self.announcer.shared() else { return Announced::Nothing };
        match due.what {
            What::Now { writes, on_refusal } => Box::pin(self.say_now(shared, writes, on_refusal)).await,
            what => {
                if self.order.try_lock().is_err() {
                    drop(self.order.lock().await);
                }
                match what {
                    What::Later(later) => Announced::Gathered(later),
                    _ => Announced::Nothing,
                }
            }
        }
    }

    async fn say_now(&self, shared: &Arc<Shared>, writes: Gathered, on_refusal: OnRefusal) -> Announced {
        let _order = self.order.lock().await;
        Announced::Now(Box::new(shared.begin(writes, on_refusal).await))
    }

    /// The library's own transaction has ended.
    pub(super) fn ended(&self) {
        if self.announcer.shared().is_some() {
            self.ended.fetch_add(1, Ordering::AcqRel);
            self.session().transaction = Transaction::MayWrite;
        }
    }

    /// How a request ended.
    pub(super) fn tell(&self, announced: Announced, ending: Ending) -> Telling {
        match announced {
            Announced::Nothing => Telling(None),
            Announced::Gathered(later) => match ending {
                Ending::Answered | Ending::Lost if self.is_over(later.transaction) => {
                    self.tell_late(&later, ending)
                }
                _ => Telling(None),
            },
            Announced::Now(open) => match ending {
                Ending::Answered => Telling::of(open.committed()),
                Ending::Refused => Telling::boxed(open.refused()),
                Ending::Unsent => Telling::of(open.rolled_back()),
                Ending::Lost => {
                    open.unknown();
                    Telling(None)
                }
            },
        }
    }

    /// A statement that was sent behind the COMMIT for which its tables were gathered, as by a task that the closure of a
    /// transaction left behind, has committed by itself.
    fn tell_late(&self, later: &Later, ending: Ending) -> Telling {
        let Some(shared) = self.announcer.shared().cloned() else { return Telling(None) };
        let writes = Gathered::of(&later.footprint, later.names, shared.definitions());
        Telling::of(async move {
            let open = shared.begin(writes, OnRefusal::Committed).await;
            match ending {
                Ending::Lost => open.unknown(),
                _ => open.committed().await,
            }
        })
    }

    fn is_over(&self, transaction: u32) -> bool {
        self.ended.load(Ordering::Acquire) != transaction
    }

    /// Keeps what was said of a request that is not waited for any more.
    pub(super) fn give_up(&self, announced: Announced) {
        if !matches!(announced, Announced::Nothing) {
            self.session().given_up.push(announced);
        }
    }

    /// The driver's client is handed out: what is done with it is not seen.
    pub(super) fn lose_sight(&self) {
        if self.announcer.shared().is_some() {
            self.session().is_unseen = true;
        }
    }

    /// Whether the open transaction has written, or may have.
    pub(super) fn has_written(&self) -> bool {
        let session = self.session();
        let is_sure = session.given_up.is_empty() && !session.is_loose && !session.is_unseen;
        !is_sure || !session.gathered.is_empty()
    }

    /// The connection is quiet, and what was open has been rolled back: what was given up counts as committed.
    pub(super) async fn cleaned(&self) {
        let Some(shared) = self.announcer.shared() else { return };
        let Session { given_up, is_unseen, .. } = std::mem::take(&mut *self.session());
        let tellings: Vec<Telling> =
            given_up.into_iter().map(|announced| self.tell(announced, Ending::Answered)).collect();
        self.ended.fetch_add(1, Ordering::AcqRel);
        let unseen = async {
            if is_unseen {
                shared.everything_changed().await;
            }
        };
        // All are on their way at once, so that none is lost if this takes too long.
        Box::pin(join(unseen, join_all(tellings))).await;
    }

    /// Nothing panics while it holds this lock.
    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection is closed: what was given up may still be carried out.
impl Drop for SessionWrites {
    fn drop(&mut self) {
        let Some(shared) = self.announcer.shared() else { return };
        let Session { given_up, is_unseen, .. } = std::mem::take(&mut *self.session());
        for announced in given_up {
            let telling = self.tell(announced, Ending::Lost);
            if telling.0.is_some() {
                shared.carry_on(telling);
            }
        }
        if is_unseen {
            let unseen = Arc::clone(shared);
            shared.carry_on(async move {
                unseen.begin(Gathered::anything(), OnRefusal::Committed).await.unknown();
            });
        }
    }
}

impl Telling {
    fn of(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::boxed(Box::pin(work))
    }

    fn boxed(work: Work) -> Self {
        Self(Some(Mutex::new(work)))
    }
}

impl Future for Telling {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(work) = self.0.as_mut() else { return Poll::Ready(()) };
        let polled = work.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll(cx);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}
