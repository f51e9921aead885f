//! Logging in clients: everything between accepting a connection and handing it to a worker or to the console.

mod authenticate;
mod error;
mod origin;
mod parameters;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pgprime_pool::WorkerIndex;
use pgprime_wire::backend::encode::{self, ErrorNotice};
use pgprime_wire::startup::{self, StartupMessage, StartupPacket};

use crate::console;
use crate::context::{Context, LOGINS_IN_FLIGHT_MAX, Stage};
use crate::core::{ClientInfo, ClientJoin, Parameters, Tracked};
use crate::directory::CONSOLE;
use crate::mail::{Mail, NewClient};
use crate::rights::Rights;
use crate::settings::{AuthType, Config};
use crate::slots::ClientSlot;
use crate::stream::{Session, Stream};
use crate::tls::{ClientTls, HANDSHAKE_BYTE, TlsSession};
use error::{LoginError, refuse};

pub(crate) use origin::Origin;

/// The user that the console knows without a password, on the Unix socket, when the system's user is our own.
const CONSOLE_USER: &str = "pgbouncer";

/// A client that does not take our last words is not waited for.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// A client that has proved who it is.
enum Admitted {
    Client { join: ClientJoin, slot: ClientSlot },
    Console(Rights),
}

/// Serves a connection until it is handed over or closed.
pub(crate) async fn serve(context: Arc<Context>, stream: Stream, origin: Origin) {
    let connected_at = Instant::now();
    let config = context.directory.config();
    let timeout = config.settings.client_login_timeout;
    let mut session = Session::new(stream);
    // In a burst, connections come faster than first messages: let the others be accepted meanwhile.
    tokio::task::yield_now().await;
    let mut startup = None;
    let mut place = ClientSlot::new();
    if !place.take(&context.logins) {
        let error = refuse("53300", format!("{LOGINS_IN_FLIGHT_MAX} connections are logging in already"));
        return turn_away(&config, &mut session, &Who { startup: None, origin: &origin }, &error).await;
    }
    let login = log_in(&context, &config, &mut session, &origin, connected_at, &mut startup);
    let outcome = if timeout.is_zero() {
        login.await
    } else {
        tokio::time::timeout(timeout, login).await.unwrap_or(Err(LoginError::Timeout))
    };
    drop(place);
    let who = Who { startup: startup.as_ref(), origin: &origin };
    match outcome {
        Ok(Admitted::Client { join, slot }) => {
            who.log_login(&config);
            hand_over(&context, session, join, slot);
        }
        Ok(Admitted::Console(rights)) => {
            who.log_login(&config);
            if let Err(error) =
                console::serve(&context, &mut session, rights, who.value("application_name")).await
            {
                tracing::debug!(client = origin.address, %error, "console client gone");
            }
            part(&mut session).await;
        }
        Err(LoginError::Done) => part(&mut session).await,
        Err(error) => turn_away(&config, &mut session, &who, &error).await,
    }
}

/// A client as log lines name it; before its startup message only the origin is known.
struct Who<'a> {
    startup: Option<&'a StartupMessage>,
    origin: &'a Origin,
}

impl Who<'_> {
    fn value(&self, name: &str) -> &str {
        self.startup.and_then(|startup| startup.get(name)).unwrap_or_default()
    }

    fn database(&self) -> &str {
        let database = self.value("database");
        if database.is_empty() { self.value("user") } else { database }
    }

    fn log_login(&self, config: &Config) {
        if config.settings.log_connections {
            tracing::info!(
                client = self.origin.address,
                port = self.origin.port,
                user = self.value("user"),
                database = self.database(),
                application_name = self.value("application_name"),
                "login attempt: admitted"
            );
        }
    }

    fn log_refusal(&self, error: &LoginError) {
        tracing::warn!(
            client = self.origin.address,
            port = self.origin.port,
            user = self.value("user"),
            database = self.database(),
            application_name = self.value("application_name"),
            "client closing because: {error}"
        );
    }
}

async fn turn_away(config: &Config, session: &mut Session, who: &Who<'_>, error: &LoginError) {
    if config.settings.log_pooler_errors {
        who.log_refusal(error);
    }
    let sqlstate = match error {
        LoginError::Refused { sqlstate, .. } => sqlstate,
        LoginError::Timeout => "08P01",
        LoginError::Io(error) if error.kind() == io::ErrorKind::InvalidData => "08P01",
        LoginError::Io(_) | LoginError::Tls(_) | LoginError::Done => return,
    };
    let message = error.to_string();
    let mut out = Vec::new();
    let notice = ErrorNotice {
        severity: "FATAL",
        sqlstate,
        message: &message,
        detail: None,
        hint: None,
        routine: None,
    };
    encode::error_response(&mut out, &notice);
    // A client that does not read its refusal is not waited for.
    let _ = tokio::time::timeout(GOODBYE_MAX, session.send(&out)).await;
    part(session).await;
}

/// Ends a session in good form.
async fn part(session: &mut Session) {
    let _ = tokio::time::timeout(GOODBYE_MAX, session.say_goodbye()).await;
}

fn hand_over(context: &Context, session: Session, join: ClientJoin, slot: ClientSlot) {
    match session.into_parts() {
        Ok((transport, early)) => {
            let new = NewClient { join, transport, early, slot };
            context.mail(context.next_worker(), Mail::Client(Box::new(new)));
        }
        Err(error) => tracing::error!(%error, "a client could not be handed to a worker"),
    }
}

async fn log_in(
    context: &Context,
    config: &Config,
    session: &mut Session,
    origin: &Origin,
    connected_at: Instant,
    received: &mut Option<StartupMessage>,
) -> Result<Admitted, LoginError> {
    let startup = &*received.insert(startup_message(context, session, origin).await?);
    let user = match startup.get("user") {
        Some(user) if !user.is_empty() => user,
        _ => return Err(refuse("28000", "no PostgreSQL user name specified in startup packet")),
    };
    let database = startup.get("database").filter(|database| !database.is_empty()).unwrap_or(user);
    if context.stage() != Stage::Running && database != CONSOLE {
        return Err(refuse("57P01", "the pooler is shutting down"));
    }
    negotiate(session, startup).await?;
    if database == CONSOLE {
        let rights = log_in_to_console(context, config, session, origin, user).await?;
        return Ok(Admitted::Console(rights));
    }
    let mut slot = ClientSlot::new();
    if !slot.take(&context.directory.clients) {
        return Err(too_many("max_client_conn"));
    }
    let tracked = Tracked::new(&config.settings.track_extra_parameters);
    let parameters = parameters::read(startup, &config.settings, &tracked, origin)?;
    authenticate::prove(context, config, session, user).await?;
    if context.directory.held().disabled.contains(database) {
        return Err(refuse("57P03", format!("database \"{database}\" is disabled")));
    }
    if !context.directory.has_database(database) {
        return Err(no_such_database(database));
    }
    context.directory.take_places(&mut slot, database, user).map_err(too_many)?;
    let mut join = join(context, config, origin, user, database, parameters, connected_at)?;
    join.info.tls = session.tls().map_or("", TlsSession::shown);
    Ok(Admitted::Client { join, slot })
}

fn too_many(setting: &'static str) -> LoginError {
    let message = match setting {
        "max_client_conn" => "no more connections allowed (max_client_conn)".to_string(),
        "max_db_client_connections" => {
            "client connections exceeded: no more connections allowed to this database (max_db_client_connections)".into()
        }
        other => format!("client connections exceeded: no more connections allowed for this user ({other})"),
    };
    refuse("53300", message)
}

fn no_such_database(name: &str) -> LoginError {
    refuse("3D000", format!("no such database: {name}"))
}

fn join(
    context: &Context,
    config: &Config,
    origin: &Origin,
    user: &str,
    database: &str,
    parameters: Parameters,
    connected_at: Instant,
) -> Result<ClientJoin, LoginError> {
    if config.settings.auth_type == AuthType::Any
        && context.directory.database(database).is_some_and(|settings| settings.user.is_none())
    {
        return Err(refuse("28000", "auth_type=any needs a user in the database's entry"));
    }
    let pool = context.directory.pool_for(database, user).ok_or_else(|| no_such_database(database))?;
    let info = ClientInfo {
        address: origin.address.clone(),
        port: origin.port,
        local_address: origin.local_address.clone(),
        local_port: origin.local_port,
        user: user.to_string(),
        database: database.to_string(),
        cancel_secret: u32::from_be_bytes(crate::random::bytes()),
        remote_pid: origin.peer.and_then(|(_, pid)| pid).and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0),
        tls: "",
    };
    Ok(ClientJoin { pool, info: Box::new(info), parameters, connected_at })
}

/// Reads up to the real startup message, with TLS where it is asked for; cancel requests are passed on.
async fn startup_message(
    context: &Context,
    session: &mut Session,
    origin: &Origin,
) -> Result<StartupMessage, LoginError> {
    // A Unix socket needs none: nobody listens in there.
    let tls = if origin.peer.is_some() { ClientTls::Never } else { context.directory.tls().clients.clone() };
    if session.peek().await? == Some(HANDSHAKE_BYTE) {
        shake_hands_directly(context, session, &tls).await?;
    }
    // One request each for TLS and GSSAPI may come first.
    for _ in 0..3 {
        let Some(packet) = session.startup_packet().await? else { return Err(LoginError::Done) };
        let decoded = startup::decode(&packet).map_err(|error| refuse("08P01", error.to_string()))?;
        match decoded {
            StartupPacket::SslRequest | StartupPacket::GssEncRequest if session.has_input() => {
                // Whoever put it there must not have it taken for a part of what is encrypted.
                return Err(refuse("08P01", "received unencrypted data after SSL request"));
            }
            StartupPacket::SslRequest => answer_tls_request(context, session, &tls).await?,
            StartupPacket::GssEncRequest => session.send(b"N").await?,
            StartupPacket::Cancel(key) => {
                let worker = WorkerIndex((key.process_id & 0xff) as u16);
                context.mail(worker, Mail::Cancel { process_id: key.process_id, secret: key.secret });
                return Err(LoginError::Done);
            }
            StartupPacket::Startup(message) if message.major == 3 => {
                return if matches!(tls, ClientTls::Always(_)) && session.tls().is_none() {
                    Err(refuse("28000", "TLS is required here: connect with sslmode=require"))
                } else {
                    Ok(message)
                };
            }
            StartupPacket::Startup(message) => {
                let version = format!("{}.{}", message.major, message.minor);
                return Err(refuse(
                    "08P01",
                    format!("unsupported frontend protocol {version}: server supports 3.0"),
                ));
            }
        }
    }
    Err(refuse("08P01", "too many requests for encryption"))
}

async fn answer_tls_request(
    context: &Context,
    session: &mut Session,
    tls: &ClientTls,
) -> Result<(), LoginError> {
    if session.tls().is_some() {
        return Err(refuse("08P01", "a request for TLS inside TLS"));
    }
    match tls {
        ClientTls::Never => Ok(session.send(b"N").await?),
        ClientTls::OnRequest(config) | ClientTls::Always(config) => {
            session.send(b"S").await?;
            session.accept_tls(Arc::clone(config), &context.handshakes).await.map_err(LoginError::Tls)
        }
    }
}

/// TLS from the first byte on (PostgreSQL 17's `sslnegotiation=direct`). The protocol's name must be part of the
/// handshake, so that no server of another protocol can be made to take part in it.
async fn shake_hands_directly(
    context: &Context,
    session: &mut Session,
    tls: &ClientTls,
) -> Result<(), LoginError> {
    match tls {
        ClientTls::Never => return Err(refuse("08P01", "TLS is not offered here: connect without it")),
        ClientTls::OnRequest(config) | ClientTls::Always(config) => {
            session.accept_tls(Arc::clone(config), &context.handshakes).await.map_err(LoginError::Tls)?;
        }
    }
    if session.tls().is_some_and(TlsSession::has_alpn) {
        Ok(())
    } else {
        Err(refuse("08P01", "a direct TLS connection must name the protocol \"postgresql\" by ALPN"))
    }
}

/// A newer minor version, or protocol options, are answered with what we speak: 3.0 without options.
async fn negotiate(session: &mut Session, startup: &StartupMessage) -> Result<(), LoginError> {
    let options: Vec<&str> = startup
        .parameters
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| name.starts_with("_pq_."))
        .collect();
    if startup.minor > 0 || !options.is_empty() {
        let mut out = Vec::new();
        encode::negotiate_protocol_version(&mut out, 0, &options);
        session.send(&out).await?;
    }
    Ok(())
}

async fn log_in_to_console(
    context: &Context,
    config: &Config,
    session: &mut Session,
    origin: &Origin,
    user: &str,
) -> Result<Rights, LoginError> {
    let own_user = nix::unistd::geteuid().as_raw();
    if user == CONSOLE_USER && origin.peer.is_some_and(|(peer, _)| peer == own_user) {
        return Ok(Rights::Admin);
    }
    let listed = |users: &[String]| users.iter().any(|listed| listed == user);
    let rights = if listed(&config.settings.admin_users) {
        Rights::Admin
    } else if listed(&config.settings.stats_users) {
        Rights::Stats
    } else {
        return Err(refuse("42501", "not allowed: the console is for admin_users and stats_users"));
    };
    authenticate::prove(context, config, session, user).await?;
    Ok(rights)
}
