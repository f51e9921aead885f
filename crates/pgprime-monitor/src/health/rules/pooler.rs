//! The poolers in front: pgprime's own, PgBouncer, or both.

use serde_json::json;

use super::seen::{PoolerSeen, PoolerTrouble, share};
use crate::health::report::Status;
use crate::health::verdict::Verdict;
use crate::health::words;
use crate::pooler::{PoolerKind, PoolerPool, PoolerReport};

/// A pool with the pooler that it is of.
type Pool<'a> = (&'a PoolerReport, &'a PoolerPool);

pub(super) fn verdicts(poolers: &[PoolerSeen]) -> Vec<Verdict> {
    if poolers.is_empty() {
        return Vec::new();
    }
    let reports: Vec<&PoolerReport> = poolers.iter().filter_map(|pooler| pooler.seen.as_ref().ok()).collect();
    let mut verdicts = vec![up(poolers)];
    if reports.is_empty() {
        return verdicts;
    }
    let pools: Vec<Pool<'_>> =
        reports.iter().flat_map(|pooler| pooler.pools.iter().map(move |pool| (*pooler, pool))).collect();
    verdicts.extend([waiting(&pools), longest_wait(&pools), servers_busy(&pools), clients_used(&reports)]);
    verdicts
}

fn up(poolers: &[PoolerSeen]) -> Verdict {
    const ID: &str = "pooler.up";
    let troubles: Vec<(&str, &PoolerTrouble)> =
        poolers.iter().filter_map(|pooler| Some((&*pooler.name, pooler.seen.as_ref().err()?))).collect();
    let down = troubles.iter().filter(|(_, trouble)| trouble.is_down).count();
    let verdict = |text: String| {
        let details = troubles.iter().map(|(name, trouble)| json!({ "pooler": name, "why": trouble.text }));
        Verdict::value(ID, down as f64, text).details(details)
    };
    // The one that is down before one that only refuses us.
    match troubles.iter().max_by_key(|(_, trouble)| trouble.is_down) {
        None => {
            let versions: Vec<String> =
                poolers.iter().filter_map(|pooler| Some(versioned(pooler.seen.as_ref().ok()?))).collect();
            let verb = if versions.len() == 1 { "answers" } else { "answer" };
            verdict(format!("{} {verb}.", versions.join(", ")))
        }
        Some((name, trouble)) if trouble.is_down => {
            verdict(format!("{name} gives no answer: {}.", trouble.text))
                .action("Start it, or look at the address: clients cannot reach the database through it.")
        }
        Some((name, trouble)) => verdict(format!("{name} does not let us look: {}.", trouble.text))
            .at_least(Status::Unknown)
            .action("Let our user look at its console: stats_users in its configuration."),
    }
}

/// `pgprime 0.1.0`, `PgBouncer 1.18.0`; some versions begin with the name, others do not.
fn versioned(pooler: &PoolerReport) -> String {
    let name = kind(pooler.kind);
    let begins = pooler.version.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name));
    if begins { pooler.version.clone() } else { format!("{name} {}", pooler.version) }
}

fn waiting(pools: &[Pool<'_>]) -> Verdict {
    let all: u64 = pools.iter().map(|(_, pool)| pool.clients_waiting).sum();
    let text = match worst(pools, |pool| pool.clients_waiting as f64) {
        Some((_, pool)) if all > 0 => {
            format!(
                "{all} wait for a server, {} of them in the pool of {}.",
                pool.clients_waiting,
                name(pool)
            )
        }
        _ => "No client waits for a server.".to_owned(),
    };
    exhausted(Verdict::value("pooler.clients_waiting", all as f64, text), pools)
        .details(listed(pools, |pool| pool.clients_waiting as f64))
}

fn longest_wait(pools: &[Pool<'_>]) -> Verdict {
    let Some((_, pool)) = worst(pools, |pool| pool.wait_s_max) else {
        return Verdict::value("pooler.longest_wait", 0.0, "No client waits for a server.");
    };
    let text = format!(
        "The first in the queue of {} has waited for {}.",
        name(pool),
        words::seconds(pool.wait_s_max)
    );
    exhausted(Verdict::value("pooler.longest_wait", pool.wait_s_max, text), pools)
        .details(listed(pools, |pool| pool.wait_s_max))
}

fn servers_busy(pools: &[Pool<'_>]) -> Verdict {
    const ID: &str = "pooler.servers_busy";
    let Some((_, pool)) = worst(pools, busy) else {
        let has_sizes = pools.iter().any(|(_, pool)| pool.size_max.is_some());
        let text = if has_sizes { "All servers are at rest." } else { "No pool says how large it may get." };
        return if has_sizes { Verdict::value(ID, 0.0, text) } else { Verdict::well(ID, text) };
    };
    let (percent, size) = (busy(pool), pool.size_max.unwrap_or(0));
    let text = format!(
        "{} of {size} servers of {} are at work, {}.",
        pool.servers_active,
        name(pool),
        words::percent(percent)
    );
    exhausted(Verdict::value(ID, percent, text), pools).details(listed(pools, busy))
}

fn clients_used(poolers: &[&PoolerReport]) -> Verdict {
    const ID: &str = "pooler.clients_used";
    let used = |pooler: &PoolerReport| pooler.clients_max.map(|max| share(pooler.clients as f64, max as f64));
    let fullest = poolers.iter().filter_map(|pooler| Some((*pooler, used(pooler)?)));
    let Some((pooler, percent)) = fullest.max_by(|one, other| one.1.total_cmp(&other.1)) else {
        return Verdict::well(ID, "The pooler does not say how many clients it takes.");
    };
    let text = format!(
        "{} of {} clients of {}, {}.",
        words::number(pooler.clients as f64),
        words::number(pooler.clients_max.unwrap_or(0) as f64),
        kind(pooler.kind),
        words::percent(percent)
    );
    Verdict::value(ID, percent, text)
        .action("Raise max_client_conn: a client costs the pooler a few kB; then RELOAD, and the system's limit on files.")
        .statement(format!("max_client_conn = {}", pooler.clients_max.unwrap_or(0).saturating_mul(2)))
}

/// What helps a pool at its limit depends on what its servers do, which the database's own checks tell.
fn exhausted(verdict: Verdict, pools: &[Pool<'_>]) -> Verdict {
    let mut paused: Vec<&str> =
        pools.iter().filter(|(_, pool)| pool.paused).map(|(_, pool)| &*pool.database).collect();
    paused.sort_unstable();
    paused.dedup();
    if !paused.is_empty() {
        let text =
            format!("PAUSE is in force for {}: let it go on, on the pooler's console.", paused.join(", "));
        let resume = |database: &&str| format!("RESUME \"{}\";", database.replace('"', "\"\""));
        return verdict.action(text).statement(paused.iter().map(resume).collect::<Vec<_>>().join("\n"));
    }
    verdict.action(
        "If queries.mean_ms or idle transactions are up, that is why; else the pool is too small: pgprime plan calculates \
         its size.",
    )
}

fn busy(pool: &PoolerPool) -> f64 {
    pool.size_max.map_or(0.0, |size| share(pool.servers_active as f64, size as f64))
}

/// The pool with the largest figure above nothing.
fn worst<'a>(pools: &[Pool<'a>], figure: impl Fn(&PoolerPool) -> f64) -> Option<Pool<'a>> {
    let above = pools.iter().copied().filter(|(_, pool)| figure(pool) > 0.0);
    above.max_by(|one, other| figure(one.1).total_cmp(&figure(other.1)))
}

fn listed(pools: &[Pool<'_>], figure: impl Fn(&PoolerPool) -> f64) -> Vec<serde_json::Value> {
    let mut above: Vec<Pool<'_>> = pools.iter().copied().filter(|(_, pool)| figure(pool) > 0.0).collect();
    above.sort_by(|one, other| figure(other.1).total_cmp(&figure(one.1)));
    let one = |(pooler, pool): &Pool<'_>| {
        json!({
            "pooler": pooler.kind,
            "pool": name(pool),
            "clients_waiting": pool.clients_waiting,
            "wait_s_max": pool.wait_s_max,
            "servers_active": pool.servers_active,
            "size_max": pool.size_max,
            "paused": pool.paused,
        })
    };
    above.iter().map(one).collect()
}

fn name(pool: &PoolerPool) -> String {
    format!("{}@{}", pool.user, pool.database)
}

fn kind(kind: PoolerKind) -> &'static str {
    match kind {
        PoolerKind::Pgprime => "pgprime",
        PoolerKind::Pgbouncer => "PgBouncer",
    }
}
