//! What is known of a session without asking it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio_postgres::error::Severity;
use tokio_postgres::types::WrongType;

use super::announce::{Announced, Announcer, Due, Ending, SessionWrites, Telling};
use super::gate::Gate;

/// What is known of a session without asking it.
#[derive(Debug)]
pub(crate) struct SessionState {
    /// What it wrote that is not said yet.
    writes: SessionWrites,
    /// Requests sent whose answer has not been read to its end.
    in_flight: AtomicU32,
    in_transaction: AtomicBool,
    /// Something ran whose effect on the session is not known.
    is_touched: AtomicBool,
    /// Shut behind the end of a transaction.
    gate: Gate,
}

impl SessionState {
    pub(crate) fn new(announcer: Announcer) -> Self {
        Self {
            writes: SessionWrites::new(announcer),
            in_flight: AtomicU32::new(0),
            in_transaction: AtomicBool::new(false),
            is_touched: AtomicBool::new(false),
            gate: Gate::default(),
        }
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(crate) fn writes(&self) -> &SessionWrites {
        &self.writes
    }

    /// Marks a request as sent. The mark stays when the value is dropped, as with a future given up halfway.
    pub(crate) fn request(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        InFlight { state: Arc::clone(self), announced: Announced::default() }
    }

    pub(crate) fn has_requests(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) > 0
    }

    pub(crate) fn in_transaction(&self) -> bool {
        self.in_transaction.load(Ordering::Acquire)
    }

    /// A transaction begins by this text.
    pub(crate) fn begin(&self, sql: &str) {
        self.in_transaction.store(true, Ordering::Release);
        self.writes.begin(sql);
    }

    /// The transaction has ended.
    pub(crate) fn end(&self) {
        self.in_transaction.store(false, Ordering::Release);
        self.writes.ended();
    }

    pub(crate) fn touch(&self) {
        // Read first: statements that touch nothing must not write to a shared cache line either.
        if !self.is_touched() {
            self.is_touched.store(true, Ordering::Release);
        }
    }

    pub(crate) fn is_touched(&self) -> bool {
        self.is_touched.load(Ordering::Acquire)
    }

    pub(crate) fn is_clean(&self) -> bool {
        !self.has_requests() && !self.in_transaction() && !self.is_touched() && self.gate.is_open()
    }

    /// After all has been cleaned.
    pub(crate) fn reset(&self) {
        self.in_flight.store(0, Ordering::Release);
        self.in_transaction.store(false, Ordering::Release);
        self.is_touched.store(false, Ordering::Release);
        self.gate.open();
    }
}

/// A request that has been sent, or is about to be.
#[derive(Debug)]
#[must_use = "a request that is not finished makes the connection unclean"]
pub(crate) struct InFlight {
    state: Arc<SessionState>,
    announced: Announced,
}

impl InFlight {
    /// Says what a statement is about to write; in a transaction that is noted for its COMMIT.
    pub(crate) async fn announce(&mut self, sql: &str) {
        let due = self.state.writes.note(sql, self.state.in_transaction());
        if due.touches() {
            self.state.touch();
        }
        self.announced = self.state.writes.say(due).await;
    }

    /// Nothing is to be said; it waits until what was sent before it has been.
    pub(crate) async fn in_order(self) -> Self {
        drop(self.state.writes.say(Due::default()).await);
        self
    }

    /// Says what the transaction that ends now has written.
    pub(crate) async fn announce_end(&mut self, sql: &str) {
        let due = self.state.writes.note_end(sql);
        self.announced = self.state.writes.say(due).await;
    }

    /// Its answer has been read to the end.
    pub(crate) fn finish(self) -> Telling {
        self.over(Ending::Answered)
    }

    /// Nothing was sent.
    pub(crate) fn unsent(self) -> Telling {
        self.over(Ending::Unsent)
    }

    /// It failed. What the server says ends a request; after the driver's own errors rows may still be on their way.
    pub(crate) fn fail(self, error: &tokio_postgres::Error) -> Option<Telling> {
        match error.as_db_error() {
            // The session ends with it, at whatever moment: its COMMIT may have been carried out.
            Some(said) if is_fatal(said) => Some(self.over(Ending::Lost)),
            Some(_) => Some(self.over(Ending::Refused)),
            None if is_unsent(error) => Some(self.over(Ending::Unsent)),
            None => None,
        }
    }

    fn over(mut self, ending: Ending) -> Telling {
        let less = |count: u32| Some(count.saturating_sub(1));
        let _ = self.state.in_flight.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        let announced = std::mem::take(&mut self.announced);
        self.state.writes.tell(announced, ending)
    }
}

/// Given up halfway, or over, when there is nothing left.
impl Drop for InFlight {
    fn drop(&mut self) {
        self.state.writes.give_up(std::mem::take(&mut self.announced));
    }
}

fn is_fatal(said: &tokio_postgres::error::DbError) -> bool {
    let code = said.code().code();
    let ends_session = matches!(said.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
    ends_session || code.starts_with("57P") || code.starts_with("08")
}

/// Whether a parameter did not fit its type, so that the driver sent nothing.
pub(super) fn is_unsent(error: &tokio_postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<WrongType>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_is_given_up_stays_marked() {
        let state = Arc::new(SessionState::new(Announcer::default()));
        let (one, two) = (state.request(), state.request());
        drop(one.finish());
        drop(two);
        assert!(state.has_requests() && !state.is_clean());
        state.reset();
        assert!(state.is_clean());
        state.touch();
        assert!(!state.is_clean());
    }
}
