//! The same names as in `announce` without a cache: there is nobody to say anything to.

use std::pin::Pin;
use std::task::{Context, Poll};

/// Says nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Announcer;

impl Announcer {
    pub(crate) fn era(&self) -> u64 {
        0
    }
}

#[derive(Debug)]
pub(crate) struct SessionWrites;

#[derive(Default)]
pub(super) struct Due;

#[derive(Debug, Default)]
pub(crate) struct Announced;

#[derive(Clone, Copy)]
pub(super) enum Ending {
    Answered,
    Refused,
    Unsent,
    Lost,
}

/// Arrives at once.
#[must_use]
pub(crate) struct Telling;

impl Due {
    pub(super) fn touches(&self) -> bool {
        false
    }
}

impl SessionWrites {
    pub(super) fn new(_announcer: Announcer) -> Self {
        Self
    }

    pub(super) fn begin(&self, _sql: &str) {}

    pub(super) fn note(&self, _sql: &str, _is_in_transaction: bool) -> Due {
        Due
    }

    pub(super) fn note_end(&self, _sql: &str) -> Due {
        Due
    }

    pub(super) async fn say(&self, _due: Due) -> Announced {
        Announced
    }

    pub(super) fn ended(&self) {}

    pub(super) fn tell(&self, _announced: Announced, _ending: Ending) -> Telling {
        Telling
    }

    pub(super) fn give_up(&self, _announced: Announced) {}

    pub(super) fn lose_sight(&self) {}

    pub(super) async fn cleaned(&self) {}
}

impl Future for Telling {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}
