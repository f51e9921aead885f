//! What the database tells, as far as a configuration needs it.

use std::path::Path;

use pgprime_client::Connected;
use pgprime_planner::files::Database;
use pgprime_planner::hardware::{Hardware, is_local};
use pgprime_planner::observe::{Observation, observe};
use pgprime_views::{ViewName, adoptable};

use crate::database::{self, Unreachable};

/// What was seen.
pub(super) struct Seen {
    /// Where it is, as the connection found it.
    pub(super) database: Database,
    pub(super) observation: Observation,
    /// Cores of its machine, where that is this one.
    pub(super) cores: Option<u32>,
    /// Materialized views that are there.
    pub(super) views: Vec<ViewName>,
}

/// Asks the database; nothing in it is changed.
pub(super) async fn look(url: Option<&str>) -> anyhow::Result<Seen> {
    let connected = database::connect(url).await?;
    let client = &connected.client;
    let observation = observe(client).await.map_err(|error| match error {
        error if error.is_connection_lost() => lost(&connected, &error),
        error => unread(error, &connected),
    })?;
    let views = adoptable(client).await.map_err(|error| match error {
        error if error.is_connection_lost() => lost(&connected, &error),
        error => unread(error, &connected),
    })?;
    let directory = observation.data_directory().map(Path::new);
    let cores = if is_local(&connected.host) { Hardware::detect(directory).cores } else { None };
    let database = Database {
        host: connected.host.clone(),
        port: connected.port,
        name: observation.server.database.clone(),
        user: observation.server.role.clone(),
    };
    Ok(Seen { database, observation, cores, views })
}

fn lost(connected: &Connected, error: &dyn std::error::Error) -> anyhow::Error {
    Unreachable::lost(connected, error).into()
}

fn unread(error: impl std::error::Error + Send + Sync + 'static, connected: &Connected) -> anyhow::Error {
    let address = database::address(connected);
    anyhow::Error::new(error).context(format!("cannot read the database at {address}"))
}
