//! Who is connected, and who waits for whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use pgprime_advisor::Missing;
use pgprime_client::Row;
use serde::Serialize;

use crate::app::App;
use crate::look::look;
use crate::poolers::PoolerAt;
use crate::problem::Problem;
use crate::routes::held::{Held, PoolerClient, PoolerServer};
use crate::security::{Reader, Role};
use crate::values;

/// How deep a chain of waiting sessions is shown.
const DEPTH_MAX: usize = 16;

/// Everybody who is connected.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Connections {
    /// The pooler whose clients and servers these are; `null` where none is watched.
    pooler: Option<PoolerAt>,
    /// Clients of the pooler, at most 1,000.
    clients: Vec<PoolerClient>,
    /// How many there are.
    clients_total: usize,
    /// The pooler's connections to servers, at most 1,000.
    servers: Vec<PoolerServer>,
    servers_total: usize,
    /// Sessions of the database, at most 1,000.
    sessions: Vec<Session>,
    /// Sessions that keep others waiting, and those that wait for them.
    blocking: Vec<Blocker>,
    /// What could not be seen.
    #[schema(value_type = Vec<Object>)]
    missing: Vec<Missing>,
}

/// A session of the database.
#[derive(Clone, Serialize, utoipa::ToSchema)]
struct Session {
    pid: i32,
    user: Option<String>,
    database: Option<String>,
    application: Option<String>,
    /// Whether it is `pgprime run` that has it, for looking at the database: it is named `pgprime`.
    is_own: bool,
    client_address: Option<String>,
    state: Option<String>,
    /// What it waits for: `Lock: relation`.
    wait_event: Option<String>,
    /// What it waits for: `a row of policies`, `ShareLock on policies`.
    lock: Option<String>,
    /// Its last statement, for the roles analyze and admin.
    query: Option<String>,
    /// How long its statement has run; `null` for a session that runs none.
    query_s: Option<f64>,
    transaction_s: Option<f64>,
    state_s: Option<f64>,
    /// Sessions that it waits for.
    blocked_by: Vec<i32>,
}

/// A session and those that wait for it.
#[derive(Serialize, utoipa::ToSchema)]
struct Blocker {
    pid: i32,
    user: Option<String>,
    application: Option<String>,
    state: Option<String>,
    query: Option<String>,
    /// What it waits for, if it waits itself: `a row of policies`.
    lock: Option<String>,
    /// How long it has waited, if it waits itself.
    waits_s: Option<f64>,
    transaction_s: Option<f64>,
    #[schema(no_recursion)]
    blocks: Vec<Blocker>,
}

/// Who is connected, and who waits for whom
#[utoipa::path(get, path = "/api/v1/monitoring/connections", tag = "connections",
    responses((status = 200, body = Connections), (status = 401, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn connections(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
) -> Result<Json<Connections>, Problem> {
    let (looked, held) = tokio::join!(look(&app, include_str!("../sql/sessions.sql")), Held::of(&app));
    let is_pooler_seen = held.pooler.is_some() && held.missing.is_none();
    let mut missing: Vec<Missing> = held.missing.into_iter().collect();
    let rows = match looked {
        Ok(rows) => rows,
        // What the pooler knows is worth showing just then.
        Err(problem) if is_pooler_seen => {
            missing.push(unseen(problem.detail()));
            Vec::new()
        }
        Err(problem) => return Err(problem),
    };
    let sessions: Vec<Session> = rows.iter().map(|row| session(row, caller.role)).collect();
    Ok(Json(Connections {
        pooler: held.pooler,
        clients: held.clients,
        clients_total: held.clients_total,
        servers: held.servers,
        servers_total: held.servers_total,
        blocking: blocking(&sessions),
        sessions,
        missing,
    }))
}

fn unseen(why: &str) -> Missing {
    Missing { what: "sessions of the database".to_owned(), why: why.to_owned(), statement: None }
}

fn session(row: &Row, role: Role) -> Session {
    let text = |name: &str| row.get::<_, Option<String>>(name);
    let wait_event = match (text("wait_event_type"), text("wait_event")) {
        (Some(kind), Some(event)) => Some(format!("{kind}: {event}")),
        _ => None,
    };
    Session {
        pid: row.get("pid"),
        user: text("user"),
        database: text("database"),
        application: text("application").filter(|name| !name.is_empty()),
        is_own: row.get::<_, Option<bool>>("is_own").unwrap_or(false),
        client_address: text("client_address"),
        state: text("state"),
        wait_event,
        lock: text("lock"),
        query: text("query").filter(|_| values::sees_values(role)),
        query_s: row.get("query_s"),
        transaction_s: row.get("transaction_s"),
        state_s: row.get("state_s"),
        blocked_by: row.get("blocked_by"),
    }
}

/// Trees of those who block and do not wait themselves. A deadlock has no such end and is PostgreSQL's to resolve.
fn blocking(sessions: &[Session]) -> Vec<Blocker> {
    let by_pid: BTreeMap<i32, &Session> = sessions.iter().map(|session| (session.pid, session)).collect();
    let mut waiting: BTreeMap<i32, Vec<&Session>> = BTreeMap::new();
    for session in sessions {
        for pid in &session.blocked_by {
            waiting.entry(*pid).or_default().push(session);
        }
    }
    let is_root = |pid: &&i32| by_pid.get(pid).is_none_or(|session| session.blocked_by.is_empty());
    waiting.keys().filter(is_root).map(|pid| blocker(*pid, &by_pid, &waiting, DEPTH_MAX)).collect()
}

fn blocker(
    pid: i32,
    by_pid: &BTreeMap<i32, &Session>,
    waiting: &BTreeMap<i32, Vec<&Session>>,
    depth: usize,
) -> Blocker {
    let session = by_pid.get(&pid);
    let below = if depth == 0 { &[][..] } else { waiting.get(&pid).map_or(&[][..], Vec::as_slice) };
    Blocker {
        pid,
        user: session.and_then(|session| session.user.clone()),
        application: session.and_then(|session| session.application.clone()),
        state: session.and_then(|session| session.state.clone()),
        query: session.and_then(|session| session.query.clone()),
        lock: session.and_then(|session| session.lock.clone()),
        waits_s: session.filter(|session| !session.blocked_by.is_empty()).and_then(|session| session.query_s),
        transaction_s: session.and_then(|session| session.transaction_s),
        blocks: below.iter().map(|session| blocker(session.pid, by_pid, waiting, depth - 1)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(pid: i32, blocked_by: &[i32]) -> Session {
        Session {
            pid,
            is_own: false,
            user: None,
            database: None,
            application: None,
            client_address: None,
            state: None,
            wait_event: None,
            lock: None,
            query: None,
            query_s: Some(1.0),
            transaction_s: None,
            state_s: None,
            blocked_by: blocked_by.to_vec(),
        }
    }

    fn shape(blockers: &[Blocker]) -> String {
        let one = |blocker: &Blocker| match blocker.blocks.is_empty() {
            true => blocker.pid.to_string(),
            false => format!("{}({})", blocker.pid, shape(&blocker.blocks)),
        };
        blockers.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn chains_are_trees_and_circles_end() {
        let chain = [waiting(1, &[]), waiting(2, &[1]), waiting(3, &[2]), waiting(4, &[1]), waiting(9, &[])];
        assert_eq!(shape(&blocking(&chain)), "1(2(3) 4)");
        assert_eq!(blocking(&chain)[0].waits_s, None);
        assert_eq!(
            shape(&blocking(&[waiting(2, &[7])])),
            "7(2)",
            "whoever blocks may have gone or be hidden"
        );
        assert_eq!(shape(&blocking(&[waiting(1, &[2]), waiting(2, &[1])])), "");
        let circle = [waiting(0, &[]), waiting(1, &[0, 2]), waiting(2, &[1])];
        assert!(shape(&blocking(&circle)).len() < 200);
    }
}
