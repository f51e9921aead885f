//! Waiting for a connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::task::coop;

use super::connector::Connector;
use super::effects::{Effects, WaiterId};
use super::lease::Lease;
use super::shared::{Shared, clock};
use super::state::{Asked, Outcome};
use super::work;
use crate::error::Error;

/// A request for a connection: first come, first served. Dropping it leaves the queue; a connection that it had been given
/// goes to the next.
///
/// It allocates nothing; its deadline is kept by the pool, so it has no timer of its own.
#[must_use = "a request for a connection does nothing unless awaited"]
pub(crate) struct Acquire<M: Connector> {
    /// `None` once it is done.
    shared: Option<Arc<Shared<M>>>,
    asked: Asked,
    /// Its place in the queue, once it has one.
    waiter: Option<WaiterId>,
}

impl<M: Connector> Acquire<M> {
    pub(super) fn new(shared: Arc<Shared<M>>, asked: Asked) -> Self {
        Self { shared: Some(shared), asked, waiter: None }
    }
}

impl<M: Connector> Future for Acquire<M> {
    type Output = Result<Lease<M>, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // A task that always finds a connection must still let others run.
        let budget = ready!(coop::poll_proceed(context));
        let this = self.get_mut();
        let shared = this.shared.as_ref().expect("a future is not polled after it is done");
        let mut effects = Effects::new();
        let outcome = match this.waiter {
            Some(waiter) => shared.lock().resume(waiter, context.waker()),
            None => {
                let now = clock();
                shared.lock().begin(this.asked, context.waker(), now, &mut effects)
            }
        };
        work::carry_out(shared, effects);
        let result = match outcome {
            Outcome::Waiting(waiter) => {
                this.waiter = Some(waiter);
                return Poll::Pending;
            }
            Outcome::Served(slot, connection) => Ok((slot, connection)),
            Outcome::Refused(error) => Err(error),
        };
        budget.made_progress();
        this.waiter = None;
        let shared = this.shared.take().expect("it was there above");
        Poll::Ready(result.map(|(slot, connection)| Lease::new(shared, slot, connection)))
    }
}

impl<M: Connector> Drop for Acquire<M> {
    fn drop(&mut self) {
        if let (Some(shared), Some(waiter)) = (&self.shared, self.waiter) {
            let mut effects = Effects::new();
            shared.lock().abandon(waiter, clock(), &mut effects);
            work::carry_out(shared, effects);
        }
    }
}
