//! One refresh of one view.
//!
//! Lock, counts of the tables below, refresh, state and history are one transaction: whatever ends it early leaves the
//! view and what is known of it as they were. The lock belongs to the transaction, so it works through a transaction
//! pooler and ends with a connection that is lost.

use std::time::Duration;

use jiff::Timestamp;
use pgprime_cache::Cache;
use serde::Serialize;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::announce;
use crate::catalog::{self, Relation};
use crate::changes::{self, Snapshot};
use crate::decide::Reason;
use crate::declaration::ViewDeclaration;
use crate::error::ViewsError;
use crate::names::ViewName;
use crate::policy::Policy;
use crate::schedule::since;
use crate::session::{self, Begin, row, value};
use crate::store::{self, NewEntry, Stored};

/// A refresh that is asked for by hand and not declared may take this long.
const TIMEOUT_UNDECLARED: Duration = Duration::from_secs(3_600);

/// What a refresh came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum RefreshOutcome {
    /// The view holds what its tables held when it began.
    Refreshed(Refreshed),
    /// Another instance is refreshing it right now, or just did.
    Busy {
        /// The view.
        view: ViewName,
    },
    /// It could not be done; the view is as before.
    Failed {
        /// The view.
        view: ViewName,
        /// What went wrong, and what to do.
        error: String,
        /// Failures in a row, this one included.
        failures: u32,
        /// Whether that is too many: it will be tried at long intervals only.
        is_failing: bool,
    },
}

/// What a refresh has done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refreshed {
    /// The view.
    pub view: ViewName,
    /// Why.
    pub reason: Reason,
    /// The moment that the view shows now, by the database's clock.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
    /// Rows of the view.
    pub rows: i64,
    /// Its size with its indexes.
    pub bytes: i64,
    /// Rows of the view that were written or deleted.
    pub rows_changed: i64,
    /// Rows changed in the tables below since the refresh before; `None` where that could not be told.
    pub base_changes: Option<u64>,
    /// Why readers had to wait meanwhile; `None` where they did not.
    pub blocked_readers: Option<String>,
}

/// Refreshes a view now, unless somebody else is doing just that.
///
/// The connection may lead through a transaction pooler. If the future is dropped before its end, the connection has to be
/// closed: the transaction ends with it. Failures are noted in the database and returned as [`RefreshOutcome::Failed`].
///
/// # Errors
/// [`ViewsError`] where nothing could be noted: no such view, tables missing, connection lost.
pub async fn refresh(
    client: &Client,
    view: &ViewName,
    declaration: Option<&ViewDeclaration>,
    reason: Reason,
    policy: &Policy,
) -> Result<RefreshOutcome, ViewsError> {
    let asked = Asked { declaration, reason, policy, seen: None, cache: None };
    refresh_if(client, view, asked).await
}

/// As [`refresh`], and a cache of results serves nothing older afterwards: when this returns, whoever reads the view through
/// the cache sees what it holds now.
///
/// # Errors
/// As [`refresh`].
pub async fn refresh_with_cache(
    client: &Client,
    view: &ViewName,
    declaration: Option<&ViewDeclaration>,
    reason: Reason,
    policy: &Policy,
    cache: &Cache,
) -> Result<RefreshOutcome, ViewsError> {
    let asked = Asked { declaration, reason, policy, seen: None, cache: Some(cache) };
    refresh_if(client, view, asked).await
}

/// How a view is refreshed, and why.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) declaration: Option<&'a ViewDeclaration>,
    pub(crate) reason: Reason,
    pub(crate) policy: &'a Policy,
    /// What was known of the view when this was decided on, where it was decided on something.
    pub(crate) seen: Option<Seen>,
    /// What serves results made from the view.
    pub(crate) cache: Option<&'a Cache>,
}

/// What was known of a view when its refresh was decided on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Seen {
    refreshed_at: Option<Timestamp>,
    failures: u32,
}

impl Seen {
    pub(crate) fn of(stored: &Stored) -> Self {
        Self { refreshed_at: stored.refreshed_at, failures: stored.failures }
    }
}

/// Refreshes a view, unless another has since what was seen of it: two instances that decide at the same moment must
/// not refresh one after the other.
pub(crate) async fn refresh_if(
    client: &Client,
    view: &ViewName,
    asked: Asked<'_>,
) -> Result<RefreshOutcome, ViewsError> {
    let server = catalog::server(client).await?;
    if server.is_replica {
        return Err(ViewsError::Replica);
    }
    let relation = catalog::relation(client, view).await?.filter(Relation::is_view);
    let relation = relation.ok_or_else(|| ViewsError::NotFound { view: view.clone() })?;
    if !claim(client, &relation, asked.seen).await? {
        return Ok(RefreshOutcome::Busy { view: view.clone() });
    }
    let work = Work { client, relation: &relation, asked };
    match work.run().await {
        Ok(Some(done)) => Ok(RefreshOutcome::Refreshed(done)),
        Ok(None) => Ok(RefreshOutcome::Busy { view: view.clone() }),
        Err(error) if error.is_connection_lost() => Err(error),
        Err(error) => work.note(server.now, &error).await,
    }
}

/// Notes that a refresh begins, so that one that is killed leaves a trace; `false` where another is at it.
async fn claim(client: &Client, view: &Relation, seen: Option<Seen>) -> Result<bool, ViewsError> {
    session::begin(client, Begin::default()).await?;
    let claimed = async {
        if !store::lock_view(client, &view.name).await? {
            return Ok(false);
        }
        // Holding the lock, nobody else is at it: a trace that is left is of one that was killed.
        let before = store::state(client, &view.name).await?.unwrap_or_default();
        if seen.is_some_and(|seen| seen != Seen::of(&before)) {
            return Ok(false);
        }
        store::claim(client, &view.name, view.oid, before.is_interrupted).await?;
        Ok(true)
    };
    let claimed = claimed.await;
    session::end(client, claimed).await
}

struct Work<'a> {
    client: &'a Client,
    relation: &'a Relation,
    asked: Asked<'a>,
}

impl Work<'_> {
    async fn run(&self) -> Result<Option<Refreshed>, ViewsError> {
        let timeout = self.asked.declaration.map_or(TIMEOUT_UNDECLARED, |declaration| declaration.timeout);
        let begin = Begin {
            lock_timeout_ms: Some(milliseconds(self.asked.policy.lock_timeout)),
            statement_timeout_ms: Some(milliseconds(timeout)),
            ..Begin::default()
        };
        session::begin(self.client, begin).await?;
        let done = self.locked().await;
        // Without a view there is nothing to tell: another is at it.
        let changed = match &done {
            Ok(Some(_)) => std::slice::from_ref(&self.relation.name),
            _ => &[],
        };
        announce::end(self.client, done, self.asked.cache, changed).await
    }

    async fn locked(&self) -> Result<Option<Refreshed>, ViewsError> {
        let (client, view) = (self.client, self.relation);
        if !store::lock_view(client, &view.name).await? {
            return Ok(None);
        }
        notice_lost_clients(client).await?;
        let stored = store::state(client, &view.name).await?.unwrap_or_default();
        // Between the claim and this lock another may have claimed it, too, and be done by now.
        let refreshed_at = self.asked.seen.and_then(|seen| seen.refreshed_at);
        if self.asked.seen.is_some() && stored.refreshed_at.is_some() && stored.refreshed_at != refreshed_at {
            return Ok(None);
        }
        let before = stored.base;
        let base = changes::snapshot(client, view.oid).await?;
        let base_changes = before.and_then(|before| changes::between(&before, &base).rows());
        let declared_key = self.asked.declaration.map_or(&[][..], |declaration| &declaration.unique_key);
        let blocked_readers = catalog::concurrent_obstacle(client, view, declared_key).await?;
        let started_at = catalog::server(client).await?.now;
        let how = if blocked_readers.is_none() { "CONCURRENTLY " } else { "" };
        let sql = format!("REFRESH MATERIALIZED VIEW {how}{}", view.name);
        let before = self.measure().await?;
        session::run(client, &format!("refresh {}", view.name), &sql).await?;
        self.finish(Begun { base, base_changes, started_at, blocked_readers, before }).await.map(Some)
    }

    async fn measure(&self) -> Result<Measured, ViewsError> {
        let sql = include_str!("../sql/refreshed.sql");
        let found = row(self.client, "measure the view", sql, &[(&self.relation.oid, Type::OID)]).await?;
        let number = |name| found.as_ref().map_or(Ok(0), |found| value::<i64>(found, name));
        let rows_written = number("inserted")? + number("deleted")?;
        Ok(Measured { bytes: number("bytes")?, rows_written, scans: number("scans")? })
    }

    /// Measures what was done and writes it down.
    async fn finish(&self, begun: Begun) -> Result<Refreshed, ViewsError> {
        let (client, view) = (self.client, self.relation);
        let ended = catalog::server(client).await?.now;
        let rows = count(client, &view.name).await?;
        let after = self.measure().await?;
        let Begun { base, base_changes, started_at, blocked_readers, before } = begun;
        let refreshed = Refreshed {
            view: view.name.clone(),
            reason: self.asked.reason,
            started_at,
            duration_ms: since(started_at, ended).as_secs_f64() * 1_000.0,
            rows,
            bytes: after.bytes,
            rows_changed: after.rows_written - before.rows_written,
            base_changes,
            blocked_readers,
        };
        let entry = NewEntry {
            view: &view.name,
            started_at,
            reason: self.asked.reason.as_str(),
            is_concurrent: refreshed.blocked_readers.is_none(),
            error: None,
            rows: Some(rows),
            bytes: Some(refreshed.bytes),
            rows_changed: Some(refreshed.rows_changed),
            base_changes: base_changes.and_then(|rows| i64::try_from(rows).ok()),
        };
        let scans = after.scans - before.scans;
        store::succeeded(client, view.oid, Some(&base), scans, &entry, self.asked.policy.history_max).await?;
        Ok(refreshed)
    }

    async fn note(&self, started_at: Timestamp, error: &ViewsError) -> Result<RefreshOutcome, ViewsError> {
        let view = &self.relation.name;
        let error = error.to_string();
        let entry = NewEntry {
            view,
            started_at,
            reason: self.asked.reason.as_str(),
            is_concurrent: false,
            error: Some(&error),
            rows: None,
            bytes: None,
            rows_changed: None,
            base_changes: None,
        };
        let failures = store::failed(self.client, &error, &entry, self.asked.policy.history_max).await?;
        let is_failing = failures >= self.asked.policy.failures_max;
        Ok(RefreshOutcome::Failed { view: view.clone(), error, failures, is_failing })
    }
}

/// What is known when the refresh itself begins.
struct Begun {
    base: Snapshot,
    base_changes: Option<u64>,
    started_at: Timestamp,
    blocked_readers: Option<String>,
    before: Measured,
}

/// What this session did to the view, as far as it is not reported yet.
struct Measured {
    bytes: i64,
    rows_written: i64,
    scans: i64,
}

/// Rows of a view.
pub(crate) async fn count(client: &Client, view: &ViewName) -> Result<i64, ViewsError> {
    let counted = row(client, "count the rows", &format!("SELECT count(*) AS n FROM {view}"), &[]).await?;
    counted.as_ref().map_or(Ok(0), |counted| value(counted, "n"))
}

/// Has the server end a transaction whose client is gone, where it can notice: since version 14.
pub(crate) async fn notice_lost_clients(client: &Client) -> Result<(), ViewsError> {
    let sql = "SELECT /* pgprime */ set_config(name, '2s', true) FROM pg_settings \
               WHERE name = 'client_connection_check_interval' AND setting = '0'";
    // Where the system cannot tell, the setting is refused; a transaction must not fail for that.
    client.batch_execute("SAVEPOINT lost_clients").await.map_err(ViewsError::at("set a savepoint"))?;
    let _ = client.batch_execute(sql).await;
    let undo = "ROLLBACK TO SAVEPOINT lost_clients";
    if client.batch_execute("RELEASE SAVEPOINT lost_clients").await.is_err() {
        client.batch_execute(undo).await.map_err(ViewsError::at("return to a savepoint"))?;
    }
    Ok(())
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
