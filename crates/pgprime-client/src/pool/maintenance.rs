//! The task that looks after a pool in time.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::{self, MissedTickBehavior};

use super::connector::Connector;
use super::effects::Effects;
use super::shared::{Shared, clock};
use super::work;

/// How often the pool looks for what is dead, idle, leaked or missing: soon enough to follow the load, seldom enough to
/// cost nothing.
const TICK: Duration = Duration::from_secs(1);

/// Runs until the pool is gone. It does not keep the pool alive.
pub(super) async fn maintain<M: Connector>(pool: Weak<Shared<M>>, rearm: Arc<Notify>) {
    let mut ticks = time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut alarm_at = None;
    loop {
        let is_tick = tokio::select! {
            _ = ticks.tick() => true,
            () = until(alarm_at) => false,
            () = rearm.notified() => false,
        };
        let Some(shared) = pool.upgrade() else { return };
        let (mut effects, now) = (Effects::new(), clock());
        {
            let mut state = shared.lock();
            state.alarm(now, &mut effects);
            if is_tick {
                state.tick(now, &mut effects);
            }
            alarm_at = state.alarm_at();
        }
        work::carry_out(&shared, effects);
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
