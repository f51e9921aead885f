//! What is known of a session without asking it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio_postgres::types::WrongType;

/// What is known of a session without asking it.
#[derive(Debug, Default)]
pub(crate) struct SessionState {
    /// Requests sent whose answer has not been read to its end.
    in_flight: AtomicU32,
    in_transaction: AtomicBool,
    /// Something ran whose effect on the session is not known.
    is_touched: AtomicBool,
}

impl SessionState {
    /// Marks a request as sent. The mark stays when the value is dropped, as with a future given up halfway.
    pub(crate) fn request(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        InFlight(Arc::clone(self))
    }

    pub(crate) fn has_requests(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) > 0
    }

    pub(crate) fn in_transaction(&self) -> bool {
        self.in_transaction.load(Ordering::Acquire)
    }

    pub(crate) fn set_in_transaction(&self, value: bool) {
        self.in_transaction.store(value, Ordering::Release);
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
        !self.has_requests() && !self.in_transaction() && !self.is_touched()
    }

    /// After all has been cleaned.
    pub(crate) fn reset(&self) {
        self.in_flight.store(0, Ordering::Release);
        self.in_transaction.store(false, Ordering::Release);
        self.is_touched.store(false, Ordering::Release);
    }
}

/// A request that has been sent, or is about to be.
#[derive(Debug)]
#[must_use = "a request that is not finished makes the connection unclean"]
pub(crate) struct InFlight(Arc<SessionState>);

impl InFlight {
    /// Its answer has been read to the end.
    pub(crate) fn finish(self) {
        let less = |count: u32| Some(count.saturating_sub(1));
        let _ = self.0.in_flight.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
    }

    /// It failed. What the server says ends a request; after the driver's own errors rows may still be on their way.
    pub(crate) fn fail(self, error: &tokio_postgres::Error) {
        if error.as_db_error().is_some() || is_unsent(error) {
            self.finish();
        }
    }
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
        let state = Arc::new(SessionState::default());
        let (one, two) = (state.request(), state.request());
        one.finish();
        drop(two);
        assert!(state.has_requests() && !state.is_clean());
        state.reset();
        assert!(state.is_clean());
        state.touch();
        assert!(!state.is_clean());
    }
}
