//! pg_stat_statements, in one row: sums, and the few statements that can have been slow.

use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use super::section::Section;
use super::server::Server;
use super::session::{Session, count, get};
use crate::health::down::Down;
use crate::health::words::library_list;
use pgprime_readonly::Missing;

const WHAT: &str = "times of statements";

/// What pg_stat_statements has counted of this database.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statements {
    /// Executions.
    pub calls: f64,
    /// Their time, in milliseconds.
    pub exec_ms: f64,
    /// Entries whose identity this role may not see.
    pub hidden: u64,
    /// When it began to count, in seconds since 1970, where it says so.
    pub reset_s: Option<f64>,
    /// Statements of which an execution took longer than the threshold: no other can have a mean above it.
    pub slow: Vec<SlowStatement>,
}

/// A statement of which an execution was slow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowStatement {
    /// The role that runs it.
    pub user_oid: i64,
    /// Its number in pg_stat_statements.
    pub query_id: i64,
    /// Executions.
    pub calls: f64,
    /// Their time, in milliseconds.
    pub exec_ms: f64,
    /// The longest, in milliseconds.
    pub exec_ms_max: f64,
}

pub(super) async fn read(
    session: &Session<'_>,
    server: &Server,
    slow_ms: f64,
) -> Result<Section<Statements>, Down> {
    let Some((schema, version)) = &server.statements_extension else { return Ok(Err(no_extension(server))) };
    let has_1_9 = !matches!(version.as_str(), "1.4" | "1.5" | "1.6" | "1.7" | "1.8");
    let reset =
        format!("(SELECT extract(epoch FROM stats_reset)::float8 FROM {schema}.pg_stat_statements_info)");
    // Statements inside functions count with the function already.
    let (reset, toplevel) = if has_1_9 { (reset.as_str(), "s.toplevel") } else { ("NULL::float8", "true") };
    let sql = include_str!("../../../sql/health_statements.sql")
        .replace("{reset}", reset)
        .replace("{toplevel}", toplevel)
        .replace("{schema}", schema);
    let parse = |rows: &[Row]| rows.first().map(parse).transpose().map(Option::unwrap_or_default);
    let found = session.section(WHAT, &sql, &[(&slow_ms, Type::FLOAT8)], parse).await?;
    Ok(found.map_err(|missing| match server.has_statements_library() {
        Some(false) => not_loaded(server),
        _ if missing.why.contains("shared_preload_libraries") => not_loaded(server),
        _ => missing,
    }))
}

fn parse(row: &Row) -> Result<Statements, Error> {
    let users: Vec<i64> = get(row, "slow_users")?;
    let ids: Vec<i64> = get(row, "slow_ids")?;
    let calls: Vec<f64> = get(row, "slow_calls")?;
    let times: Vec<f64> = get(row, "slow_ms")?;
    let longest: Vec<f64> = get(row, "slow_ms_max")?;
    let all = users.into_iter().zip(ids).zip(calls.into_iter().zip(times)).zip(longest);
    let slow = all.map(|(((user_oid, query_id), (calls, exec_ms)), exec_ms_max)| SlowStatement {
        user_oid,
        query_id,
        calls,
        exec_ms,
        exec_ms_max,
    });
    Ok(Statements {
        calls: get(row, "calls")?,
        exec_ms: get(row, "exec_ms")?,
        hidden: count(row, "hidden")?,
        reset_s: get(row, "reset_s")?,
        slow: slow.collect(),
    })
}

fn no_extension(server: &Server) -> Missing {
    if server.has_statements_library() == Some(false) {
        return not_loaded(server);
    }
    Missing {
        what: WHAT.to_owned(),
        why: "the extension pg_stat_statements is not in this database".to_owned(),
        statement: Some("CREATE EXTENSION pg_stat_statements;".to_owned()),
    }
}

/// Libraries that are loaded already stay: where they are not known, nobody is told to replace them.
fn not_loaded(server: &Server) -> Missing {
    let restart = "it needs a restart after this, and CREATE EXTENSION pg_stat_statements in the database";
    let (why, statement) = match &server.preload_libraries {
        Some(libraries) => {
            let list = library_list(&format!("{libraries}, pg_stat_statements"));
            (restart.to_owned(), format!("ALTER SYSTEM SET shared_preload_libraries = {list};"))
        }
        None => {
            let hidden = "it has to be added to shared_preload_libraries, which this role may not see";
            (format!("{hidden}; {restart}"), server.grant())
        }
    };
    Missing {
        what: WHAT.to_owned(),
        why: format!("the server has not loaded pg_stat_statements; {why}"),
        statement: Some(statement),
    }
}
