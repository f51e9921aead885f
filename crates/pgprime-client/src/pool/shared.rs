//! What all handles, leases and tasks of one pool share.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::connector::Connector;
use super::options::PoolOptions;
use super::state::State;

/// One pool. The lock is held for a transition of the state, never for I/O, a wake-up or a destructor of a connection.
pub(super) struct Shared<M: Connector> {
    pub(super) name: &'static str,
    pub(super) connector: Arc<M>,
    pub(super) options: PoolOptions,
    /// Where the pool's tasks run, also for a lease that is dropped outside of it.
    pub(super) runtime: Handle,
    state: Mutex<State<M>>,
    /// The next alarm has moved forward.
    pub(super) rearm: Arc<Notify>,
    /// A connection has been opened or closed, or could not be opened.
    pub(super) announce: Notify,
    /// The pool has been closed.
    pub(super) closing: Notify,
}

impl<M: Connector> Shared<M> {
    pub(super) fn new(
        name: &'static str,
        connector: Arc<M>,
        options: PoolOptions,
        runtime: Handle,
        state: State<M>,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            connector,
            options,
            runtime,
            state: Mutex::new(state),
            rearm: Arc::new(Notify::new()),
            announce: Notify::new(),
            closing: Notify::new(),
        })
    }

    /// A panic under the lock cannot leave half a transition that matters: transitions run no code of others but
    /// `is_closed`.
    pub(super) fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries a future out unless the pool is closed before it ends.
    pub(super) async fn unless_closing<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut closing = pin!(self.closing.notified());
        closing.as_mut().enable();
        if self.lock().is_closed() {
            return None;
        }
        tokio::select! {
            biased;
            output = future => Some(output),
            () = closing => None,
        }
    }
}

/// The runtime's clock, which tests can stop; without tests it is the system's.
pub(super) fn clock() -> Instant {
    tokio::time::Instant::now().into_std()
}
