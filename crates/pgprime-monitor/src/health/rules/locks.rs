//! Who waits for whom.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::seen::Seen;
use crate::health::observe::LockWait;
use crate::health::verdict::Verdict;
use crate::health::words;
use pgprime_readonly::Missing;

const WAITING: &str = "locks.waiting";
const LONGEST: &str = "locks.blocked_longest";

/// Shorter waits are part of every busy service.
const WAIT_S_MIN: f64 = 1.0;
/// A deeper chain is cut: its end waits for its begin all the same.
const DEPTH_MAX: usize = 8;
/// Sessions in one tree.
const SESSIONS_MAX: usize = 100;

pub(super) fn verdicts(seen: &Seen<'_>) -> Vec<Verdict> {
    match &seen.now.waits {
        Err(missing) => unknown(missing),
        Ok(waits) => vec![waiting(waits), longest(waits)],
    }
}

fn unknown(missing: &Missing) -> Vec<Verdict> {
    vec![Verdict::unknown(WAITING, missing), Verdict::unknown(LONGEST, missing)]
}

fn waiting(waits: &[LockWait]) -> Verdict {
    let count = waits.iter().filter(|wait| wait.wait_s.is_some_and(|waited| waited >= WAIT_S_MIN)).count();
    let roots = roots(waits);
    let text = match roots.first() {
        Some(root) if count > 0 => {
            let verb = if count == 1 { "session waits" } else { "sessions wait" };
            format!("{count} {verb} for a second or longer, behind {}.", named(root, waits))
        }
        _ => "Nobody waits for a second or longer.".to_owned(),
    };
    with_cure(Verdict::value(WAITING, count as f64, text), &roots).details(blocking(waits))
}

fn longest(waits: &[LockWait]) -> Verdict {
    let waiter = waits
        .iter()
        .filter_map(|wait| Some((wait, wait.wait_s?)))
        .max_by(|one, other| one.1.total_cmp(&other.1))
        .filter(|(_, waited_s)| *waited_s > 0.0);
    let Some((wait, waited_s)) = waiter else {
        return Verdict::value(LONGEST, 0.0, "Nobody waits for a lock.");
    };
    let roots = roots(waits);
    let behind = roots.first().map_or(String::new(), |root| format!(", behind {}", named(root, waits)));
    let text = format!(
        "Process {} has waited for {} for {}{behind}.",
        wait.session.pid,
        wait.lock_on.as_deref().unwrap_or("a lock"),
        words::seconds(waited_s)
    );
    with_cure(Verdict::value(LONGEST, waited_s, text), &roots).details(blocking(waits))
}

/// Ending who is at the root lets all behind it go on.
fn with_cure(verdict: Verdict, roots: &[i32]) -> Verdict {
    match roots.first() {
        Some(0) => verdict
            .action("A prepared transaction holds the lock: commit or roll it back.")
            .statement("SELECT gid, prepared, owner FROM pg_prepared_xacts ORDER BY prepared;"),
        Some(pid) => verdict
            .action(
                "End the session at the root if it is stuck; lock_timeout for migrations keeps queues short.",
            )
            .statement(format!("SELECT pg_terminate_backend({pid});")),
        None => verdict,
    }
}

/// Those that others wait for and that wait for nobody, those with the most behind them first. In a circle, which the
/// server breaks by itself after deadlock_timeout, there is none.
fn roots(waits: &[LockWait]) -> Vec<i32> {
    let waiting: BTreeSet<i32> =
        waits.iter().filter(|wait| !wait.blocked_by.is_empty()).map(|wait| wait.session.pid).collect();
    let blockers: BTreeSet<i32> = waits.iter().flat_map(|wait| wait.blocked_by.iter().copied()).collect();
    let mut roots: Vec<i32> = blockers.difference(&waiting).copied().collect();
    let behind = |root: &i32| tree(*root, waits, &mut Walk::default()).1;
    roots.sort_by_cached_key(|root| std::cmp::Reverse(behind(root)));
    roots
}

/// The trees of who blocks whom, one for each session at a root: each session with what it `blocks`.
#[must_use]
pub fn blocking(waits: &[LockWait]) -> Vec<Value> {
    roots(waits).into_iter().map(|root| tree(root, waits, &mut Walk::default()).0).collect()
}

/// The way down a tree.
#[derive(Default)]
struct Walk {
    depth: usize,
    met: BTreeSet<i32>,
}

/// The tree below a session, and how many are in it. A session that waits for several is shown once.
fn tree(pid: i32, waits: &[LockWait], walk: &mut Walk) -> (Value, usize) {
    walk.met.insert(pid);
    walk.depth += 1;
    let (mut blocks, mut count) = (Vec::new(), 0);
    if walk.depth < DEPTH_MAX {
        for wait in waits.iter().filter(|wait| wait.blocked_by.contains(&pid)) {
            if walk.met.len() < SESSIONS_MAX && !walk.met.contains(&wait.session.pid) {
                let (below, more) = tree(wait.session.pid, waits, walk);
                blocks.push(below);
                count += 1 + more;
            }
        }
    }
    walk.depth -= 1;
    let wait = waits.iter().find(|wait| wait.session.pid == pid);
    let session = wait.map(|wait| &wait.session);
    let value = json!({
        "pid": pid,
        "user": session.and_then(|session| session.user.as_deref()),
        "database": session.and_then(|session| session.database.as_deref()),
        "application": session.and_then(|session| session.application.as_deref()),
        "client_address": session.and_then(|session| session.client_address.as_deref()),
        "state": session.and_then(|session| session.state.as_deref()),
        "query": session.and_then(|session| session.query.as_deref()),
        "query_s": session.and_then(|session| session.query_s),
        "transaction_s": session.and_then(|session| session.transaction_s),
        "waits_s": wait.and_then(|wait| wait.wait_s),
        "lock": wait.and_then(|wait| wait.lock_mode.as_deref()),
        "lock_on": wait.and_then(|wait| wait.lock_on.as_deref()),
        "blocks": blocks,
    });
    (value, count)
}

fn named(root: &i32, waits: &[LockWait]) -> String {
    let session = waits.iter().map(|wait| &wait.session).find(|session| session.pid == *root);
    match (root, session.and_then(|session| session.user.as_deref())) {
        (0, _) => "a prepared transaction".to_owned(),
        (pid, None) => format!("process {pid}"),
        (pid, Some(user)) => {
            let state = session.and_then(|session| session.state.as_deref()).unwrap_or("state unknown");
            format!("process {pid} of {user} ({state})")
        }
    }
}
