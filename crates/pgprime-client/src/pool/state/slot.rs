//! One connection of a pool.

use std::panic::Location;
use std::time::Instant;

use pgprime_pool::{Permit, Rest};

use crate::pool::effects::SlotId;

/// One open connection.
#[derive(Debug)]
pub(super) struct Slot<T> {
    pub(super) place: Place<T>,
    connected_at: Instant,
    expires_at: Option<Instant>,
    /// When it last came back or answered.
    pub(super) proven_at: Instant,
    /// Since when it has been granted or held; without meaning while it idles.
    pub(super) busy_since: Instant,
    /// Gives the connection's place under the limits back.
    permit: Permit,
}

/// Where a connection is.
#[derive(Debug)]
pub(super) enum Place<T> {
    /// At rest; anybody may have it.
    Idle(T),
    /// Reserved for a task that has not come for it yet.
    Granted(T),
    /// With a task.
    Held { taken_at: &'static Location<'static>, is_reported: bool },
    /// Being checked or cleaned.
    Tended,
}

impl<T> Slot<T> {
    pub(super) fn new(connection: T, permit: Permit, expires_at: Option<Instant>, now: Instant) -> Self {
        Self {
            place: Place::Idle(connection),
            connected_at: now,
            expires_at,
            proven_at: now,
            busy_since: now,
            permit,
        }
    }

    /// The connection, if it is here, and its permit.
    pub(super) fn into_parts(self) -> (Option<T>, Permit) {
        (self.place.into_connection(), self.permit)
    }

    /// What the pool core wants to know of it.
    pub(super) fn rest(&self, server: SlotId) -> Rest<SlotId> {
        Rest { server, connected_at: self.connected_at, expires_at: self.expires_at }
    }

    /// The connection moves out, to where `place` says.
    pub(super) fn move_out(&mut self, place: Place<T>) -> Option<T> {
        std::mem::replace(&mut self.place, place).into_connection()
    }

    /// An idle connection is reserved.
    pub(super) fn grant(&mut self, now: Instant) {
        self.busy_since = now;
        if let Some(connection) = self.move_out(Place::Tended) {
            self.place = Place::Granted(connection);
        }
    }

    /// A reserved connection is so no more.
    pub(super) fn revoke(&mut self) {
        if let Some(connection) = self.move_out(Place::Tended) {
            self.place = Place::Idle(connection);
        }
    }
}

impl<T> Place<T> {
    fn into_connection(self) -> Option<T> {
        match self {
            Self::Idle(connection) | Self::Granted(connection) => Some(connection),
            Self::Held { .. } | Self::Tended => None,
        }
    }
}
