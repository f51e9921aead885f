//! What is asked directly: each statement in a transaction of its own, that changes nothing and has limits.

use tokio_postgres::{Client, Error, Row};

use super::error::GatherError;
use crate::checklist::evidence::Counters;
use crate::health::{Missing, Section};

const BEGIN: &str = "BEGIN /* pgprime */ TRANSACTION READ ONLY, NOT DEFERRABLE; \
                     SET /* pgprime */ LOCAL \"STATEMENT_TIMEOUT\" = '5s'; \
                     SET /* pgprime */ LOCAL \"LOCK_TIMEOUT\" = '500ms'; \
                     SET /* pgprime */ LOCAL \"SEARCH_PATH\" = pg_catalog";
/// From here on checkpoints have a view of their own.
const CHECKPOINTER_SINCE: u32 = 17;

/// What the catalog says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Catalog {
    /// Whether pg_stat_statements is created in this database.
    pub(super) has_statements: bool,
    /// Materialized views.
    pub(super) materialized: u64,
}

pub(super) async fn catalog(client: &Client) -> Result<Section<Catalog>, GatherError> {
    let sql = include_str!("../../../sql/checklist_extension.sql");
    ask(client, "extensions and views", sql, |rows| {
        let row = rows.first();
        Ok(Catalog {
            has_statements: row.map(|row| row.try_get("has_statements")).transpose()?.unwrap_or(false),
            materialized: row.map(|row| count(row, "materialized")).transpose()?.unwrap_or(0),
        })
    })
    .await
}

pub(super) async fn counters(client: &Client, version_major: u32) -> Result<Section<Counters>, GatherError> {
    let (view, timed, requested) = match version_major >= CHECKPOINTER_SINCE {
        true => ("pg_stat_checkpointer", "num_timed", "num_requested"),
        false => ("pg_stat_bgwriter", "checkpoints_timed", "checkpoints_req"),
    };
    let sql = include_str!("../../../sql/checklist_counters.sql")
        .replace("{view}", view)
        .replace("{timed}", timed)
        .replace("{requested}", requested);
    ask(client, "temporary files and checkpoints", &sql, |rows| {
        let Some(row) = rows.first() else { return Ok(Counters::default()) };
        let at_s: f64 = row.try_get("at_s")?;
        Ok(Counters {
            temp_files: count(row, "temp_files")?,
            temp_bytes: count(row, "temp_bytes")?,
            checkpoints_timed: count(row, "timed")?,
            checkpoints_requested: count(row, "requested")?,
            checkpoints_counted_s: row.try_get::<_, Option<f64>>("reset_s")?.map(|reset_s| at_s - reset_s),
            loaded_s: at_s - row.try_get::<_, f64>("loaded_s")?,
        })
    })
    .await
}

fn count(row: &Row, name: &str) -> Result<u64, Error> {
    let number: i64 = row.try_get(name)?;
    Ok(u64::try_from(number).unwrap_or(0))
}

/// One statement; what the server refuses is missing.
async fn ask<T>(
    client: &Client,
    what: &str,
    sql: &str,
    parse: impl FnOnce(&[Row]) -> Result<T, Error>,
) -> Result<Section<T>, GatherError> {
    client.batch_execute(BEGIN).await.map_err(|error| lost(&error))?;
    let rows = client.query_typed(sql, &[]).await;
    // Of a transaction that has failed this is the end as well.
    client.batch_execute("COMMIT").await.map_err(|error| lost(&error))?;
    match rows.and_then(|rows| parse(&rows)) {
        Ok(value) => Ok(Ok(value)),
        Err(error) if error.is_closed() => Err(lost(&error)),
        Err(error) => {
            let why = error.as_db_error().map_or_else(|| error.to_string(), |said| said.message().to_owned());
            Ok(Err(Missing { what: what.to_owned(), why, statement: None }))
        }
    }
}

fn lost(error: &Error) -> GatherError {
    GatherError::Lost { reason: error.to_string() }
}
