//! The sizes of the pools: given, or calculated from load and limits; never a default.

use std::time::Duration;

use pgprime_capacity::{InputError, Inputs, Plan, PoolKind, ServiceTime, Shares};

use super::admin::AdminConfig;
use super::error::ConfigError;

/// What a database says of its own limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveLimits {
    /// `max_connections`.
    pub max_connections: u32,
    /// `superuser_reserved_connections` and `reserved_connections` together.
    pub reserved_connections: u32,
}

/// The size of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSize {
    /// Connections kept open however small the load; never above `max`.
    pub min: u32,
    /// Connections never exceeded; at least 1.
    pub max: u32,
}

/// The sizes of the pools of one instance, and how they came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Of the main pool.
    pub main: PoolSize,
    /// Of the pool on the replica; `None` without one.
    pub read: Option<PoolSize>,
    /// Of the admin pool.
    pub admin: PoolSize,
    /// What is worth knowing about them, each as a sentence.
    pub notes: Vec<String>,
}

/// What the sizes are calculated from.
pub(super) struct Load {
    pub(super) requests_per_s: Option<f64>,
    pub(super) service_time: Duration,
    pub(super) instances: u32,
    pub(super) safety_margin: f64,
}

/// What the configuration asks for.
pub(super) struct Asked<'a> {
    pub(super) min: Option<u32>,
    pub(super) max: Option<u32>,
    pub(super) admin: &'a AdminConfig,
    pub(super) has_replica: bool,
}

/// Without an expected load, one request after another: pools start with one connection and follow what they observe.
const UNKNOWN_REQUESTS_PER_S: f64 = 1.0;

/// Given sizes win; what is not given is calculated.
pub(super) fn calculate(
    load: &Load,
    asked: &Asked<'_>,
    configured_max: Option<u32>,
    live: Option<LiveLimits>,
) -> Result<Sizes, ConfigError> {
    check_order(asked.min, asked.max)?;
    check_share(asked.admin.share)?;
    let mut notes = Vec::new();
    let plan = match limits(configured_max, live) {
        Some(limits) => Some(plan(load, asked, limits)?),
        None => None,
    };
    if load.requests_per_s.is_none() && asked.min.is_none() {
        notes.push(
            "no load is stated, so pools start with 1 connection and follow what they observe".to_owned(),
        );
    }
    let main = size(asked, plan.as_ref(), PoolKind::Main)?;
    let read = asked.has_replica.then(|| size(asked, plan.as_ref(), PoolKind::Read)).transpose()?;
    let admin = admin_size(asked, plan.as_ref(), main);
    if let Some(plan) = &plan {
        notes.extend(plan.findings.iter().map(|finding| finding.text.clone()));
        notes.extend(beyond_budget(load, plan, main, admin));
    }
    notes.extend(asked.admin.memory_note(admin.max, load.instances));
    Ok(Sizes { main, read, admin, notes })
}

/// A minimum above the maximum is a mistake when both are given.
pub(super) fn check_order(min: Option<u32>, max: Option<u32>) -> Result<(), ConfigError> {
    match (min, max) {
        (_, Some(0)) => {
            Err(ConfigError::new("DATABASE_POOL_MAX", "is 0", "give at least 1, or leave it out"))
        }
        (Some(min), Some(max)) if min > max => Err(ConfigError::new(
            "DATABASE_POOL_MIN",
            format!("is {min}, more than DATABASE_POOL_MAX, which is {max}"),
            "exchange them, or leave one out",
        )),
        _ => Ok(()),
    }
}

fn check_share(share: f64) -> Result<(), ConfigError> {
    if (0.0..1.0).contains(&share) {
        return Ok(());
    }
    Err(ConfigError::new(
        "admin.share",
        format!("is {share}"),
        "give a fraction from 0 to below 1, such as 0.1",
    ))
}

/// The smaller of what is configured and what the database says: a budget beyond its limit would be none.
fn limits(configured: Option<u32>, live: Option<LiveLimits>) -> Option<LiveLimits> {
    // PostgreSQL's own default of superuser_reserved_connections.
    let stated = configured.map(|max_connections| LiveLimits { max_connections, reserved_connections: 3 });
    match (stated, live) {
        (Some(stated), Some(live)) => {
            Some(LiveLimits { max_connections: stated.max_connections.min(live.max_connections), ..live })
        }
        (stated, live) => stated.or(live),
    }
}

fn plan(load: &Load, asked: &Asked<'_>, limits: LiveLimits) -> Result<Plan, ConfigError> {
    let service = ServiceTime::exponential(load.service_time.as_secs_f64() * 1_000.0).map_err(explain)?;
    let requests_per_s = load.requests_per_s.unwrap_or(UNKNOWN_REQUESTS_PER_S);
    let mut inputs = Inputs::new(requests_per_s, service, load.instances, limits.max_connections);
    inputs.reserved_connections = limits.reserved_connections;
    inputs.safety_margin = load.safety_margin;
    inputs.has_replica = asked.has_replica;
    let standard = Shares::default();
    // Without a replica, reads are the main pool's.
    let read = if asked.has_replica { standard.read * (1.0 - asked.admin.share) } else { 0.0 };
    inputs.shares = Shares { main: 1.0 - asked.admin.share - read, read, admin: asked.admin.share };
    pgprime_capacity::plan(&inputs).map_err(explain)
}

/// The planner's words, with our name for what it calls otherwise.
fn explain(error: InputError) -> ConfigError {
    let setting = match error.input {
        "rps" => "requests_per_s",
        "instances" => "instances",
        "safety-margin" => "safety_margin",
        "service-ms" => "service_time",
        "shares" => "admin.share",
        _ => "DATABASE_MAX_CONNECTIONS",
    };
    ConfigError::new(setting, format!("cannot be planned with: {}", error.problem), "")
}

fn size(asked: &Asked<'_>, plan: Option<&Plan>, kind: PoolKind) -> Result<PoolSize, ConfigError> {
    let share = plan.and_then(|plan| plan.pools.iter().find(|share| share.pool == kind));
    let Some(max) = asked.max.or(share.map(|share| share.max_connections)) else {
        return Err(ConfigError::new(
            "DATABASE_POOL_MAX",
            "is not set, and cannot be calculated without max_connections of the database",
            "set DATABASE_MAX_CONNECTIONS to it, such as 100; `pgprime plan` shows what follows from it",
        ));
    };
    let max = max.max(1);
    let min = asked.min.or(share.map(|share| share.min_connections)).unwrap_or(1);
    Ok(PoolSize { min: min.min(max), max })
}

/// It opens its connections as they are needed: a report can wait for a login.
fn admin_size(asked: &Asked<'_>, plan: Option<&Plan>, main: PoolSize) -> PoolSize {
    let share = plan.and_then(|plan| plan.pools.iter().find(|share| share.pool == PoolKind::Admin));
    let by_share = || {
        let ratio = asked.admin.share / (1.0 - asked.admin.share);
        // At most 100,000, so it fits.
        (f64::from(main.max) * ratio).round().min(100_000.0) as u32
    };
    let max = asked.admin.size.or(share.map(|share| share.max_connections)).unwrap_or_else(by_share);
    PoolSize { min: 0, max: max.max(1) }
}

/// Given sizes are taken as they are, but not in silence.
fn beyond_budget(load: &Load, plan: &Plan, main: PoolSize, admin: PoolSize) -> Option<String> {
    let all = (u64::from(main.max) + u64::from(admin.max)) * u64::from(load.instances);
    let budget = u64::from(plan.total_max_connections);
    (all > budget).then(|| {
        format!(
            "{} instances with up to {} and {} connections may open {all}, more than the database's budget of {budget}",
            load.instances, main.max, admin.max
        )
    })
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    const LOAD: Load = Load {
        requests_per_s: Some(1_000.0),
        service_time: Duration::from_millis(20),
        instances: 5,
        safety_margin: 0.8,
    };
    static ADMIN: LazyLock<AdminConfig> = LazyLock::new(AdminConfig::default);

    fn nothing_asked() -> Asked<'static> {
        Asked { min: None, max: None, admin: &ADMIN, has_replica: false }
    }

    fn sizes(load: &Load, asked: &Asked<'_>, max: Option<u32>) -> Sizes {
        calculate(load, asked, max, None).unwrap()
    }

    #[test]
    fn sizes_are_calculated_from_load_and_budget() {
        // 100 × 0.8 ÷ 5 = 16 connections per instance, divided over main and admin; 20 ÷ 5 = 4 at the least.
        let found = sizes(&LOAD, &nothing_asked(), Some(100));
        assert_eq!(found.main.max + found.admin.max, 16);
        assert!((1..=4).contains(&found.main.min), "{found:?}");
        assert_eq!((found.read, found.admin.min), (None, 0));
        let found = sizes(&LOAD, &Asked { has_replica: true, ..nothing_asked() }, Some(100));
        assert_eq!(found.read.map(|read| read.max), Some(16));
    }

    #[test]
    fn given_sizes_win() {
        let asked = Asked { min: Some(5), max: Some(20), ..nothing_asked() };
        let found = sizes(&LOAD, &asked, None);
        assert_eq!((found.main, found.admin), (PoolSize { min: 5, max: 20 }, PoolSize { min: 0, max: 2 }));
        let found = sizes(&LOAD, &asked, Some(100));
        assert_eq!(found.main, PoolSize { min: 5, max: 20 });
        assert!(
            found.notes.iter().any(|note| note.contains("more than the database's budget of 80")),
            "{found:?}"
        );
        let seven = AdminConfig { size: Some(7), ..AdminConfig::default() };
        let found = sizes(&LOAD, &Asked { min: Some(50), admin: &seven, ..nothing_asked() }, Some(100));
        assert_eq!((found.main.min, found.admin.max), (found.main.max, 7));
    }

    #[test]
    fn the_smaller_limit_counts() {
        let live = LiveLimits { max_connections: 50, reserved_connections: 5 };
        let both = calculate(&LOAD, &nothing_asked(), Some(100), Some(live)).unwrap();
        let only_live = calculate(&LOAD, &nothing_asked(), None, Some(live)).unwrap();
        assert_eq!(both, only_live);
        assert_eq!(both.main.max + both.admin.max, 8);
    }

    #[test]
    fn there_is_no_default() {
        let error = calculate(&LOAD, &nothing_asked(), None, None).unwrap_err().to_string();
        assert!(error.starts_with("DATABASE_POOL_MAX is not set, and cannot be calculated"), "{error}");
        let unknown = sizes(&Load { requests_per_s: None, ..LOAD }, &nothing_asked(), Some(100));
        assert_eq!(unknown.main.min, 1);
        assert!(unknown.notes[0].contains("no load is stated"), "{unknown:?}");
    }

    #[test]
    fn nonsense_is_explained() {
        let all = AdminConfig { share: 1.0, ..AdminConfig::default() };
        for (load, asked, expected) in [
            (
                Load { instances: 0, ..LOAD },
                nothing_asked(),
                "instances cannot be planned with: 0 is not above 0",
            ),
            (
                Load { safety_margin: 1.5, ..LOAD },
                nothing_asked(),
                "safety_margin cannot be planned with: 1.5",
            ),
            (
                Load { requests_per_s: Some(f64::NAN), ..LOAD },
                nothing_asked(),
                "requests_per_s cannot be planned with: NaN",
            ),
            (
                Load { service_time: Duration::ZERO, ..LOAD },
                nothing_asked(),
                "service_time cannot be planned with",
            ),
            (LOAD, Asked { admin: &all, ..nothing_asked() }, "admin.share is 1"),
            (
                LOAD,
                Asked { min: Some(2), max: Some(1), ..nothing_asked() },
                "DATABASE_POOL_MIN is 2, more than",
            ),
        ] {
            let error = calculate(&load, &asked, Some(100), None).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
