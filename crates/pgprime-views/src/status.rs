//! How fresh the views are, what is next, and whether they are worth what they cost.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::catalog::{self, QUALIFIED, Relation};
use crate::changes;
use crate::decide::{Changes, Decision, next_refresh};
use crate::declaration::{Declarations, Staleness};
use crate::error::ViewsError;
use crate::names::ViewName;
use crate::observe::{Observed, ObservedView, observe};
use crate::policy::Policy;
use crate::pressure::PoolerWait;
use crate::schedule::since;
use crate::session::{self, Begin, row, value};
use crate::store::{self, HistoryEntry};

/// An EXPLAIN that takes longer than this is given up.
const EXPLAIN_TIMEOUT_MS: u64 = 5_000;
/// From this share of its rows on, a refresh writes practically all: each once as new and once as deleted.
const REWRITTEN_SHARE: f64 = 1.8;

/// All declared views at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// The moment, by the database's clock.
    pub now: Timestamp,
    /// The views, those first that others read.
    pub views: Vec<ViewStatus>,
}

impl Status {
    /// Whether nothing needs a person: all views are there, and none is failing.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.views.iter().all(|view| view.exists && !view.is_failing)
    }
}

/// One view.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ViewStatus {
    /// Its name.
    pub view: ViewName,
    /// Whether it is there; all else is empty where it is not.
    pub exists: bool,
    /// Whether it can be read.
    pub is_populated: bool,
    /// The moment that it shows.
    pub refreshed_at: Option<Timestamp>,
    /// Seconds since then.
    pub age_s: Option<f64>,
    /// What it lacks.
    pub changes: Changes,
    /// Its rows after the last refresh.
    pub rows: Option<i64>,
    /// Its size with its indexes.
    pub bytes: Option<i64>,
    /// How long the last refresh took, in milliseconds.
    pub duration_ms: Option<f64>,
    /// What is next, and why.
    pub next: Decision,
    /// Whether it failed so often that somebody has to look at it.
    pub is_failing: bool,
    /// Failures in a row.
    pub failures: u32,
    /// What went wrong the last time.
    pub error: Option<String>,
    /// Why a refresh blocks those who read it; `None` where it does not.
    pub blocks_readers: Option<String>,
    /// What is unwise about its definition.
    pub hints: Vec<String>,
    /// What it costs and what it saves.
    pub worth: Option<Worth>,
}

/// What a view costs and what it saves, since pgprime looks after it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Worth {
    /// Scans of it by those who read it.
    pub reads: i64,
    /// Refreshes that were done.
    pub refreshes: i64,
    /// Refreshes that were saved as nothing had changed.
    pub skips: i64,
    /// Time that its refreshes took, in milliseconds.
    pub spent_ms: f64,
    /// The planner's cost of its query.
    pub query_cost: Option<f64>,
    /// The planner's cost of reading all of it.
    pub read_cost: Option<f64>,
    /// Time that its readers would have waited for its query, in milliseconds: the reads, times the length of the last
    /// refresh, less the share that reading the view costs. An estimate: the refresh writes, too.
    pub saved_ms: Option<f64>,
}

impl Worth {
    /// Whether readers saved more than refreshes took; `None` where that is not known.
    #[must_use]
    pub fn is_worth_it(&self) -> Option<bool> {
        self.saved_ms.map(|saved| saved > self.spent_ms)
    }
}

/// Looks at all declared views. Changes nothing.
///
/// # Errors
/// [`ViewsError::NotSetUp`], or the connection's.
pub async fn status(
    client: &Client,
    declarations: &Declarations,
    policy: &Policy,
) -> Result<Status, ViewsError> {
    status_behind(client, declarations, policy, None).await
}

/// As [`status`], where it is known how long clients of the pooler wait: that may hold refreshes back.
///
/// # Errors
/// As [`status`].
pub async fn status_behind(
    client: &Client,
    declarations: &Declarations,
    policy: &Policy,
    waiting: Option<PoolerWait>,
) -> Result<Status, ViewsError> {
    let observed = observe(client, declarations, waiting).await?;
    let mut views = Vec::new();
    for view in &observed.views {
        views.push(one(client, &observed, view, policy).await?);
    }
    Ok(Status { now: observed.now, views })
}

async fn one(
    client: &Client,
    observed: &Observed<'_>,
    view: &ObservedView<'_>,
    policy: &Policy,
) -> Result<ViewStatus, ViewsError> {
    let state = &view.state;
    let next = next_refresh(observed.now, state, view.declaration, &observed.pressure(view), policy);
    let mut status = ViewStatus {
        view: view.declaration.name.clone(),
        exists: view.relation.is_some(),
        is_populated: state.is_populated,
        refreshed_at: state.refreshed_at,
        age_s: state.refreshed_at.map(|at| since(at, observed.now).as_secs_f64()),
        changes: state.changes,
        rows: None,
        bytes: None,
        duration_ms: view.stored.duration.map(|took| took.as_secs_f64() * 1_000.0),
        next,
        is_failing: state.failures >= policy.failures_max,
        failures: state.failures,
        error: view.stored.error.clone().filter(|_| state.failures > 0),
        blocks_readers: None,
        hints: Vec::new(),
        worth: None,
    };
    if state.failures > 0 && view.stored.is_interrupted {
        status.error = Some("the last refresh was killed before its end".to_owned());
    }
    if let Some(relation) = &view.relation {
        let last = store::history(client, Some(&relation.name), 20).await?.into_iter().find(|entry| entry.ok);
        status.rows = last.as_ref().and_then(|last| last.rows);
        status.bytes = Some(relation.bytes);
        status.blocks_readers =
            catalog::concurrent_obstacle(client, relation, &view.declaration.unique_key).await?;
        status.hints = hints(client, view, relation, last.as_ref()).await?;
        status.worth = Some(worth(client, view, relation).await?);
    }
    Ok(status)
}

async fn hints(
    client: &Client,
    view: &ObservedView<'_>,
    relation: &Relation,
    last: Option<&HistoryEntry>,
) -> Result<Vec<String>, ViewsError> {
    let calls = changes::calls(client, relation.oid).await?;
    let mut hints = Vec::new();
    if !calls.varying.is_empty() {
        let names = calls.varying.join(", ");
        hints.push(format!(
            "{names}: its result changes although its tables do not, so no refresh is ever skipped; as a column it makes \
             every row differ, and each refresh writes all rows anew"
        ));
    }
    if !calls.functions.is_empty() {
        let names = calls.functions.join(", ");
        hints.push(format!("{names}: what a function reads cannot be seen, so no refresh is ever skipped"));
    }
    let rewritten = last.filter(|last| last.is_concurrent && last.reason != "apply").and_then(|last| {
        let (rows, changed) = (last.rows.filter(|rows| *rows > 0)?, last.rows_changed?);
        (changed as f64 >= REWRITTEN_SHARE * rows as f64).then_some(rows)
    });
    if let Some(rows) = rewritten {
        hints
            .push(format!("the last refresh wrote all of its {rows} rows anew: dead rows pile up with each"));
    }
    if calls.varying.is_empty() && calls.functions.is_empty() && !view.unseen.is_empty() {
        let names = view.unseen.join(", ");
        hints.push(format!("{names}: changes there are not counted, so no refresh is ever skipped"));
    }
    let Staleness { age_max, changes_max } = view.declaration.staleness;
    if !view.unseen.is_empty()
        && changes_max.is_some()
        && age_max.is_none()
        && view.declaration.schedule.is_none()
    {
        hints.push(
            "changes_max alone never makes it due, as changes cannot be counted: add age_max".to_owned(),
        );
    }
    Ok(hints)
}

async fn worth(client: &Client, view: &ObservedView<'_>, relation: &Relation) -> Result<Worth, ViewsError> {
    let step = "read how often the view is read";
    let found = row(client, step, include_str!("../sql/usage.sql"), &[(&relation.oid, Type::OID)]).await?;
    let scans: i64 = found.as_ref().map_or(Ok(0), |found| value(found, "scans"))?;
    let stored = &view.stored;
    let own = stored.scans_own.saturating_add(stored.scans_first);
    // Statistics that began anew know nothing of earlier scans, ours included; else ours may only not have arrived yet.
    let reads = if view.is_reset { scans } else { (scans - own).max(0) };
    let query_cost = query_cost(client, relation.oid).await;
    let read_cost = cost(client, &format!("SELECT * FROM {}", relation.name)).await?;
    Ok(Worth {
        reads,
        refreshes: stored.refreshes,
        skips: stored.skips,
        spent_ms: stored.spent.as_secs_f64() * 1_000.0,
        query_cost,
        read_cost,
        saved_ms: saved_ms(reads, stored.duration, query_cost, read_cost),
    })
}

/// What readers saved, in milliseconds.
fn saved_ms(
    reads: i64,
    took: Option<Duration>,
    query_cost: Option<f64>,
    read_cost: Option<f64>,
) -> Option<f64> {
    let share = 1.0 - read_cost? / query_cost.filter(|cost| *cost > 0.0)?;
    Some(reads as f64 * took?.as_secs_f64() * 1_000.0 * share.max(0.0))
}

/// The planner's cost of a view's query; not worth waiting for.
async fn query_cost(client: &Client, view: u32) -> Option<f64> {
    let begin = Begin {
        read_only: true,
        lock_timeout_ms: Some(500),
        search_path: Some(QUALIFIED),
        ..Begin::default()
    };
    session::begin(client, begin).await.ok()?;
    let definition = catalog::definition(client, view).await;
    let definition = session::end(client, definition).await.ok()?;
    cost(client, &definition).await.ok()?
}

/// The planner's cost of a query; `None` where it cannot be planned, as after a column of its tables was dropped.
async fn cost(client: &Client, sql: &str) -> Result<Option<f64>, ViewsError> {
    let begin = Begin {
        read_only: true,
        lock_timeout_ms: Some(500),
        statement_timeout_ms: Some(EXPLAIN_TIMEOUT_MS),
        ..Begin::default()
    };
    session::begin(client, begin).await?;
    let answer = client.simple_query(&format!("EXPLAIN /* pgprime */ (FORMAT JSON) {sql}")).await;
    // It has changed nothing, and a rollback would be counted as one of the application's.
    client.batch_execute("COMMIT").await.map_err(ViewsError::at("commit"))?;
    let text: Option<String> = answer.ok().and_then(|messages| {
        messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
    });
    let plan: Option<serde_json::Value> = text.and_then(|text| serde_json::from_str(&text).ok());
    Ok(plan.and_then(|plan| plan.pointer("/0/Plan/Total Cost")?.as_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_readers_saved() {
        // Ten reads at a fiftieth of the cost of a query that takes 2 s: 10 × 2,000 ms × 0.98.
        let took = Some(Duration::from_secs(2));
        assert_eq!(saved_ms(10, took, Some(5_000.0), Some(100.0)), Some(19_600.0));
        assert_eq!(saved_ms(10, took, Some(100.0), Some(200.0)), Some(0.0));
        assert_eq!(saved_ms(10, None, Some(5_000.0), Some(100.0)), None);
        assert_eq!(saved_ms(10, took, None, Some(100.0)), None);
    }
}
