//! What a run consists of: decided from the seed before it begins.

use std::time::Duration;

use fastrand::Rng;
use pgprime_pool::PoolSettings;
use pgprime_pooler::core::{
    CaptureSettings, CoreSettings, MeasureSettings, Mode, PoolProfile, Redaction, Tracked,
};

use crate::script::Flavour;

/// Every execution's parameters are captured, so that this is seen to do no harm.
const CAPTURE: CaptureSettings = CaptureSettings { threshold: Duration::ZERO, redaction: Redaction::Shown };

/// How much of the world a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    /// Simple queries and transactions.
    Simple,
    /// The extended protocol, COPY, settings, large messages.
    Extended,
    /// All of it, and servers, clients and administrators that misbehave.
    Faults,
    /// All of it on two workers.
    Workers,
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) workers: usize,
    pub(crate) pools: Vec<PoolPlan>,
    pub(crate) database_max: u32,
    pub(crate) user_max: u32,
    pub(crate) clients_max: usize,
    pub(crate) core: CoreSettings,
    pub(crate) faults: bool,
    pub(crate) schema_changes: bool,
    pub(crate) reports_early: bool,
    /// Look at every client's state after every step, which takes most of the time.
    pub(crate) watches_queues: bool,
    /// Whether all that clients send is simple queries.
    pub(crate) is_simple: bool,
    /// How many steps in a thousand move the time on by much.
    pub(crate) jumps: u8,
}

#[derive(Clone, Debug)]
pub(crate) struct PoolPlan {
    pub(crate) size: u32,
    pub(crate) profile: PoolProfile,
    pub(crate) flavour: Flavour,
    pub(crate) lifetime: Option<Duration>,
}

impl Plan {
    pub(crate) fn new(theme: Theme, rng: &mut Rng) -> Self {
        let faults = theme == Theme::Faults || (theme == Theme::Workers && rng.bool());
        let names = [("app", "one"), ("app", "two"), ("other", "one")];
        let count = rng.usize(1..=names.len());
        let pools = names[..count].iter().map(|names| PoolPlan::new(theme, faults, *names, rng)).collect();
        Self {
            workers: if theme == Theme::Workers { rng.usize(2..=3) } else { 1 },
            pools,
            database_max: if rng.u8(0..3) == 0 { rng.u32(1..4) } else { 0 },
            user_max: if rng.u8(0..3) == 0 { rng.u32(1..4) } else { 0 },
            clients_max: rng.usize(1..9),
            core: CoreSettings {
                prepared_statements_max: if rng.bool() { rng.usize(1..4) } else { 100 },
                message_bytes_max: 1024 * 1024,
                buffer_bytes: 4096,
                wait_notify: Duration::from_secs(rng.u64(0..2)),
                log_disconnections: false,
                tracked: Tracked::new(&[]),
                measure: MeasureSettings { is_on: true, capture: Some(CAPTURE) },
            },
            faults,
            schema_changes: faults && rng.bool(),
            reports_early: rng.u8(0..4) == 0,
            watches_queues: rng.u8(0..3) == 0,
            is_simple: theme == Theme::Simple,
            jumps: if faults { rng.u8(0..20) } else { 0 },
        }
    }
}

impl PoolPlan {
    fn new(theme: Theme, faults: bool, names: (&str, &str), rng: &mut Rng) -> Self {
        let mode = match rng.u8(0..8) {
            0 | 1 => Mode::Session,
            2 => Mode::Statement,
            _ => Mode::Transaction,
        };
        let is_rich = theme != Theme::Simple;
        let timeout = |rng: &mut Rng| match rng.u8(0..4) {
            0 if faults => Duration::from_secs(rng.u64(1..8)),
            _ => Duration::ZERO,
        };
        let profile = PoolProfile {
            database: names.0.into(),
            user: names.1.into(),
            mode,
            pool: PoolSettings {
                size_min: if rng.bool() { 0 } else { rng.u32(0..3) },
                reserve_size: if rng.bool() { 0 } else { rng.u32(0..2) },
                reserve_timeout: Duration::from_millis(rng.u64(0..2_000)),
                idle_timeout: timeout(rng),
                wait_timeout: timeout(rng),
                login_retry: Duration::from_millis(rng.u64(50..2_000)),
                round_robin: rng.u8(0..4) == 0,
            },
            query_timeout: timeout(rng),
            idle_transaction_timeout: timeout(rng),
            transaction_timeout: timeout(rng),
            client_idle_timeout: timeout(rng),
            reset_query: if mode != Mode::Session && rng.bool() {
                String::new()
            } else {
                "DISCARD ALL".into()
            },
            reset_always: rng.u8(0..6) == 0,
            connect_query: (rng.u8(0..4) == 0).then(|| "SET DateStyle='ISO, MDY'".into()),
            always_warm: rng.bool(),
            check_query: ["", "", "<empty>", "SELECT 1"][rng.usize(0..4)].into(),
            check_delay: Duration::from_millis(rng.u64(0..60)),
        };
        let flavour = Flavour {
            extended: is_rich,
            copies: is_rich && rng.bool(),
            large: is_rich && rng.bool(),
            settings: is_rich && rng.u8(0..3) > 0,
            sleeps: rng.bool(),
            transactions: mode != Mode::Statement || (faults && rng.u8(0..4) == 0),
            statements: is_rich,
        };
        let lifetime = (faults && rng.u8(0..3) == 0).then(|| Duration::from_millis(rng.u64(10..10_000)));
        Self { size: rng.u32(1..4), profile, flavour, lifetime }
    }
}
