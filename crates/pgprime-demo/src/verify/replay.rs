//! An ideal queue: the very requests of a run, served in the order of their arrival at no cost.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A request as the ideal queue sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) due_ns: u64,
    /// For how long it holds a server.
    pub(super) held_ns: u64,
}

/// How long each arrival waits for one of `servers`, in nanoseconds; arrivals are in the order of time. A server is
/// free at the moment its last request ends, so an arrival waits for the one that is free first.
pub(super) fn waits_ns(arrivals: &[Arrival], servers: u32) -> Vec<u64> {
    let mut free_at: BinaryHeap<Reverse<u64>> = (0..servers).map(|_| Reverse(0)).collect();
    let mut wait = |arrival: &Arrival| {
        let Reverse(free_ns) = free_at.pop().unwrap_or_default();
        let begun_ns = free_ns.max(arrival.due_ns);
        free_at.push(Reverse(begun_ns + arrival.held_ns));
        begun_ns - arrival.due_ns
    };
    arrivals.iter().map(&mut wait).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_free_server_takes_the_next() {
        let arrivals = [(0, 10), (1, 3), (2, 5), (3, 1), (20, 1)];
        let arrivals = arrivals.map(|(due_ns, held_ns)| Arrival { due_ns, held_ns });
        // Two servers: the second is free at 4 for the third arrival, and at 9 for the fourth.
        assert_eq!(waits_ns(&arrivals, 2), [0, 0, 2, 6, 0]);
        assert_eq!(waits_ns(&arrivals, 1), [0, 9, 11, 15, 0]);
        assert_eq!(waits_ns(&arrivals, 5), [0; 5]);
        assert_eq!(waits_ns(&[], 1), [0; 0]);
    }
}
