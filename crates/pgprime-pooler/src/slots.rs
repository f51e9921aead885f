//! How many clients there are, of all, of a database and of a user. A slot is taken at login and given back by its
//! drop, wherever the connection ends.

use std::sync::Arc;

use pgprime_pool::Limit;

/// A client's place under the limits that count clients.
#[derive(Debug)]
pub(crate) struct ClientSlot {
    taken: Vec<Arc<Limit>>,
}

impl ClientSlot {
    /// No place yet.
    pub(crate) fn new() -> Self {
        Self { taken: Vec::with_capacity(3) }
    }

    /// Takes a place under one more limit; `false` when it is used up.
    pub(crate) fn take(&mut self, limit: &Arc<Limit>) -> bool {
        let is_taken = limit.try_take_one();
        if is_taken {
            self.taken.push(Arc::clone(limit));
        }
        is_taken
    }
}

impl Drop for ClientSlot {
    fn drop(&mut self) {
        for limit in &self.taken {
            limit.give_one_back();
        }
    }
}
