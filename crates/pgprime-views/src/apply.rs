//! Making the views that are declared.
//!
//! A new view, and missing indexes, are one transaction each. A change is two: the first builds beside the old view,
//! however long that takes, while readers go on; the second puts what was built in its place, and waits for locks only
//! for a moment at a time. Killed between the two, it leaves something in the schema for building, which the next
//! removes.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use pgprime_cache::Cache;
use serde::Serialize;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::affected::{self, AffectedViews};
use crate::announce;
use crate::carry::{Carried, QUALIFY, Steps, UNQUALIFY, tablespace};
use crate::catalog::{self, Relation};
use crate::changes::{self, Snapshot};
use crate::declaration::{Declarations, ViewDeclaration};
use crate::error::ViewsError;
use crate::fingerprint::Fingerprint;
use crate::names::{ViewName, literal, quoted};
use crate::plan::{self, Action, PlanItem};
use crate::refresh::{count, milliseconds, notice_lost_clients};
use crate::schedule::since;
use crate::session::{self, Begin, rows, value};
use crate::statements;
use crate::store::{self, NewEntry};

/// A statement of a transaction that only moves what is there already; it waits for locks for less.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// How views are made.
#[derive(Clone, Debug, PartialEq)]
pub struct ApplyOptions {
    /// How long a lock is waited for at a time; readers queue behind that. Default 1 s.
    pub lock_timeout: Duration,
    /// How often the swap is tried. Default 20.
    pub tries_max: u32,
    /// The pause between tries, longer each time. Default 500 ms.
    pub pause: Duration,
    /// Entries of the history that are kept for each view. Default 500.
    pub history_max: u32,
}

impl Default for ApplyOptions {
    fn default() -> Self {
        let (lock_timeout, pause) = (Duration::from_secs(1), Duration::from_millis(500));
        Self { lock_timeout, tries_max: 20, pause, history_max: 500 }
    }
}

/// What became of one declared view.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Applied {
    /// The view.
    pub view: ViewName,
    /// What was to be done.
    pub action: Action,
    /// Why it could not be done; the view is as before.
    pub error: Option<String>,
    /// Views that were made anew with it.
    pub dependents: Vec<ViewName>,
    /// What somebody should know, as an index that could not be kept.
    pub notes: Vec<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
}

/// Makes the views that are declared, those first that others read. One that cannot be made does not keep the others.
///
/// # Errors
/// [`ViewsError::Busy`] if another applies at the same time; else where the database cannot be worked with at all.
pub async fn apply(
    client: &Client,
    declarations: &Declarations,
    options: &ApplyOptions,
) -> Result<Vec<Applied>, ViewsError> {
    all(client, declarations, options, None).await
}

/// As [`apply`], and a cache of results serves nothing that was made from what a view held before.
///
/// # Errors
/// As [`apply`].
pub async fn apply_with_cache(
    client: &Client,
    declarations: &Declarations,
    options: &ApplyOptions,
    cache: &Cache,
) -> Result<Vec<Applied>, ViewsError> {
    all(client, declarations, options, Some(cache)).await
}

async fn all(
    client: &Client,
    declarations: &Declarations,
    options: &ApplyOptions,
    cache: Option<&Cache>,
) -> Result<Vec<Applied>, ViewsError> {
    let server = catalog::server(client).await?;
    if server.is_replica {
        return Err(ViewsError::Replica);
    }
    if !server.is_set_up {
        store::set_up(client).await?;
    }
    in_transaction(client, options, None, affected::remove_leftovers(client)).await?;
    let mut applied = Vec::new();
    let mut open: Vec<&ViewDeclaration> = declarations.views().iter().collect();
    loop {
        let (mut later, mut refused) = (Vec::new(), Vec::new());
        for declaration in &open {
            let outcome = one(client, declaration, options, cache).await?;
            // What it reads may be made only after it.
            let list = if outcome.action == Action::Refused { &mut refused } else { &mut applied };
            list.push(outcome);
            if list.last().is_some_and(|last| last.action == Action::Refused) {
                later.push(*declaration);
            }
        }
        if later.len() == open.len() || later.is_empty() {
            applied.extend(refused);
            return Ok(applied);
        }
        open = later;
    }
}

async fn one(
    client: &Client,
    declaration: &ViewDeclaration,
    options: &ApplyOptions,
    cache: Option<&Cache>,
) -> Result<Applied, ViewsError> {
    let started_at = catalog::server(client).await?.now;
    let item = plan::items(client, std::slice::from_ref(declaration)).await?.into_iter().next();
    let Some(item) = item else { return Err(ViewsError::NotFound { view: declaration.name.clone() }) };
    let work = Work { client, declaration, options, cache, started_at };
    let notes = match item.action {
        Action::Nothing => Ok(Vec::new()),
        Action::Refused => Err(ViewsError::Refused { view: item.view.clone(), reason: item.reason.clone() }),
        Action::Index => work.add_indexes(&item).await,
        Action::Create => work.create(&item).await,
        Action::Change => work.change().await,
    };
    let ended = catalog::server(client).await;
    let (notes, error) = match notes {
        Ok(notes) => (notes, None),
        Err(error @ ViewsError::Busy) => return Err(error),
        Err(error) if error.is_connection_lost() => return Err(error),
        Err(ViewsError::Refused { reason, .. }) => (Vec::new(), Some(reason)),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let duration_ms = since(started_at, ended?.now).as_secs_f64() * 1_000.0;
    let PlanItem { view, action, dependents, .. } = item;
    Ok(Applied { view, action, error, dependents, notes, duration_ms })
}

/// One transaction of an apply, with its lock held.
async fn in_transaction<T>(
    client: &Client,
    options: &ApplyOptions,
    timeout: Option<Duration>,
    work: impl Future<Output = Result<T, ViewsError>>,
) -> Result<T, ViewsError> {
    let done = begun(client, options, timeout, work).await;
    session::end(client, done).await
}

/// Begins a transaction, locks out others who apply, and does the work; it is left to the caller to end it.
async fn begun<T>(
    client: &Client,
    options: &ApplyOptions,
    timeout: Option<Duration>,
    work: impl Future<Output = Result<T, ViewsError>>,
) -> Result<T, ViewsError> {
    let begin = Begin {
        lock_timeout_ms: Some(milliseconds(options.lock_timeout)),
        // What the role has may be meant for a service's statements.
        statement_timeout_ms: Some(milliseconds(timeout.unwrap_or(STATEMENT_TIMEOUT))),
        ..Begin::default()
    };
    session::begin(client, begin).await?;
    store::lock_apply(client).await?;
    work.await
}

struct Work<'a> {
    client: &'a Client,
    declaration: &'a ViewDeclaration,
    options: &'a ApplyOptions,
    /// What serves results made from the views.
    cache: Option<&'a Cache>,
    started_at: Timestamp,
}

impl Work<'_> {
    async fn add_indexes(&self, item: &PlanItem) -> Result<Vec<String>, ViewsError> {
        let work = async {
            for sql in &item.sql {
                session::run(self.client, "create an index", sql).await?;
            }
            self.mark(&self.declaration.name).await
        };
        in_transaction(self.client, self.options, Some(self.declaration.timeout), work).await?;
        Ok(Vec::new())
    }

    async fn create(&self, item: &PlanItem) -> Result<Vec<String>, ViewsError> {
        let name = &self.declaration.name;
        let work = async {
            notice_lost_clients(self.client).await?;
            let mut base = None;
            for sql in &item.sql {
                if *sql == statements::fill(name) {
                    base = self.snapshot(name).await?;
                }
                session::run(self.client, &format!("create {name}"), sql).await?;
            }
            self.mark(name).await?;
            session::run(self.client, "analyze the view", &format!("ANALYZE {name}")).await?;
            let made = catalog::relation(self.client, name).await?;
            self.note(name, made.as_ref(), base.as_ref()).await
        };
        let made = begun(self.client, self.options, Some(self.declaration.timeout), work).await;
        announce::end(self.client, made, self.cache, std::slice::from_ref(name)).await?;
        Ok(Vec::new())
    }

    async fn change(&self) -> Result<Vec<String>, ViewsError> {
        let timeout = Some(self.declaration.timeout);
        let built = in_transaction(self.client, self.options, timeout, self.build()).await?;
        let swapped = self.swap(&built).await;
        if swapped.is_err() {
            // Best effort: what stays is recognised by the next.
            let _ = in_transaction(self.client, self.options, None, affected::remove_leftovers(self.client))
                .await;
        }
        swapped.map(|()| built.notes)
    }

    /// Builds the view, and those that read it, beside the old ones.
    async fn build(&self) -> Result<Built, ViewsError> {
        let client = self.client;
        notice_lost_clients(client).await?;
        affected::remove_leftovers(client).await?;
        let old = catalog::relation(client, &self.declaration.name).await?;
        let old = old.ok_or_else(|| ViewsError::NotFound { view: self.declaration.name.clone() })?;
        let views = affected::read(client, &old).await?;
        let root = views.root.built();
        // What the role has of its own must not decide where something is that has a place already.
        session::run(client, "take the database's tablespace", &tablespace("")).await?;
        let sql = statements::create(self.declaration, &root, &views.root.storage());
        session::run(client, &format!("build {}", self.declaration.name), &sql).await?;
        let mut bases = BTreeMap::new();
        bases.insert(views.root.oid, self.snapshot(&root).await?);
        session::run(client, &format!("fill {}", self.declaration.name), &statements::fill(&root)).await?;
        let mut notes = self.build_indexes(&views).await?;
        let path = format!(
            "SET /* pgprime */ LOCAL \"SEARCH_PATH\" = {}, {}, pg_temp",
            quoted(crate::names::BUILD_SCHEMA),
            views.path
        );
        session::run(client, "set the search path", &path).await?;
        for dependent in &views.dependents {
            let step = format!("build {}, which reads it", dependent.name);
            session::run(client, &step, &dependent.create()).await?;
            if let Some(fill) = dependent.fill() {
                bases.insert(dependent.oid, self.snapshot(&dependent.built()).await?);
                session::run(client, &step, &fill).await?;
            }
        }
        self.check_strays(&views).await?;
        session::run(client, "qualify names", QUALIFY).await?;
        for (place, view) in views.all().enumerate() {
            let carried = Carried { client, of: view.oid, to: &view.built(), is_root: place == 0 };
            if place > 0 {
                notes.extend(carried.carry(Steps::Indexes).await?);
            }
            carried.carry(Steps::Rest).await?;
            if view.is_materialized {
                session::run(client, "analyze the view", &format!("ANALYZE {}", view.built())).await?;
            }
        }
        let oids = affected::leftovers(client).await?.into_iter().map(|built| built.0).collect();
        self.mark_as(&root, old.comment.as_deref()).await?;
        Ok(Built { views, oids, bases, notes })
    }

    /// The indexes that the old view has, where they were, and then those that are declared and were not there.
    async fn build_indexes(&self, views: &AffectedViews) -> Result<Vec<String>, ViewsError> {
        let (client, root) = (self.client, views.root.built());
        session::run(client, "qualify names", QUALIFY).await?;
        let notes =
            Carried { client, of: views.root.oid, to: &root, is_root: true }.carry(Steps::Indexes).await?;
        session::run(client, "take the role's search path", UNQUALIFY).await?;
        let made = catalog::relation(client, &root).await?.map_or(0, |made| made.oid);
        let existing = catalog::indexes(client, made).await?;
        for sql in statements::missing_indexes(self.declaration, &root, &existing) {
            session::run(client, "create an index", &sql).await?;
        }
        Ok(notes)
    }

    /// Whether something built still reads an old view, as a function's or a hidden name's meaning would have it.
    async fn check_strays(&self, views: &AffectedViews) -> Result<(), ViewsError> {
        let built: Vec<u32> =
            affected::leftovers(self.client).await?.into_iter().map(|built| built.0).collect();
        let old: Vec<u32> = views.all().map(|view| view.oid).collect();
        let strays = rows(
            self.client,
            "check what was built",
            include_str!("../sql/strays.sql"),
            &[(&built, Type::OID_ARRAY), (&old, Type::OID_ARRAY)],
        )
        .await?;
        let Some(stray) = strays.first() else { return Ok(()) };
        let reason = format!(
            "{} would go on reading the old one, as another relation hides a name: drop it, apply, and make it again",
            value::<&str>(stray, "name")?
        );
        Err(ViewsError::Refused { view: self.declaration.name.clone(), reason })
    }

    /// Puts what was built in its place, as soon as all locks are to be had at once.
    async fn swap(&self, built: &Built) -> Result<(), ViewsError> {
        for try_number in 1.. {
            let done = begun(self.client, self.options, None, self.swap_once(built)).await;
            let views: Vec<ViewName> = built.views.all().map(|view| view.name.clone()).collect();
            match announce::end(self.client, done, self.cache, &views).await {
                Err(error) if error.is_lock_timeout() && try_number < self.options.tries_max => {
                    tracing::info!(view = %self.declaration.name, try_number, "the view is in use, trying again");
                    tokio::time::sleep(self.options.pause * try_number.min(10)).await;
                }
                Err(error) if error.is_lock_timeout() => {
                    let reason = format!(
                        "it was in use whenever it was to be swapped, {try_number} times; try again when long queries on \
                         it have ended"
                    );
                    return Err(ViewsError::Refused { view: self.declaration.name.clone(), reason });
                }
                done => return done,
            }
        }
        Ok(())
    }

    async fn swap_once(&self, built: &Built) -> Result<(), ViewsError> {
        let client = self.client;
        let view = &self.declaration.name;
        let wait = format!(
            "SELECT pg_advisory_xact_lock({}, hashtext({}))",
            store::VIEW_LOCK,
            literal(&view.to_string())
        );
        session::run(client, "wait for a refresh to end", &wait).await?;
        let changed = || ViewsError::Refused {
            view: view.clone(),
            reason: "it, or what reads it, was changed by somebody else meanwhile: apply again".to_owned(),
        };
        let old = catalog::relation(client, view).await?.ok_or_else(changed)?;
        let oids: Vec<u32> = affected::leftovers(client).await?.into_iter().map(|built| built.0).collect();
        if oids != built.oids || affected::read(client, &old).await? != built.views {
            return Err(changed());
        }
        for sql in built.views.swap() {
            session::run(client, "swap the views", &sql).await?;
        }
        for made in built.views.all().filter(|made| made.is_materialized) {
            let relation = catalog::relation(client, &made.name).await?;
            let base = built.bases.get(&made.oid).and_then(Option::as_ref);
            self.note(&made.name, relation.as_ref(), base).await?;
        }
        Ok(())
    }

    /// Writes into the comment of a view what it was made from.
    async fn mark(&self, name: &ViewName) -> Result<(), ViewsError> {
        let before = catalog::relation(self.client, name).await?.and_then(|relation| relation.comment);
        self.mark_as(name, before.as_deref()).await
    }

    async fn mark_as(&self, name: &ViewName, comment: Option<&str>) -> Result<(), ViewsError> {
        session::run(self.client, "qualify names", QUALIFY).await?;
        let made = catalog::relation(self.client, name).await?.map_or(0, |made| made.oid);
        let definition = catalog::definition(self.client, made).await?;
        let fingerprint = Fingerprint::new(&self.declaration.sql, &definition);
        let comment = literal(&fingerprint.comment(comment));
        let sql = format!("COMMENT ON MATERIALIZED VIEW {name} IS {comment}");
        session::run(self.client, "mark the view", &sql).await
    }

    /// What the statistics say of what a new view reads.
    async fn snapshot(&self, name: &ViewName) -> Result<Option<Snapshot>, ViewsError> {
        match catalog::relation(self.client, name).await? {
            Some(made) => changes::snapshot(self.client, made.oid).await.map(Some),
            None => Ok(None),
        }
    }

    /// A view that was made is as fresh as one that was refreshed.
    async fn note(
        &self,
        name: &ViewName,
        made: Option<&Relation>,
        base: Option<&Snapshot>,
    ) -> Result<(), ViewsError> {
        let Some(made) = made.filter(|made| made.is_populated) else { return Ok(()) };
        let rows = count(self.client, name).await?;
        let entry = NewEntry {
            view: name,
            started_at: self.started_at,
            reason: "apply",
            is_concurrent: true,
            error: None,
            rows: Some(rows),
            bytes: Some(made.bytes),
            rows_changed: Some(rows),
            base_changes: None,
        };
        // Building its indexes reads it, as does counting its rows.
        let sql = include_str!("../sql/made.sql");
        let found = session::row(self.client, "measure the view", sql, &[(&made.oid, Type::OID)]).await?;
        let scans = found.as_ref().map_or(Ok(0), |found| value::<i64>(found, "scans"))?;
        store::succeeded(self.client, made.oid, base, scans, &entry, self.options.history_max).await
    }
}

/// What was built beside the old views.
struct Built {
    views: AffectedViews,
    oids: Vec<u32>,
    /// What was below them before they were filled, by the oids of the old ones.
    bases: BTreeMap<u32, Option<Snapshot>>,
    notes: Vec<String>,
}
