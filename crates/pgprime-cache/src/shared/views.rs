//! What Redis said of tables, and what is remembered of it where readers may lag behind.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::stamp::{Seen, Stamper};
use crate::tables::Tables;

/// What Redis said of a set of tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Looked {
    pub(crate) seen: Seen,
    /// Its clock, in milliseconds.
    pub(crate) server_ms: u64,
    pub(crate) asked_at: Instant,
    pub(crate) answered_at: Instant,
}

impl Looked {
    /// The server's clock at `now`, or less. Both clocks run equally fast for as long as this is used.
    pub(crate) fn server_ms_at_least(&self, now: Instant) -> u64 {
        self.server_ms_since(self.answered_at, now)
    }

    /// The server's clock at `now`, or more: it was read somewhere on the way.
    pub(crate) fn server_ms_at_most(&self, now: Instant) -> u64 {
        self.server_ms_since(self.asked_at, now)
    }

    fn server_ms_since(&self, then: Instant, now: Instant) -> u64 {
        let since = now.saturating_duration_since(then).as_millis();
        self.server_ms.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }
}

/// What the script said.
pub(super) struct Answer<'a> {
    /// The server's identity.
    pub(super) home: &'a [u8],
    pub(super) generation: &'a [u8],
    pub(super) server_ms: u64,
    pub(super) seen: Seen,
}

/// None if that is not what it says.
pub(super) fn read_answer(answer: &[Vec<u8>], tables: usize) -> Option<Answer<'_>> {
    let (heading, states) = answer.split_at_checked(3)?;
    let [home, time, generation] = heading else { return None };
    // Without its identity a server that was restarted could not be told from one that was not. The first state is that of
    // everything.
    if home.is_empty() || states.len() != (tables + 1) * 2 {
        return None;
    }
    let server_ms = std::str::from_utf8(time).ok()?.parse().ok()?;
    let mut stamper = Stamper::new();
    stamper.part(home);
    stamper.part(generation);
    for state in states.chunks_exact(2) {
        let [epoch, writers] = state else { return None };
        stamper.part(epoch);
        stamper.part(writers);
        if !writers.is_empty() {
            stamper.writers_present();
        }
    }
    Some(Answer { home, generation, server_ms, seen: stamper.finish() })
}

/// Sets of tables share this many places; the last one looked at has it.
const SLOTS: usize = 1024;

struct View {
    tables: Tables,
    /// What held in this process then: after a change made here, Redis is asked again.
    local: Seen,
    looked: Looked,
}

pub(crate) struct Views {
    slots: Box<[Mutex<Option<View>>]>,
    believed_for: Duration,
}

impl Views {
    pub(crate) fn new(believed_for: Duration) -> Views {
        let slots = std::iter::repeat_with(Mutex::default).take(SLOTS).collect();
        Views { slots, believed_for }
    }

    pub(crate) fn find(&self, tables: &Tables, local: Seen, now: Instant) -> Option<Looked> {
        let slot = self.slot(tables).lock().unwrap_or_else(PoisonError::into_inner);
        let view = slot.as_ref()?;
        let is_young = now.saturating_duration_since(view.looked.asked_at) < self.believed_for;
        (is_young && view.local == local && view.tables == *tables).then_some(view.looked)
    }

    pub(crate) fn keep(&self, tables: &Tables, local: Seen, looked: Looked) {
        let view = View { tables: tables.clone(), local, looked };
        *self.slot(tables).lock().unwrap_or_else(PoisonError::into_inner) = Some(view);
    }

    fn slot(&self, tables: &Tables) -> &Mutex<Option<View>> {
        let hash = tables.iter().fold(0u64, |hash, table| hash.rotate_left(5) ^ table.hash());
        &self.slots[(hash % SLOTS as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::epochs::Epochs;
    use crate::stamp::Writers;

    proptest! {
        #[test]
        fn whatever_redis_answers_is_read_or_refused(
            answer in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..12),
            tables in 0usize..5,
        ) {
            if let Some(read) = read_answer(&answer, tables) {
                prop_assert_eq!(answer.len(), 3 + (tables + 1) * 2);
                prop_assert!(!read.home.is_empty());
            }
        }

        #[test]
        fn an_answer_is_read_as_it_is(
            words in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 8),
            server_ms: u64, at in 0usize..8, has_writers: bool,
        ) {
            let mut answer = words;
            answer.insert(1, server_ms.to_string().into_bytes());
            for writers in [4, 6, 8] {
                answer[writers].clear();
            }
            if has_writers {
                answer[6] = b"+move".to_vec();
            }
            let read = read_answer(&answer, 2).unwrap();
            let expected = if has_writers { Writers::Present } else { Writers::None };
            prop_assert_eq!((read.server_ms, read.seen.writers), (server_ms, expected));
            // Any other word is another stamp, but the time.
            let before = read.seen.stamp;
            let at = if at >= 1 { at + 1 } else { at };
            answer[at].push(b'x');
            prop_assert_ne!(read_answer(&answer, 2).unwrap().seen.stamp, before);
        }
    }

    #[test]
    fn a_view_is_believed_for_its_time_and_until_a_change_made_here() {
        let (views, epochs, now) = (Views::new(Duration::from_secs(1)), Epochs::new(), Instant::now());
        let tables = Tables::new(["a"]);
        let local = epochs.look(&tables, now);
        assert!(views.find(&tables, local, now).is_none());
        views.keep(&tables, local, Looked { seen: local, server_ms: 7, asked_at: now, answered_at: now });
        assert!(views.find(&tables, local, now + Duration::from_millis(999)).is_some());
        assert!(views.find(&tables, local, now + Duration::from_millis(1000)).is_none());
        assert!(views.find(&Tables::new(["b"]), local, now).is_none());
        epochs.change(&tables, None);
        assert!(views.find(&tables, epochs.look(&tables, now), now).is_none());
    }

    #[test]
    fn the_servers_clock_goes_on() {
        let now = Instant::now();
        let seen = Epochs::new().look(&Tables::default(), now);
        let ms = |ms| now + Duration::from_millis(ms);
        let looked = Looked { seen, server_ms: 1000, asked_at: now, answered_at: ms(40) };
        assert_eq!((looked.server_ms_at_least(ms(250)), looked.server_ms_at_most(ms(250))), (1210, 1250));
    }
}
