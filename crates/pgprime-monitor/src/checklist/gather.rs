//! Reading what items are judged by.

mod advised;
mod asked;
mod error;
mod options;
mod pooler;
mod statements;

use std::path::Path;
use std::time::Instant;

use jiff::Timestamp;
use pgprime_planner::hardware::Hardware;
use pgprime_planner::observe::{self, Observation};
use tokio_postgres::Client;

use super::evidence::{Evidence, ServerSeen};
use crate::health::{Missing, Place};

pub use error::GatherError;
pub use options::GatherOptions;

/// Reads what items are judged by. Nothing is changed, no statement of the workload is executed, and what cannot be seen is
/// told as missing.
///
/// The connection must not be in a transaction: several are begun here, one after the other. If this future is dropped
/// before its end, close the connection.
///
/// # Errors
/// [`GatherError`]
pub async fn gather(client: &Client, options: &GatherOptions<'_>) -> Result<Evidence, GatherError> {
    let deadline = Instant::now() + options.time_max;
    let observation = observe::observe_beside(client, options.fresh).await?;
    let machine = machine(&observation, options);
    let seen = asked::catalog(client).await?;
    let counters = asked::counters(client, observation.server.version_major).await?;
    let found = statements::read(client, observation.statements.as_ref()).await?;
    let advised = advised::read(client, found.weights.as_ref(), &seen, deadline).await?;
    let pooling = pooler::read(options).await;
    let mut evidence = Evidence {
        taken_at: Timestamp::now(),
        server: server(&observation),
        machine,
        settings: observation.settings.clone(),
        beneath: observation.beneath.clone(),
        role_settings: observation.role_settings.clone(),
        has_statements_extension: seen.map(|catalog| catalog.has_statements),
        workload: found.workload,
        replicas: observation.replicas.iter().filter(|replica| !replica.is_logical).count() as u64,
        sessions: observation.connections.clone(),
        counters,
        tables: advised.tables,
        advice: advised.advice,
        review: advised.review,
        views: advised.views,
        pooling,
        running: options.running.clone(),
        missing: Vec::new(),
    };
    evidence.missing = missing(&observation, &evidence);
    Ok(evidence)
}

fn server(observation: &Observation) -> ServerSeen {
    let server = &observation.server;
    ServerSeen {
        version: server.version.clone(),
        version_major: server.version_major,
        database: server.database.clone(),
        role: server.role.clone(),
        in_recovery: server.in_recovery,
    }
}

fn machine(observation: &Observation, options: &GatherOptions<'_>) -> Hardware {
    let found = match options.place {
        Place::Here => Hardware::detect(observation.data_directory().map(Path::new)),
        Place::Elsewhere => Hardware::default(),
    };
    let stated = options.machine;
    Hardware {
        cores: stated.cores.or(found.cores),
        memory_bytes: stated.memory_bytes.or(found.memory_bytes),
        storage: stated.storage.or(found.storage),
    }
}

/// Everything that could not be seen, each thing once; of the machine the items tell themselves.
fn missing(observation: &Observation, evidence: &Evidence) -> Vec<Missing> {
    let observed = observation.missing.iter().filter(|missing| missing.what != "the machine");
    let mut all: Vec<Missing> = observed.cloned().collect();
    all.extend(evidence.has_statements_extension.as_ref().err().cloned());
    all.extend(evidence.counters.as_ref().err().cloned());
    all.extend(evidence.tables.as_ref().err().cloned());
    all.extend(evidence.review.as_ref().err().cloned());
    all.extend(evidence.pooling.as_ref().and_then(|pooling| pooling.as_ref().err()).cloned());
    // Without statements there is neither advice nor are there views: one word about it is enough.
    match &evidence.workload {
        Err(missing) => all.push(missing.clone()),
        Ok(_) => {
            all.extend(evidence.advice.as_ref().err().cloned());
            all.extend(evidence.views.as_ref().err().cloned());
        }
    }
    let mut once: Vec<Missing> = Vec::new();
    for missing in all {
        if !once.iter().any(|known| known.what == missing.what) {
            once.push(missing);
        }
    }
    once
}
