//! A pooler that is watched over its console.

use std::time::Duration;

use pgprime_client::ConnectError;
use tokio::sync::Mutex;
use tokio_postgres::Client;

use super::watcher::{PoolerReading, PoolerSource};
use crate::health::PoolerTrouble;
use crate::pooler::{ConsoleError, PoolerReport, read_console};

/// A pooler on the way to the database answers in milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The console of pgprime's pooler or of PgBouncer. One connection is kept, so that its log is not filled with logins.
pub struct Console {
    name: String,
    url: String,
    client: Mutex<Option<Client>>,
}

impl Console {
    /// At this URL, whose database is `pgbouncer`. `name` is what people call it.
    #[must_use]
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self { name: name.into(), url: url.into(), client: Mutex::new(None) }
    }

    async fn report(&self) -> Result<PoolerReport, PoolerTrouble> {
        // While it is away from its place, a reading that is dropped leaves nothing half read behind.
        let mut place = self.client.lock().await;
        if let Some(client) = place.take() {
            match read_console(&client).await {
                Ok(report) => {
                    *place = Some(client);
                    return Ok(report);
                }
                // Restarted, perhaps: a new connection tells.
                Err(error) if error.is_connection_lost() => {}
                Err(error) => return Err(refused(&error)),
            }
        }
        let connected = pgprime_client::connect(&self.url, CONNECT_TIMEOUT).await;
        let client = connected.map_err(|error| unconnected(&error))?.client;
        let report = read_console(&client).await.map_err(|error| refused(&error))?;
        *place = Some(client);
        Ok(report)
    }
}

impl PoolerSource for Console {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn read(&self) -> PoolerReading<'_> {
        Box::pin(self.report())
    }
}

fn refused(error: &ConsoleError) -> PoolerTrouble {
    PoolerTrouble { is_down: error.is_connection_lost(), text: error.to_string() }
}

/// A pooler that refuses our login may let clients in.
fn unconnected(error: &ConnectError) -> PoolerTrouble {
    PoolerTrouble { is_down: !matches!(error, ConnectError::Rejected { .. }), text: error.to_string() }
}
