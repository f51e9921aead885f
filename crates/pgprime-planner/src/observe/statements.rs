//! Measured service times, from pg_stat_statements.

use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use pgprime_capacity::postgres::LiveSetting;

use super::mix::{Mix, Moments, pooled};
use super::server::{Server, find};
use pgprime_readonly::Missing;
use pgprime_readonly::ReadError;
use pgprime_readonly::{Attempt, Session, column, count};

/// A statement with a longer mean counts as a report.
pub const LONG_MS: f64 = 100.0;

const WHAT: &str = "measured service times";
const CREATE: &str = "CREATE EXTENSION pg_stat_statements;";
/// Rates over less than a second say nothing.
const WINDOW_SECONDS_MIN: f64 = 1.0;

/// What pg_stat_statements has measured in this database.
///
/// A call is one SELECT, INSERT, UPDATE, DELETE, MERGE, CALL or DO that a client sent; transaction control, SET, COPY
/// and maintenance are left out. Where the view does not tell nested statements apart (version 13 with
/// `pg_stat_statements.track = all`) those within functions count as well.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Statements {
    /// From when on calls are counted.
    pub since: StatementsSince,
    /// How long calls have been counted, in seconds.
    pub window_seconds: f64,
    /// All calls; None when there was none.
    pub all: Option<Mix>,
    /// Those of statements with a mean up to [`LONG_MS`]: the service.
    pub short: Option<Mix>,
    /// Those of statements with a longer mean: reports.
    pub long: Option<Mix>,
    /// Calls per second, on average over the window; the peak is higher.
    pub calls_per_second: f64,
    /// Connections that were executing, on average over the window: by Little's law calls per second × mean.
    pub busy_connections_mean: f64,
    /// Share of the calls that only read, 0 to 1, judged by their text: a SELECT that calls a function which writes
    /// is taken for a read. None when no text may be seen.
    pub read_share: Option<f64>,
    /// Share of the execution time that reads take, 0 to 1.
    pub read_time_share: Option<f64>,
    /// Share of the calls that are reports, 0 to 1.
    pub long_share: Option<f64>,
    /// Share of the execution time that reports take, 0 to 1.
    pub long_time_share: Option<f64>,
    /// Entries that were dropped for want of room (since version 14): calls are missing when there are many.
    pub dropped: Option<u64>,
}

/// From when on calls are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementsSince {
    /// Since the statistics were reset.
    Reset,
    /// Since the server was started, as far as is known: before version 14 the view does not say when it was reset,
    /// and it keeps its counts over a restart.
    ServerStart,
}

/// The view in this database.
struct View {
    schema: String,
    has_execution_time: bool,
    has_toplevel: bool,
    has_information: bool,
}

/// Where and since when calls are counted.
struct Window {
    since: StatementsSince,
    seconds: f64,
    dropped: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    Utility,
    /// Another role's, whose text this one may not see.
    Hidden,
}

struct Group {
    kind: Kind,
    is_long: bool,
    moments: Moments,
}

pub(super) async fn read(
    session: &Session<'_>,
    server: &Server,
    settings: &[LiveSetting],
    missing: &mut Vec<Missing>,
) -> Result<Option<Statements>, ReadError> {
    let Some(view) = find_view(session).await? else {
        let is_loaded = find(settings, "pg_stat_statements.max").is_some();
        missing.push(not_created(is_loaded));
        return Ok(None);
    };
    if !view.has_execution_time {
        let why = "the extension pg_stat_statements is older than the server";
        missing.push(Missing::new(WHAT, why).with_statement("ALTER EXTENSION pg_stat_statements UPDATE;"));
        return Ok(None);
    }
    let step = "read pg_stat_statements";
    let sql = include_str!("../../sql/statements.sql")
        .replace("{schema}", &view.schema)
        .replace("{toplevel}", if view.has_toplevel { "toplevel" } else { "true" });
    let rows = match session.attempt(step, &sql, &[(&LONG_MS, Type::FLOAT8)]).await? {
        Attempt::Rows(rows) => rows,
        Attempt::Refused { state, message } => {
            missing.push(refused(&view, server, &state, &message));
            return Ok(None);
        }
    };
    let groups: Vec<Group> = rows.iter().map(|row| group(row, step)).collect::<Result<_, _>>()?;
    let window = window(session, server, &view).await?;
    let statements = summary(&groups, &window);
    missing.extend(gaps(&groups, &window, server));
    Ok(Some(statements))
}

async fn find_view(session: &Session<'_>) -> Result<Option<View>, ReadError> {
    let step = "look for pg_stat_statements";
    let sql = include_str!("../../sql/statistics_extension.sql");
    let view = |row: &Row| -> Result<View, ReadError> {
        Ok(View {
            schema: column(row, step, "schema")?,
            has_execution_time: column(row, step, "has_execution_time")?,
            has_toplevel: column(row, step, "has_toplevel")?,
            has_information: column(row, step, "has_information")?,
        })
    };
    session.rows(step, sql, &[]).await?.first().map(view).transpose()
}

fn not_created(is_loaded: bool) -> Missing {
    if is_loaded {
        let why = "pg_stat_statements is loaded but not created in this database; until then a service time is assumed";
        return Missing::new(WHAT, why).with_statement(CREATE);
    }
    let why = "pg_stat_statements is not loaded: add it to shared_preload_libraries, restart the server, then create \
               it in this database; until then a service time is assumed";
    Missing::new(WHAT, why).with_statement(CREATE)
}

fn refused(view: &View, server: &Server, state: &SqlState, message: &str) -> Missing {
    let reason = Missing::new(WHAT, message);
    if *state == SqlState::INSUFFICIENT_PRIVILEGE {
        let (schema, role) = (&view.schema, &server.role_quoted);
        return reason.with_statement(format!(
            "GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON {schema}.pg_stat_statements TO {role};"
        ));
    }
    if *state == SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE {
        let why = format!("{message}; after a restart of the server it measures");
        return Missing::new(WHAT, why);
    }
    reason
}

fn group(row: &Row, step: &'static str) -> Result<Group, ReadError> {
    let kind = match column(row, step, "kind")? {
        "read" => Kind::Read,
        "write" => Kind::Write,
        "hidden" => Kind::Hidden,
        _utility => Kind::Utility,
    };
    let moments = Moments {
        statements: count(row, step, "statements")?,
        calls: column(row, step, "calls")?,
        mean_ms: column(row, step, "mean_ms")?,
        variance: column(row, step, "variance")?,
    };
    Ok(Group { kind, is_long: column(row, step, "is_long")?, moments })
}

async fn window(session: &Session<'_>, server: &Server, view: &View) -> Result<Window, ReadError> {
    let fallback =
        Window { since: StatementsSince::ServerStart, seconds: server.uptime_seconds, dropped: None };
    if !view.has_information {
        return Ok(fallback);
    }
    let step = "read pg_stat_statements_info";
    let sql = include_str!("../../sql/statistics_window.sql").replace("{schema}", &view.schema);
    let Attempt::Rows(rows) = session.attempt(step, &sql, &[]).await? else { return Ok(fallback) };
    let Some(row) = rows.first() else { return Ok(fallback) };
    let seconds: Option<f64> = column(row, step, "seconds")?;
    let dropped = Some(count(row, step, "dropped")?);
    Ok(match seconds {
        Some(seconds) => Window { since: StatementsSince::Reset, seconds, dropped },
        None => Window { dropped, ..fallback },
    })
}

fn summary(groups: &[Group], window: &Window) -> Statements {
    let moments = |wanted: &dyn Fn(&Group) -> bool| -> Vec<Moments> {
        let service = groups.iter().filter(|group| group.kind != Kind::Utility);
        service.filter(|group| wanted(group)).map(|group| group.moments).collect()
    };
    let calls = |moments: &[Moments]| moments.iter().map(|part| part.calls).sum::<f64>();
    let time_ms = |moments: &[Moments]| moments.iter().map(Moments::total_ms).sum::<f64>();
    let all = moments(&|_| true);
    let long = moments(&|group| group.is_long);
    let visible = moments(&|group| group.kind != Kind::Hidden);
    let reads = moments(&|group| group.kind == Kind::Read);
    let seconds = window.seconds.max(WINDOW_SECONDS_MIN);
    Statements {
        since: window.since,
        window_seconds: seconds,
        all: pooled(&all),
        short: pooled(&moments(&|group| !group.is_long)),
        long: pooled(&long),
        calls_per_second: calls(&all) / seconds,
        busy_connections_mean: time_ms(&all) / 1e3 / seconds,
        read_share: share(calls(&reads), calls(&visible)),
        read_time_share: share(time_ms(&reads), time_ms(&visible)),
        long_share: share(calls(&long), calls(&all)),
        long_time_share: share(time_ms(&long), time_ms(&all)),
        dropped: window.dropped,
    }
}

fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| (part / whole).clamp(0.0, 1.0))
}

/// What the figures leave out.
fn gaps(groups: &[Group], window: &Window, server: &Server) -> Vec<Missing> {
    let mut gaps = Vec::new();
    if groups.iter().any(|group| group.kind == Kind::Hidden) {
        let why = "this role sees how long statements of other roles take but not what they are: they count in the \
                   service times, with those for maintenance among them, and not in the share of reads";
        let missing = Missing::new("the kind of other roles' statements", why);
        gaps.push(missing.with_statement(server.grant_monitor()));
    }
    if window.dropped.is_some_and(|dropped| dropped > 0) {
        let why = "pg_stat_statements has dropped entries for want of room: the true rate of calls is higher; the \
                   change takes a restart";
        let missing = Missing::new("calls of dropped statements", why);
        gaps.push(missing.with_statement("ALTER SYSTEM SET pg_stat_statements.max = 10000;"));
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(kind: Kind, calls: f64, mean_ms: f64) -> Group {
        let moments = Moments { statements: 1, calls, mean_ms, variance: 0.0 };
        Group { kind, is_long: mean_ms > LONG_MS, moments }
    }

    fn window(seconds: f64) -> Window {
        Window { since: StatementsSince::Reset, seconds, dropped: Some(0) }
    }

    #[test]
    fn shares_and_rates() {
        let groups = [
            group(Kind::Read, 600.0, 1.0),
            group(Kind::Write, 200.0, 2.0),
            group(Kind::Read, 10.0, 1_000.0),
            group(Kind::Hidden, 190.0, 1.0),
            group(Kind::Utility, 5_000.0, 500.0),
        ];
        let statements = summary(&groups, &window(10.0));
        assert_eq!(statements.all.unwrap().calls, 1_000);
        assert_eq!(statements.short.unwrap().calls, 990);
        assert_eq!(statements.long.unwrap().mean_ms, 1_000.0);
        assert_eq!(statements.calls_per_second, 100.0);
        // 600 + 400 + 10,000 + 190 ms in 10 s.
        assert!((statements.busy_connections_mean - 1.119).abs() < 1e-12);
        assert_eq!(statements.read_share, Some(610.0 / 810.0));
        assert_eq!(statements.read_time_share, Some(10_600.0 / 11_000.0));
        assert_eq!(statements.long_share, Some(0.01));
        assert_eq!(statements.long_time_share, Some(10_000.0 / 11_190.0));
    }

    #[test]
    fn no_calls_are_no_numbers() {
        let statements = summary(&[], &window(0.0));
        assert_eq!((statements.all, statements.read_share, statements.long_share), (None, None, None));
        assert_eq!((statements.calls_per_second, statements.busy_connections_mean), (0.0, 0.0));
        assert_eq!(summary(&[group(Kind::Hidden, 5.0, 1.0)], &window(5.0)).read_share, None);
    }
}
