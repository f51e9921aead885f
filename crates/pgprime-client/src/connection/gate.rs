//! Nothing is sent behind the end of a transaction by those who still have a handle of it: it would be carried out by itself.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

/// Whether statements may be sent. The driver sends a request at the first poll of its future, so that poll is what it guards.
#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<State>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    Shut,
}

impl Gate {
    /// Sends a request; `None`, and nothing is sent, while it is shut.
    pub(super) async fn pass<F: Future>(&self, request: F) -> Option<F::Output> {
        self.send(request, State::Open).await
    }

    /// Sends what is the last request until it is opened again.
    pub(super) async fn shut<F: Future>(&self, request: F) -> F::Output {
        let sent = self.send(request, State::Shut).await;
        sent.expect("who shuts it is sent in any case")
    }

    pub(super) fn open(&self) {
        *self.state() = State::Open;
    }

    pub(super) fn is_open(&self) -> bool {
        *self.state() == State::Open
    }

    /// Sends, and leaves it in this state.
    async fn send<F: Future>(&self, request: F, after: State) -> Option<F::Output> {
        let mut request = pin!(request);
        let first = poll_fn(|context| {
            let mut state = self.state();
            if (*state, after) == (State::Shut, State::Open) {
                return Poll::Ready(None);
            }
            *state = after;
            Poll::Ready(Some(request.as_mut().poll(context)))
        });
        match first.await? {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => Some(request.await),
        }
    }

    /// Nothing is left half done by a poll that panics.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn nothing_passes_behind_the_last() {
        let (gate, sent) = (Gate::default(), Cell::new(Vec::new()));
        let send = |number: u8| {
            let sent = &sent;
            async move {
                sent.set([sent.take(), vec![number]].concat());
                tokio::task::yield_now().await;
                number
            }
        };
        assert_eq!(gate.pass(send(1)).await, Some(1));
        let late = gate.pass(send(3));
        assert_eq!(gate.shut(send(2)).await, 2);
        assert_eq!(late.await, None);
        assert_eq!(gate.shut(send(4)).await, 4);
        gate.open();
        assert_eq!(gate.pass(send(5)).await, Some(5));
        assert_eq!(sent.take(), [1, 2, 4, 5]);
    }
}
