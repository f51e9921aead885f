//! Reads that are kept: from the cache where they are there, from the main database where not.

mod fill;
mod rows;
mod value;

use std::fmt;
use std::future::{Future, IntoFuture};
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use pgprime_cache::{Key, Policy, Request};

use crate::access::Access;
use crate::connection::StatementRef;
use crate::error::Error;
use crate::loggable::without_values;
use crate::results::{Body, Described, Known, NotLearnt, Results, Verdict};
use crate::roles::Roles;
use crate::session::Role;
use crate::transaction::Transaction;
use fill::{Filler, Parameters, Reason, Slot, Way};
use value::Value;

pub use rows::{CachedRow, CachedRows, CachedSource, ColumnIndex};

/// A read to be served from the cache; made by [`Database::cached`](crate::Database::cached), run by [`Cached::fetch`] or
/// by awaiting it.
#[must_use = "nothing is read until it is fetched or awaited"]
pub struct Cached<'a> {
    roles: &'a Arc<Roles>,
    results: Option<&'a Arc<Results>>,
    statement: StatementRef<'a>,
    parameters: Parameters<'a>,
    options: Options<'a>,
    at: &'static Location<'static>,
}

/// What the caller asked for beyond the statement.
#[derive(Clone, Copy)]
struct Options<'a> {
    policy: Policy,
    refresh: Refresh,
    label: Option<&'a str>,
    role: Role,
    stable: Stable,
}

/// Who reads a stale result anew.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refresh {
    /// The first that finds it so.
    Here,
    /// A task of its own.
    Background,
}

/// What is done with a result that depends on the time or the session.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stable {
    Refused,
    Allowed,
}

/// A statement whose result may be kept.
struct Plan {
    sql: Arc<str>,
    known: Arc<Known>,
    key: Key,
    values: Vec<Value>,
}

/// Why a statement cannot be looked for in the cache.
enum Unplanned {
    NotKept(Reason),
    Failed(Error),
}

fn not_kept(reason: &str) -> Unplanned {
    Unplanned::NotKept(reason.into())
}

impl From<NotLearnt> for Unplanned {
    fn from(not_learnt: NotLearnt) -> Self {
        match not_learnt {
            // What runs the statement knows when to try again.
            NotLearnt::Here(error) if error.is_connection_lost() => {
                not_kept("the connection was lost when its parameters' types were asked for")
            }
            NotLearnt::Here(error) => Self::Failed(error),
            NotLearnt::Elsewhere => not_kept("its parameters' types could not be learnt"),
        }
    }
}

impl<'a> Cached<'a> {
    pub(crate) fn new(
        roles: &'a Arc<Roles>,
        results: Option<&'a Arc<Results>>,
        statement: StatementRef<'a>,
        parameters: Parameters<'a>,
        at: &'static Location<'static>,
    ) -> Self {
        let options = Options {
            policy: Policy::default(),
            refresh: Refresh::Here,
            label: None,
            role: Role::Main,
            stable: Stable::Refused,
        };
        Self { roles, results, statement, parameters, options, at }
    }

    /// How long the result is served. Default 60 s. Changes of its tables through this library end it at once.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.options.policy.ttl = ttl;
        self
    }

    /// How much longer it is served while one caller reads it anew. Default none. It never outlives a known change of its
    /// tables.
    pub fn stale_while_revalidate(mut self, beyond: Duration) -> Self {
        self.options.policy.stale_while_revalidate = Some(beyond);
        self
    }

    /// What is stale is read anew by a task of its own, so that nobody waits for it.
    pub fn refresh_in_background(mut self) -> Self {
        self.options.refresh = Refresh::Background;
        self
    }

    /// The name in reports. Default: the statement's name, or its text without values.
    pub fn named(mut self, label: &'a str) -> Self {
        self.options.label = Some(label);
        self
    }

    /// Whose pool and settings are used when the database is asked. Default main. With [`Role::Read`] writes are refused;
    /// it is the main database that is asked all the same, since a replica may lag behind what others were served.
    pub fn on(mut self, role: Role) -> Self {
        self.options.role = role;
        self
    }

    /// Keeps the result although it depends on the time or on the session (`now()`, `current_date`, `current_setting`): it
    /// may be as old as the time to live, and what follows, say.
    pub fn allow_stable(mut self) -> Self {
        self.options.stable = Stable::Allowed;
        self
    }

    /// Results larger than this are compressed in Redis. Default 4 KiB.
    pub fn compress_above(mut self, bytes: usize) -> Self {
        self.options.policy.compress_above_bytes = bytes;
        self
    }

    /// All rows.
    ///
    /// A statement whose result must not be kept is run as by [`Access::query`]; [`CachedRows::not_kept`] says why.
    ///
    /// # Errors
    /// As [`Access::query`]. What the cache holds is served without the database.
    pub async fn fetch(self) -> Result<CachedRows, Error> {
        let access = self.access();
        self.run(Way::Pool(access)).await
    }

    /// The one row.
    ///
    /// # Errors
    /// As [`Cached::fetch`], and [`Error::Rows`] for none or several.
    pub async fn fetch_one(self) -> Result<CachedRow, Error> {
        self.fetch_opt().await?.ok_or(Error::Rows { expected: "one row", found: "no row" })
    }

    /// The one row, or none.
    ///
    /// # Errors
    /// As [`Cached::fetch`], and [`Error::Rows`] for several.
    pub async fn fetch_opt(self) -> Result<Option<CachedRow>, Error> {
        self.fetch().await?.at_most_one()
    }

    /// All rows, for a transaction: it asks the database itself where the result is not in the cache, and also where it
    /// might not see what others do. That is, after it has written, above read committed, and after statements whose effect
    /// on the session is not known.
    ///
    /// # Errors
    /// As [`Transaction::query`].
    pub async fn fetch_in(self, transaction: &Transaction) -> Result<CachedRows, Error> {
        let way = Way::Transaction(transaction.clone());
        match transaction.sees_apart() {
            Some(reason) => self.plain(&way, None, reason.into()).await,
            None if self.results.is_some_and(|results| results.sees_one_moment()) => {
                self.plain(&way, None, "the transaction sees one moment with all its statements".into()).await
            }
            None => self.run(way).await,
        }
    }

    /// The role whose statements are run: always on the main database.
    fn access(&self) -> Access {
        let access = Access::new(Arc::clone(self.roles), self.options.role);
        if self.options.role == Role::Read { access.on_main() } else { access }
    }

    async fn run(self, way: Way) -> Result<CachedRows, Error> {
        let Some(results) = self.results else {
            return self.plain(&way, None, "no cache is configured".into()).await;
        };
        let sql = results.statements().text(self.statement)?;
        let known = match results.known(sql).await {
            Ok(known) => known,
            Err(reason) => return self.plain(&way, None, reason).await,
        };
        match self.plan(sql, &known, &way).await {
            Ok(plan) => self.serve(results, plan, way).await,
            Err(Unplanned::NotKept(reason)) => self.plain(&way, Some(&known), reason).await,
            Err(Unplanned::Failed(error)) => Err(error),
        }
    }

    /// What to look for in the cache, or why not to.
    async fn plan(&self, sql: &str, known: &Arc<Known>, way: &Way) -> Result<Plan, Unplanned> {
        if let (Verdict::Stable(reason), Way::Transaction(_)) = (&known.verdict, way) {
            // A transaction's settings are its own.
            return Err(Unplanned::NotKept(Arc::clone(reason)));
        }
        match (&known.verdict, self.options.stable) {
            (Verdict::Kept, _) | (Verdict::Stable(_), Stable::Allowed) => {}
            (Verdict::Stable(reason), Stable::Refused) | (Verdict::Refused(reason), _) => {
                return Err(Unplanned::NotKept(Arc::clone(reason)));
            }
        }
        let values = self.values(sql, known, way).await?;
        let relative = values.iter().position(Value::may_be_relative_time);
        if let (Some(at), Stable::Refused) = (relative, self.options.stable) {
            let number = at + 1;
            return Err(not_kept(&format!(
                "its parameter ${number} may be read as a time relative to now; pass the time itself, or allow it for this query"
            )));
        }
        let key = self.key(known, &values);
        Ok(Plan { sql: sql.into(), known: Arc::clone(known), key, values })
    }

    /// The parameters as they are sent.
    async fn values(&self, sql: &str, known: &Known, way: &Way) -> Result<Vec<Value>, Unplanned> {
        if self.parameters.is_empty() {
            return Ok(Vec::new());
        }
        let described = known.learning.learn(|| way.describe(sql, self.at)).await?;
        // The statement itself will say what is wrong with them.
        Value::all(&described.parameters, self.parameters)
            .map_err(|value::Misfit| not_kept("its parameters do not fit their types"))
    }

    fn key(&self, known: &Known, values: &[Value]) -> Key {
        let Policy { ttl, stale_while_revalidate, .. } = self.options.policy;
        // Who asks for what is younger must not get what was kept for longer.
        let spans = [ttl, stale_while_revalidate.unwrap_or_default()];
        let mut key = known.key.clone();
        for span in spans {
            key = key.other("time", span.as_nanos().to_be_bytes());
        }
        if known.verdict != Verdict::Kept {
            // It may depend on the session's settings, which differ from pool to pool.
            key = key.other("pool", self.options.role.name());
        }
        values.iter().fold(key, |key, value| value.add_to(key)).build()
    }

    async fn serve(self, results: &Arc<Results>, plan: Plan, way: Way) -> Result<CachedRows, Error> {
        let label = self.label(Some(&plan.known));
        let request =
            Request { key: plan.key, tables: &plan.known.tables, label: &label, policy: self.options.policy };
        let slot = Slot::default();
        let filler = Filler { way, sql: Arc::clone(&plan.sql), known: Arc::clone(&plan.known), at: self.at };
        let served = match (self.options.refresh, &filler.way) {
            (Refresh::Background, Way::Pool(_)) => {
                let (filler, slot, values) = (filler.clone(), slot.clone(), plan.values);
                let fill = move || async move { filler.fill_with_values(&values, &slot).await };
                results.cache().get_or_refresh(&request, fill).await?
            }
            _ => results.cache().get_or_fill(&request, || filler.fill(self.parameters, &slot)).await?,
        };
        let own = (served.source == pgprime_cache::Source::Filled).then(|| slot.take()).flatten();
        if let Some(filled) = own {
            return Ok(match filled.not_kept {
                None => CachedRows::kept(filled.body, CachedSource::Filled, served.age),
                Some(reason) => {
                    results.refused(&label, &reason);
                    CachedRows::not_kept_because(filled.body, reason)
                }
            });
        }
        let header = plan.known.header();
        match Body::read(served.bytes, &header) {
            Ok(body) => {
                if !body.is_of(&header) {
                    plan.known.set_header(body.header());
                }
                Ok(CachedRows::kept(body, served.source.into(), served.age))
            }
            Err(_) => {
                // Whoever put that there: nothing made from these tables is believed any longer.
                let _ = results.cache().invalidate(&plan.known.tables).await;
                self.plain(&filler.way, Some(&plan.known), "what was kept cannot be read".into()).await
            }
        }
    }

    /// Runs the statement as it would be run without a cache.
    async fn plain(&self, way: &Way, known: Option<&Known>, reason: Reason) -> Result<CachedRows, Error> {
        if let Some(results) = self.results {
            results.refused(&self.label(known), &reason);
        }
        let statement = match (self.results, self.statement) {
            // The pools know names, but not the admin pool.
            (Some(results), StatementRef::Named(_)) => results.statements().text(self.statement)?.into(),
            _ => self.statement,
        };
        let rows = way.query(statement, self.parameters, self.at).await?;
        let described = match known {
            Some(known) if rows.is_empty() => known.learning.found().unwrap_or_default(),
            _ => Arc::<Described>::default(),
        };
        let body = Body::of(&rows, &described.columns).unwrap_or_else(|not_kept| not_kept.body);
        Ok(CachedRows::not_kept_because(body, reason))
    }

    fn label(&self, known: Option<&Known>) -> String {
        match (self.options.label, self.statement, known) {
            (Some(label), ..) => label.to_owned(),
            (None, StatementRef::Named(name), _) => name.to_owned(),
            (None, StatementRef::Text(_), Some(known)) => known.label.to_string(),
            (None, StatementRef::Text(sql), None) => without_values(sql),
        }
    }
}

impl<'a> IntoFuture for Cached<'a> {
    type Output = Result<CachedRows, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.fetch())
    }
}

impl fmt::Debug for Cached<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").field("policy", &self.options.policy).finish_non_exhaustive()
    }
}
