//! Transactions that stay open.

use super::seen::Seen;
use crate::health::observe::SessionSeen;
use crate::health::verdict::Verdict;
use crate::health::words;

const LONGEST: &str = "transactions.longest";
const IDLE: &str = "transactions.idle_longest";
const PREPARED: &str = "transactions.prepared_oldest";

pub(super) fn verdicts(seen: &Seen<'_>) -> Vec<Verdict> {
    let mut verdicts = of_sessions(seen);
    verdicts.extend(prepared(seen));
    verdicts
}

fn of_sessions(seen: &Seen<'_>) -> Vec<Verdict> {
    let sessions = match &seen.now.sessions {
        Ok(sessions) => sessions,
        Err(missing) => return vec![Verdict::unknown(LONGEST, missing), Verdict::unknown(IDLE, missing)],
    };
    let server = &seen.now.server;
    if !server.sees_all && seen.now.states.as_ref().is_ok_and(|states| states.hidden > 0) {
        return vec![Verdict::hidden(LONGEST, server.grant()), Verdict::hidden(IDLE, server.grant())];
    }
    let open = sorted(sessions.iter().collect(), |session| session.transaction_s);
    let idle = sessions.iter().filter(|session| session.is_idle_in_transaction()).collect();
    let idle = sorted(idle, |session| session.state_s);
    vec![
        oldest(LONGEST, &open, "No transaction is open.", "has a transaction open for")
            .action("End it, or find out what it waits for; nothing deleted since its begin can be removed."),
        oldest(IDLE, &idle, "No transaction is idle.", "is idle in a transaction for")
            .action("End it if it was forgotten; idle_in_transaction_session_timeout does so by itself."),
    ]
}

/// Sessions with an age, the oldest first.
fn sorted(
    sessions: Vec<&SessionSeen>,
    age: impl Fn(&SessionSeen) -> Option<f64>,
) -> Vec<(&SessionSeen, f64)> {
    let mut aged: Vec<(&SessionSeen, f64)> =
        sessions.into_iter().filter_map(|session| Some((session, age(session)?))).collect();
    aged.sort_by(|one, other| other.1.total_cmp(&one.1));
    aged
}

fn oldest(id: &'static str, sessions: &[(&SessionSeen, f64)], none: &str, does: &str) -> Verdict {
    let Some((session, age_s)) = sessions.first() else { return Verdict::value(id, 0.0, none) };
    let user = session.user.as_deref().unwrap_or("somebody");
    let application = match session.application.as_deref() {
        None | Some("") => String::new(),
        Some(application) => format!(" ({application})"),
    };
    let text = format!("Process {} of {user}{application} {does} {}.", session.pid, words::seconds(*age_s));
    Verdict::value(id, *age_s, text)
        .details(sessions.iter().map(|(session, _)| session))
        .statement(format!("SELECT pg_terminate_backend({});", session.pid))
}

fn prepared(seen: &Seen<'_>) -> Option<Verdict> {
    if seen.now.server.in_recovery {
        return None;
    }
    let prepared = match &seen.now.prepared {
        Ok(prepared) => prepared,
        Err(missing) => return Some(Verdict::unknown(PREPARED, missing)),
    };
    let Some(first) = prepared.first() else {
        return Some(Verdict::value(PREPARED, 0.0, "No transaction is prepared."));
    };
    let text = format!(
        "{} of {} in {} is {} old; {} in all.",
        first.id,
        first.owner,
        first.database,
        words::seconds(first.age_s),
        prepared.len()
    );
    let verdict = Verdict::value(PREPARED, first.age_s, text)
        .details(prepared)
        .action(
            "Ask its transaction manager for the outcome; if nobody knows it, roll it back in its database.",
        )
        .statement(format!("ROLLBACK PREPARED {};", first.id));
    Some(verdict)
}
