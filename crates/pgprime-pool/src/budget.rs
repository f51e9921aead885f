//! Limits on the number of connections, shared by every worker.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For so long after a waiting client was refused a place, none is taken for a server that nobody waits for. Waiting
/// clients try again several times a second.
const WANTED: Duration = Duration::from_secs(1);

/// An upper bound on connections and how many of them are taken.
#[derive(Debug)]
pub struct Limit {
    used: AtomicU32,
    max: AtomicU32,
    /// When a place was last refused to a waiting client.
    wanted_at: Mutex<Option<Instant>>,
}

impl Limit {
    /// A limit of `max` connections; 0 means unlimited, as in pgbouncer.ini.
    pub fn new(max: u32) -> Arc<Self> {
        Arc::new(Self { used: AtomicU32::new(0), max: AtomicU32::new(max), wanted_at: Mutex::new(None) })
    }

    /// Connections that exist or are being opened.
    pub fn used(&self) -> u32 {
        self.used.load(Ordering::Acquire)
    }

    /// The bound; 0 is unlimited.
    pub fn max(&self) -> u32 {
        self.max.load(Ordering::Relaxed)
    }

    /// Changes the bound. Connections above a lowered bound live on until they are returned.
    pub fn set_max(&self, max: u32) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// Whether more connections exist than the bound allows (after it was lowered).
    pub fn is_exceeded(&self) -> bool {
        self.max() != 0 && self.used() > self.max()
    }

    /// Takes one place; to be given back by [`Limit::give_one_back`]. For limits that count something else than servers.
    pub fn try_take_one(&self) -> bool {
        self.try_take(0)
    }

    /// Gives back what [`Limit::try_take_one`] took.
    pub fn give_one_back(&self) {
        self.give_back();
    }

    /// Notes that a client waits for a place.
    pub(crate) fn want(&self, now: Instant) {
        *self.wanted_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Whether a client has waited for a place within the last second.
    pub fn is_wanted(&self, now: Instant) -> bool {
        let wanted_at = *self.wanted_at.lock().unwrap_or_else(PoisonError::into_inner);
        wanted_at.is_some_and(|at| now.saturating_duration_since(at) < WANTED)
    }

    fn try_take(&self, extra: u32) -> bool {
        let max = match self.max() {
            0 => u32::MAX,
            max => max.saturating_add(extra),
        };
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| (used < max).then(|| used + 1))
            .is_ok()
    }

    fn give_back(&self) {
        let before = self.used.fetch_sub(1, Ordering::AcqRel);
        debug_assert!(before > 0, "a permit is given back once");
    }
}

/// Which limit stood in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The pool's own size.
    Pool,
    /// `max_db_connections`.
    Database,
    /// `max_user_connections`.
    User,
}

/// The three limits a server connection counts against.
#[derive(Clone, Debug)]
pub struct Budget {
    /// The pool's size (one user on one database).
    pub pool: Arc<Limit>,
    /// All connections to the database.
    pub database: Arc<Limit>,
    /// All connections of the user.
    pub user: Arc<Limit>,
}

impl Budget {
    /// Takes one connection from every limit, or none. `reserve` connections are allowed beyond the pool's size.
    ///
    /// # Errors
    /// The limit that is used up.
    pub fn try_acquire(&self, reserve: u32) -> Result<Permit, Refusal> {
        if !self.pool.try_take(reserve) {
            return Err(Refusal::Pool);
        }
        if !self.database.try_take(0) {
            self.pool.give_back();
            return Err(Refusal::Database);
        }
        if !self.user.try_take(0) {
            self.database.give_back();
            self.pool.give_back();
            return Err(Refusal::User);
        }
        Ok(Permit { budget: self.clone() })
    }
}

/// The licence to have one server connection. It travels with the connection and gives its place back when dropped.
#[must_use = "a permit that is dropped gives its connection back"]
#[derive(Debug)]
pub struct Permit {
    budget: Budget,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.user.give_back();
        self.budget.database.give_back();
        self.budget.pool.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(pool: u32, database: u32, user: u32) -> Budget {
        Budget { pool: Limit::new(pool), database: Limit::new(database), user: Limit::new(user) }
    }

    #[test]
    fn a_refusal_takes_nothing() {
        for (limits, expected) in
            [((1, 0, 0), Refusal::Pool), ((0, 1, 0), Refusal::Database), ((0, 0, 1), Refusal::User)]
        {
            let budget = budget(limits.0, limits.1, limits.2);
            let permit = budget.try_acquire(0).expect("the first fits");
            assert_eq!(budget.try_acquire(0).expect_err("the second does not"), expected);
            assert_eq!((budget.pool.used(), budget.database.used(), budget.user.used()), (1, 1, 1));
            drop(permit);
            assert_eq!((budget.pool.used(), budget.database.used(), budget.user.used()), (0, 0, 0));
        }
    }

    #[test]
    fn the_reserve_lies_beyond_the_pool_size_only() {
        let budget = budget(1, 2, 0);
        let first = budget.try_acquire(0).expect("fits");
        let second = budget.try_acquire(5).expect("from the reserve");
        assert_eq!(budget.try_acquire(5).expect_err("the database is full"), Refusal::Database);
        drop((first, second));
    }

    #[test]
    fn threads_never_exceed_the_limit() {
        let budget = budget(7, 0, 0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let permit = budget.try_acquire(0);
                        assert!(budget.pool.used() <= 7);
                        drop(permit);
                    }
                });
            }
        });
        assert_eq!(budget.pool.used(), 0);
    }
}
