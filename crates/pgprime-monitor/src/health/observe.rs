//! What is seen of a database in one look: a few bounded queries in one read-only transaction.

mod activity;
mod catalog;
mod counters;
mod disk;
mod locks;
mod memory;
mod observation;
mod place;
mod recent;
mod replication;
mod section;
mod server;
mod session;
mod statements;

use std::sync::Arc;
use std::time::Instant;

use tokio_postgres::{Client, Row};

use super::down::Down;
use super::settings::Settings;

pub use activity::{PreparedTransaction, SessionSeen, States};
pub use catalog::{Catalog, IndexBlocks, IndexSeen, Indexes, OldTable, Sizes, TableSeen};
pub use counters::{Checkpoints, Counters, DatabaseIds};
pub use disk::DiskPlace;
pub use locks::LockWait;
pub use memory::Memory;
pub use observation::Observation;
pub use place::Place;
pub use recent::{Recent, Sample};
pub use replication::{KnownReplica, Receiver, Replica, ReplicaKind, Replication, Slot};
pub use section::Section;
pub use server::Server;
pub use statements::{SlowStatement, Statements};

/// Looks at the database that the client is connected to.
///
/// The connection must not be in a transaction: its own is begun here, read-only, with short limits on time and on waits
/// for locks, and nothing is kept in the session, so the connection may lead through a transaction pooler. If this future is
/// dropped before its end, close the connection. The total is bounded by the caller.
///
/// `earlier` is what this process has seen before, `memory` what serves where that was before the server's last start, or
/// another process's.
///
/// # Errors
/// [`Down`] when the connection is lost or leads to something that is not PostgreSQL 13 or newer.
pub async fn observe(
    client: &Client,
    earlier: Option<&Observation>,
    memory: Option<&Memory>,
    settings: &Settings,
    place: Place,
) -> Result<Observation, Down> {
    let begun = Instant::now();
    let session = session::Session::begin(client, settings).await?;
    let server = server::read(&session).await?;
    let session = session.for_role(&server.role);
    let earlier = earlier.filter(|earlier| earlier.server.is_same_run(&server));
    let lineage = lineage(&session, &server, earlier).await?;
    let (known, recent) = match (earlier, memory, &lineage) {
        (Some(earlier), ..) => (earlier.replication.known.clone(), earlier.recent_for(&server)),
        (None, Some(memory), Some(lineage)) => memory.recalled(lineage, &server),
        (None, ..) => Default::default(),
    };
    let states = activity::states(&session).await?;
    let sessions = activity::sessions(&session).await?;
    let waits = locks::read(&session, states.as_ref().ok()).await?;
    let prepared = activity::prepared(&session, &server).await?;
    let counters = counters::read(&session).await?;
    let checkpoints = counters::checkpoints(&session, &server).await?;
    let ids = counters::ids(&session).await?;
    let statements = statements::read(&session, &server, settings.slow_ms).await?;
    let replication = replication::read(&session, &server, &known).await?;
    let (catalog, catalog_before) = catalog_of(&session, &server, earlier, settings).await?;
    session.end().await?;
    let disk = disk::read(&server, &catalog, place).await;
    Ok(Observation {
        server,
        lineage,
        took: begun.elapsed(),
        states,
        sessions,
        waits,
        prepared,
        counters,
        checkpoints,
        ids,
        statements,
        replication,
        catalog,
        catalog_before,
        disk,
        recent,
    })
}

/// Asked once in the life of a server: a primary's timeline is another only after a restart.
async fn lineage(
    session: &session::Session<'_>,
    server: &Server,
    earlier: Option<&Observation>,
) -> Result<Option<String>, Down> {
    let known = earlier.filter(|earlier| earlier.server.in_recovery == server.in_recovery);
    if let Some(lineage) = known.and_then(|earlier| earlier.lineage.clone()) {
        return Ok(Some(lineage));
    }
    let sql = include_str!("../../sql/health_lineage.sql");
    let parse = |rows: &[Row]| rows.first().map(|row| row.try_get("lineage")).transpose();
    let found = session.section("which server this is", sql, &[], parse).await?;
    Ok(found.ok().flatten())
}

/// Tables and indexes change slowly and are many: a look at them holds for a while.
async fn catalog_of(
    session: &session::Session<'_>,
    server: &Server,
    earlier: Option<&Observation>,
    settings: &Settings,
) -> Result<(Arc<Catalog>, Option<Arc<Catalog>>), Down> {
    if let Some(earlier) = earlier
        && server.at_s - earlier.catalog.at_s < settings.catalog_every.as_secs_f64()
    {
        return Ok((Arc::clone(&earlier.catalog), earlier.catalog_before.clone()));
    }
    let catalog = catalog::read(session, server).await?;
    Ok((Arc::new(catalog), earlier.map(|earlier| Arc::clone(&earlier.catalog))))
}
