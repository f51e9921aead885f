//! Taking indexes away.

use std::time::{Duration, Instant};

use super::super::error::IndexesError;
use super::failure::state;
use super::session::{Named, Session};
use super::steps::{Create, subject};

/// How long a statement waits for a lock behind which others have to wait.
pub(super) const BLOCKING_LOCK_TIMEOUT: Duration = Duration::from_millis(500);
/// Between two tries, in which those who waited go ahead.
const PAUSE: Duration = Duration::from_millis(500);

/// Whether this is what a failed build of ours has left: of that name, on the same, of no use, and built by nobody else.
pub(super) fn is_leftover(named: &Named, create: &Create) -> bool {
    !named.is_usable && !named.is_in_work && is_ours(named, create)
}

/// Whether it is what we would create.
pub(super) fn is_ours(named: &Named, create: &Create) -> bool {
    let definition = named.definition.as_deref();
    named.is_own && definition.is_some_and(|definition| subject(definition) == subject(&create.sql))
}

/// What a person has to execute.
pub(super) fn statement(qualified: &str, is_partitioned: bool) -> String {
    let concurrently = if is_partitioned { "" } else { "CONCURRENTLY " };
    format!("DROP INDEX {concurrently}IF EXISTS {qualified};")
}

/// Drops the index with this oid, whatever its name is now, and tries until the time is up: a concurrent drop waits for
/// the same transactions as the build did.
pub(super) async fn drop_index(
    session: &Session<'_>,
    index: &Named,
    limit: Duration,
) -> Result<(), IndexesError> {
    let until = Instant::now() + limit;
    loop {
        let Some(qualified) = session.qualified(index.oid).await? else { return Ok(()) };
        let left = until.saturating_duration_since(Instant::now());
        let lock = if index.is_partitioned { BLOCKING_LOCK_TIMEOUT.min(left) } else { left };
        session.limit(Some(left), lock).await?;
        let outcome = session.execute("drop the index", &statement(&qualified, index.is_partitioned)).await;
        let Err(error) = outcome else { return Ok(()) };
        let may_succeed =
            state(&error).is_some_and(|state| matches!(state.code(), "55P03" | "57014" | "40P01"));
        if !may_succeed || until <= Instant::now() {
            return Err(error);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
