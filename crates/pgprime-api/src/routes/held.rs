//! Clients and servers of the pooler, from itself or from its console.

use pgprime_advisor::Missing;
use pgprime_monitor::pooler::PoolerSession;
use pgprime_pooler::core::{ClientRow, ServerRow};
use serde::Serialize;
use tokio::time::timeout;

use crate::app::App;
use crate::limits::CONSOLE_MAX;
use crate::poolers::{Pooler, PoolerAt};

/// Clients and servers that are listed.
const LISTED_MAX: usize = 1_000;

#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct PoolerClient {
    id: String,
    database: String,
    user: String,
    application: String,
    address: String,
    /// `active`, `waiting`, `waiting_login` or `idle`, and others of PgBouncer.
    state: String,
    /// Whole seconds where a console tells them; `null` where it does not.
    connected_s: Option<f64>,
    request_s: Option<f64>,
    wait_s: f64,
    /// The server it has.
    link: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct PoolerServer {
    id: String,
    database: String,
    user: String,
    application: String,
    address: String,
    /// `active`, `idle`, `tested` or `being_canceled`, and others of PgBouncer.
    state: String,
    /// Whole seconds where a console tells them; `null` where it does not.
    connected_s: Option<f64>,
    request_s: Option<f64>,
    /// The client that has it.
    link: Option<String>,
}

/// Who is connected to the pooler, and to whom it is connected.
#[derive(Default)]
pub(crate) struct Held {
    /// Which pooler it is; `None` where there is none.
    pub(crate) pooler: Option<PoolerAt>,
    pub(crate) clients: Vec<PoolerClient>,
    pub(crate) clients_total: usize,
    pub(crate) servers: Vec<PoolerServer>,
    pub(crate) servers_total: usize,
    /// Why nothing is known of them.
    pub(crate) missing: Option<Missing>,
}

impl Held {
    pub(crate) async fn of(app: &App) -> Self {
        let pooler = app.services.pooler();
        let mut held = match &pooler {
            Some(Pooler::BuiltIn(handle)) => {
                let sessions = handle.sessions().await;
                Self {
                    clients: sessions.clients.iter().take(LISTED_MAX).map(client).collect(),
                    clients_total: sessions.clients.len(),
                    servers: sessions.servers.iter().take(LISTED_MAX).map(server).collect(),
                    servers_total: sessions.servers.len(),
                    ..Self::default()
                }
            }
            Some(Pooler::Watched(console, _)) => {
                match timeout(CONSOLE_MAX, console.sessions(LISTED_MAX)).await {
                    Ok(Ok(sessions)) => Self {
                        clients: sessions.clients.into_iter().map(PoolerClient::from).collect(),
                        clients_total: sessions.clients_total,
                        servers: sessions.servers.into_iter().map(PoolerServer::from).collect(),
                        servers_total: sessions.servers_total,
                        ..Self::default()
                    },
                    Ok(Err(trouble)) => Self::unseen(trouble.text),
                    Err(_) => {
                        Self::unseen(format!("its console did not answer within {} s", CONSOLE_MAX.as_secs()))
                    }
                }
            }
            None => Self::default(),
        };
        held.pooler = pooler.as_ref().map(Pooler::at);
        held
    }

    fn unseen(why: String) -> Self {
        let missing = Missing { what: "clients and servers of the pooler".to_owned(), why, statement: None };
        Self { missing: Some(missing), ..Self::default() }
    }
}

/// Numbers count in each worker.
fn id(worker: usize, number: u64) -> String {
    format!("{worker}-{number:x}")
}

fn client((worker, client): &(usize, ClientRow)) -> PoolerClient {
    PoolerClient {
        id: id(*worker, client.id),
        database: client.info.database.clone(),
        user: client.info.user.clone(),
        application: client.application_name.clone(),
        address: client.info.address.clone(),
        state: client.state.to_owned(),
        connected_s: Some(client.connected_for.as_secs_f64()),
        request_s: Some(client.request_for.as_secs_f64()),
        wait_s: client.waited.as_secs_f64(),
        link: client.link.map(|number| id(*worker, number)),
    }
}

fn server((worker, server): &(usize, ServerRow)) -> PoolerServer {
    PoolerServer {
        id: id(*worker, server.id),
        database: server.database.clone(),
        user: server.user.clone(),
        application: server.application_name.clone(),
        address: server.info.address.clone(),
        state: server.state.to_owned(),
        connected_s: Some(server.connected_for.as_secs_f64()),
        request_s: Some(server.request_for.as_secs_f64()),
        link: server.link.map(|number| id(*worker, number)),
    }
}

impl From<PoolerSession> for PoolerClient {
    fn from(session: PoolerSession) -> Self {
        Self {
            id: session.id,
            database: session.database,
            user: session.user,
            application: session.application,
            address: session.address,
            state: session.state,
            connected_s: session.connected_s,
            request_s: session.request_s,
            wait_s: session.wait_s,
            link: session.link,
        }
    }
}

impl From<PoolerSession> for PoolerServer {
    fn from(session: PoolerSession) -> Self {
        Self {
            id: session.id,
            database: session.database,
            user: session.user,
            application: session.application,
            address: session.address,
            state: session.state,
            connected_s: session.connected_s,
            request_s: session.request_s,
            link: session.link,
        }
    }
}
