//! A connection of a pool: what the application and the library do with it.

mod cancel;
mod cleaning;
mod executor;
mod learn;
mod rows;
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

pub use crate::statements::{Named, StatementRef};
pub(crate) use executor::Common;
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
    /// prepared are reported; only the loss of the connection is an error.
    pub(crate) async fn start(
        opened: Opened,
        path: Path,
        common: Arc<Common>,
    ) -> Result<Self, tokio_postgres::Error> {
        let executor = Arc::new(Executor::new(opened, path, common));
        executor.get_ready().await?;
        Ok(Self { executor })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.executor.client.is_closed()
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.executor.state.is_clean()
    }

    /// What stands between this connection and PostgreSQL.
    pub fn path(&self) -> Path {
        self.executor.path
    }

    /// The settings of its pool. A direct connection has them; behind a transaction pooler each transaction needs
    /// [`SessionSettings::in_transaction`].
    pub fn settings(&self) -> &SessionSettings {
        &self.executor.common.settings
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
        self.executor.state.set_in_transaction(true);
        self.executor.simple(sql).await
    }

    /// Commits or rolls back.
    pub(crate) async fn end(&self, sql: &str) -> Result<(), Error> {
        self.simple(sql).await?;
        self.executor.state.set_in_transaction(false);
        Ok(())
    }

    /// Statements that belong to a transaction, such as savepoints.
    pub(crate) async fn control(&self, sql: &str) -> Result<(), Error> {
        self.simple(sql).await
    }

    async fn simple(&self, sql: &str) -> Result<(), Error> {
        let _turn = self.executor.turn().await;
        self.executor.simple(sql).await
    }

    /// Makes a statement ready, so that the next use sends it at once.
    pub(crate) async fn prepare(&self, statement: StatementRef<'_>) -> Result<(), Error> {
        let sql = self.executor.common.statements.text(statement)?;
        let request = self.executor.state.request();
        settle(request, self.executor.ready(sql).await).map(drop)
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
        match cleaning::reset(&executor.client, executor.path, executor.state.is_touched()).await {
            Ok(()) => {
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
        let (rows, request) = self.run(statement.into(), parameters).await?;
        let rows = rows.try_collect().await;
        settle(request, rows.map_err(Failure::Driver))
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
        let mut rows = self.query_stream(statement, parameters).await?;
        while rows.next().await?.is_some() {}
        Ok(rows.rows_affected().unwrap_or(0))
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
        let (rows, request) = self.run(statement.into(), parameters).await?;
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
        let mut counts = Vec::with_capacity(rows.len());
        for part in rows.chunks(PIPELINE_MAX) {
            // All are awaited, also after one that failed, so that none is in flight afterwards.
            for outcome in join_all(part.iter().map(|row| self.execute(statement, row))).await {
                counts.push(outcome?);
            }
        }
        Ok(counts)
    }

    /// Runs SQL text of any number of statements, without parameters. Its effect on the session is not known, so the
    /// session is cleaned when the connection goes back.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn batch_execute(&self, sql: &str) -> Result<(), Error> {
        self.executor.state.touch();
        self.simple(sql).await
    }

    /// The driver's client, for what this library has no method for (COPY, notifications). The session is cleaned when
    /// the connection goes back.
    ///
    /// Behind a transaction pooler without named statements, keep to simple queries, or to one transaction.
    pub fn client(&self) -> &Client {
        self.executor.state.touch();
        &self.executor.client
    }
}

impl Connection {
    /// Sends a statement; its rows are still to come.
    async fn run(
        &self,
        statement: StatementRef<'_>,
        parameters: Parameters<'_>,
    ) -> Result<(tokio_postgres::RowStream, InFlight), Error> {
        let sql = self.executor.common.statements.text(statement)?;
        let request = self.executor.state.request();
        match self.executor.run(sql, parameters).await {
            Ok(rows) => Ok((rows, request)),
            Err(failure) => settle(request, Err(failure)),
        }
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
