//! A connection of a pool: what the application and the library do with it.

#[cfg(feature = "cache")]
mod announce;
mod cancel;
mod cleaning;
mod executor;
mod gate;
mod learn;
mod rows;
#[cfg(not(feature = "cache"))]
mod silence;
mod state;

use std::fmt;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use futures_util::future::join_all;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use crate::connect::Opened;
use crate::error::Error;
use crate::session::{Path, Role, SessionSettings};
use executor::{Executor, Failure, Parameters, settle};
use state::InFlight;

#[cfg(not(feature = "cache"))]
use silence as announce;

pub use crate::statements::{Named, StatementRef};
pub(crate) use announce::Announcer;
#[cfg(feature = "cache")]
pub use announce::WriteReport;
#[cfg(feature = "cache")]
pub(crate) use cancel::{KeptOpen, cancel};
pub(crate) use executor::{Common, TRANSACTION_OVER};
pub use rows::RowStream;

/// Requests of a batch that are sent together: enough that the round trip does not count, few enough for the memory.
const PIPELINE_MAX: usize = 1_000;

/// A connection to the database.
///
/// All methods take `&self`: a request may be sent before the one before it is answered (`tokio::join!`), and they are run in
/// the order in which they were sent; at its first use a statement is prepared before it is sent. A future dropped halfway leaves the connection unclean; its pool cancels what
/// still runs before anybody else gets it.
pub struct Connection {
    executor: Arc<Executor>,
}

/// What a connection is used for inside this library leaves no mark on it.
impl Connection {
    /// Takes over a connection and prepares the statements of the configuration, all at once. Those that cannot be
    /// prepared are reported; only the loss of the connection is an error. `era` is what [`Common::era`] was before it opened.
    pub(crate) async fn start(
        opened: Opened,
        path: Path,
        common: Arc<Common>,
        era: u64,
    ) -> Result<Self, tokio_postgres::Error> {
        let executor = Arc::new(Executor::new(opened, path, common, era));
        executor.get_ready().await?;
        Ok(Self { executor })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.executor.client.is_closed()
    }

    /// Whether it was opened before its role or database got other settings: its session has the former ones.
    pub(crate) fn is_outdated(&self) -> bool {
        let Executor { path, common, era, .. } = &*self.executor;
        // What a pooler's own connections have is not known here.
        *path == Path::Direct && *era != common.era()
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.executor.state.is_clean()
    }

    /// What stands between this connection and PostgreSQL.
    pub fn path(&self) -> Path {
        self.executor.path
    }

    /// The settings of its pool, as far as this server knows them. A direct connection has them; behind a transaction pooler each transaction needs
    /// [`SessionSettings::in_transaction`].
    pub fn settings(&self) -> &SessionSettings {
        &self.executor.settings
    }

    /// The pool it belongs to.
    pub fn role(&self) -> Role {
        self.executor.common.role
    }

    /// A round trip.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        self.simple("").await
    }

    /// Begins a transaction. Until [`Connection::end`] the connection is not clean.
    pub(crate) async fn begin(&self, sql: &str) -> Result<(), Error> {
        let _turn = self.executor.turn().await;
        self.executor.state.begin(sql);
        let request = self.executor.state.request().in_order().await;
        self.executor.simple(request, sql).await
    }

    /// Commits or rolls back. When it returns, what was written is known to be.
    pub(crate) async fn end(&self, sql: &str) -> Result<(), Error> {
        let _turn = self.executor.turn().await;
        let mut request = self.executor.state.request();
        request.announce_end(sql).await;
        self.executor.simple(request, sql).await?;
        self.executor.state.end();
        Ok(())
    }

    /// As [`Connection::end`], for a transaction that others may have a hold of: what they have not sent by then is not sent
    /// any more, until [`Connection::reopen`].
    pub(crate) async fn end_for_all(&self, sql: &str) -> Result<(), Error> {
        let _turn = self.executor.turn().await;
        let mut request = self.executor.state.request();
        request.announce_end(sql).await;
        self.executor.last(request, sql).await?;
        self.executor.state.end();
        Ok(())
    }

    /// Nobody else has a hold of the transaction that ended.
    pub(crate) fn reopen(&self) {
        self.executor.state.gate().open();
    }

    /// Statements that belong to a transaction, such as savepoints.
    pub(crate) async fn control(&self, sql: &str) -> Result<(), Error> {
        self.simple(sql).await
    }

    async fn simple(&self, sql: &str) -> Result<(), Error> {
        let _turn = self.executor.turn().await;
        let request = self.executor.state.request().in_order().await;
        self.executor.simple(request, sql).await
    }

    /// Whether the open transaction has written, or may have.
    #[cfg(feature = "cache")]
    pub(crate) fn has_written(&self) -> bool {
        self.executor.state.writes().has_written()
    }

    /// Makes a statement ready, so that the next use sends it at once.
    pub(crate) async fn prepare(&self, statement: StatementRef<'_>) -> Result<(), Error> {
        let sql = self.executor.common.statements.text(statement)?;
        let request = self.executor.state.request();
        settle(request, self.executor.ready(sql).await).await.map(drop)
    }

    /// What the database says of a statement now, without running it.
    #[cfg(feature = "cache")]
    pub(crate) async fn describe(&self, sql: &str) -> Result<crate::results::Described, Error> {
        let request = self.executor.state.request();
        // What was said before may be out of date.
        self.executor.forget(sql);
        settle(request, self.executor.ready(sql).await.map(|prepared| prepared.described())).await
    }

    /// Whether something ran whose effect on the session is not known.
    #[cfg(feature = "cache")]
    pub(crate) fn is_touched(&self) -> bool {
        self.executor.state.is_touched()
    }

    /// Brings an unclean connection back: what runs is cancelled, what is open rolled back, what was set is reset.
    /// `false` when it has to be closed.
    pub(crate) async fn clean(&self) -> bool {
        let executor = &*self.executor;
        // A description that its caller gave up runs to its end by itself.
        let _turn = executor.turns.write().await;
        if executor.state.has_requests()
            && let Err(error) =
                cleaning::quiet(&executor.client, &executor.server, &executor.common.tls).await
        {
            tracing::debug!(%error, pool = self.role().name(), "closing a connection that cannot be made quiet");
            return false;
        }
        let is_touched = executor.state.is_touched();
        let reset = async {
            cleaning::reset(&executor.client, executor.path, is_touched).await?;
            // They went with all that was set.
            if is_touched { executor.set_what_is_newer().await } else { Ok(()) }
        };
        match reset.await {
            Ok(()) => {
                executor.state.writes().cleaned().await;
                executor.state.reset();
                true
            }
            Err(error) => {
                tracing::debug!(%error, pool = self.role().name(), "closing a connection that cannot be reset");
                false
            }
        }
    }
}

/// What the application uses.
impl Connection {
    /// All rows of a statement: SQL text, or [`Named`].
    ///
    /// # Errors
    /// [`Error::Query`], and [`Error::Usage`] for a name that is not configured or the wrong number of parameters.
    pub async fn query<'s>(
        &self,
        statement: impl Into<StatementRef<'s>>,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        let (rows, request) = self.run(statement.into(), parameters, Announce::Now).await?;
        let rows = rows.try_collect().await;
        settle(request, rows.map_err(Failure::Driver)).await
    }

    /// The one row of a statement.
    ///
    /// # Errors
    /// As [`Connection::query`]; [`Error::Rows`] for none or several.
    pub async fn query_one<'s>(
        &self,
        statement: impl Into<StatementRef<'s>>,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, Error> {
        let row = self.query_opt(statement, parameters).await?;
        row.ok_or(Error::Rows { expected: "one row", found: "no row" })
    }

    /// The one row of a statement, or none.
    ///
    /// # Errors
    /// As [`Connection::query`]; [`Error::Rows`] for several.
    pub async fn query_opt<'s>(
        &self,
        statement: impl Into<StatementRef<'s>>,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, Error> {
        let mut rows = self.query_stream(statement, parameters).await?;
        let first = rows.next().await?;
        if first.is_some() && rows.next().await?.is_some() {
            // The rest is read, so that the connection stays clean; who expects one row has few.
            while rows.next().await?.is_some() {}
            return Err(Error::Rows { expected: "one row", found: "several rows" });
        }
        Ok(first)
    }

    /// Runs a statement; the number of rows it changed.
    ///
    /// # Errors
    /// As [`Connection::query`].
    pub async fn execute<'s>(
        &self,
        statement: impl Into<StatementRef<'s>>,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Error> {
        self.execute_as(statement.into(), parameters, Announce::Now).await
    }

    /// The rows of a statement one by one, with no more of them in memory than fit the socket.
    ///
    /// # Errors
    /// As [`Connection::query`].
    pub async fn query_stream<'s>(
        &self,
        statement: impl Into<StatementRef<'s>>,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<RowStream<'_>, Error> {
        let (rows, request) = self.run(statement.into(), parameters, Announce::Now).await?;
        Ok(RowStream::new(rows, request))
    }

    /// Runs one statement for many rows of parameters, pipelined; the number of rows that each changed. Outside of a
    /// transaction, the rows before one that fails are kept.
    ///
    /// # Errors
    /// The first statement's error.
    pub async fn batch<'s>(
        &self,
        statement: impl Into<StatementRef<'s>>,
        rows: &[Vec<&(dyn ToSql + Sync)>],
    ) -> Result<Vec<u64>, Error> {
        let statement = statement.into();
        self.prepare(statement).await?;
        // Announced as one: some of them may be kept although others fail.
        let mut whole = self.executor.state.request();
        whole.announce(self.executor.common.statements.text(statement)?).await;
        match self.send_batch(statement, rows).await {
            Err(error) if error.is_connection_lost() => Err(error),
            outcome => {
                whole.finish().await;
                outcome
            }
        }
    }

    /// Runs SQL text of any number of statements, without parameters. Its effect on the session is not known, so the
    /// session is cleaned when the connection goes back.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn batch_execute(&self, sql: &str) -> Result<(), Error> {
        self.executor.state.touch();
        let _turn = self.executor.turn().await;
        let mut request = self.executor.state.request();
        request.announce(sql).await;
        self.executor.simple(request, sql).await
    }

    /// The driver's client, for what this library has no method for (COPY, notifications). The session is cleaned when
    /// the connection goes back.
    ///
    /// Behind a transaction pooler without named statements, keep to simple queries, or to one transaction.
    ///
    /// What is written with it is not seen by a cache of results: when the connection goes back, and not before, all
    /// cached results are given up.
    pub fn client(&self) -> &Client {
        self.executor.state.touch();
        self.executor.state.writes().lose_sight();
        &self.executor.client
    }

    /// As [`Connection::client_unwatched`], for transactions that change nothing but what ends with them (`SET LOCAL`). When
    /// the connection goes back, what is left open is rolled back; settings, cursors and locks of the session are not reset,
    /// which spares the database eight statements.
    pub fn client_local(&self) -> &Client {
        // A request that never ends: nobody gets the connection before it was looked at.
        drop(self.executor.state.request());
        &self.executor.client
    }

    /// As [`Connection::client`], for what writes no table that results are kept of, or tells the cache of it by itself
    /// (`Database::cache`): nothing is given up for it.
    pub fn client_unwatched(&self) -> &Client {
        self.executor.state.touch();
        &self.executor.client
    }
}

/// Whether a request says what it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Announce {
    Now,
    /// It has been said for many at once.
    Done,
}

impl Connection {
    /// Sends a statement; its rows are still to come.
    async fn run(
        &self,
        statement: StatementRef<'_>,
        parameters: Parameters<'_>,
        announce: Announce,
    ) -> Result<(tokio_postgres::RowStream, InFlight), Error> {
        let sql = self.executor.common.statements.text(statement)?;
        let mut request = self.executor.state.request();
        if announce == Announce::Now {
            request.announce(sql).await;
        }
        match self.executor.run(sql, parameters).await {
            Ok(rows) => Ok((rows, request)),
            Err(failure) => settle(request, Err(failure)).await,
        }
    }

    async fn execute_as(
        &self,
        statement: StatementRef<'_>,
        parameters: Parameters<'_>,
        announce: Announce,
    ) -> Result<u64, Error> {
        let (rows, request) = self.run(statement, parameters, announce).await?;
        let mut rows = RowStream::new(rows, request);
        while rows.next().await?.is_some() {}
        Ok(rows.rows_affected().unwrap_or(0))
    }

    /// The number of rows that each of them changed.
    async fn send_batch(
        &self,
        statement: StatementRef<'_>,
        rows: &[Vec<&(dyn ToSql + Sync)>],
    ) -> Result<Vec<u64>, Error> {
        let mut counts = Vec::with_capacity(rows.len());
        for part in rows.chunks(PIPELINE_MAX) {
            let requests = part.iter().map(|row| self.execute_as(statement, row, Announce::Done));
            // All are awaited, also after one that failed, so that none is in flight afterwards.
            for outcome in join_all(requests).await {
                counts.push(outcome?);
            }
        }
        Ok(counts)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Executor { server, path, state, .. } = &*self.executor;
        let mut text = f.debug_struct("Connection");
        text.field("target", &server.target).field("role", &self.role()).field("path", path);
        text.field("state", state).finish_non_exhaustive()
    }
}
