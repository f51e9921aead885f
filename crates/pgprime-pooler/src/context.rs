//! What everything on the cold side shares.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pgprime_pool::{Limit, WorkerIndex};
use pgprime_wire::scram::ScramVerifier;
use tokio::sync::{Semaphore, oneshot, watch};

use crate::core::{MeasuredPage, MeasuredPart, WorkerSnapshot};
use crate::directory::Directory;
use crate::mail::{Detail, Mail, MailSender};
use crate::statistics::Statistics;

/// Connections that have not logged in yet. Beyond, they are refused: a flood of them must not use up every file
/// descriptor.
pub(crate) const LOGINS_IN_FLIGHT_MAX: u32 = 10_000;

/// How far the pooler is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Running,
    /// No new connections; ends when the last client has gone.
    WaitForClients,
    /// No new connections or transactions; ends when the last server is free.
    WaitForServers,
    /// Ends at once.
    Stop,
}

/// Directory, workers and the little state of the cold side.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) directory: Directory,
    pub(crate) logins: Arc<Limit>,
    /// Steps of clients' TLS handshakes at once: half of the processors, as the workers need theirs.
    pub(crate) handshakes: Arc<Semaphore>,
    pub(crate) statistics: Statistics,
    pub(crate) stage: watch::Sender<Stage>,
    workers: Vec<MailSender>,
    next_worker: AtomicUsize,
    next_host: AtomicUsize,
    /// Verifiers made from plain passwords, by user: deriving one costs milliseconds.
    verifiers: Mutex<HashMap<String, ScramVerifier>>,
    /// Makes the salts of unknown users: always the same for a name, and not to be told from real ones.
    pub(crate) decoy: [u8; 16],
}

fn handshakes_at_once() -> usize {
    std::thread::available_parallelism().map_or(1, |count| (count.get() / 2).max(1))
}

impl Context {
    pub(crate) fn new(directory: Directory, workers: Vec<MailSender>) -> Self {
        Self {
            directory,
            logins: Limit::new(LOGINS_IN_FLIGHT_MAX),
            handshakes: Arc::new(Semaphore::new(handshakes_at_once())),
            statistics: Statistics::default(),
            stage: watch::Sender::new(Stage::Running),
            workers,
            next_worker: AtomicUsize::new(0),
            next_host: AtomicUsize::new(0),
            verifiers: Mutex::new(HashMap::new()),
            decoy: crate::random::bytes(),
        }
    }

    pub(crate) fn mail(&self, worker: WorkerIndex, mail: Mail) -> bool {
        self.workers.get(usize::from(worker.0)).is_some_and(|worker| worker.send(mail))
    }

    pub(crate) fn mail_all(&self, mail: impl Fn() -> Mail) {
        for worker in &self.workers {
            worker.send(mail());
        }
    }

    /// The worker for the next client, in turn.
    pub(crate) fn next_worker(&self) -> WorkerIndex {
        let turn = self.next_worker.fetch_add(1, Ordering::Relaxed) % self.workers.len().max(1);
        WorkerIndex(u16::try_from(turn).unwrap_or_default())
    }

    /// Where to begin in a list of hosts, in turn.
    pub(crate) fn next_host(&self) -> usize {
        self.next_host.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Moves on towards the end, never back.
    pub(crate) fn advance(&self, stage: Stage) {
        self.stage.send_if_modified(|current| {
            let is_later = stage > *current;
            *current = stage.max(*current);
            is_later
        });
    }

    /// The verifier for a user's plain password, if it was made before.
    pub(crate) fn verifier(&self, user: &str, password: &str) -> Option<ScramVerifier> {
        let verifiers = self.verifiers.lock().unwrap_or_else(PoisonError::into_inner);
        verifiers.get(&verifier_key(user, password)).cloned()
    }

    pub(crate) fn keep_verifier(&self, user: &str, password: &str, verifier: ScramVerifier) {
        let mut verifiers = self.verifiers.lock().unwrap_or_else(PoisonError::into_inner);
        verifiers.insert(verifier_key(user, password), verifier);
    }

    /// Forgets what was derived from passwords.
    pub(crate) fn forget_verifiers(&self) {
        self.verifiers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The state of every worker, in the order of the workers.
    pub(crate) async fn snapshot(&self, detail: Detail) -> Vec<WorkerSnapshot> {
        let mut replies = Vec::with_capacity(self.workers.len());
        for worker in &self.workers {
            let (reply, received) = oneshot::channel();
            worker.send(Mail::Snapshot { detail, reply });
            replies.push(received);
        }
        let mut snapshots = Vec::with_capacity(replies.len());
        for reply in replies {
            // A worker that has ended has nothing to show.
            snapshots.push(reply.await.unwrap_or_default());
        }
        snapshots
    }

    /// What every worker has measured, a page at a time: between two of them it serves its clients.
    pub(crate) async fn measured(&self, part: MeasuredPart) -> Vec<MeasuredPage> {
        let mut pages = Vec::new();
        for worker in &self.workers {
            let mut from = Some(0);
            while let Some(place) = from {
                let (reply, received) = oneshot::channel();
                worker.send(Mail::Measured { part, from: place, reply });
                // A worker that has ended has nothing to show.
                let page = received.await.unwrap_or_default();
                from = page.next;
                pages.push(page);
            }
        }
        pages
    }
}

fn verifier_key(user: &str, password: &str) -> String {
    format!("{user}\0{password}")
}
