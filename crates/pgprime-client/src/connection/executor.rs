//! Running statements: prepared or typed, again where that is safe, and the caches for both.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use tokio::sync::{RwLock, RwLockReadGuard};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Statement};

use super::announce::Announcer;
use super::learn::{KnownTypes, Learned, Within, learn};
use super::state::{InFlight, SessionState, is_unsent};
use crate::connect::{Opened, Server};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::session::{Path, Role, SessionSettings};
use crate::statements::{Configured, Effect, Lru};
use crate::tls::Tls;

/// Preparing a configured statement does not wait long for a lock: it is tried again when it is used.
const BOUND_LOCKS: &str = "SET /* pgprime */ \"LOCK_TIMEOUT\" = '100ms'";
const UNBOUND_LOCKS: &str = "RESET /* pgprime */ \"LOCK_TIMEOUT\"";
/// Servers of a pooler that may all have an outdated plan: each is met once, and none has executed anything.
const SERVERS_MAX: u32 = 100;
/// Prepared statements of one connection, besides those of the configuration: a few hundred kilobytes of PostgreSQL's
/// memory, and more texts than a service has.
const STATEMENTS_MAX: usize = 256;
/// Texts whose parameter types are kept, for all connections of a pool.
const LEARNED_MAX: usize = 1_024;

/// What is said of a statement that comes too late.
pub(crate) const TRANSACTION_OVER: &str = "this transaction is over; begin another";

/// Parameters of a statement.
pub(super) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// What the connections of a pool have in common.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) endpoint: Endpoint,
    pub(crate) tls: Tls,
    pub(crate) role: Role,
    pub(crate) settings: SessionSettings,
    pub(super) announcer: Announcer,
    pub(super) statements: Configured,
    learned: Mutex<Lru<Arc<Learned>>>,
    /// Statements of the configuration that could not be prepared, and have been reported.
    reported: Mutex<HashSet<String>>,
    /// A setting that the server refused has been reported.
    is_refusal_reported: AtomicBool,
}

impl Common {
    pub(crate) fn new(
        endpoint: Endpoint,
        tls: Tls,
        role: Role,
        settings: SessionSettings,
        statements: Vec<(String, String)>,
    ) -> Self {
        Self {
            endpoint,
            tls,
            role,
            settings,
            announcer: Announcer::default(),
            statements: Configured::new(statements),
            learned: Mutex::new(Lru::new(LEARNED_MAX)),
            reported: Mutex::default(),
            is_refusal_reported: AtomicBool::new(false),
        }
    }

    /// With somebody to say to what its sessions write. (Those of the read role write nothing.)
    pub(crate) fn announcing(mut self, announcer: Announcer) -> Self {
        if self.role != Role::Read {
            self.announcer = announcer;
        }
        self
    }

    /// Changes with what a new session finds set.
    pub(crate) fn era(&self) -> u64 {
        self.announcer.era()
    }

    /// One warning for each statement, however many connections meet it.
    fn report(&self, name: &str, error: &tokio_postgres::Error) {
        if locked(&self.reported).insert(name.to_owned()) {
            let reason =
                error.as_db_error().map_or_else(|| error.to_string(), |said| said.message().to_owned());
            let pool = self.role.name();
            tracing::warn!(
                pool,
                statement = name,
                reason,
                "not prepared; it will be tried again when it is used"
            );
        }
    }
}

/// A session, its caches and its state.
pub(super) struct Executor {
    pub(super) client: Client,
    pub(super) server: Server,
    pub(super) path: Path,
    pub(super) common: Arc<Common>,
    /// Those of the pool that this server knows.
    pub(super) settings: SessionSettings,
    pub(super) state: Arc<SessionState>,
    prepared: Mutex<Lru<Prepared>>,
    /// Behind a pooler without named statements: whoever describes a statement has the connection for itself.
    pub(super) turns: RwLock<()>,
    /// That of the settings its session began with.
    pub(super) era: u64,
    types: tokio::sync::Mutex<KnownTypes>,
}

/// A statement that is ready to run.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    how: How,
    effect: Effect,
}

impl Prepared {
    /// The types of its parameters.
    fn types(&self) -> &[Type] {
        match &self.how {
            How::Named(statement) => statement.params(),
            How::Typed(learned) => &learned.parameters,
        }
    }
}

#[cfg(feature = "cache")]
impl Prepared {
    pub(super) fn described(&self) -> crate::results::Described {
        use crate::results::CachedColumn;
        let columns = match &self.how {
            How::Named(statement) => {
                statement.columns().iter().map(|it| CachedColumn::new(it.name(), it.type_())).collect()
            }
            How::Typed(learned) => {
                learned.columns.iter().map(|(name, type_)| CachedColumn::new(name, type_)).collect()
            }
        };
        crate::results::Described { parameters: self.types().to_vec(), columns }
    }
}

#[derive(Clone, Debug)]
enum How {
    /// By its name in this session.
    Named(Statement),
    /// As an unnamed one, with the types of its parameters.
    Typed(Arc<Learned>),
}

/// Why a statement did not run.
pub(super) enum Failure {
    Driver(tokio_postgres::Error),
    /// Nothing was sent.
    Usage(String),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Driver(error)
    }
}

/// Ends a request whose answer was read to its end, or failed. When it returns, what was written is known to be.
pub(super) async fn settle<T>(request: InFlight, outcome: Result<T, Failure>) -> Result<T, Error> {
    match outcome {
        Ok(value) => {
            request.finish().await;
            Ok(value)
        }
        Err(Failure::Driver(error)) => {
            if let Some(telling) = request.fail(&error) {
                telling.await;
            }
            Err(error.into())
        }
        Err(Failure::Usage(text)) => {
            request.unsent().await;
            Err(Error::Usage(text))
        }
    }
}

impl Executor {
    pub(super) fn new(opened: Opened, path: Path, common: Arc<Common>, era: u64) -> Self {
        Self {
            client: opened.client,
            settings: common.settings.known_to(opened.server.version),
            server: opened.server,
            path,
            state: Arc::new(SessionState::new(common.announcer.clone())),
            common,
            prepared: Mutex::new(Lru::new(STATEMENTS_MAX)),
            turns: RwLock::new(()),
            era,
            types: tokio::sync::Mutex::default(),
        }
    }

    /// Says what the login could not, and prepares the statements of the configuration.
    pub(super) async fn get_ready(self: &Arc<Self>) -> Result<(), tokio_postgres::Error> {
        self.set_what_is_newer().await?;
        match self.path.has_named_statements() {
            true => self.prepare_configured().await,
            false => self.learn_configured().await,
        }
    }

    /// Settings of a session of one's own that its login could not say, after the login and after a reset. A server whose
    /// platform cannot do as told goes on without: that is said once.
    pub(super) async fn set_what_is_newer(&self) -> Result<(), tokio_postgres::Error> {
        let Some(sql) = self.settings.after_login().filter(|_| self.path == Path::Direct) else {
            return Ok(());
        };
        match self.client.batch_execute(&sql).await {
            Err(error) if error.as_db_error().is_some() && !error.is_closed() => {
                if !self.common.is_refusal_reported.swap(true, Ordering::Relaxed) {
                    let pool = self.common.role.name();
                    tracing::warn!(pool, %error, "the database refuses a setting of the session");
                }
                Ok(())
            }
            outcome => outcome,
        }
    }

    async fn prepare_configured(&self) -> Result<(), tokio_postgres::Error> {
        let Self { client, common, prepared, .. } = self;
        if common.statements.iter().next().is_none() {
            return Ok(());
        }
        let all =
            common.statements.iter().map(|(name, sql)| async move { (name, sql, client.prepare(sql).await) });
        // A table that somebody has locked, as for a migration, must not look like a database out of reach.
        let outcomes = match self.path {
            Path::Direct => {
                let (bounded, outcomes, reset) = tokio::join!(biased;
                    client.batch_execute(BOUND_LOCKS), join_all(all), client.batch_execute(UNBOUND_LOCKS));
                bounded.and(reset)?;
                outcomes
            }
            Path::TransactionPooler { .. } => join_all(all).await,
        };
        for (name, sql, outcome) in outcomes {
            match outcome {
                Ok(statement) => {
                    let ready = Prepared { how: How::Named(statement), effect: Effect::of(sql) };
                    let former = locked(prepared).pin(sql, ready);
                    drop(former);
                }
                Err(error) if error.as_db_error().is_some() => common.report(name, &error),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The first connection of a pool does this for all.
    async fn learn_configured(self: &Arc<Self>) -> Result<(), tokio_postgres::Error> {
        let common = &self.common;
        for (name, sql) in common.statements.iter() {
            let is_known = locked(&common.learned).contains(sql) || locked(&common.reported).contains(name);
            if is_known {
                continue;
            }
            match self.learned(sql).await {
                Ok(_) => {}
                Err(error) if error.as_db_error().is_some() => common.report(name, &error),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A text without parameters, announced as its request says.
    pub(super) async fn simple(&self, request: InFlight, sql: &str) -> Result<(), Error> {
        let outcome = self.pass(self.client.batch_execute(sql)).await;
        settle(request, outcome).await
    }

    /// The text that ends a transaction: nothing is sent behind it.
    pub(super) async fn last(&self, request: InFlight, sql: &str) -> Result<(), Error> {
        let outcome = self.state.gate().shut(self.client.batch_execute(sql)).await;
        settle(request, outcome.map_err(Failure::Driver)).await
    }

    /// Sends what the transaction that it is meant for, if any, has not ended before.
    async fn pass<T>(
        &self,
        request: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Failure> {
        match self.state.gate().pass(request).await {
            Some(outcome) => Ok(outcome?),
            None => Err(Failure::Usage(TRANSACTION_OVER.to_owned())),
        }
    }

    pub(super) async fn run(
        self: &Arc<Self>,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<tokio_postgres::RowStream, Failure> {
        let was_in_transaction = self.state.in_transaction();
        let prepared = self.ready(sql).await?;
        let (error, doubt) = match self.send(&prepared, sql, parameters).await {
            Err(Failure::Driver(error)) => match Doubt::about(&error) {
                Some(doubt) => (error, doubt),
                None => return Err(Failure::Driver(error)),
            },
            outcome => return outcome,
        };
        self.forget(sql);
        // A failed transaction takes no more statements. Outside of one the statement has had no effect.
        let is_in_transaction = was_in_transaction || self.state.in_transaction();
        if error.as_db_error().is_some() && is_in_transaction {
            return Err(Failure::Driver(error));
        }
        let mut tries_left = if self.path == Path::Direct { 1 } else { SERVERS_MAX };
        loop {
            tries_left -= 1;
            let outcome = match self.ready(sql).await {
                Ok(again) if doubt == Doubt::Outdated || again.types() != prepared.types() => {
                    tracing::debug!(reason = %error, "a statement was prepared again");
                    self.send(&again, sql, parameters).await
                }
                Err(Failure::Driver(later)) if Doubt::about(&later) == Some(Doubt::Outdated) => {
                    Err(Failure::Driver(later))
                }
                _ => return Err(Failure::Driver(error)),
            };
            match outcome {
                // Behind a pooler, the next of its servers may have the outdated plan, too.
                Err(Failure::Driver(later))
                    if tries_left > 0 && Doubt::about(&later) == Some(Doubt::Outdated) =>
                {
                    self.forget(sql);
                }
                outcome => return outcome,
            }
        }
    }

    async fn send(
        &self,
        prepared: &Prepared,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<tokio_postgres::RowStream, Failure> {
        let types = prepared.types();
        check_count(types, parameters)?;
        if prepared.effect == Effect::Session {
            self.state.touch();
        }
        let parameters = parameters.iter().copied();
        match &prepared.how {
            How::Named(statement) => self.pass(self.client.query_raw(statement, parameters)).await,
            How::Typed(_) => {
                let _turn = self.turn().await;
                let typed = parameters.zip(types.iter().cloned());
                self.pass(self.client.query_typed_raw(sql, typed)).await
            }
        }
    }

    /// The statement, prepared or described if need be. Without waiting when it is ready, so that requests sent together
    /// keep their order.
    pub(super) async fn ready(self: &Arc<Self>, sql: &str) -> Result<Prepared, Failure> {
        let known = locked(&self.prepared).get(sql);
        if let Some(prepared) = known {
            return Ok(prepared);
        }
        let how = match self.path.has_named_statements() {
            true => How::Named(self.client.prepare(sql).await?),
            false => How::Typed(self.learned(sql).await?),
        };
        let prepared = Prepared { how, effect: Effect::of(sql) };
        let is_configured = self.common.statements.contains(sql);
        let former = match is_configured {
            true => locked(&self.prepared).pin(sql, prepared.clone()),
            false => locked(&self.prepared).insert(sql, prepared.clone()),
        };
        // Dropped without the lock: it may close a statement, which takes the driver's own lock.
        drop(former);
        Ok(prepared)
    }

    /// The types of a statement, which this connection's driver knows afterwards.
    async fn learned(self: &Arc<Self>, sql: &str) -> Result<Arc<Learned>, tokio_postgres::Error> {
        let known = locked(&self.common.learned).get(sql);
        if let Some(learned) = known
            && self.types.lock().await.covers(&learned)
        {
            return Ok(learned);
        }
        // A task of its own, because it must run to its end even when the caller gives up.
        let (inner, text) = (Arc::clone(self), sql.to_owned());
        let task = tokio::spawn(async move {
            let _turn = inner.turns.write().await;
            let within = match inner.state.in_transaction() {
                true => Within::OpenTransaction,
                false => Within::OwnTransaction,
            };
            learn(&inner.client, &mut *inner.types.lock().await, &text, within).await
        });
        let learned = Arc::new(task.await.expect("the task neither panics nor is aborted")?);
        locked(&self.common.learned).insert(sql, Arc::clone(&learned));
        Ok(learned)
    }

    pub(super) fn forget(&self, sql: &str) {
        locked(&self.common.learned).remove(sql);
        let former = locked(&self.prepared).remove(sql);
        drop(former);
    }

    /// The right to send. Taken without waiting unless a description is going on.
    pub(super) async fn turn(&self) -> Option<RwLockReadGuard<'_, ()>> {
        if self.path.has_named_statements() {
            return None;
        }
        match self.turns.try_read() {
            Ok(turn) => Some(turn),
            Err(_) => Some(self.turns.read().await),
        }
    }
}

fn check_count(types: &[Type], parameters: Parameters<'_>) -> Result<(), Failure> {
    let (expected, found) = (types.len(), parameters.len());
    if expected == found {
        return Ok(());
    }
    Err(Failure::Usage(format!("the statement takes {expected} parameters, and {found} were given")))
}

/// Why a statement that failed may be worth preparing again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// What it was prepared for has changed, or it has gone: nothing has been executed.
    Outdated,
    /// Its parameters may have other types by now.
    Types,
}

impl Doubt {
    fn about(error: &tokio_postgres::Error) -> Option<Self> {
        let Some(said) = error.as_db_error() else { return is_unsent(error).then_some(Self::Types) };
        let code = said.code();
        let is_outdated = *code == SqlState::INVALID_SQL_STATEMENT_NAME
            || (*code == SqlState::FEATURE_NOT_SUPPORTED
                && said.message().contains("cached plan must not change"));
        if is_outdated {
            return Some(Self::Outdated);
        }
        // Class 42: names and operators that do not fit the types.
        code.code().starts_with("42").then_some(Self::Types)
    }
}

/// The locks are held for a look-up only, and no look-up panics halfway.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
