//! Single flight: of all readers that miss the same result, one fills and the others wait for it.
//!
//! A flight is identified by its key and by the epochs its readers saw: a reader that starts after a commit has seen other
//! epochs, and so never waits for a fill that began before it. Where epochs cannot be known, a flight departs: who comes
//! after its fill began boards the next one, which begins when the one before has ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::key::Key;
use crate::served::Served;
use crate::stamp::Stamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FlightId {
    pub(crate) key: Key,
    pub(crate) stamp: Stamp,
}

struct Flight {
    /// One permit: whoever has it fills. Dropped with its holder, it goes to the next in line, so nobody waits for a
    /// leader that is gone. Closed when the flight has ended.
    baton: Arc<Semaphore>,
    /// None in it: everyone fills for himself.
    end: OnceLock<Option<Served>>,
}

/// The flights under way.
#[derive(Clone)]
pub(crate) struct Flights {
    open: Arc<Mutex<HashMap<FlightId, Open>>>,
    flights_max: usize,
}

struct Open {
    flight: Arc<Flight>,
    seats: usize,
}

impl Flights {
    pub(crate) fn new(flights_max: usize) -> Flights {
        Flights { open: Arc::default(), flights_max }
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// A seat in the flight `id`, which begins with it if there is none. None if there are too many flights.
    pub(crate) fn join(&self, id: FlightId) -> Option<Seat> {
        let mut open = self.lock();
        let is_full = open.len() >= self.flights_max;
        let entry = match open.entry(id) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(_) if is_full => return None,
            std::collections::hash_map::Entry::Vacant(entry) => {
                let flight = Flight { baton: Arc::new(Semaphore::new(1)), end: OnceLock::new() };
                entry.insert(Open { flight: Arc::new(flight), seats: 0 })
            }
        };
        entry.seats += 1;
        let flight = entry.flight.clone();
        drop(open);
        Some(Seat { flights: self.clone(), id, flight })
    }

    /// Waits until no other flight of `key` that departs is in the air. The answer keeps others waiting, until it is
    /// dropped; none if there are too many flights.
    pub(crate) async fn runway(&self, key: Key) -> Option<Lead> {
        // A flight that never lands: its baton goes from one to the next.
        let seat = self.join(FlightId { key, stamp: Stamp::from_bytes([0xff; 16]) })?;
        match seat.wait().await {
            Turn::Lead(lead) => Some(lead),
            Turn::Landed(_) | Turn::Failed => None,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<FlightId, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader's place in a flight; the flight is forgotten with the last of them.
pub(crate) struct Seat {
    flights: Flights,
    id: FlightId,
    flight: Arc<Flight>,
}

/// What becomes of a reader that waits.
pub(crate) enum Turn {
    /// It is to fill.
    Lead(Lead),
    Landed(Served),
    /// The fill failed: everyone for himself.
    Failed,
}

impl Seat {
    pub(crate) async fn wait(self) -> Turn {
        match self.flight.baton.clone().acquire_owned().await {
            Ok(baton) => Turn::Lead(Lead { seat: self, _baton: baton }),
            Err(_closed) => match self.flight.end.get() {
                Some(Some(served)) => Turn::Landed(served.clone()),
                _ => Turn::Failed,
            },
        }
    }

    /// The lead, if nobody has it.
    pub(crate) fn try_lead(self) -> Option<Lead> {
        let baton = self.flight.baton.clone().try_acquire_owned().ok()?;
        Some(Lead { seat: self, _baton: baton })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.flights.lock();
        let Some(entry) = open.get_mut(&self.id) else { return };
        // The flight may have ended, and another of the same identity begun.
        if !Arc::ptr_eq(&entry.flight, &self.flight) {
            return;
        }
        entry.seats -= 1;
        if entry.seats == 0 {
            open.remove(&self.id);
        }
    }
}

/// The licence to fill. Dropped without a word (a cancelled call, a panic) it goes to the next who waits.
pub(crate) struct Lead {
    seat: Seat,
    _baton: OwnedSemaphorePermit,
}

impl Lead {
    /// Everyone who waits gets `served`.
    pub(crate) fn land(self, served: Served) {
        self.end(Some(served));
    }

    /// Everyone who waits fills for himself, as if there were no cache: one after the other would take too long.
    pub(crate) fn fail(self) {
        self.end(None);
    }

    /// From here on nobody joins; those who did wait on.
    pub(crate) fn depart(&self) {
        let mut open = self.seat.flights.lock();
        if open.get(&self.seat.id).is_some_and(|entry| Arc::ptr_eq(&entry.flight, &self.seat.flight)) {
            open.remove(&self.seat.id);
        }
    }

    fn end(self, end: Option<Served>) {
        self.depart();
        let _ = self.seat.flight.end.set(end);
        self.seat.flight.baton.close();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::key::KeyBuilder;
    use crate::served::Source;

    fn id(stamp: u8) -> FlightId {
        FlightId { key: KeyBuilder::new().build(), stamp: Stamp::from_bytes([stamp; 16]) }
    }

    fn served() -> Served {
        Served { bytes: Bytes::from_static(b"x"), source: Source::Shared, age: Duration::ZERO }
    }

    #[tokio::test]
    async fn all_who_wait_get_what_the_leader_lands() {
        let flights = Flights::new(10);
        let lead = flights.join(id(1)).unwrap().try_lead().unwrap();
        let seats: Vec<Seat> = (0..100).map(|_| flights.join(id(1)).unwrap()).collect();
        let waiting: Vec<_> = seats.into_iter().map(|seat| tokio::spawn(seat.wait())).collect();
        lead.land(served());
        for waiter in waiting {
            assert!(matches!(waiter.await.unwrap(), Turn::Landed(got) if got == served()));
        }
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn a_dropped_leader_hands_over_and_the_last_seat_ends_the_flight() {
        let flights = Flights::new(10);
        let lead = flights.join(id(1)).unwrap().try_lead().unwrap();
        let (one, two) = (flights.join(id(1)).unwrap(), flights.join(id(1)).unwrap());
        drop(lead);
        let Turn::Lead(lead) = one.wait().await else { panic!("the next in line leads") };
        drop(lead);
        assert!(matches!(two.wait().await, Turn::Lead(_)));
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn a_failed_fill_frees_everyone() {
        let flights = Flights::new(10);
        let lead = flights.join(id(1)).unwrap().try_lead().unwrap();
        let seat = flights.join(id(1)).unwrap();
        lead.fail();
        assert!(matches!(seat.wait().await, Turn::Failed));
        assert!(flights.join(id(1)).unwrap().try_lead().is_some(), "a new flight");
    }

    #[tokio::test]
    async fn who_comes_after_the_departure_boards_the_next_flight() {
        let flights = Flights::new(10);
        let first = flights.join(id(1)).unwrap().try_lead().unwrap();
        let runway = flights.runway(id(1).key).await.unwrap();
        first.depart();
        let second = flights.join(id(1)).unwrap().try_lead().expect("the first is gone");
        assert!(flights.join(id(1)).unwrap().try_lead().is_none(), "one leads the second");
        let mut taking_off = std::pin::pin!(flights.runway(id(1).key));
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        assert!(taking_off.as_mut().poll(&mut context).is_pending(), "the first is in the air");
        first.land(served());
        drop(runway);
        assert!(taking_off.await.is_some());
        drop(second);
        assert_eq!(flights.len(), 0);
    }

    #[test]
    fn flights_are_bounded_and_told_apart_by_their_epochs() {
        let flights = Flights::new(2);
        let lead = flights.join(id(1)).unwrap().try_lead().unwrap();
        let other = flights.join(id(2)).unwrap().try_lead();
        assert!(other.is_some());
        assert!(flights.join(id(3)).is_none());
        assert!(flights.join(id(1)).unwrap().try_lead().is_none());
        drop((lead, other));
        assert_eq!(flights.len(), 0);
    }

    #[test]
    fn a_late_seat_of_an_ended_flight_does_not_end_its_successor() {
        let flights = Flights::new(2);
        let lead = flights.join(id(1)).unwrap().try_lead().unwrap();
        let late = flights.join(id(1)).unwrap();
        lead.land(served());
        let next = flights.join(id(1)).unwrap();
        drop(late);
        assert_eq!(flights.len(), 1);
        drop(next);
        assert_eq!(flights.len(), 0);
    }
}
