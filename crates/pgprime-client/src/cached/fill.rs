//! Asking the database for what the cache does not have.

use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError};

use pgprime_cache::Filled;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::value::Value;
use crate::access::Access;
use crate::connection::StatementRef;
use crate::error::Error;
use crate::results::{Body, Described, Known, NotKept};
use crate::session::Role;
use crate::transaction::Transaction;

pub(super) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

const ISOLATION: &str = "SELECT pg_catalog.current_setting('transaction_isolation')";

/// Why a result is not kept.
pub(super) type Reason = Arc<str>;

/// How the database is asked.
#[derive(Clone)]
pub(super) enum Way {
    /// By a connection of a pool.
    Pool(Access),
    /// By the caller's own.
    Transaction(Transaction),
}

/// What fills one result.
#[derive(Clone)]
pub(super) struct Filler {
    pub(super) way: Way,
    pub(super) sql: Arc<str>,
    pub(super) known: Arc<Known>,
    pub(super) at: &'static Location<'static>,
}

/// What the caller's own fill gave: its rows need not be read from bytes again.
#[derive(Clone, Default)]
pub(super) struct Slot(Arc<Mutex<Option<FilledRows>>>);

pub(super) struct FilledRows {
    pub(super) body: Body,
    pub(super) not_kept: Option<Reason>,
}

impl Slot {
    pub(super) fn take(&self) -> Option<FilledRows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, filled: FilledRows) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(filled);
    }
}

impl Way {
    pub(super) async fn query(
        &self,
        statement: StatementRef<'_>,
        parameters: Parameters<'_>,
        at: &'static Location<'static>,
    ) -> Result<Vec<Row>, Error> {
        match self {
            Self::Pool(access) => access.query_at(statement, parameters, at).await,
            Self::Transaction(transaction) => transaction.query(statement, parameters).await,
        }
    }

    /// What the database says of a statement.
    pub(super) async fn describe(
        &self,
        sql: &str,
        at: &'static Location<'static>,
    ) -> Result<Described, Error> {
        match self {
            Self::Pool(access) => access.describe(sql, at).await,
            Self::Transaction(transaction) => transaction.describe(sql).await,
        }
    }

    /// Why what is read this way is nothing for others, if it is not.
    fn reads_apart(&self) -> Option<Reason> {
        match self {
            Self::Transaction(transaction) if transaction.role() == Role::Read => {
                Some("the transaction runs on the replica, which may lag behind".into())
            }
            // Also what it has done since it asked: a write is noted before it is sent.
            Self::Transaction(transaction) => transaction.sees_apart().map(Into::into),
            Self::Pool(_) => None,
        }
    }

    /// Why each statement may not see the newest rows, if so: the database may have another default than ours.
    async fn sees_the_past(&self) -> Result<Option<Reason>, Error> {
        let Self::Transaction(transaction) = self else { return Ok(None) };
        let row = transaction.query_one(ISOLATION, &[]).await?;
        let is_known = row.get::<_, &str>(0) == "read committed";
        Ok((!is_known).then(|| "the transaction sees one moment with all its statements".into()))
    }
}

impl Filler {
    /// Asks the database. What only reads may be asked for again when the connection was lost.
    pub(super) async fn fill(&self, parameters: Parameters<'_>, slot: &Slot) -> Result<Filled, Error> {
        let way = match &self.way {
            Way::Pool(access) => Way::Pool(access.clone().idempotent()),
            Way::Transaction(transaction) => Way::Transaction(transaction.clone()),
        };
        let rows = way.query((&*self.sql).into(), parameters, self.at).await?;
        let past = way.sees_the_past().await?;
        let described = match rows.is_empty() {
            true => self.columns(&way).await,
            false => Arc::default(),
        };
        let (body, not_kept) = match Body::of(&rows, &described.columns) {
            Ok(body) => (body, way.reads_apart().or(past)),
            Err(unfit) => {
                let NotKept { body, reason } = *unfit;
                (body, Some(reason.into()))
            }
        };
        let filled = match &not_kept {
            None => Filled::new(body.bytes.clone()),
            Some(_) => Filled::not_cacheable(body.bytes.clone()),
        };
        slot.put(FilledRows { body, not_kept });
        Ok(filled)
    }

    /// As [`Filler::fill`], with parameters that belong to the task.
    pub(super) async fn fill_with_values(&self, values: &[Value], slot: &Slot) -> Result<Filled, Error> {
        let parameters: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
        self.fill(&parameters, slot).await
    }

    /// The columns of a result without rows.
    async fn columns(&self, way: &Way) -> Arc<Described> {
        let described = self.known.learning.learn(|| way.describe(&self.sql, self.at)).await;
        described.unwrap_or_default()
    }
}
