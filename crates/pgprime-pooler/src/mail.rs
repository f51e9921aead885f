//! What reaches a worker from outside, and what a worker asks of the cold side.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use pgprime_pool::{Failure, Permit, WorkerIndex};
use tokio::sync::oneshot;

use crate::core::{
    ClientId, ClientJoin, CoreSettings, LentServer, MeasuredPage, MeasuredPart, PoolIndex, PoolSetup,
    ServerId, ServerInfo, ServerJoin, Welcome, WorkerSnapshot,
};
use crate::slots::ClientSlot;
use crate::transport::Transport;

/// A message to a worker.
#[derive(Debug)]
pub(crate) enum Mail {
    AddPool(Box<PoolSetup>),
    Settings(Box<CoreSettings>),
    Client(Box<NewClient>),
    Server {
        pool: PoolIndex,
        join: Box<ServerJoin>,
        transport: Transport,
    },
    ConnectFailed {
        pool: PoolIndex,
        failure: Failure,
        reason: String,
    },
    Lent {
        server: LentServer,
        transport: Transport,
    },
    /// What a server of the pool has reported at its login, on whichever worker it will be.
    Welcome {
        pool: PoolIndex,
        welcome: Box<Welcome>,
    },
    Asked {
        pool: PoolIndex,
        by: WorkerIndex,
    },
    Cancel {
        process_id: u32,
        secret: Vec<u8>,
    },
    CancelSent(ServerId),
    Pause(PoolIndex),
    Resume(PoolIndex),
    Reconnect(PoolIndex),
    Kill(PoolIndex),
    KillClient {
        id: ClientId,
        killed: oneshot::Sender<bool>,
    },
    Snapshot {
        detail: Detail,
        reply: oneshot::Sender<WorkerSnapshot>,
    },
    Measured {
        part: MeasuredPart,
        from: usize,
        reply: oneshot::Sender<MeasuredPage>,
    },
    ResetMeasures,
    /// Close everything and end.
    Shutdown,
}

/// A client that has logged in, with its session and what it had sent too early.
#[derive(Debug)]
pub(crate) struct NewClient {
    pub(crate) join: ClientJoin,
    pub(crate) transport: Transport,
    pub(crate) early: Vec<u8>,
    pub(crate) slot: ClientSlot,
}

/// How much of a worker's state is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    Pools,
    Everything,
}

/// A worker's letter box. Cloning is cheap.
#[derive(Clone, Debug)]
pub(crate) struct MailSender {
    letters: mpsc::Sender<Mail>,
    bell: Arc<Bell>,
}

/// Wakes a worker, once for all letters that come before it looks.
#[derive(Debug)]
pub(crate) struct Bell {
    waker: mio::Waker,
    is_rung: AtomicBool,
}

impl Bell {
    pub(crate) fn new(waker: mio::Waker) -> Arc<Self> {
        Arc::new(Self { waker, is_rung: AtomicBool::new(false) })
    }

    /// The worker is going to look: letters from now on ring again.
    pub(crate) fn silence(&self) {
        self.is_rung.store(false, Ordering::SeqCst);
    }

    fn ring(&self) {
        if !self.is_rung.swap(true, Ordering::SeqCst)
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "a worker could not be woken");
        }
    }
}

impl MailSender {
    pub(crate) fn new(letters: mpsc::Sender<Mail>, bell: Arc<Bell>) -> Self {
        Self { letters, bell }
    }

    /// Sends a message; `false` when the worker has ended.
    pub(crate) fn send(&self, mail: Mail) -> bool {
        let sent = self.letters.send(mail).is_ok();
        if sent {
            self.bell.ring();
        }
        sent
    }
}

/// What a worker asks of the cold side.
#[derive(Debug)]
pub(crate) enum ColdRequest {
    Connect { worker: WorkerIndex, pool: PoolIndex, permit: Permit },
    Cancel { worker: WorkerIndex, pool: PoolIndex, server: Option<ServerId>, info: Box<ServerInfo> },
}
