//! What trigger and publication have in common.

use pgprime_client::{Error, outside};
use tokio_postgres::Client;

use super::options::Tables;

/// What has come of a wish.
pub(super) enum Done<R> {
    Sql(String),
    Report(R),
}

/// The tables that the options name.
pub(super) async fn named(client: &Client, tables: &Tables) -> Result<Vec<String>, Error> {
    match &tables.all_of {
        Some(schema) => outside::tables_of(client, schema).await,
        None => Ok(tables.names.clone()),
    }
}
