//! Opening one connection: hosts in their order, TLS as asked for, the kind of server, and what an error means.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Config, Notification, SimpleQueryMessage, Socket};

use crate::endpoint::{Endpoint, Host, Place, SessionAttrs, TlsMode};
use crate::error::ConnectError;
use crate::tls::Tls;

/// Opens one connection outside any pool, for tools. The URL is libpq's, with its TLS parameters.
///
/// The connection ends when the client is dropped. `timeout` bounds the whole: names, hosts, TLS and login.
///
/// # Errors
/// [`ConnectError`]; no text of it holds the password.
pub async fn connect(url: &str, timeout: Duration) -> Result<Connected, ConnectError> {
    let rejected = |reason: String| ConnectError::Rejected {
        target: "the database's URL".to_owned(),
        reason,
        sqlstate: UNUSABLE.to_owned(),
    };
    let endpoint = Endpoint::parse(url).map_err(|error| rejected(error.to_string()))?;
    let tls = Tls::new(&endpoint.tls).map_err(|error| rejected(error.to_string()))?;
    let options = endpoint.options();
    let request = OpenRequest { endpoint: &endpoint, tls: &tls, options, sets_read_only: false, heard: None };
    let Opened { client, server } = request.open(Instant::now() + timeout).await?;
    Ok(Connected { client, host: server.host, port: server.port })
}

/// A connection outside any pool, and which of the URL's hosts it leads to.
#[derive(Debug)]
pub struct Connected {
    /// The connection.
    pub client: Client,
    /// A name, an address, or the folder of a Unix socket.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// SQLSTATE for what was refused without a word from the server.
const UNUSABLE: &str = "08004";
/// How the reason begins when TLS does not come about.
const TLS_REASON: &str = "TLS: ";

/// A connection, and where it leads.
pub(crate) struct Opened {
    pub(crate) client: Client,
    pub(crate) server: Server,
}

/// The server of a connection: where to send cancel requests, too.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// As in certificates.
    pub(crate) name: String,
    /// A name, an address, or the folder of a Unix socket.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) address: Address,
    /// `host:port/database as user`, for messages.
    pub(crate) target: String,
    /// Its major version as it says, or as a pooler says in its place; 0 where that cannot be told.
    pub(crate) version: u32,
}

/// Where a server was reached.
#[derive(Clone, Debug)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// How a connection is to be opened.
#[derive(Clone, Copy)]
pub(crate) struct OpenRequest<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) tls: &'a Tls,
    /// The startup parameter `options`.
    pub(crate) options: Option<&'a str>,
    /// Whether these options make the session read-only, so that this says nothing about the server.
    pub(crate) sets_read_only: bool,
    /// Who gets the session's notifications. If he does not keep up, the connection is closed.
    pub(crate) heard: Option<&'a mpsc::Sender<Notification>>,
}

impl OpenRequest<'_> {
    /// Tries the hosts one after another, each with its share of the time left.
    pub(crate) async fn open(&self, deadline: Instant) -> Result<Opened, ConnectError> {
        let mut hosts: Vec<&Host> = self.endpoint.hosts.iter().collect();
        if self.endpoint.is_balanced {
            fastrand::shuffle(&mut hosts);
        }
        let passes: &[SessionAttrs] = match self.endpoint.session_attrs {
            SessionAttrs::PreferStandby => &[SessionAttrs::Standby, SessionAttrs::Any],
            SessionAttrs::Any => &[SessionAttrs::Any],
            SessionAttrs::ReadWrite => &[SessionAttrs::ReadWrite],
            SessionAttrs::ReadOnly => &[SessionAttrs::ReadOnly],
            SessionAttrs::Primary => &[SessionAttrs::Primary],
            SessionAttrs::Standby => &[SessionAttrs::Standby],
        };
        let tries: Vec<(SessionAttrs, &Host)> =
            passes.iter().flat_map(|attrs| std::iter::repeat(*attrs).zip(hosts.iter().copied())).collect();
        let mut tries_left = u32::try_from(tries.len()).unwrap_or(u32::MAX);
        let mut outcome = None;
        for (attrs, host) in tries {
            let left = deadline.saturating_duration_since(Instant::now()) / tries_left.max(1);
            let share = self.endpoint.connect_timeout.map_or(left, |limit| limit.min(left));
            tries_left = tries_left.saturating_sub(1);
            let attempt = timeout(share, self.open_host(host, attrs, share)).await;
            match attempt.unwrap_or_else(|_| Err(self.unreachable(host, unanswered(share)))) {
                Ok(opened) => return Ok(opened),
                Err(error) => outcome = Some(error),
            }
        }
        Err(outcome.unwrap_or_else(|| ConnectError::Unreachable {
            target: self.endpoint.to_string(),
            reason: "no host".to_owned(),
        }))
    }

    /// Tries the addresses of a host, and with each address the ways of TLS.
    async fn open_host(
        &self,
        host: &Host,
        attrs: SessionAttrs,
        share: Duration,
    ) -> Result<Opened, ConnectError> {
        let addresses = self.addresses(host).await?;
        let each = share / u32::try_from(addresses.len()).unwrap_or(1).max(1);
        let mut outcome = Err(self.unreachable(host, "the name has no address".to_owned()));
        for address in addresses {
            let attempt = timeout(each, self.open_address(host, &address)).await;
            outcome = match attempt.unwrap_or_else(|_| Err(self.unreachable(host, unanswered(each)))) {
                Ok((client, version)) => {
                    self.check(host, &client, attrs).await?;
                    return Ok(Opened { client, server: self.server(host, address, version) });
                }
                Err(error) => Err(error),
            };
        }
        outcome
    }

    fn server(&self, host: &Host, address: Address, version: u32) -> Server {
        let place = match &host.place {
            Place::Folder(folder) => folder.display().to_string(),
            Place::Name(_) | Place::Address(_) => host.name.clone(),
        };
        let target = self.endpoint.describe(host);
        Server { name: host.name.clone(), host: place, port: host.port, address, target, version }
    }

    async fn addresses(&self, host: &Host) -> Result<Vec<Address>, ConnectError> {
        let name = match &host.place {
            Place::Name(name) => name,
            Place::Address(address) => return Ok(vec![Address::Tcp(SocketAddr::new(*address, host.port))]),
            Place::Folder(folder) => {
                return Ok(vec![Address::Unix(folder.join(format!(".s.PGSQL.{}", host.port)))]);
            }
        };
        let found = tokio::net::lookup_host((name.as_str(), host.port)).await;
        let mut found: Vec<Address> = found
            .map_err(|error| self.unreachable(host, format!("the name cannot be resolved: {error}")))?
            .map(Address::Tcp)
            .collect();
        if self.endpoint.is_balanced {
            fastrand::shuffle(&mut found);
        }
        Ok(found)
    }

    /// A connection, and the server's major version.
    async fn open_address(&self, host: &Host, address: &Address) -> Result<(Client, u32), ConnectError> {
        let mut config = self.endpoint.config();
        config.port(host.port);
        match (&host.place, address) {
            (Place::Folder(folder), _) => drop(config.host_path(folder)),
            (_, Address::Tcp(address)) => drop(config.host(&host.name).hostaddr(address.ip())),
            (_, Address::Unix(_)) => {}
        }
        if let Some(options) = self.options {
            config.options(options);
        }
        let mut outcome = Err(None);
        for mode in self.ways(address) {
            config.ssl_mode(*mode);
            outcome = self.login(host, &config).await.map_err(Some);
            if !matches!(&outcome, Err(Some(error)) if may_differ_by_encryption(error)) {
                break;
            }
        }
        outcome.map_err(|error| error.unwrap_or_else(|| self.unreachable(host, "no way to try".to_owned())))
    }

    /// With and without TLS, in libpq's order. A Unix socket needs none.
    pub(crate) fn ways(&self, address: &Address) -> &'static [SslMode] {
        match (address, self.endpoint.tls.mode) {
            (Address::Unix(_), _) | (_, TlsMode::Disable) => &[SslMode::Disable],
            (_, TlsMode::Allow) => &[SslMode::Disable, SslMode::Require],
            (_, TlsMode::Prefer) => &[SslMode::Prefer, SslMode::Disable],
            (_, TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull) => &[SslMode::Require],
        }
    }

    async fn login(&self, host: &Host, config: &Config) -> Result<(Client, u32), ConnectError> {
        let outcome = config.connect(self.tls.connector()).await;
        let (client, connection) = outcome.map_err(|error| classify(self.endpoint.describe(host), &error))?;
        let version = connection.parameter("server_version").map_or(0, major_version);
        tokio::spawn(drive(connection, self.heard.cloned()));
        Ok((client, version))
    }

    /// Whether the server is what `target_session_attrs` asks for.
    async fn check(&self, host: &Host, client: &Client, attrs: SessionAttrs) -> Result<(), ConnectError> {
        if attrs == SessionAttrs::Any {
            return Ok(());
        }
        let sql = "SELECT /* pgprime */ pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only')";
        let rows = client.simple_query(sql).await;
        let rows = rows.map_err(|error| classify(self.endpoint.describe(host), &error))?;
        let column = |index| rows.iter().find_map(|row| cell(row, index));
        let in_recovery = column(0) == Some("t");
        let refuses_writes = in_recovery || (column(1) == Some("on") && !self.sets_read_only);
        let (fits, expected) = match attrs {
            SessionAttrs::ReadWrite => (!refuses_writes, "the server does not take writes"),
            SessionAttrs::ReadOnly => (refuses_writes, "the server takes writes"),
            SessionAttrs::Primary => (!in_recovery, "the server is a replica"),
            SessionAttrs::Standby => (in_recovery, "the server is the primary"),
            SessionAttrs::Any | SessionAttrs::PreferStandby => (true, ""),
        };
        let reason = format!("{expected}, but target_session_attrs asks for something else");
        if fits { Ok(()) } else { Err(self.unreachable(host, reason)) }
    }

    fn unreachable(&self, host: &Host, reason: String) -> ConnectError {
        ConnectError::Unreachable { target: self.endpoint.describe(host), reason }
    }
}

/// The text of a cell, if this is a row.
pub(crate) fn cell(message: &SimpleQueryMessage, index: usize) -> Option<&str> {
    match message {
        SimpleQueryMessage::Row(row) => row.try_get(index).ok().flatten(),
        _ => None,
    }
}

/// `17.2 (Debian 17.2-1)`, `18beta1` and the like; 0 for what is none.
fn major_version(text: &str) -> u32 {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().unwrap_or(0)
}

fn unanswered(after: Duration) -> String {
    format!("no answer within {} ms", after.as_millis())
}

/// Carries a connection's messages until it ends.
async fn drive<T>(
    mut connection: tokio_postgres::Connection<Socket, T>,
    heard: Option<mpsc::Sender<Notification>>,
) where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    loop {
        match poll_fn(|cx| connection.poll_message(cx)).await {
            Some(Ok(AsyncMessage::Notice(notice))) => {
                // Its text is a function's own, and may hold what nobody should read in a log.
                tracing::debug!(severity = notice.severity(), sqlstate = notice.code().code(), "notice");
            }
            Some(Ok(AsyncMessage::Notification(notification))) => {
                if heard.as_ref().is_some_and(|heard| heard.try_send(notification).is_err()) {
                    break;
                }
            }
            Some(Ok(_)) => {}
            // Whoever waits for an answer gets the error, too, and handles it.
            Some(Err(error)) => {
                tracing::debug!(%error, "a connection to the database ended");
                break;
            }
            None => break,
        }
    }
}

/// Whether the server may think otherwise of the same login with, or without, TLS: no line of `pg_hba.conf` for it, or
/// TLS that does not come about. A wrong password stays wrong.
pub(crate) fn may_differ_by_encryption(error: &ConnectError) -> bool {
    match error {
        ConnectError::Rejected { reason, sqlstate, .. } => {
            reason.starts_with(TLS_REASON) || sqlstate == SqlState::INVALID_AUTHORIZATION_SPECIFICATION.code()
        }
        ConnectError::Unreachable { .. } | ConnectError::Unavailable { .. } => false,
    }
}

/// What an error during TLS, login or the first statements means.
pub(crate) fn classify(target: String, error: &tokio_postgres::Error) -> ConnectError {
    let Some(said) = error.as_db_error() else { return classify_own(target, error) };
    let mut reason = said.message().to_owned();
    if let Some(hint) = said.hint() {
        reason = format!("{reason}; {hint}");
    }
    let sqlstate = said.code().code().to_owned();
    let passes = matches!(sqlstate.get(..2), Some("53" | "57" | "58")) || is_poolers_trouble(said.message());
    match passes {
        true => ConnectError::Unavailable { target, reason, sqlstate },
        false => ConnectError::Rejected { target, reason, sqlstate },
    }
}

/// PgBouncer reports everything as a protocol violation; these pass.
fn is_poolers_trouble(message: &str) -> bool {
    const TEXTS: &[&str] = &[
        "no more connections allowed",
        "server login",
        "cannot connect to server",
        "query_wait_timeout",
        "shutting down",
        "client_login_timeout",
    ];
    TEXTS.iter().any(|text| message.contains(text))
}

/// The driver found something itself: the network's errors have an I/O error below them, unless it is TLS that
/// speaks through it.
fn classify_own(target: String, error: &tokio_postgres::Error) -> ConnectError {
    let source = std::error::Error::source(error);
    let io = source.and_then(|source| source.downcast_ref::<std::io::Error>());
    let tls = io.and_then(std::io::Error::get_ref).and_then(|inner| inner.downcast_ref::<rustls::Error>());
    if let Some(tls) = tls {
        return ConnectError::Rejected {
            target,
            reason: format!("{TLS_REASON}{tls}"),
            sqlstate: UNUSABLE.to_owned(),
        };
    }
    if let Some(io) = io {
        return ConnectError::Unreachable { target, reason: io.to_string() };
    }
    if error.is_closed() {
        let reason = "the server closed the connection without a word".to_owned();
        return ConnectError::Unreachable { target, reason };
    }
    let reason = source.map_or_else(|| error.to_string(), ToString::to_string);
    ConnectError::Rejected { target, reason, sqlstate: UNUSABLE.to_owned() }
}

/// Runs a future that must be over by `deadline`.
pub(crate) async fn within<T>(
    target: &str,
    deadline: Instant,
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, ConnectError> {
    match timeout_at(deadline, work).await {
        Ok(outcome) => outcome.map_err(|error| classify(target.to_owned(), &error)),
        Err(_) => {
            let reason = "logged in, but a statement was not answered in time".to_owned();
            Err(ConnectError::Unreachable { target: target.to_owned(), reason })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, expected) in
            [("17.2 (Debian 17.2-1)", 17), ("18beta1", 18), ("9.6.24", 9), ("", 0), ("1.24.0/bouncer", 1)]
        {
            assert_eq!(major_version(text), expected, "{text}");
        }
    }
}
