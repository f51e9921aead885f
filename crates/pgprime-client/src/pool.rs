//! A pool of connections to one database: who waits, who is served, what is opened and closed.
//!
//! `pgprime-pool` decides; this module gives it tasks, connections and time. The state lives under one short lock
//! ([`state`]), what has to happen outside of it is handed out as effects ([`effects`], [`work`]), and one maintenance task
//! keeps deadlines, checks, leaks and the size ([`maintenance`]).
//!
//! - A task that finds an idle connection takes one lock and no timer, and allocates nothing.
//! - A connection that comes back goes straight to the task that has waited longest; nobody else is woken.
//! - A connection is open only while its permit exists, whatever becomes of the task that opened or used it.

mod acquire;
mod connector;
mod effects;
mod lease;
mod maintenance;
mod options;
mod report;
mod shared;
mod state;
mod stats;
#[cfg(test)]
mod tests;
mod work;

use std::fmt;
use std::panic::Location;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use pgprime_pool::Limit;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::error::{Error, Step};
use effects::Effects;
use shared::{Shared, clock};
use state::{Asked, State};

pub(crate) use acquire::Acquire;
pub(crate) use connector::Connector;
pub(crate) use lease::Lease;
pub use options::PoolOptions;
pub use report::{ClosedTotals, HolderReport, Percentiles, PoolReport};

/// A pool; clones are the same pool. It is closed when the last of them is dropped.
pub(crate) struct Pool<M: Connector> {
    owner: Arc<Owner<M>>,
}

impl<M: Connector> Clone for Pool<M> {
    fn clone(&self) -> Self {
        Self { owner: Arc::clone(&self.owner) }
    }
}

impl<M: Connector> fmt::Debug for Pool<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("name", &self.owner.shared.name).finish_non_exhaustive()
    }
}

/// Ends with the last handle; leases and tasks keep no more than [`Shared`] alive.
struct Owner<M: Connector> {
    shared: Arc<Shared<M>>,
    maintenance: AbortHandle,
}

impl<M: Connector> Drop for Owner<M> {
    fn drop(&mut self) {
        self.maintenance.abort();
        work::shut(&self.shared);
    }
}

impl<M: Connector> Pool<M> {
    /// Starts a pool and the opening of its first connections. `database` is shared by all pools of one database.
    ///
    /// # Panics
    /// Outside of a tokio runtime with time.
    pub(crate) fn start(
        name: &'static str,
        connector: M,
        options: PoolOptions,
        database: Arc<Limit>,
    ) -> Self {
        let (runtime, connector, options) = (Handle::current(), Arc::new(connector), options.made_possible());
        let state = State::new(name, Arc::clone(&connector), options.clone(), database, clock());
        let shared = Shared::new(name, connector, options, runtime, state);
        let task = maintenance::maintain(Arc::downgrade(&shared), Arc::clone(&shared.rearm));
        let maintenance = shared.runtime.spawn(task).abort_handle();
        Self { owner: Arc::new(Owner { shared, maintenance }) }
    }

    /// A connection, as soon as it is this task's turn and within the pool's timeout.
    ///
    /// # Errors
    /// [`Error::Exhausted`] after the timeout, [`Error::Down`] while the database is out of reach, [`Error::Closed`].
    #[cfg(test)]
    #[track_caller]
    pub(crate) fn acquire(&self) -> Acquire<M> {
        self.acquire_within(self.owner.shared.options.timeout)
    }

    /// As [`Pool::acquire`], within another time.
    #[track_caller]
    pub(crate) fn acquire_within(&self, timeout: Duration) -> Acquire<M> {
        Acquire::new(Arc::clone(&self.owner.shared), Asked { taken_at: Location::caller(), timeout })
    }

    /// As [`Pool::acquire`], within another time if one is given, for a caller somewhere else in the source.
    pub(crate) fn acquire_at(
        &self,
        within: Option<Duration>,
        taken_at: &'static Location<'static>,
    ) -> Acquire<M> {
        let timeout = within.unwrap_or(self.owner.shared.options.timeout);
        Acquire::new(Arc::clone(&self.owner.shared), Asked { taken_at, timeout })
    }

    /// A connection, if one idles and nobody waits for it.
    #[track_caller]
    pub(crate) fn try_acquire(&self) -> Option<Lease<M>> {
        let shared = &self.owner.shared;
        let (mut effects, now) = (Effects::new(), clock());
        let taken = shared.lock().begin_now(Location::caller(), now, &mut effects);
        work::carry_out(shared, effects);
        taken.map(|(slot, connection)| Lease::new(Arc::clone(shared), slot, connection))
    }

    /// Opens the minimum of connections, so that the first requests need not. It ends after the pool's timeout at the
    /// latest, and is content then with what there is.
    ///
    /// # Errors
    /// Why not even one could be opened.
    pub(crate) async fn warm_up(&self) -> Result<(), Error> {
        let shared = &self.owner.shared;
        let wanted = shared.options.size_min as usize;
        let is_warm = until(shared, |state, effects| {
            state.fill(clock(), effects);
            let is_refused = state.failure().is_some_and(|cause| cause.step() == Step::Login);
            state.is_closed() || is_refused || state.size() >= wanted
        });
        let in_time = timeout(shared.options.timeout, is_warm).await.is_ok();
        let state = shared.lock();
        match state.size() {
            _ if state.is_closed() => Err(Error::Closed(shared.name)),
            size if size >= wanted => Ok(()),
            0 => Err(state.down()),
            size => {
                drop(state);
                tracing::warn!(pool = shared.name, size, wanted, in_time, "the pool is not warm yet");
                Ok(())
            }
        }
    }

    /// Hands out nothing more, and waits until all connections are closed, at most for the pool's timeout. Those still held
    /// then are closed as they come back.
    pub(crate) async fn close(&self) {
        let shared = &self.owner.shared;
        work::shut(shared);
        let is_empty = until(shared, |state, _| state.size() == 0);
        if timeout(shared.options.timeout, is_empty).await.is_err() {
            let holders = shared.lock().holders(clock());
            let longest = holders.first().map(ToString::to_string).unwrap_or_default();
            tracing::warn!(pool = shared.name, held = holders.len(), longest, "closed with connections held");
        }
        self.owner.maintenance.abort();
    }

    /// Tasks that wait for a connection because all are in use; none while the database is out of reach.
    pub(crate) fn waiting(&self) -> u32 {
        let state = self.owner.shared.lock();
        if state.is_failing() { 0 } else { state.waiting() }
    }

    /// How long a task waits unless it says otherwise.
    pub(crate) fn wait(&self) -> Duration {
        self.owner.shared.options.timeout
    }

    /// The pool in numbers.
    pub(crate) fn report(&self) -> PoolReport {
        self.owner.shared.lock().report(clock())
    }
}

/// Waits until the state is as asked for; it is looked at after every connection opened or closed, and every attempt.
async fn until<M: Connector>(
    shared: &Arc<Shared<M>>,
    mut is_so: impl FnMut(&mut State<M>, &mut Effects<M::Connection>) -> bool,
) {
    loop {
        let mut announced = pin!(shared.announce.notified());
        announced.as_mut().enable();
        let mut effects = Effects::new();
        let is_so = is_so(&mut shared.lock(), &mut effects);
        work::carry_out(shared, effects);
        if is_so {
            return;
        }
        announced.await;
    }
}
