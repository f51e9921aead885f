//! Items about how the application uses the database.

use pgprime_advisor::sql::quoted;

use super::evidence::{Caching, Evidence, Pooling, Statement, StatementKind, Workload};
use super::item::Judged;
use super::report::{FixKind, Verdict};
use super::settings::statement_with_reload;
use super::words::{beginning, shortened};
use crate::health::words::{number, percent, plural};
use crate::pooler::{PoolerKind, diagnose};

/// So many sessions, most of them at rest, come from clients of their own.
const SESSIONS_UNPOOLED: u64 = 50;
const IDLE_SHARE_UNPOOLED: f64 = 0.7;
/// A cache that answers less is not worth having.
const HIT_RATIO_MIN: f64 = 0.2;
/// Fewer executions say nothing.
pub(super) const CALLS_MIN: f64 = 1_000.0;
/// A read that is worth keeping: so long, so often, and so much of the time.
const CACHED_MS_MIN: f64 = 5.0;
const CACHED_PER_HOUR_MIN: f64 = 60.0;
const CACHED_SHARE_MIN: f64 = 0.02;
/// Statements that are planned less often for each execution are prepared.
const PLANS_SHARE_MAX: f64 = 0.5;
/// So many single rows a second of one statement are worth batching.
const ROWS_PER_S_MIN: f64 = 50.0;
/// A statement with at most so many rows inserts single ones.
const SINGLE_ROWS_MAX: f64 = 1.05;
/// So many executions one after another by one client are a loop.
pub(super) const LOOP_MIN: u64 = 10;
/// Reads take so much of the time where the load is read-heavy.
const READ_HEAVY_SHARE: f64 = 0.8;
/// One server does it, as long as so many of its cores are at work on average.
const BUSY_CORES_SHARE: f64 = 0.5;

/// What is met as far as this role sees: of statements of other roles it cannot tell.
pub(super) fn seen_all(evidence: &Evidence, judged: Judged) -> Judged {
    let hidden = evidence.workload.as_ref().map_or(0, |workload| workload.hidden);
    if hidden == 0 || judged.verdict != Verdict::Met {
        return judged;
    }
    let role = quoted(&evidence.server.role);
    let why = format!("{} of other roles cannot be seen by {role}", plural(count(hidden), "statement"));
    Judged::cannot_tell(judged.evidence, why).sql(format!("GRANT pg_monitor TO {role};"))
}

pub(super) fn pooling(evidence: &Evidence) -> Judged {
    match &evidence.pooling {
        Some(Ok(pooling)) => pooled(pooling),
        Some(Err(missing)) => Judged::unseen(missing),
        None => by_sessions(evidence),
    }
}

fn pooled(pooling: &Pooling) -> Judged {
    let report = &pooling.report;
    let name = match report.kind {
        PoolerKind::Pgprime => "pgprime",
        PoolerKind::Pgbouncer => "PgBouncer",
    };
    let said = format!(
        "{name} serves {} with {}",
        plural(count(report.clients), "client"),
        plural(count(report.servers), "server")
    );
    let session = diagnose(report, None).into_iter().find(|finding| finding.code == "session_pooling");
    match session {
        Some(finding) => Judged::not_met(finding.text)
            .because(finding.action)
            .fix(FixKind::Setting, finding.statement.unwrap_or_else(|| "pool_mode = transaction".to_owned())),
        None => Judged::met(said),
    }
}

fn count(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn by_sessions(evidence: &Evidence) -> Judged {
    let sessions = &evidence.sessions;
    let said = format!(
        "{}, {} of them idle",
        plural(count(sessions.total), "session"),
        number(sessions.idle as f64)
    );
    let idle_share = sessions.idle as f64 / sessions.total.max(1) as f64;
    if sessions.total >= SESSIONS_UNPOOLED && idle_share >= IDLE_SHARE_UNPOOLED {
        return Judged::not_met(said)
            .fix(FixKind::Command, "pgprime plan --database-url \"$DATABASE_URL\" --write .");
    }
    Judged::cannot_tell(
        said,
        "whether they come from a pooler cannot be seen here: name its console (--pooler-url)",
    )
}

pub(super) fn caching(evidence: &Evidence) -> Judged {
    let cache = evidence.running.as_ref().and_then(|running| running.caching);
    if let Some(Caching { requests, hits }) = cache.filter(|cache| cache.requests > 0) {
        let ratio = hits as f64 / requests as f64;
        let said = format!(
            "{} of {} cached reads came from the cache",
            percent(100.0 * ratio),
            number(requests as f64)
        );
        return match ratio >= HIT_RATIO_MIN {
            true => Judged::met(said),
            false => Judged::not_met(said)
                .because("a cache that seldom has what it is asked for costs more than it spares")
                .advice(
                    "keep results longer, or do not cache what hardly repeats: GET \
                         /api/v1/monitoring/cache tells by label",
                ),
        };
    }
    let workload = match &evidence.workload {
        Ok(workload) => workload,
        Err(missing) => return Judged::unseen(missing),
    };
    let repeated = repeated_reads(workload);
    let Some(worst) = repeated.first() else {
        let said = "no read without parameters is both frequent and expensive";
        let why = "reads with parameters may repeat all the same; only the application's own cache \
                   (db.cached(…)) can tell";
        return Judged::cannot_tell(said, why);
    };
    Judged::not_met(format!(
        "{} of the same text each time; the most expensive ran {} times for {:.1} ms: {}",
        plural(repeated.len(), "frequent read"),
        number(worst.calls),
        worst.exec_ms_mean(),
        beginning(worst)
    ))
    .advice(
        "ask for it with db.cached(…) of pgprime-client and the age that is allowed, or keep it in the application for \
         some seconds; writes through pgprime drop what they change",
    )
}

/// Reads that can only ever ask for the same, the most expensive first: they have no parameter, and no constant either,
/// as those are shown as parameters.
fn repeated_reads(workload: &Workload) -> Vec<&Statement> {
    let hours = workload.seconds.max(1.0) / 3_600.0;
    let whole = workload.exec_ms();
    let is_repeated = |statement: &&Statement| {
        statement.kind == StatementKind::Read
            && !statement.text.contains('$')
            // What asks the server for its state wants it fresh.
            && !statement.text.contains("pg_")
            && statement.calls / hours >= CACHED_PER_HOUR_MIN
            && statement.calls >= 10.0
            && statement.exec_ms_mean() >= CACHED_MS_MIN
            && statement.exec_ms >= CACHED_SHARE_MIN * whole
    };
    let mut found: Vec<&Statement> = workload.statements.iter().filter(is_repeated).collect();
    found.sort_by(|a, b| b.exec_ms.total_cmp(&a.exec_ms));
    found
}

pub(super) fn prepared_statements(evidence: &Evidence) -> Judged {
    if let Some(Ok(Pooling { parses: Some(parses), binds: Some(binds), .. })) = &evidence.pooling
        && *binds as f64 >= CALLS_MIN
    {
        let share = *parses as f64 / *binds as f64;
        let said = format!(
            "clients had {} statements parsed for {} executions",
            number(*parses as f64),
            number(*binds as f64)
        );
        return if share <= PLANS_SHARE_MAX {
            Judged::met(said)
        } else {
            Judged::not_met(said).advice(PREPARE)
        };
    }
    let workload = match &evidence.workload {
        Ok(workload) => workload,
        Err(missing) => return Judged::unseen(missing),
    };
    let is_plannable = |statement: &&Statement| statement.kind != StatementKind::Other;
    let plannable = || workload.statements.iter().filter(is_plannable);
    let (calls, plans) =
        (plannable().map(|s| s.calls).sum::<f64>(), plannable().map(|s| s.plans).sum::<f64>());
    if !workload.counts_planning {
        let why = "pg_stat_statements does not count planning (that costs a little), and no pooler was asked that counts \
                   what clients prepare: name the console of pgprime, or of PgBouncer from 1.24 on (--pooler-url)";
        let name = "pg_stat_statements.track_planning";
        let judged = Judged::cannot_tell("neither planning nor preparing is counted", why);
        return match statement_with_reload(evidence, name, "on") {
            Some(sql) => judged.sql(sql),
            None => judged,
        };
    }
    let said = format!("{} executions were planned {} times", number(calls), number(plans));
    match plans / calls.max(1.0) {
        _ if calls < CALLS_MIN => Judged::cannot_tell(said, "so few executions say nothing"),
        share if share <= PLANS_SHARE_MAX => seen_all(evidence, Judged::met(said)),
        _ => Judged::not_met(said).advice(PREPARE),
    }
}

const PREPARE: &str = "let the driver prepare statements and keep them (asyncpg, node-postgres with names and JDBC do so when \
                       told); pgprime, and PgBouncer from 1.21 on with max_prepared_statements, keep them over transactions";

pub(super) fn batching(evidence: &Evidence) -> Judged {
    if let Some(Ok(Pooling { repeats: Some(repeats), .. })) = &evidence.pooling {
        let is_write = |text: &str| {
            let first = text.split_whitespace().next().unwrap_or_default();
            ["insert", "update", "delete", "merge"].iter().any(|word| first.eq_ignore_ascii_case(word))
        };
        let worst = repeats.iter().filter(|repeat| is_write(&repeat.text) && repeat.longest >= LOOP_MIN);
        return match worst.max_by_key(|repeat| repeat.executions) {
            Some(worst) => Judged::not_met(format!(
                "one client ran this up to {} times in a row, {} times in all: {}",
                number(worst.longest as f64),
                number(worst.executions as f64),
                shortened(&worst.text)
            ))
            .advice(BATCH),
            None => Judged::met("the pooler has seen no client repeat a write in a row"),
        };
    }
    let workload = match &evidence.workload {
        Ok(workload) => workload,
        Err(missing) => return Judged::unseen(missing),
    };
    let seconds = workload.seconds.max(1.0);
    let is_single = |statement: &&Statement| {
        statement.kind == StatementKind::Insert
            && statement.calls > 0.0
            && statement.rows_mean() <= SINGLE_ROWS_MAX
    };
    let most = workload.statements.iter().filter(is_single).max_by(|a, b| a.calls.total_cmp(&b.calls));
    match most {
        Some(most) if most.calls / seconds >= ROWS_PER_S_MIN && most.calls >= CALLS_MIN => Judged::not_met(
            format!("{} rows a second came one by one: {}", number(most.calls / seconds), beginning(most)),
        )
        .because(
            "where they belong to one request or can wait for one another, one statement for \
                          many is far cheaper",
        )
        .advice(BATCH),
        _ if workload.calls() < CALLS_MIN => Judged::cannot_tell(
            format!("{} executions are counted", number(workload.calls())),
            "so few say nothing",
        ),
        Some(most) => {
            let rate = number(most.calls / seconds);
            let said = format!("no statement inserts single rows more often than {rate} times a second");
            seen_all(evidence, Judged::met(said))
        }
        None => seen_all(evidence, Judged::met("no statement inserts single rows")),
    }
}

const BATCH: &str = "send many rows in one statement: INSERT … SELECT * FROM unnest($1::bigint[], $2::text[]), INSERT with several \
                     VALUES, or COPY; all in one transaction";

pub(super) fn replicas(evidence: &Evidence) -> Judged {
    if evidence.server.in_recovery {
        return Judged::met("this server is a replica");
    }
    let workload = match &evidence.workload {
        Ok(workload) => workload,
        Err(missing) => return Judged::unseen(missing),
    };
    let Some(reads) = workload.read_time_share.filter(|_| workload.calls() >= CALLS_MIN) else {
        let said = format!("{} executions are counted", number(workload.calls()));
        return Judged::cannot_tell(said, "so few say nothing of the load");
    };
    let busy = workload.busy_connections_mean;
    let said = format!(
        "reads take {} of the time, {busy:.1} sessions are at work on average",
        percent(100.0 * reads)
    );
    if evidence.replicas > 0 {
        return Judged::met(format!("{said}; {}", plural(count(evidence.replicas), "replica")));
    }
    if reads < READ_HEAVY_SHARE {
        return Judged::met(format!("{said}: not read-heavy"));
    }
    let cores = evidence.machine.cores;
    let limit = f64::from(cores.unwrap_or(2)) * BUSY_CORES_SHARE;
    match cores {
        _ if busy < limit => Judged::met(format!("{said}: one server does that easily")),
        None => Judged::cannot_tell(said, "how many cores the server has is not known (--cores 8)"),
        Some(cores) => Judged::not_met(format!("{said}, of {}", plural(cores as usize, "core"))).advice(
            "set up a streaming replica, and let pgprime-client read there (read_url, \
                     DATABASE_READ_URL) what may be a moment old",
        ),
    }
}
