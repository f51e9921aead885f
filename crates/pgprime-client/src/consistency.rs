//! Reading one's own writes, with reads on a replica.

use std::panic::Location;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::{PgLsn, ToSql};

use crate::access::Access;
use crate::connection::StatementRef;
use crate::error::Error;
use crate::lease::PooledConnection;
use crate::replica::end_on;
use crate::retry::RetryPolicy;
use crate::transaction::{End, Transaction, TransactionOptions};

/// What a read does while the replica has not got this session's last write yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Freshness {
    /// It reads from the main database.
    #[default]
    Avoid,
    /// It waits for the replica, this long at most, and reads from the main database then.
    Wait(Duration),
}

/// How far this session has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Nothing,
    UpTo(PgLsn),
    /// The position could not be read after a write: only the main database is sure to have it.
    Unknown,
}

/// One user's work: its reads see its writes, wherever they run. Made for a request or a login; it holds no connection.
#[derive(Clone, Debug)]
pub struct Session {
    main: Access,
    read: Access,
    freshness: Freshness,
    written: Written,
}

impl Session {
    pub(crate) fn new(main: Access, read: Access, freshness: Freshness) -> Self {
        Self { main, read, freshness, written: Written::Nothing }
    }

    /// The same session with another retry policy.
    #[must_use]
    pub fn with_retry(mut self, policy: RetryPolicy) -> Self {
        self.main = self.main.with_retry(policy);
        self.read = self.read.with_retry(policy);
        self
    }

    /// The same session with another limit on the time of waiting for a connection.
    #[must_use]
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.main = self.main.with_wait(wait);
        self.read = self.read.with_wait(wait);
        self
    }

    /// The position in the WAL up to which this session has written, for another instance to go on with; `None` without a
    /// replica.
    pub fn position(&self) -> Option<PgLsn> {
        match self.written {
            Written::UpTo(position) => Some(position),
            Written::Nothing | Written::Unknown => None,
        }
    }

    /// Takes over what another instance's session wrote: its reads are seen, too.
    #[must_use]
    pub fn after(mut self, position: PgLsn) -> Self {
        self.saw(Some(position));
        self
    }

    /// Where this session's next read goes: the replica if it has this session's writes, else the main database.
    pub async fn read(&self) -> Access {
        let Some(replica) = self.read.replica() else { return self.read.clone() };
        let is_fresh = match (self.written, self.freshness) {
            (Written::Nothing, _) => true,
            (Written::Unknown, _) => false,
            (Written::UpTo(position), Freshness::Avoid) => replica.has_now(position).await,
            (Written::UpTo(position), Freshness::Wait(wait_max)) => {
                replica.wait_for(position, wait_max).await
            }
        };
        if is_fresh { self.read.clone() } else { self.read.clone().on_main() }
    }

    /// All rows of a statement that only reads.
    ///
    /// # Errors
    /// As [`Access::query`].
    #[track_caller]
    pub fn query<'a>(
        &'a self,
        statement: impl Into<StatementRef<'a>>,
        parameters: &'a [&'a (dyn ToSql + Sync)],
    ) -> impl Future<Output = Result<Vec<Row>, Error>> + Send + 'a {
        let at = Location::caller();
        let statement = statement.into();
        async move { self.read().await.query_at(statement, parameters, at).await }
    }

    /// Runs a statement on the main database; the number of rows it changed.
    ///
    /// # Errors
    /// As [`Access::execute`].
    #[track_caller]
    pub fn execute<'a>(
        &'a mut self,
        statement: impl Into<StatementRef<'a>>,
        parameters: &'a [&'a (dyn ToSql + Sync)],
    ) -> impl Future<Output = Result<u64, Error>> + Send + 'a {
        let statement = statement.into();
        self.transaction(move |transaction| async move { transaction.execute(statement, parameters).await })
    }

    /// Runs a transaction on the main database, as [`Access::transaction`] does.
    ///
    /// # Errors
    /// As [`Access::transaction`].
    #[track_caller]
    pub fn transaction<'a, T, E, F, Fut>(
        &'a mut self,
        work: F,
    ) -> impl Future<Output = Result<T, E>> + Send + 'a
    where
        T: Send + 'a,
        E: From<Error> + Send + 'a,
        F: FnMut(Transaction) -> Fut + Send + 'a,
        Fut: Future<Output = Result<T, E>> + Send + 'a,
    {
        self.transaction_with(TransactionOptions::default(), work)
    }

    /// As [`Session::transaction`], with another isolation, or read-only.
    #[track_caller]
    pub fn transaction_with<'a, T, E, F, Fut>(
        &'a mut self,
        options: TransactionOptions,
        work: F,
    ) -> impl Future<Output = Result<T, E>> + Send + 'a
    where
        T: Send + 'a,
        E: From<Error> + Send + 'a,
        F: FnMut(Transaction) -> Fut + Send + 'a,
        Fut: Future<Output = Result<T, E>> + Send + 'a,
    {
        let at = Location::caller();
        async move {
            // Whatever becomes of this future from here on, something may have been written.
            let before = std::mem::replace(&mut self.written, Written::Unknown);
            match self.main.transact(options, work, at).await {
                End::Committed(value, connection) => {
                    self.written = before;
                    // Without a replica all reads see all writes.
                    if self.read.replica().is_some() {
                        self.saw(position_after(connection).await);
                    }
                    Ok(value)
                }
                End::RolledBack { error, .. } => {
                    self.written = before;
                    Err(error)
                }
                End::Uncertain(error) => Err(E::from(error)),
            }
        }
    }

    fn saw(&mut self, position: Option<PgLsn>) {
        self.written = match (self.written, position) {
            (Written::Unknown, _) | (_, None) => Written::Unknown,
            (Written::UpTo(before), Some(position)) => Written::UpTo(before.max(position)),
            (Written::Nothing, Some(position)) => Written::UpTo(position),
        };
    }
}

/// The main database's position after a commit, which lies at or behind the commit's own.
async fn position_after(connection: Option<PooledConnection>) -> Option<PgLsn> {
    let outcome = end_on(&connection?).await;
    outcome.inspect_err(|error| tracing::debug!(%error, "reading the position after a write")).ok()
}
