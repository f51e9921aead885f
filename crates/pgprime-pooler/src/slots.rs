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
    /// Takes a place under each limit, or none; the index of the limit that is used up otherwise.
    pub(crate) fn take(limits: &[&Arc<Limit>]) -> Result<Self, usize> {
        let mut slot = Self { taken: Vec::with_capacity(limits.len()) };
        for (index, limit) in limits.iter().enumerate() {
            if !limit.try_take_one() {
                return Err(index);
            }
            slot.taken.push(Arc::clone(limit));
        }
        Ok(slot)
    }
}

impl Drop for ClientSlot {
    fn drop(&mut self) {
        for limit in &self.taken {
            limit.give_one_back();
        }
    }
}
