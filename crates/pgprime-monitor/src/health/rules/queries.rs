//! How long statements take.

use std::collections::HashMap;

use serde_json::json;

use super::seen::{FIRST_LOOK, Seen, share};
use crate::health::observe::{SlowStatement, Statements};
use crate::health::verdict::Verdict;
use crate::health::words;

const SLOW: &str = "queries.slow_share";
const MEAN: &str = "queries.mean_ms";
const LONGEST: &str = "queries.longest_running";

/// Below this many executions a mean says little, and our own looks would be much of it.
const CALLS_MIN: f64 = 200.0;

pub(super) fn verdicts(seen: &Seen<'_>) -> Vec<Verdict> {
    let mut verdicts = of_statements(seen);
    verdicts.push(longest(seen));
    verdicts
}

fn of_statements(seen: &Seen<'_>) -> Vec<Verdict> {
    let now = match &seen.now.statements {
        Ok(now) => now,
        Err(missing) => return vec![Verdict::unknown(SLOW, missing), Verdict::unknown(MEAN, missing)],
    };
    let before = seen.earlier.and_then(|earlier| earlier.statements.as_ref().ok());
    let before = before.filter(|before| before.reset_s == now.reset_s);
    let between = before.map(|before| (before, now.calls - before.calls, now.exec_ms - before.exec_ms));
    // Entries that made room for others take their counts with them.
    let Some((before, calls, exec_ms)) = between.filter(|(_, calls, ms)| *calls >= 0.0 && *ms >= 0.0) else {
        return vec![Verdict::well(SLOW, FIRST_LOOK), Verdict::well(MEAN, FIRST_LOOK)];
    };
    if calls < CALLS_MIN {
        let text = format!(
            "{} since the last look, too few for a load.",
            words::plural(calls as usize, "statement")
        );
        return vec![Verdict::well(SLOW, text.clone()), Verdict::well(MEAN, text)];
    }
    let mean_ms = exec_ms / calls;
    let text = format!(
        "{} in the mean of {} since the last look.",
        words::seconds(mean_ms / 1_000.0),
        words::plural(calls as usize, "statement")
    );
    let mean = Verdict::value(MEAN, mean_ms, text)
        .action("See which statements take the time, and whether they became slower.")
        .statement("pgprime slow-queries --order total");
    vec![slow_share(seen, now, before, exec_ms), mean]
}

fn slow_share(seen: &Seen<'_>, now: &Statements, before: &Statements, exec_ms: f64) -> Verdict {
    if now.hidden > 0 && !seen.now.server.sees_all {
        return Verdict::hidden(SLOW, seen.now.server.grant());
    }
    let threshold = seen.settings.slow_ms;
    let mut slow = slow_between(now, before, threshold);
    slow.sort_by(|one, other| other.exec_ms.total_cmp(&one.exec_ms));
    let slow_ms: f64 = slow.iter().map(|slow| slow.exec_ms).sum();
    let percent = share(slow_ms, exec_ms).min(100.0);
    let text = match slow.len() {
        0 => format!("No statement took {} or longer in the mean.", words::seconds(threshold / 1_000.0)),
        count => format!(
            "{} of the time went to {} of {} or longer.",
            words::percent(percent),
            words::plural(count, "statement"),
            words::seconds(threshold / 1_000.0)
        ),
    };
    let details = slow.iter().map(|slow| {
        json!({ "query_id": slow.query_id.to_string(), "calls": slow.calls, "exec_ms_mean": slow.exec_ms / slow.calls })
    });
    Verdict::value(SLOW, percent, text)
        .details(details)
        .action("See them with their plans: pgprime slow-queries, then pgprime analyze, pgprime indexes.")
        .statement("pgprime slow-queries")
}

/// What slow statements did in between. One that has its first slow execution behind it has no earlier count: that one
/// execution is what is sure.
fn slow_between(now: &Statements, before: &Statements, threshold_ms: f64) -> Vec<SlowStatement> {
    let key = |statement: &SlowStatement| (statement.user_oid, statement.query_id);
    let earlier: HashMap<(i64, i64), &SlowStatement> =
        before.slow.iter().map(|statement| (key(statement), statement)).collect();
    let between = now.slow.iter().map(|statement| {
        let (calls, exec_ms) = match earlier.get(&key(statement)) {
            Some(was) => (statement.calls - was.calls, statement.exec_ms - was.exec_ms),
            None => (1.0, statement.exec_ms_max),
        };
        SlowStatement { calls, exec_ms, ..*statement }
    });
    between.filter(|slow| slow.calls >= 1.0 && slow.exec_ms / slow.calls >= threshold_ms).collect()
}

fn longest(seen: &Seen<'_>) -> Verdict {
    let sessions = match &seen.now.sessions {
        Ok(sessions) => sessions,
        Err(missing) => return Verdict::unknown(LONGEST, missing),
    };
    if !seen.now.server.sees_all && seen.now.states.as_ref().is_ok_and(|states| states.hidden > 0) {
        return Verdict::hidden(LONGEST, seen.now.server.grant());
    }
    let mut active: Vec<_> =
        sessions.iter().filter(|session| session.is_active() && session.query_s.is_some()).collect();
    active.sort_by(|one, other| other.query_s.unwrap_or(0.0).total_cmp(&one.query_s.unwrap_or(0.0)));
    let Some(first) = active.first() else {
        return Verdict::value(LONGEST, 0.0, "No statement is at work.");
    };
    let age_s = first.query_s.unwrap_or(0.0);
    let user = first.user.as_deref().unwrap_or("somebody");
    let text =
        format!("One of {user} (process {}) has been running for {}.", first.pid, words::seconds(age_s));
    Verdict::value(LONGEST, age_s, text)
        .statement(format!("SELECT pg_cancel_backend({});", first.pid))
        .action("Cancel it if nobody waits for it; statement_timeout for the role bounds all of its kind.")
        .details(active)
}
