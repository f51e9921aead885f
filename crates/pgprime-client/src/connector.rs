//! How a pool gets its connections.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};
use tokio_postgres::error::SqlState;

use crate::connect::{OpenRequest, Opened, within};
use crate::connection::{Common, Connection};
use crate::error::ConnectError;
use crate::pool;
use crate::probe;
use crate::session::{Path, Pooling};

/// The one setting that not every role may have.
const TEMP_FILES: &str = "\"temp_file_limit\"";
const TEMP_FILES_REMEDY: &str = "; a superuser can GRANT SET ON PARAMETER temp_file_limit TO this role (version 15 or newer), \
                                 or ALTER ROLE this role SET temp_file_limit, and admin.temp_file_limit be left out";

/// How a pool gets its connections, and looks after them.
#[derive(Debug)]
pub(crate) struct Connector {
    common: Arc<Common>,
    pooling: Pooling,
    /// For opening a connection, and for each check and cleaning.
    limit: Duration,
    /// Found out with the first connection.
    path: OnceCell<Path>,
}

impl Connector {
    pub(crate) fn new(common: Common, pooling: Pooling, limit: Duration) -> Self {
        Self { common: Arc::new(common), pooling, limit, path: OnceCell::new() }
    }

    /// As [`Connector::open_any`]; says what to do about a setting that the role may not have.
    async fn open(&self, deadline: Instant) -> Result<(Opened, Path), ConnectError> {
        let opened = self.open_any(deadline).await;
        opened.map_err(|error| match error {
            ConnectError::Rejected { target, reason, sqlstate }
                if sqlstate == SqlState::INSUFFICIENT_PRIVILEGE.code() && reason.contains(TEMP_FILES) =>
            {
                let reason = format!("{reason}{TEMP_FILES_REMEDY}");
                ConnectError::Rejected { target, reason, sqlstate }
            }
            error => error,
        })
    }

    /// Opens a connection. The first of all finds out the path; those that are opened meanwhile wait for what it finds.
    async fn open_any(&self, deadline: Instant) -> Result<(Opened, Path), ConnectError> {
        let Common { endpoint, tls, settings, .. } = &*self.common;
        let options = endpoint.options();
        let request = OpenRequest { endpoint, tls, options, sets_read_only: false, heard: None };
        let mut first = None;
        let find = async {
            let (opened, path) = probe::find(request, self.pooling, settings, deadline).await?;
            first = Some(opened);
            tracing::info!(pool = self.common.role.name(), ?path, target = %endpoint, "connected");
            Ok::<Path, ConnectError>(path)
        };
        let path = *self.path.get_or_try_init(|| find).await?;
        if let Some(opened) = first {
            return Ok((opened, path));
        }
        let options = settings.startup_options(endpoint.options());
        let request = match path {
            Path::Direct => probe::direct(request, settings, &options),
            Path::TransactionPooler { .. } => request,
        };
        Ok((request.open(deadline).await?, path))
    }
}

impl pool::Connector for Connector {
    type Connection = Connection;

    fn target(&self) -> String {
        self.common.endpoint.to_string()
    }

    async fn connect(&self) -> Result<Connection, ConnectError> {
        let deadline = Instant::now() + self.limit;
        // Before the login, which gives the session its settings.
        let era = self.common.era();
        let (opened, path) = self.open(deadline).await?;
        let target = opened.server.target.clone();
        within(&target, deadline, Connection::start(opened, path, Arc::clone(&self.common), era)).await
    }

    fn is_closed(&self, connection: &Connection) -> bool {
        connection.is_closed()
    }

    fn is_outdated(&self, connection: &Connection) -> bool {
        connection.is_outdated()
    }

    fn is_clean(&self, connection: &Connection) -> bool {
        connection.is_clean()
    }

    async fn check(&self, connection: &mut Connection) -> bool {
        matches!(timeout(self.limit, connection.check()).await, Ok(Ok(())))
    }

    async fn clean(&self, connection: &mut Connection) -> bool {
        timeout(self.limit, connection.clean()).await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests;
