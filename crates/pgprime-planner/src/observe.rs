//! What a live database says: settings, measured service times, connections, replicas, and the verifiers of its roles.
//!
//! [`observe`] and [`roles`] each use one read-only transaction with short timeouts of its own and no named statement,
//! so they work through a pooler in transaction mode and leave nothing behind. An ordinary role is enough for
//! [`observe`]; what it may not see is in [`Observation::missing`] with the statement that grants it. Nothing that is
//! read holds a query's text or values.

mod activity;
mod error;
mod mix;
mod roles;
mod server;
mod settings;
mod statements;

use std::time::Duration;

use serde::Serialize;
use tokio_postgres::Client;

use pgprime_capacity::postgres::LiveSetting;

pub use activity::{ConnectionGroup, Connections, Replica};
pub use error::ObserveError;
pub use mix::Mix;
pub use pgprime_readonly::Missing;
pub use roles::{RoleVerifier, Verifier, VerifierKind, roles};
pub use server::Server;
pub use settings::RoleSetting;
pub use statements::{LONG_MS, Statements, StatementsSince};

use pgprime_readonly::{Session, Timeouts};

/// None of these is a setting that is observed, which would then be seen with this value.
const TIMEOUTS: Timeouts = Timeouts { statement: Duration::from_secs(5), lock: Duration::from_secs(1) };

/// What a live database says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observation {
    /// The server, and who asked.
    pub server: Server,
    /// pg_settings, as far as the role may see it, with the values that a new session of this database has: those that
    /// [`pgprime_capacity::postgres`] has a rule for, and a few more. One with the source `database` holds for this
    /// database alone, with `global` for all roles that have no other; with `user` or `database user` for this role, where
    /// nothing tells what others have.
    pub settings: Vec<LiveSetting>,
    /// What would hold for the settings that the database or all roles have an own value of, as far as that is known.
    pub beneath: Vec<LiveSetting>,
    /// What roles have instead.
    pub role_settings: Vec<RoleSetting>,
    /// What pg_stat_statements has measured in this database; None where it cannot be read.
    pub statements: Option<Statements>,
    /// Who is connected now.
    pub connections: Connections,
    /// Servers that follow this one.
    pub replicas: Vec<Replica>,
    /// The size of this database; None when it took too long to find out.
    pub database_bytes: Option<u64>,
    /// What could not be seen, and how it can be.
    pub missing: Vec<Missing>,
}

impl Observation {
    /// The limit on connections, those for superusers and other privileged roles included.
    #[must_use]
    pub fn max_connections(&self) -> Option<u32> {
        self.number("max_connections")
    }

    /// Connections that an ordinary role never gets: `superuser_reserved_connections` and, since version 16,
    /// `reserved_connections`.
    #[must_use]
    pub fn reserved_connections(&self) -> Option<u32> {
        let for_superusers = self.number("superuser_reserved_connections")?;
        Some(for_superusers.saturating_add(self.number("reserved_connections").unwrap_or(0)))
    }

    /// The value of `shared_preload_libraries`; None when this role may not see it.
    #[must_use]
    pub fn preload_libraries(&self) -> Option<&str> {
        self.setting("shared_preload_libraries")
    }

    /// Where the server keeps its data, on its own machine; None when this role may not see it.
    #[must_use]
    pub fn data_directory(&self) -> Option<&str> {
        self.setting("data_directory")
    }

    fn setting(&self, name: &str) -> Option<&str> {
        server::find(&self.settings, name)
    }

    fn number(&self, name: &str) -> Option<u32> {
        self.setting(name)?.parse().ok()
    }
}

/// Reads what a live database says, in about ten short queries.
///
/// The connection must not be in a transaction: its own is begun and ended here. If this future is
/// dropped before its end, close the connection. Through a pooler, what is counted is that of the server behind it.
///
/// # Errors
/// [`ObserveError`] when the connection fails or the server is older than version 13. A part that is refused or takes
/// too long is no error but one of [`Observation::missing`].
pub async fn observe(client: &Client) -> Result<Observation, ObserveError> {
    observe_beside(client, None).await
}

/// As [`observe`], with the settings read over another connection: one that is new and was opened without options shows
/// what a client's connections have, where `client` is of a pool with settings of its own.
///
/// # Errors
/// As [`observe`].
pub async fn observe_beside(client: &Client, fresh: Option<&Client>) -> Result<Observation, ObserveError> {
    let apart = match fresh {
        Some(fresh) => {
            let session = Session::begin(fresh, TIMEOUTS).await?;
            let outcome = settings_of(&session).await;
            Some(session.end(outcome).await?)
        }
        None => None,
    };
    let session = Session::begin(client, TIMEOUTS).await?;
    let outcome = look(&session, apart).await;
    session.end(outcome).await
}

type SettingsFound = (settings::Settings, Vec<Missing>);

async fn settings_of(session: &Session<'_>) -> Result<SettingsFound, ObserveError> {
    let server = server::identify(session).await?;
    let mut missing = Vec::new();
    let found = settings::read(session, &server, &mut missing).await?;
    Ok((found, missing))
}

async fn look(session: &Session<'_>, apart: Option<SettingsFound>) -> Result<Observation, ObserveError> {
    let server = server::identify(session).await?;
    let (found, mut missing) = match apart {
        Some(found) => found,
        None => settings_of(session).await?,
    };
    let settings::Settings { common: settings, beneath, of_roles: role_settings, .. } = found;
    let statements = statements::read(session, &server, &settings, &mut missing).await?;
    let connections = activity::connections(session, &server, &mut missing).await?;
    let replicas = activity::replicas(session, &server, &mut missing).await?;
    let database_bytes = server::size(session, &mut missing).await?;
    missing.push(Missing::new(
        "the machine",
        "SQL shows neither cores nor memory nor what the data is on: state them, or run the plan on the database's \
         own machine",
    ));
    Ok(Observation {
        server,
        settings,
        beneath,
        role_settings,
        statements,
        connections,
        replicas,
        database_bytes,
        missing,
    })
}
