//! One read-only transaction with short limits.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, Error, Row};

use super::section::Section;
use crate::health::down::Down;
use crate::health::settings::Settings;
use pgprime_readonly::Missing;

/// Everything is local to the transaction: through a pooler the next client finds nothing changed. A `search_path` of
/// pg_catalog alone keeps objects of others from being taken for the server's own. Parallel workers and JIT cost more than
/// these statements do.
const BEGIN: &str = "BEGIN /* pgprime */ ISOLATION LEVEL READ COMMITTED, READ ONLY, NOT DEFERRABLE; \
                     SET /* pgprime */ LOCAL \"SEARCH_PATH\" = pg_catalog; \
                     SET /* pgprime */ LOCAL \"JIT\" = off; \
                     SET /* pgprime */ LOCAL \"MAX_PARALLEL_WORKERS_PER_GATHER\" = 0";

/// A parameter and its type, which spares asking the server for it.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// A transaction that changes nothing. Its exit is [`Session::end`].
pub(super) struct Session<'a> {
    client: &'a Client,
    limit: Duration,
    /// As SQL writes it, once it is known.
    role: String,
}

impl<'a> Session<'a> {
    pub(super) async fn begin(client: &'a Client, settings: &Settings) -> Result<Self, Down> {
        let milliseconds = |limit: Duration| i32::try_from(limit.as_millis()).unwrap_or(i32::MAX).max(1);
        let (statement, lock) =
            (milliseconds(settings.statement_timeout), milliseconds(settings.lock_timeout));
        let sql = format!(
            "{BEGIN}; SET /* pgprime */ LOCAL \"STATEMENT_TIMEOUT\" = {statement}; \
             SET /* pgprime */ LOCAL \"LOCK_TIMEOUT\" = {lock}"
        );
        client.batch_execute(&sql).await.map_err(|error| Down::of_driver(&error))?;
        Ok(Self { client, limit: settings.statement_timeout, role: "CURRENT_USER".to_owned() })
    }

    pub(super) fn for_role(self, role: &str) -> Self {
        Self { role: role.to_owned(), ..self }
    }

    /// Nothing was changed, so nothing is lost by it; a rollback would be counted as the service's.
    pub(super) async fn end(self) -> Result<(), Down> {
        self.client.batch_execute("COMMIT").await.map_err(|error| Down::of_driver(&error))
    }

    /// One part of the look. What the server refuses is missing, and the transaction goes on.
    pub(super) async fn section<T>(
        &self,
        what: &str,
        sql: &str,
        parameters: &[Parameter<'_>],
        parse: impl FnOnce(&[Row]) -> Result<T, Error>,
    ) -> Result<Section<T>, Down> {
        // Both are sent before either is answered: one round trip for each part.
        let (saved, rows) = tokio::join!(
            self.client.batch_execute("SAVEPOINT part"),
            self.client.query_typed(sql, parameters)
        );
        saved.map_err(|error| Down::of_driver(&error))?;
        let outcome = rows.and_then(|rows| parse(&rows));
        let error = match outcome {
            Ok(value) => return Ok(Ok(value)),
            Err(error) => error,
        };
        if is_lost(&error) {
            return Err(Down::of_driver(&error));
        }
        self.client.batch_execute("ROLLBACK TO part").await.map_err(|error| Down::of_driver(&error))?;
        Ok(Err(self.missing(what, &error)))
    }

    /// The rows of a statement without which nothing else makes sense.
    pub(super) async fn rows(&self, sql: &str) -> Result<Vec<Row>, Down> {
        self.client.query_typed(sql, &[]).await.map_err(|error| Down::of_driver(&error))
    }

    fn missing(&self, what: &str, error: &Error) -> Missing {
        let code = error.code();
        let is_denied = code == Some(&SqlState::INSUFFICIENT_PRIVILEGE);
        let why = match error.as_db_error() {
            Some(_) if code == Some(&SqlState::QUERY_CANCELED) => {
                format!("it took longer than {} ms", self.limit.as_millis())
            }
            Some(said) => said.message().to_owned(),
            None => format!("the answer is not understood: {error}"),
        };
        let statement = is_denied.then(|| format!("GRANT pg_monitor TO {};", self.role));
        Missing { what: what.to_owned(), why, statement }
    }
}

/// Whether the connection is gone: closed, or ended by the server.
fn is_lost(error: &Error) -> bool {
    match error.code() {
        Some(state) => state.code().starts_with("57P"),
        None => {
            error.is_closed()
                || std::error::Error::source(error).is_some_and(|cause| cause.is::<std::io::Error>())
        }
    }
}

/// A value of a row.
pub(super) fn get<'r, T: FromSql<'r>>(row: &'r Row, name: &str) -> Result<T, Error> {
    row.try_get(name)
}

/// A count of the server's, which is never negative; none counts as 0.
pub(super) fn count(row: &Row, name: &str) -> Result<u64, Error> {
    let number: Option<i64> = row.try_get(name)?;
    Ok(number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0))
}

/// As [`count`], where none means that it is not known.
pub(super) fn known_count(row: &Row, name: &str) -> Result<Option<u64>, Error> {
    let number: Option<i64> = row.try_get(name)?;
    Ok(number.and_then(|number| u64::try_from(number).ok()))
}
