//! How far a replica is behind, measured against the primary.
//!
//! A replica by itself cannot tell: one that has lost its primary has replayed all it received, however old that is. So
//! the primary's positions are remembered with the moment they were read, and the replica is as old as the first of
//! them that it has not replayed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio_postgres::types::PgLsn;

/// Positions remembered; with one each second, lags up to four minutes are told exactly.
const POSITIONS_MAX: usize = 256;

/// The primary's positions in the WAL, oldest first.
#[derive(Debug, Default)]
pub(crate) struct LagMeter {
    positions: VecDeque<(Instant, PgLsn)>,
}

impl LagMeter {
    /// Notes where the primary was at `now`.
    pub(crate) fn saw_primary(&mut self, now: Instant, position: PgLsn) {
        // After a switch to another timeline positions may be lower; what was known then does not count any more.
        self.positions.retain(|(_, known)| *known <= position);
        if self.positions.len() == POSITIONS_MAX {
            self.positions.pop_front();
        }
        self.positions.push_back((now, position));
    }

    /// How old the replica's data is, given how far it has replayed: zero when it has all that the primary had when it
    /// was last looked at, `None` when the primary has not been seen yet.
    pub(crate) fn lag(&self, now: Instant, replayed: PgLsn) -> Option<Duration> {
        self.positions.back()?;
        let lacks = self.positions.iter().find(|(_, position)| *position > replayed);
        Some(lacks.map_or(Duration::ZERO, |(at, _)| now.saturating_duration_since(*at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_as_old_as_the_first_position_it_lacks() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let lsn = |position: u64| PgLsn::from(position);
        let mut meter = LagMeter::default();
        assert_eq!(meter.lag(at(0), lsn(9)), None);
        for (seconds, position) in [(1, 100), (2, 200), (3, 200), (4, 400)] {
            meter.saw_primary(at(seconds), lsn(position));
        }
        for (replayed, expected) in [(400, 0), (500, 0), (399, 0), (200, 0), (199, 2), (100, 2), (50, 3)] {
            assert_eq!(meter.lag(at(4), lsn(replayed)), Some(Duration::from_secs(expected)), "{replayed}");
        }
        assert_eq!(meter.lag(at(64), lsn(399)), Some(Duration::from_secs(60)));
    }

    #[test]
    fn it_forgets_what_is_old_and_what_another_primary_had() {
        let start = Instant::now();
        let mut meter = LagMeter::default();
        for step in 0..1_000_u64 {
            meter.saw_primary(start + Duration::from_secs(step), PgLsn::from(step));
        }
        assert_eq!(meter.positions.len(), POSITIONS_MAX);
        meter.saw_primary(start + Duration::from_secs(1_000), PgLsn::from(5));
        assert_eq!(meter.positions.len(), 1);
    }
}
