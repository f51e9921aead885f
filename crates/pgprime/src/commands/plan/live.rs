//! What a running database tells, as far as a plan needs it.

use std::path::Path;

use pgprime_capacity::ServiceTime;
use pgprime_capacity::postgres::LiveSetting;
use pgprime_client::Connected;
use pgprime_planner::files::{Database, User};
use pgprime_planner::hardware::{Hardware, is_local};
use pgprime_planner::observe::{self, Observation, ObserveError, RoleVerifier, VerifierKind};
use tokio_postgres::Client;

use super::sentences::sentences;
use crate::database::{self, Unreachable, address};

/// More variation than this cannot be planned with; the wait is then said to be an estimate anyway.
const SCV_MAX: f64 = 1_000.0;

/// What the planner takes from a database.
#[derive(Debug)]
pub(super) struct Live {
    /// Where it is, for the files.
    pub(super) database: Database,
    /// As the report says it.
    pub(super) sentences: Vec<String>,
    /// The machine of the database, where it is this one.
    pub(super) hardware: Option<Hardware>,
    /// Its users, where this role may read their verifiers.
    pub(super) users: Option<Vec<User>>,
    pub(super) observation: Observation,
}

impl Live {
    /// Calls per second, if there were any.
    pub(super) fn requests_per_s(&self) -> Option<f64> {
        let statements = self.observation.statements.as_ref()?;
        Some(statements.calls_per_second).filter(|rate| *rate > 0.0)
    }

    /// How long a statement takes, if any was measured.
    pub(super) fn service(&self) -> Option<ServiceTime> {
        let mix = self.observation.statements.as_ref()?.all?;
        ServiceTime::from_mean_and_scv(mix.mean_ms, mix.scv.min(SCV_MAX)).ok()
    }

    pub(super) fn has_replica(&self) -> bool {
        self.observation.replicas.iter().any(|replica| !replica.is_logical)
    }

    pub(super) fn settings(&self) -> &[LiveSetting] {
        &self.observation.settings
    }
}

/// Asks the database at this address; nothing in it is changed. The verifiers of its users are read only if wanted.
pub(super) fn read(url: &str, users: Users) -> anyhow::Result<Live> {
    database::block_on(async {
        let connected = database::connect(Some(url)).await?;
        look(&connected, users).await.map_err(|error| in_context(error, &connected))
    })
}

/// Whether the users are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Users {
    /// For a file of users.
    Wanted,
    /// There is no use for them.
    Unwanted,
}

async fn look(connected: &Connected, users: Users) -> Result<Live, ObserveError> {
    let client = &connected.client;
    let observation = observe::observe(client).await?;
    let mut sentences = sentences(&observation, &address(connected));
    let users = match users {
        Users::Wanted => read_users(client, &mut sentences).await?,
        Users::Unwanted => None,
    };
    let database = place(connected, &observation);
    let directory = observation.data_directory().map(Path::new);
    let hardware = is_local(&database.host).then(|| Hardware::detect(directory));
    sentences.extend(hardware.as_ref().map(machine));
    Ok(Live { database, sentences, hardware, users, observation })
}

async fn read_users(client: &Client, sentences: &mut Vec<String>) -> Result<Option<Vec<User>>, ObserveError> {
    let roles = match observe::roles(client).await {
        Ok(roles) => roles,
        Err(error @ ObserveError::NotAllowed { .. }) => {
            sentences.push(format!("No file of users: {error}"));
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let (scram, others): (Vec<RoleVerifier>, Vec<RoleVerifier>) =
        roles.into_iter().partition(|role| role.verifier.kind() == VerifierKind::ScramSha256);
    if !others.is_empty() {
        let names: Vec<String> = others.iter().map(|role| format!("{:?}", role.name)).collect();
        sentences.push(format!(
            "Not in the file of users, as their passwords are not stored as SCRAM verifiers: {}. Set password_encryption \
             = 'scram-sha-256' and their passwords again.",
            names.join(", ")
        ));
    }
    let user = |role: RoleVerifier| User { verifier: role.verifier.expose().to_owned(), name: role.name };
    Ok(Some(scram.into_iter().map(user).collect()))
}

/// This machine in a sentence.
fn machine(hardware: &Hardware) -> String {
    let unknown = || "unknown".to_owned();
    let memory = hardware.memory_bytes.map_or_else(unknown, |bytes| format!("{} MB", bytes >> 20));
    format!(
        "The database is on this machine: cores {}, memory {memory}, storage {}.",
        hardware.cores.map_or_else(unknown, |cores| cores.to_string()),
        hardware.storage.map_or_else(unknown, |storage| storage.to_string())
    )
}

/// Where the database is, as this connection found it.
fn place(connected: &Connected, observation: &Observation) -> Database {
    Database {
        host: connected.host.clone(),
        port: connected.port,
        name: observation.server.database.clone(),
        user: observation.server.role.clone(),
    }
}

/// A connection that is lost meanwhile is a database out of reach.
fn in_context(error: ObserveError, connected: &Connected) -> anyhow::Error {
    match error {
        error if error.is_connection_lost() => Unreachable::lost(connected, &error).into(),
        error => {
            anyhow::Error::new(error).context(format!("cannot read the database at {}", address(connected)))
        }
    }
}
