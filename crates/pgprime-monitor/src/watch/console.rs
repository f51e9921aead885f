//! A pooler that is watched over its console.

use std::pin::Pin;
use std::sync::{Mutex as StdMutex, PoisonError};
use std::time::Duration;

use pgprime_client::ConnectError;
use tokio::sync::Mutex;
use tokio_postgres::Client;

use super::watcher::{PoolerReading, PoolerSource};
use crate::health::PoolerTrouble;
use crate::pooler::{ConsoleError, PoolerKind, PoolerSessions, read_console, read_sessions, read_version};

/// A pooler on the way to the database answers in milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The console of pgprime's pooler or of PgBouncer. One connection is kept, so that its log is not filled with logins.
pub struct Console {
    name: String,
    url: String,
    client: Mutex<Option<Client>>,
    met: StdMutex<Option<ConsoleMet>>,
}

/// What a console answers a question with.
type Answering<'c, T> = Pin<Box<dyn Future<Output = Result<T, ConsoleError>> + Send + 'c>>;

/// Who answered at a console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleMet {
    /// Which pooler it is.
    pub kind: PoolerKind,
    /// Its version, as it says.
    pub version: String,
    /// Host and port; a folder and a port for a Unix socket.
    pub address: String,
}

impl Console {
    /// At this URL, whose database is `pgbouncer`. `name` is what people call it.
    #[must_use]
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self { name: name.into(), url: url.into(), client: Mutex::default(), met: StdMutex::default() }
    }

    /// Who answered at the last connection; `None` before the first one.
    #[must_use]
    pub fn met(&self) -> Option<ConsoleMet> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its clients and servers at this moment, at most `listed_max` of each. The caller bounds it.
    ///
    /// # Errors
    /// [`PoolerTrouble`] when it does not answer, or refuses.
    pub async fn sessions(&self, listed_max: usize) -> Result<PoolerSessions, PoolerTrouble> {
        self.ask(|client| {
            let kind = self.met().map_or(PoolerKind::Pgbouncer, |met| met.kind);
            Box::pin(read_sessions(client, kind, listed_max))
        })
        .await
    }

    /// Asks over the connection that there is, or over a new one.
    async fn ask<T>(
        &self,
        question: impl for<'c> Fn(&'c Client) -> Answering<'c, T> + Send,
    ) -> Result<T, PoolerTrouble> {
        // While it is away from its place, a reading that is dropped leaves nothing half read behind.
        let mut place = self.client.lock().await;
        if let Some(client) = place.take() {
            match question(&client).await {
                Ok(answer) => {
                    *place = Some(client);
                    return Ok(answer);
                }
                // Restarted, perhaps: a new connection tells.
                Err(error) if error.is_connection_lost() => {}
                Err(error) => return Err(refused(&error)),
            }
        }
        let client = self.connect().await?;
        let answer = question(&client).await.map_err(|error| refused(&error))?;
        *place = Some(client);
        Ok(answer)
    }

    async fn connect(&self) -> Result<Client, PoolerTrouble> {
        let connected = pgprime_client::connect(&self.url, CONNECT_TIMEOUT).await;
        let connected = connected.map_err(|error| unconnected(&error))?;
        let version = read_version(&connected.client).await.map_err(|error| refused(&error))?;
        let address = format!("{}:{}", connected.host, connected.port);
        let met = ConsoleMet { kind: PoolerKind::of_version(&version), version, address };
        *self.met.lock().unwrap_or_else(PoisonError::into_inner) = Some(met);
        Ok(connected.client)
    }
}

impl PoolerSource for Console {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn read(&self) -> PoolerReading<'_> {
        Box::pin(self.ask(|client| Box::pin(read_console(client))))
    }
}

fn refused(error: &ConsoleError) -> PoolerTrouble {
    PoolerTrouble { is_down: error.is_connection_lost(), text: error.to_string() }
}

/// A pooler that refuses our login may let clients in.
fn unconnected(error: &ConnectError) -> PoolerTrouble {
    PoolerTrouble { is_down: !matches!(error, ConnectError::Rejected { .. }), text: error.to_string() }
}
