//! Telling a cache of results what a COMMIT changes.
//!
//! What is kept of a view must not be served any more once its refresh is committed. So the cache is told before COMMIT is
//! sent, and told again what became of it; instances that share no cache hear of it by a notification, which PostgreSQL
//! sends with the commit.

use pgprime_cache::{Cache, Intent, Tables};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::error::ViewsError;
use crate::names::ViewName;
use crate::session;

/// Where instances listen for changes by others; the payload is the name of a table.
const CHANNEL: &str = "pgprime_changes";

/// Commits what changed these views, or rolls back where `outcome` is an error.
pub(crate) async fn end<T>(
    client: &Client,
    outcome: Result<T, ViewsError>,
    cache: Option<&Cache>,
    views: &[ViewName],
) -> Result<T, ViewsError> {
    let (Ok(_), false) = (&outcome, views.is_empty()) else { return session::end(client, outcome).await };
    let names = match notify(client, views).await {
        Ok(names) => names,
        Err(error) => return session::end(client, Err(error)).await,
    };
    let Some(cache) = cache else { return session::end(client, outcome).await };
    let tables = Tables::new(names.iter().map(String::as_str));
    let said = Said(Some(cache.begin_write(&tables).await));
    let ended = session::end(client, outcome).await;
    match &ended {
        Ok(_) => said.committed().await,
        // The server answered that it has not: a deferred check, or a conflict with another.
        Err(error) if !error.is_connection_lost() => said.rolled_back().await,
        Err(_) => drop(said),
    }
    ended
}

/// Has the server tell those who listen, when and if this transaction commits. The names are as the server quotes them:
/// those of cached reads are, too.
async fn notify(client: &Client, views: &[ViewName]) -> Result<Vec<String>, ViewsError> {
    let (schemas, names): (Vec<&str>, Vec<&str>) =
        views.iter().map(|view| (view.schema(), view.name())).unzip();
    let parameters: [session::Parameter<'_>; 3] =
        [(&CHANNEL, Type::TEXT), (&schemas, Type::TEXT_ARRAY), (&names, Type::TEXT_ARRAY)];
    let sql = include_str!("../sql/announce.sql");
    let rows = session::rows(client, "tell others of the change", sql, &parameters).await?;
    rows.iter().map(|row| session::value(row, "name")).collect()
}

/// What was said before a COMMIT. Dropped without its outcome, as when the answer is lost, nothing made from the views is
/// served until the lease is over: the COMMIT may still be on its way.
struct Said(Option<Intent>);

impl Said {
    async fn committed(mut self) {
        if let Some(intent) = self.0.take() {
            // Redis that could not be told hears of it later; a view is older than its tables anyhow.
            let _reach = intent.committed().await;
        }
    }

    async fn rolled_back(mut self) {
        if let Some(intent) = self.0.take() {
            intent.rolled_back().await;
        }
    }
}

impl Drop for Said {
    fn drop(&mut self) {
        if let Some(intent) = self.0.take() {
            intent.unknown();
        }
    }
}
