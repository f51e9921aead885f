//! What the state leaves to do: wake-ups, and tasks that open, check and clean connections.
//!
//! Each task carries a guard, so that a panic, a cancellation or the end of the runtime gives the permit and the slot back
//! like any other failure.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use pgprime_pool::Permit;
use tokio::time::timeout;

use super::connector::Connector;
use super::effects::{Effect, Effects, Purpose, SlotId};
use super::shared::{Shared, clock};
use crate::error::ConnectError;

/// A connection that has not answered for so long is replaced: an answer takes less than opening another.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// How long bringing a connection back to a known state may take; opening another is quicker than waiting for longer.
const CLEAN_TIMEOUT: Duration = Duration::from_secs(2);

/// Does what a transition has left to do. The lock must not be held.
#[inline]
pub(super) fn carry_out<M: Connector>(shared: &Arc<Shared<M>>, effects: Effects<M::Connection>) {
    if let Some(waker) = effects.wake {
        waker.wake();
    }
    if !effects.rest.is_empty() {
        carry_out_rest(shared, effects.rest);
    }
}

#[cold]
fn carry_out_rest<M: Connector>(shared: &Arc<Shared<M>>, effects: Vec<Effect<M::Connection>>) {
    let mut has_freed = false;
    for effect in effects {
        match effect {
            Effect::Wake(waker) => waker.wake(),
            Effect::Close(connection, permit) => {
                drop(connection);
                drop(permit);
                has_freed = true;
            }
            Effect::Connect(permit) => {
                let attempt = Attempt { shared: Arc::clone(shared), permit: Some(permit) };
                drop(shared.runtime.spawn(open(attempt)));
            }
            Effect::Check(slot, connection, purpose) => {
                let care = Check { shared: Arc::clone(shared), slot, connection: Some(connection), purpose };
                drop(shared.runtime.spawn(check(care)));
            }
            Effect::ReportLeak(taken_at, held) => tracing::warn!(
                pool = shared.name,
                taken_at = %taken_at,
                held_s = held.as_secs(),
                "a connection has not been given back"
            ),
            Effect::Rearm => shared.rearm.notify_one(),
            Effect::Announce => shared.announce.notify_waiters(),
        }
    }
    if has_freed {
        let mut effects = Effects::new();
        shared.lock().freed(clock(), &mut effects);
        carry_out(shared, effects);
    }
}

/// Closes the pool: hands out nothing more and closes what idles. What is out is closed when it comes back.
pub(super) fn shut<M: Connector>(shared: &Arc<Shared<M>>) {
    let mut effects = Effects::new();
    shared.lock().shut(clock(), &mut effects);
    carry_out(shared, effects);
    shared.closing.notify_waiters();
}

/// Cleans, before anybody else gets it, a connection that came back in the middle of something.
pub(super) fn spawn_cleaning<M: Connector>(shared: &Arc<Shared<M>>, slot: SlotId, connection: M::Connection) {
    let cleaning = Cleaning { shared: Arc::clone(shared), slot, connection: Some(connection) };
    drop(shared.runtime.spawn(clean(cleaning)));
}

/// An attempt to connect; one that ends without an outcome has failed.
struct Attempt<M: Connector> {
    shared: Arc<Shared<M>>,
    permit: Option<Permit>,
}

async fn open<M: Connector>(attempt: Attempt<M>) {
    let shared = Arc::clone(&attempt.shared);
    let limit = shared.options.connect_timeout;
    match shared.unless_closing(within(limit, shared.connector.connect())).await {
        // One that is dead on arrival would be opened again and again without a pause.
        Some(Some(Ok(connection))) if shared.connector.is_closed(&connection) => {
            drop(connection);
            attempt.failed_because("the connection was closed as soon as it was open".to_string());
        }
        Some(Some(Ok(connection))) => attempt.succeeded(connection),
        Some(Some(Err(error))) => attempt.failed(error),
        Some(None) => attempt.failed_because(format!("no answer within {} ms", limit.as_millis())),
        None => attempt.failed_because("the pool has been closed".to_string()),
    }
}

/// A limit of zero is none.
async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    if limit.is_zero() { Some(future.await) } else { timeout(limit, future).await.ok() }
}

impl<M: Connector> Attempt<M> {
    fn succeeded(mut self, connection: M::Connection) {
        let Some(permit) = self.permit.take() else { return };
        let now = clock();
        let expires_at =
            self.shared.options.lifetime_with(fastrand::f64()).and_then(|lifetime| now.checked_add(lifetime));
        let mut effects = Effects::new();
        let recovered = {
            let mut state = self.shared.lock();
            let was_failing = state.is_failing();
            state.connected(connection, permit, expires_at, now, &mut effects);
            was_failing
        };
        carry_out(&self.shared, effects);
        if recovered {
            tracing::info!(pool = self.shared.name, "the database can be reached again");
        }
    }

    fn failed_because(self, reason: String) {
        let target = self.shared.connector.target();
        self.failed(ConnectError::Unreachable { target, reason });
    }

    fn failed(mut self, error: ConnectError) {
        self.report(error);
    }

    fn report(&mut self, error: ConnectError) {
        let Some(permit) = self.permit.take() else { return };
        let text = error.to_string();
        let mut effects = Effects::new();
        let is_first = {
            let mut state = self.shared.lock();
            let is_first = !state.is_failing() && !state.is_closed();
            state.connect_failed(error, permit, clock(), &mut effects);
            is_first
        };
        // Once for an outage: each task that is refused gets the cause.
        if is_first {
            tracing::warn!(pool = self.shared.name, error = text, "no connection can be opened");
        }
        carry_out(&self.shared, effects);
    }
}

impl<M: Connector> Drop for Attempt<M> {
    fn drop(&mut self) {
        if self.permit.is_some() {
            let (target, reason) = (self.shared.connector.target(), "the attempt was broken off".to_string());
            self.report(ConnectError::Unreachable { target, reason });
        }
    }
}

/// A connection being asked whether it still answers; one that is dropped has not.
struct Check<M: Connector> {
    shared: Arc<Shared<M>>,
    slot: SlotId,
    connection: Option<M::Connection>,
    purpose: Purpose,
}

async fn check<M: Connector>(mut care: Check<M>) {
    let shared = Arc::clone(&care.shared);
    let Some(connection) = care.connection.as_mut() else { return };
    let answer = shared.unless_closing(timeout(CHECK_TIMEOUT, shared.connector.check(connection))).await;
    if !matches!(answer, Some(Ok(true))) {
        return;
    }
    if let Some(connection) = care.connection.take() {
        let mut effects = Effects::new();
        shared.lock().checked(care.slot, connection, care.purpose, clock(), &mut effects);
        carry_out(&shared, effects);
    }
}

impl<M: Connector> Drop for Check<M> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let mut effects = Effects::new();
            self.shared.lock().check_failed(self.slot, connection, self.purpose, clock(), &mut effects);
            carry_out(&self.shared, effects);
        }
    }
}

/// A connection being brought back to a known state; one that is dropped has not been.
struct Cleaning<M: Connector> {
    shared: Arc<Shared<M>>,
    slot: SlotId,
    connection: Option<M::Connection>,
}

async fn clean<M: Connector>(mut care: Cleaning<M>) {
    let shared = Arc::clone(&care.shared);
    let Some(connection) = care.connection.as_mut() else { return };
    // Also while the pool is being closed: what was given up would go on in the database.
    let outcome = timeout(CLEAN_TIMEOUT, shared.connector.clean(connection)).await;
    if !matches!(outcome, Ok(true)) {
        return;
    }
    if let Some(connection) = care.connection.take() {
        let mut effects = Effects::new();
        shared.lock().cleaned(care.slot, connection, clock(), &mut effects);
        carry_out(&shared, effects);
    }
}

impl<M: Connector> Drop for Cleaning<M> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let mut effects = Effects::new();
            self.shared.lock().cleaning_failed(self.slot, connection, clock(), &mut effects);
            carry_out(&self.shared, effects);
        }
    }
}
