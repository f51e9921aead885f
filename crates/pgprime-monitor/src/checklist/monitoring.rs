//! Items about who would notice.

use super::evidence::{Evidence, Running};
use super::item::Judged;
use super::report::FixKind;
use crate::health::words::{plural, seconds};

/// A look that is older says that nobody looks any more.
const LOOK_S_MAX: f64 = 300.0;
/// From so much record on a trend can be told.
const RECORD_S_MIN: f64 = 86_400.0;
/// A record that ends earlier is none of now.
const RECORD_AGE_S_MAX: f64 = 3_600.0;
/// Indexes are to be reviewed as often.
const REVIEW_S_MAX: f64 = 35.0 * 86_400.0;
/// The checks that tell of exhausted pools.
const EXHAUSTION: &[&str] = &[
    "connections.used",
    "pooler.clients_waiting",
    "pooler.longest_wait",
    "pooler.servers_busy",
    "pooler.clients_used",
];
/// The checks that tell of lag.
const LAG: &[&str] = &["replication.lag_s", "replication.lag_bytes", "replication.replay_delay_s"];

fn running<'a>(evidence: &'a Evidence, what: &str) -> Result<&'a Running, Box<Judged>> {
    evidence.running.as_ref().ok_or_else(|| Box::new(Judged::not_running(what)))
}

fn age_s(evidence: &Evidence, at: jiff::Timestamp) -> f64 {
    evidence.taken_at.duration_since(at).as_secs_f64().max(0.0)
}

pub(super) fn health(evidence: &Evidence) -> Judged {
    let running = match running(evidence, "when it looked last") {
        Ok(running) => running,
        Err(judged) => return *judged,
    };
    match running.health_at.map(|at| age_s(evidence, at)) {
        Some(age) if age <= LOOK_S_MAX => Judged::met(format!("the last look was {} ago", seconds(age))),
        Some(age) => Judged::not_met(format!("the last look was {} ago", seconds(age)))
            .advice("look into the log of pgprime run for why it does not look any more"),
        None => Judged::not_met("nobody has looked yet").fix(FixKind::Command, "pgprime run"),
    }
}

pub(super) fn alerts(evidence: &Evidence) -> Judged {
    let running = match running(evidence, "its alerts") {
        Ok(running) => running,
        Err(judged) => return *judged,
    };
    let Some(alerting) = &running.alerting else {
        return Judged::not_met("no alerts are configured").fix(FixKind::Setting, CHANNEL);
    };
    let rules: Vec<&str> =
        EXHAUSTION.iter().copied().filter(|id| alerting.checks.iter().any(|check| check == id)).collect();
    match (rules.as_slice(), alerting.channels.as_slice()) {
        ([], _) => Judged::not_met("no rule is about pools or connections").advice(
            "leave the rules of connections.used and pooler.clients_waiting as they are by default, or \
             write your own",
        ),
        (rules, []) => {
            Judged::not_met(format!("{} but no channel: nobody is told", plural(rules.len(), "rule")))
                .fix(FixKind::Setting, CHANNEL)
        }
        (rules, channels) => Judged::met(format!(
            "{} ({}), told to {}",
            plural(rules.len(), "rule"),
            rules.join(", "),
            channels.join(", ")
        )),
    }
}

const CHANNEL: &str =
    "[[alerts.channels]]\nname = \"team\"\nkind = \"slack\"\nurl = \"https://hooks.example.com/…\"";

pub(super) fn trends(evidence: &Evidence) -> Judged {
    let running = match running(evidence, "what is recorded") {
        Ok(running) => running,
        Err(judged) => return *judged,
    };
    let Some(recorded) = running.statements else {
        return Judged::not_met("nothing is recorded of statements")
            .advice("create pg_stat_statements, and let pgprime run record it");
    };
    let length = recorded.last_at.duration_since(recorded.first_at).as_secs_f64();
    let age = age_s(evidence, recorded.last_at);
    let said = format!("statements of {} are recorded, the last {} ago", seconds(length), seconds(age));
    match length {
        _ if age > RECORD_AGE_S_MAX => Judged::not_met(said)
            .advice("look into the log of pgprime run for why it does not record any more"),
        length if length < RECORD_S_MIN => Judged::cannot_tell(said, "a trend shows after a day"),
        _ => Judged::met(said),
    }
}

pub(super) fn replication(evidence: &Evidence) -> Judged {
    if evidence.replicas == 0 && !evidence.server.in_recovery {
        return Judged::met("no server follows this one: nothing can lag");
    }
    let said = match evidence.replicas {
        0 => "this server is a replica".to_owned(),
        replicas => plural(usize::try_from(replicas).unwrap_or(usize::MAX), "replica"),
    };
    let running = match running(evidence, "its checks") {
        Ok(running) => running,
        Err(judged) => return Judged { evidence: said, ..*judged },
    };
    let checks: Vec<&str> =
        LAG.iter().copied().filter(|id| running.checks.iter().any(|check| check == id)).collect();
    match checks.is_empty() {
        true => Judged::not_met(format!("{said}; no check is about lag"))
            .advice("take replication.lag_s and replication.lag_bytes out of off in [health]"),
        false => Judged::met(format!("{said}, watched by {}", checks.join(", "))),
    }
}

pub(super) fn indexes(evidence: &Evidence) -> Judged {
    let running = match running(evidence, "when indexes were last reviewed") {
        Ok(running) => running,
        Err(judged) => return Judged { fix: None, ..*judged }.fix(FixKind::Command, "pgprime indexes"),
    };
    match running.indexes_reviewed_at.map(|at| age_s(evidence, at)) {
        Some(age) if age <= REVIEW_S_MAX => Judged::met(format!("reviewed {} ago", seconds(age))),
        Some(age) => Judged::not_met(format!("the last review was {} ago", seconds(age)))
            .fix(FixKind::Command, "pgprime indexes"),
        None => Judged::not_met("no review is recorded").fix(FixKind::Command, "pgprime indexes"),
    }
}
