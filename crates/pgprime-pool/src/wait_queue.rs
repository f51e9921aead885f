//! Clients waiting for a server: first in, first out, with removal of any of them in constant time.

use std::collections::VecDeque;
use std::time::Instant;

/// A place in the queue; the licence to leave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

#[derive(Debug)]
struct Waiter<C> {
    client: C,
    since: Instant,
}

/// Tickets begin here, so that those who return to the front find a number, too.
const FIRST: u64 = 1 << 63;

/// A queue in which a removed waiter leaves a hole that is skipped later.
#[derive(Debug)]
pub(crate) struct WaitQueue<C> {
    places: VecDeque<Option<Waiter<C>>>,
    first: u64,
    len: usize,
}

impl<C> WaitQueue<C> {
    pub(crate) fn new() -> Self {
        Self { places: VecDeque::new(), first: FIRST, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn push(&mut self, client: C, since: Instant) -> Ticket {
        let ticket = Ticket(self.first + self.places.len() as u64);
        self.places.push_back(Some(Waiter { client, since }));
        self.len += 1;
        ticket
    }

    /// Puts a client at the front: it has waited since then and was served in vain.
    pub(crate) fn push_front(&mut self, client: C, since: Instant) -> Ticket {
        self.places.push_front(Some(Waiter { client, since }));
        self.first -= 1;
        self.len += 1;
        Ticket(self.first)
    }

    /// Takes the waiter with this ticket out; `None` when it was served already.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<C> {
        let index = usize::try_from(ticket.0.checked_sub(self.first)?).ok()?;
        let waiter = self.places.get_mut(index)?.take()?;
        self.len -= 1;
        self.skip_holes();
        Some(waiter.client)
    }

    pub(crate) fn pop(&mut self) -> Option<(C, Instant)> {
        let waiter = self.places.pop_front()??;
        self.first += 1;
        self.len -= 1;
        self.skip_holes();
        Some((waiter.client, waiter.since))
    }

    /// Since when the first in the queue has been waiting.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.places.front()?.as_ref().map(|waiter| waiter.since)
    }

    /// Keeps the invariant that the front is never a hole.
    fn skip_holes(&mut self) {
        while let Some(None) = self.places.front() {
            self.places.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serves_in_order_and_forgets_who_left() {
        let now = Instant::now();
        let mut queue = WaitQueue::new();
        let tickets: Vec<Ticket> = (0..6).map(|client| queue.push(client, now)).collect();
        assert_eq!(queue.remove(tickets[0]), Some(0));
        assert_eq!(queue.remove(tickets[2]), Some(2));
        assert_eq!(queue.remove(tickets[2]), None);
        assert_eq!(queue.pop().map(|(client, _)| client), Some(1));
        assert_eq!(queue.remove(tickets[1]), None);
        assert_eq!(queue.len(), 3);
        assert_eq!(
            std::iter::from_fn(|| queue.pop()).map(|(client, _)| client).collect::<Vec<_>>(),
            [3, 4, 5]
        );
        assert!(queue.is_empty() && queue.oldest().is_none());
        let ticket = queue.push(9, now);
        let front = queue.push_front(8, now);
        assert_eq!(queue.remove(front), Some(8));
        queue.push_front(7, now);
        assert_eq!(queue.pop().map(|(client, _)| client), Some(7));
        assert_eq!(queue.remove(ticket), Some(9));
    }
}
