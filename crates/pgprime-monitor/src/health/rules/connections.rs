//! How many connections there are left.

use super::seen::{Seen, share};
use crate::health::observe::SessionSeen;
use crate::health::verdict::Verdict;
use crate::health::words;

const USED: &str = "connections.used";
const IDLE: &str = "connections.idle_in_transaction";

pub(super) fn verdicts(seen: &Seen<'_>) -> Vec<Verdict> {
    vec![used(seen), idle_in_transaction(seen)]
}

fn used(seen: &Seen<'_>) -> Verdict {
    let states = match &seen.now.states {
        Ok(states) => states,
        Err(missing) => return Verdict::unknown(USED, missing),
    };
    let server = &seen.now.server;
    let usable = server.connections_usable();
    let percent = share(states.used as f64, usable as f64);
    let hidden = match states.hidden {
        0 => String::new(),
        hidden => format!(", {hidden} not visible to this role"),
    };
    let text = format!(
        "{} of {usable} ({} more are reserved): {} active, {} idle, {} idle in transactions{hidden}.",
        states.used, server.connections_reserved, states.active, states.idle, states.idle_in_transaction
    );
    let action = match states.idle > states.active {
        true => {
            "Most are idle: a pooler in transaction mode serves as many clients with far fewer. pgprime plan \
                 calculates sizes."
        }
        false => {
            "Most are at work: make statements faster before you allow more; pgprime plan calculates sizes."
        }
    };
    Verdict::value(USED, percent, text).action(action)
}

fn idle_in_transaction(seen: &Seen<'_>) -> Verdict {
    let states = match &seen.now.states {
        Ok(states) => states,
        Err(missing) => return Verdict::unknown(IDLE, missing),
    };
    let count = states.idle_in_transaction_long;
    if !seen.now.server.sees_all && states.hidden > 0 {
        return Verdict::hidden(IDLE, seen.now.server.grant());
    }
    let percent = share(count as f64, seen.now.server.connections_usable() as f64);
    let text = match count {
        0 => "None is idle in a transaction for 5 s or longer.".to_owned(),
        _ => format!(
            "{count} are idle in transactions for 5 s or longer, {} of all that may be.",
            words::percent(percent)
        ),
    };
    let mut sessions: Vec<&SessionSeen> =
        seen.now.sessions.iter().flatten().filter(|session| session.is_idle_in_transaction()).collect();
    sessions.sort_by(|one, other| other.state_s.unwrap_or(0.0).total_cmp(&one.state_s.unwrap_or(0.0)));
    Verdict::value(IDLE, percent, text)
        .details(sessions)
        .action("End transactions before anything else is waited for; a limit ends those that are forgotten.")
        .statement("ALTER SYSTEM SET idle_in_transaction_session_timeout = '60s';\nSELECT pg_reload_conf();")
}
