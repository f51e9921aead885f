//! A connection on loan.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::connector::Connector;
use super::effects::{Effects, SlotId};
use super::shared::{Shared, clock};
use super::stats::End;
use super::work;

/// A connection that goes back to its pool when dropped: at once when it is clean, else after it has been cleaned. A panic
/// of the holder makes no difference.
pub(crate) struct Lease<M: Connector> {
    shared: Arc<Shared<M>>,
    slot: SlotId,
    /// `None` only while being dropped.
    connection: Option<M::Connection>,
}

impl<M: Connector> Lease<M> {
    pub(super) fn new(shared: Arc<Shared<M>>, slot: SlotId, connection: M::Connection) -> Self {
        Self { shared, slot, connection: Some(connection) }
    }

    /// Closes the connection instead of giving it back.
    pub(crate) fn discard(mut self) {
        if let Some(connection) = self.connection.take() {
            self.end(connection, End::Discarded);
        }
    }

    fn end(&self, connection: M::Connection, end: End) {
        let mut effects = Effects::new();
        self.shared.lock().close_held(self.slot, connection, end, clock(), &mut effects);
        work::carry_out(&self.shared, effects);
    }
}

impl<M: Connector> Deref for Lease<M> {
    type Target = M::Connection;

    fn deref(&self) -> &M::Connection {
        self.connection.as_ref().expect("a lease has its connection until it is dropped")
    }
}

impl<M: Connector> DerefMut for Lease<M> {
    fn deref_mut(&mut self) -> &mut M::Connection {
        self.connection.as_mut().expect("a lease has its connection until it is dropped")
    }
}

impl<M: Connector> Drop for Lease<M> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let shared = &self.shared;
        if shared.connector.is_closed(&connection) {
            self.end(connection, End::Died);
        } else if shared.connector.is_clean(&connection) && shared.connector.is_outdated(&connection) {
            self.end(connection, End::Lifetime);
        } else if shared.connector.is_clean(&connection) {
            let mut effects = Effects::new();
            let now = clock();
            shared.lock().give_back(self.slot, connection, now, &mut effects);
            work::carry_out(shared, effects);
        } else {
            shared.lock().begin_cleaning(self.slot, clock());
            work::spawn_cleaning(shared, self.slot, connection);
        }
    }
}
