//! The way of a statement: which pool, in which transaction, how often.

use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::connection::{Connection, RowStream, StatementRef};
use crate::counters::Meter;
use crate::error::Error;
use crate::keyset::{Keyset, Page};
use crate::lease::PooledConnection;
use crate::replica::Replica;
use crate::retry::RetryPolicy;
use crate::roles::{Roles, Side};
use crate::session::Role;
use crate::transaction::{End, Transaction, TransactionOptions, Writes};

/// Whether a statement may be run twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeat {
    /// Only when nothing was sent.
    Unsent,
    /// Whenever the connection was lost: it changes nothing, or the same the second time.
    Lost,
}

/// When a statement or transaction was begun, and how often it has failed.
struct Tries {
    began: Instant,
    failed: u32,
}

/// One of the roles of a [`Database`](crate::Database): main, read or admin. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Access {
    roles: Arc<Roles>,
    role: Role,
    policy: RetryPolicy,
    repeat: Repeat,
    wait: Option<Duration>,
    /// Reads that the replica would answer too early in its history.
    is_on_main: bool,
}

impl Access {
    pub(crate) fn new(roles: Arc<Roles>, role: Role) -> Self {
        let policy = roles.retry;
        // What runs in a read-only session or transaction changes nothing.
        let repeat = if role == Role::Read { Repeat::Lost } else { Repeat::Unsent };
        Self { roles, role, policy, repeat, wait: None, is_on_main: false }
    }

    /// The same role for statements that may be run twice: they are tried again when the connection was lost. (Those of the
    /// read role are, by themselves.)
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.repeat = Repeat::Lost;
        self
    }

    /// The same role with another retry policy; [`RetryPolicy::NEVER`] for none.
    #[must_use]
    pub fn with_retry(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The same role with another limit on the time of waiting for a connection.
    #[must_use]
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// The same role on the main database.
    pub(crate) fn on_main(mut self) -> Self {
        self.is_on_main = true;
        self
    }

    pub(crate) fn replica(&self) -> Option<&Replica> {
        self.roles.replica.as_deref()
    }

    /// All rows of a statement: SQL text, or [`Named`](crate::Named) for one of the configuration.
    ///
    /// # Errors
    /// [`Error::Exhausted`] and [`Error::Down`] before anything was sent, [`Error::Query`] after.
    #[track_caller]
    pub fn query<'a>(
        &'a self,
        statement: impl Into<StatementRef<'a>>,
        parameters: &'a [&'a (dyn ToSql + Sync)],
    ) -> impl Future<Output = Result<Vec<Row>, Error>> + Send + 'a {
        let request = Request { statement: statement.into(), parameters, want: Want::Rows };
        let at = Location::caller();
        async move { Ok(self.answer(request, at).await?.rows) }
    }

    /// As [`Access::query`], for a caller somewhere else in the source.
    pub(crate) async fn query_at(
        &self,
        statement: StatementRef<'_>,
        parameters: &[&(dyn ToSql + Sync)],
        at: &'static Location<'static>,
    ) -> Result<Vec<Row>, Error> {
        Ok(self.answer(Request { statement, parameters, want: Want::Rows }, at).await?.rows)
    }

    /// The one row of a statement.
    ///
    /// # Errors
    /// As [`Access::query`], and [`Error::Rows`] for none or several.
    #[track_caller]
    pub fn query_one<'a>(
        &'a self,
        statement: impl Into<StatementRef<'a>>,
        parameters: &'a [&'a (dyn ToSql + Sync)],
    ) -> impl Future<Output = Result<Row, Error>> + Send + 'a {
        let rows = self.query(statement, parameters);
        async move { at_most_one(rows.await?)?.ok_or(Error::Rows { expected: "one row", found: "no row" }) }
    }

    /// The one row of a statement, or none.
    ///
    /// # Errors
    /// As [`Access::query`], and [`Error::Rows`] for several.
    #[track_caller]
    pub fn query_opt<'a>(
        &'a self,
        statement: impl Into<StatementRef<'a>>,
        parameters: &'a [&'a (dyn ToSql + Sync)],
    ) -> impl Future<Output = Result<Option<Row>, Error>> + Send + 'a {
        let rows = self.query(statement, parameters);
        async move { at_most_one(rows.await?) }
    }

    /// Runs a statement; the number of rows it changed.
    ///
    /// # Errors
    /// As [`Access::query`].
    #[track_caller]
    pub fn execute<'a>(
        &'a self,
        statement: impl Into<StatementRef<'a>>,
        parameters: &'a [&'a (dyn ToSql + Sync)],
    ) -> impl Future<Output = Result<u64, Error>> + Send + 'a {
        let request = Request { statement: statement.into(), parameters, want: Want::Count };
        let at = Location::caller();
        async move { Ok(self.answer(request, at).await?.count) }
    }

    /// One page of a query in pages, after `cursor` or the first.
    ///
    /// # Errors
    /// As [`Access::query`], and [`Error::Cursor`] for a cursor that is not of this query.
    #[track_caller]
    pub fn page<'a>(
        &'a self,
        keyset: &'a Keyset,
        parameters: &'a [&'a (dyn ToSql + Sync)],
        cursor: Option<&'a str>,
    ) -> impl Future<Output = Result<Page, Error>> + Send + 'a {
        let at = Location::caller();
        async move {
            keyset.check()?;
            let keys = cursor.map(|cursor| keyset.read_cursor(cursor)).transpose()?;
            let sql = match keys {
                Some(_) => keyset.next_page_sql(parameters.len()),
                None => keyset.first_page_sql(),
            };
            let mut all = parameters.to_vec();
            all.extend(keys.iter().flatten().map(|key| key as &(dyn ToSql + Sync)));
            let request = Request { statement: sql.as_str().into(), parameters: &all, want: Want::Rows };
            keyset.page(self.answer(request, at).await?.rows)
        }
    }

    /// A connection for as long as the value lives, for whatever needs one and the same; waits for one as all do.
    ///
    /// On the read role nothing stops a statement from writing on the main database while that stands in for the replica.
    ///
    /// # Errors
    /// [`Error::Exhausted`], [`Error::Down`], [`Error::Closed`].
    #[track_caller]
    pub fn acquire(&self) -> impl Future<Output = Result<PooledConnection, Error>> + Send + '_ {
        let at = Location::caller();
        async move { Ok(self.roles.lease(self.role_now(), self.wait, at).await?.0) }
    }

    /// A connection if one idles at this moment, without waiting for it or opening one.
    #[track_caller]
    pub fn try_acquire(&self) -> Option<PooledConnection> {
        self.roles.try_lease(self.role_now())
    }

    /// The rows of a statement one by one, with no more of them in memory than fit the socket. The connection is busy until
    /// the last row or until the stream is dropped, which cancels the rest. Once it has begun it is never tried again.
    ///
    /// # Errors
    /// As [`Access::query`].
    #[track_caller]
    pub fn query_stream<'a>(
        &'a self,
        statement: impl Into<StatementRef<'a>>,
        parameters: &'a [&'a (dyn ToSql + Sync)],
    ) -> impl Future<Output = Result<Rows, Error>> + Send + 'a {
        let at = Location::caller();
        let statement = statement.into();
        async move {
            let mut tries = Tries { began: Instant::now(), failed: 0 };
            loop {
                let (connection, side) = self.lease(at).await?;
                let was_closed = connection.is_closed();
                match self.start_stream(connection, side, statement, parameters).await {
                    Err(error) if self.may_repeat(was_closed, &error) => {
                        self.pause(&mut tries, error).await?
                    }
                    outcome => return outcome,
                }
            }
        }
    }

    async fn start_stream(
        &self,
        connection: PooledConnection,
        side: Side,
        statement: StatementRef<'_>,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Rows, Error> {
        let preamble = self.roles.preamble(self.role, side, &connection);
        let meter = self.roles.meter(self.role);
        let start = async {
            if let Some(begin) = &preamble {
                connection.begin(begin).await?;
            }
            Ok(connection.query_stream(statement, parameters).await?.detached())
        };
        let outcome = meter.within(start).await;
        meter.count_start(&outcome);
        let end = if preamble.is_some() { Ending::Commit } else { Ending::Nothing };
        Ok(Rows { rows: outcome?, connection: Some(connection), meter: Arc::clone(meter), end })
    }

    /// Runs one statement for many rows of parameters in one transaction, pipelined: one round trip for hundreds of them.
    ///
    /// # Errors
    /// The first statement's error; nothing has happened then.
    #[track_caller]
    pub fn batch<'a>(
        &'a self,
        statement: impl Into<StatementRef<'a>>,
        rows: &'a [Vec<&'a (dyn ToSql + Sync)>],
    ) -> impl Future<Output = Result<Vec<u64>, Error>> + Send + 'a {
        let at = Location::caller();
        let statement = statement.into();
        let work = move |transaction: Transaction| async move { transaction.batch(statement, rows).await };
        async move { self.transact(TransactionOptions::default(), work, at).await.into_result() }
    }

    /// Runs `work` in a transaction and commits it when it returns Ok. Serialization failures, deadlocks, and connections
    /// lost before COMMIT was sent run all of it again, within the retry policy: keep to the database in it.
    ///
    /// ```no_run
    /// # async fn example(database: pgprime_client::Database, policy: i64) -> Result<(), pgprime_client::Error> {
    /// let premium: i64 = database
    ///     .main()
    ///     .transaction(|transaction| async move {
    ///         let row = transaction.query_one("SELECT premium FROM policies WHERE id = $1 FOR UPDATE", &[&policy]).await?;
    ///         transaction.execute("UPDATE policies SET status = 'active' WHERE id = $1", &[&policy]).await?;
    ///         Ok::<i64, pgprime_client::Error>(row.get(0))
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The closure's own, or [`Error`] as its error type takes it. [`Error::CommitUncertain`] is never tried again.
    #[track_caller]
    pub fn transaction<'a, T, E, F, Fut>(&'a self, work: F) -> impl Future<Output = Result<T, E>> + Send + 'a
    where
        T: Send + 'a,
        E: From<Error> + Send + 'a,
        F: FnMut(Transaction) -> Fut + Send + 'a,
        Fut: Future<Output = Result<T, E>> + Send + 'a,
    {
        self.transaction_with(TransactionOptions::default(), work)
    }

    /// As [`Access::transaction`], with another isolation, or read-only.
    #[track_caller]
    pub fn transaction_with<'a, T, E, F, Fut>(
        &'a self,
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
        async move { self.transact(options, work, at).await.into_result() }
    }

    /// Runs a transaction, again where that is safe.
    pub(crate) async fn transact<T, E, F, Fut>(
        &self,
        mut options: TransactionOptions,
        mut work: F,
        at: &'static Location<'static>,
    ) -> End<T, E>
    where
        E: From<Error>,
        F: FnMut(Transaction) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        if self.role == Role::Read {
            options.writes = Writes::Refused;
        }
        let mut tries = Tries { began: Instant::now(), failed: 0 };
        loop {
            let connection = match self.lease(at).await {
                Ok((connection, _)) => connection,
                Err(error) => return End::RolledBack { error: E::from(error), is_retryable: false },
            };
            let begin = self.roles.begin(self.role, options, &connection);
            let meter = Arc::clone(self.roles.meter(self.role));
            let end = match Transaction::begin(connection, &begin, options.isolation, meter).await {
                Ok(transaction) => {
                    let outcome = work(transaction.clone()).await;
                    transaction.end(outcome, options.writes).await
                }
                Err(error) => {
                    End::RolledBack { is_retryable: error.is_connection_lost(), error: E::from(error) }
                }
            };
            match end {
                End::RolledBack { is_retryable: true, error } => {
                    if let Err(error) = self.pause(&mut tries, error).await {
                        return End::RolledBack { error, is_retryable: true };
                    }
                }
                End::Uncertain(error) => {
                    self.roles.meter(self.role).count_error(&error);
                    return End::Uncertain(error);
                }
                end => return end,
            }
        }
    }

    /// Whether a statement that failed may be sent again. `was_closed`: its connection was known to be gone before.
    fn may_repeat(&self, was_closed: bool, error: &Error) -> bool {
        match self.repeat {
            // The loss was known before, so nothing can have been sent.
            Repeat::Unsent => was_closed,
            Repeat::Lost => error.is_connection_lost(),
        }
    }

    /// Waits before the next attempt; the error when there is none.
    async fn pause<E>(&self, tries: &mut Tries, error: E) -> Result<(), E> {
        tries.failed += 1;
        match self.policy.pause(tries.failed, tries.began.elapsed(), fastrand::f64()) {
            Some(pause) => {
                self.roles.meter(self.role).count_retry();
                tokio::time::sleep(pause).await;
                Ok(())
            }
            None => Err(error),
        }
    }

    /// A connection for the role, and where it leads.
    async fn lease(&self, at: &'static Location<'static>) -> Result<(PooledConnection, Side), Error> {
        let (connection, side) = self.roles.lease(self.role_now(), self.wait, at).await?;
        Ok((connection, if self.is_on_main { Side::StandIn } else { side }))
    }

    /// What the database says of a statement, without running it.
    #[cfg(feature = "cache")]
    pub(crate) async fn describe(
        &self,
        sql: &str,
        at: &'static Location<'static>,
    ) -> Result<crate::results::Described, Error> {
        let (connection, _) = self.lease(at).await?;
        self.roles.meter(self.role).within(connection.describe(sql)).await
    }

    /// The role whose pool is used.
    fn role_now(&self) -> Role {
        if self.is_on_main { Role::Main } else { self.role }
    }

    /// Runs one statement, again where that is safe.
    async fn answer(&self, request: Request<'_>, at: &'static Location<'static>) -> Result<Answer, Error> {
        let mut tries = Tries { began: Instant::now(), failed: 0 };
        loop {
            let (connection, side) = self.lease(at).await?;
            let preamble = self.roles.preamble(self.role, side, &connection);
            let was_closed = connection.is_closed();
            let (meter, began) = (self.roles.meter(self.role), Instant::now());
            let outcome = meter.within(request.run(&connection, preamble.as_deref())).await;
            meter.count(request.statement, began, &outcome);
            let error = match outcome {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if !self.may_repeat(was_closed, &error) {
                return Err(error);
            }
            drop(connection);
            self.pause(&mut tries, error).await?;
        }
    }
}

/// A statement with its parameters and what is wanted of it.
struct Request<'a> {
    statement: StatementRef<'a>,
    parameters: &'a [&'a (dyn ToSql + Sync)],
    want: Want,
}

#[derive(Clone, Copy)]
enum Want {
    Rows,
    Count,
}

#[derive(Default)]
struct Answer {
    rows: Vec<Row>,
    count: u64,
}

impl Request<'_> {
    /// Runs it by itself, or between BEGIN and COMMIT in the same round trip.
    async fn run(&self, connection: &Connection, preamble: Option<&str>) -> Result<Answer, Error> {
        let Some(begin) = preamble else { return self.send(connection).await };
        // Once it is prepared, everything is sent at once, in this order.
        connection.prepare(self.statement).await?;
        let (begun, answer, ended) =
            tokio::join!(biased; connection.begin(begin), self.send(connection), connection.end("COMMIT"));
        begun?;
        let answer = answer?;
        ended.map(|()| answer)
    }

    async fn send(&self, connection: &Connection) -> Result<Answer, Error> {
        Ok(match self.want {
            Want::Rows => {
                Answer { rows: connection.query(self.statement, self.parameters).await?, ..Answer::default() }
            }
            Want::Count => Answer {
                count: connection.execute(self.statement, self.parameters).await?,
                ..Answer::default()
            },
        })
    }
}

fn at_most_one(mut rows: Vec<Row>) -> Result<Option<Row>, Error> {
    match rows.len() {
        0 | 1 => Ok(rows.pop()),
        _ => Err(Error::Rows { expected: "one row", found: "several rows" }),
    }
}

/// The rows of a statement, one by one, and the connection they come from.
#[derive(Debug)]
pub struct Rows {
    rows: RowStream<'static>,
    connection: Option<PooledConnection>,
    meter: Arc<Meter>,
    end: Ending,
}

/// What has to be said after the last row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Nothing,
    Commit,
}

impl Rows {
    /// The next row; `None` after the last one, when the connection has gone back.
    ///
    /// # Errors
    /// [`Error::Query`]; no more rows come then.
    pub async fn next(&mut self) -> Result<Option<Row>, Error> {
        let row = self.meter.within(self.rows.next()).await;
        if matches!(row, Ok(Some(_))) {
            return row;
        }
        let outcome = match (row, self.connection.take()) {
            (Ok(_), Some(connection)) if self.end == Ending::Commit => {
                self.meter.within(connection.end("COMMIT")).await
            }
            (row, _) => row.map(drop),
        };
        outcome.inspect_err(|error| self.meter.count_error(error)).map(|()| None)
    }
}
