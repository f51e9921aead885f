//! Logging in to servers, and sending cancel requests.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pgprime_pool::{Failure, Permit};
use pgprime_wire::backend::{self, Authentication, ErrorFields};
use pgprime_wire::frontend::encode;
use pgprime_wire::scram::{self, ScramClient, ScramKeys};
use pgprime_wire::startup::{self, CancelKey};
use pgprime_wire::tag::backend as tag;
use pgprime_wire::{WireError, md5};
use rustls::ClientConfig;
use tokio::net::{TcpStream, UnixStream};

use crate::context::Context;
use crate::core::{PoolIndex, ServerInfo, ServerJoin, Welcome};
use crate::directory::Target;
use crate::mail::{ColdRequest, Mail};
use crate::settings::{Secret, Settings};
use crate::stream::{Session, Stream, set_tcp_options};
use crate::tls::{ServerTls, TlsSession, server_name};
use crate::transport::Transport;

/// Server lifetimes end up to this share of `server_lifetime` early, so that connections opened together do not all
/// close together.
const LIFETIME_JITTER: f64 = 0.1;
/// What a server may report of its parameters at login; PostgreSQL reports less than a kilobyte.
const PARAMETER_BYTES_MAX: usize = 64 * 1024;

/// Why a server connection could not be opened: the step and its cause.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("cannot connect to {address}: {source}")]
    Connect { address: String, source: io::Error },
    #[error("no login at {address} within server_connect_timeout ({} s)", timeout.as_secs())]
    Timeout { address: String, timeout: Duration },
    #[error("connection to {address} failed during login: {source}")]
    Io { address: String, source: io::Error },
    #[error("{address} does not speak the protocol: {what}")]
    Protocol { address: String, what: String },
    #[error("no TLS with {address} (server_tls_sslmode): {what}")]
    Tls { address: String, what: String },
    #[error("{message} (SQLSTATE {sqlstate})")]
    Refused { sqlstate: String, message: String },
    #[error("{0}")]
    Password(&'static str),
}

impl ConnectError {
    fn refused(body: &[u8]) -> Self {
        let fields = ErrorFields::parse(body);
        Self::Refused {
            sqlstate: fields.sqlstate().unwrap_or("?????").to_string(),
            message: fields.message().unwrap_or("no message").to_string(),
        }
    }

    /// Whether trying again may help by itself.
    fn failure(&self) -> Failure {
        match self {
            Self::Connect { .. } | Self::Timeout { .. } | Self::Io { .. } => Failure::Unreachable,
            // Operator intervention (starting up, shutting down), out of resources, connection trouble.
            Self::Refused { sqlstate, .. }
                if ["57P", "53", "08"].iter().any(|class| sqlstate.starts_with(class)) =>
            {
                Failure::Unreachable
            }
            Self::Refused { .. } | Self::Protocol { .. } | Self::Tls { .. } | Self::Password(_) => {
                Failure::Rejected
            }
        }
    }

    /// Whether the server may say something else to who comes with TLS, or without it: there was no handshake, or
    /// pg_hba.conf tells the two apart.
    fn is_of_encryption(&self) -> bool {
        match self {
            Self::Tls { .. } => true,
            Self::Refused { sqlstate, .. } => sqlstate == "28000",
            _ => false,
        }
    }
}

/// Does what workers ask for, each request in a task of its own. The number of logins in flight is bounded by the
/// pools, that of cancel requests by the clients.
pub(crate) async fn serve_workers(
    context: Arc<Context>,
    mut requests: tokio::sync::mpsc::UnboundedReceiver<ColdRequest>,
) {
    while let Some(request) = requests.recv().await {
        let context = Arc::clone(&context);
        match request {
            ColdRequest::Connect { worker, pool, permit } => {
                tokio::spawn(async move {
                    let mail = open(&context, pool, permit).await;
                    context.mail(worker, mail);
                });
            }
            ColdRequest::Cancel { worker, pool, server, info } => {
                tokio::spawn(async move {
                    let timeout = context.directory.config().settings.cancel_wait_timeout;
                    let timeout = if timeout.is_zero() { Duration::from_secs(10) } else { timeout };
                    match tokio::time::timeout(timeout, cancel(&context, pool, &info)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => tracing::warn!(%error, "a cancel request could not be sent"),
                        Err(_) => tracing::warn!("a cancel request was not taken within cancel_wait_timeout"),
                    }
                    if let Some(server) = server {
                        context.mail(worker, Mail::CancelSent(server));
                    }
                });
            }
        }
    }
}

async fn open(context: &Context, pool: PoolIndex, permit: Permit) -> Mail {
    let settings = context.directory.config().settings.clone();
    // Before anything is looked up: what changes from now on makes this connection an old one.
    let connected_at = Instant::now();
    let Some(target) = context.directory.target(pool) else {
        let reason = "the database is no longer configured".to_string();
        return Mail::ConnectFailed { pool, failure: Failure::Rejected, reason };
    };
    let outcome = login_anywhere(context, &target, &settings).await;
    match outcome {
        Ok((transport, info, welcome)) => {
            let expires_at = Some(connected_at + lifetime(target.lifetime));
            tracing::info!(
                server = info.address,
                port = info.port,
                database = target.dbname,
                user = target.user,
                process_id = info.process_id,
                "new connection to server"
            );
            context.mail_all(|| Mail::Welcome { pool, welcome: Box::new(welcome.clone()) });
            let join = ServerJoin { info: Box::new(info), permit, welcome, connected_at, expires_at };
            Mail::Server { pool, join: Box::new(join), transport }
        }
        Err(error) => {
            tracing::warn!(database = target.dbname, user = target.user, reason = %error, "server login failed");
            // The place goes back before the pool hears of the failure.
            drop(permit);
            Mail::ConnectFailed { pool, failure: error.failure(), reason: error.to_string() }
        }
    }
}

fn lifetime(lifetime: Duration) -> Duration {
    lifetime.mul_f64(1.0 - LIFETIME_JITTER * fastrand::f64())
}

/// Tries the hosts of a database in turn, from the next one on.
async fn login_anywhere(
    context: &Context,
    target: &Target,
    settings: &Settings,
) -> Result<(Transport, ServerInfo, Welcome), ConnectError> {
    let first = context.next_host();
    let mut failure = None;
    for turn in 0..target.hosts.len() {
        let Some(host) = target.hosts.get((first + turn) % target.hosts.len()) else { continue };
        let address = format!("{host}:{}", target.port);
        let timeout = settings.server_connect_timeout;
        let attempt = login_at(context, target, host, settings);
        let outcome = if timeout.is_zero() {
            attempt.await
        } else {
            let late = |_| Err(ConnectError::Timeout { address, timeout });
            tokio::time::timeout(timeout, attempt).await.unwrap_or_else(late)
        };
        match outcome {
            Ok(opened) => return Ok(opened),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or(ConnectError::Password("the database has no host")))
}

/// Logs in at one host, with TLS or without as the mode has it, and in the modes that leave it open the other way where
/// the first does not work, as libpq does.
async fn login_at(
    context: &Context,
    target: &Target,
    host: &str,
    settings: &Settings,
) -> Result<(Transport, ServerInfo, Welcome), ConnectError> {
    let login = |way| login(context, target, host, settings, way);
    match context.directory.tls().servers.clone() {
        _ if is_socket_dir(host) => login(Way::Clear).await,
        ServerTls::Never => login(Way::Clear).await,
        ServerTls::Always(config) => login(Way::Tls(config)).await,
        ServerTls::OnDemand(config) => match login(Way::Clear).await {
            Err(error) if error.is_of_encryption() => login(Way::Tls(config)).await,
            outcome => outcome,
        },
        ServerTls::WhereOffered(config) => match login(Way::TlsIfOffered(config)).await {
            // It is the first that is told of: it would have been the better way.
            Err(error) if error.is_of_encryption() => login(Way::Clear).await.map_err(|_| error),
            outcome => outcome,
        },
    }
}

/// What a connection to a server begins with.
#[derive(Clone, Debug)]
enum Way {
    Clear,
    TlsIfOffered(Arc<ClientConfig>),
    Tls(Arc<ClientConfig>),
}

fn is_socket_dir(host: &str) -> bool {
    host.starts_with('/') || host.starts_with('@')
}

/// Connects, and asks for TLS if that is the way.
async fn open_session(
    host: &str,
    port: u16,
    settings: &Settings,
    way: Way,
) -> Result<(Session, Local), ConnectError> {
    let (stream, local) = connect(host, port, settings).await?;
    let mut session = Session::new(stream);
    let address = || format!("{host}:{port}");
    let io = |source| ConnectError::Io { address: address(), source };
    let refused = |what: &str| ConnectError::Tls { address: address(), what: what.to_string() };
    // No reason to try again in the clear: somebody between us may want just that, or put more there to have it
    // taken for a part of what is encrypted.
    let nonsense = |what: &str| ConnectError::Protocol { address: address(), what: what.to_string() };
    let (config, is_optional) = match way {
        Way::Clear => return Ok((session, local)),
        Way::TlsIfOffered(config) => (config, true),
        Way::Tls(config) => (config, false),
    };
    let mut request = Vec::new();
    startup::encode_ssl_request(&mut request);
    session.send(&request).await.map_err(io)?;
    let answer = session.byte().await.map_err(io)?;
    if session.has_input() {
        return Err(nonsense("more than an answer came to the request for TLS"));
    }
    match answer {
        b'S' => {}
        b'N' if is_optional => return Ok((session, local)),
        b'N' => return Err(refused("the server does not offer it (ssl = off in its configuration)")),
        _ => return Err(nonsense("the answer to the request for TLS is none")),
    }
    let handshake = session.connect_tls(config, server_name(host)).await;
    handshake.map_err(|error| refused(&format!("the handshake failed: {error}")))?;
    Ok((session, local))
}

/// Our own end of a connection.
type Local = (String, u16);

async fn connect(host: &str, port: u16, settings: &Settings) -> Result<(Stream, Local), ConnectError> {
    let address = format!("{host}:{port}");
    let failed = |source| ConnectError::Connect { address: address.clone(), source };
    if is_socket_dir(host) {
        let path = Path::new(host).join(format!(".s.PGSQL.{port}"));
        let stream = UnixStream::connect(path).await.map_err(failed)?;
        return Ok((Stream::Unix(stream), ("unix".to_string(), 0)));
    }
    let stream = TcpStream::connect((host, port)).await.map_err(failed)?;
    set_tcp_options(&stream, settings).map_err(failed)?;
    let local = stream.local_addr().map(|address| (address.ip().to_string(), address.port()));
    Ok((Stream::Tcp(stream), local.unwrap_or_default()))
}

/// One login: who we are, the proof, and what the server reports of itself.
struct Login<'a> {
    context: &'a Context,
    target: &'a Target,
    address: String,
    session: Session,
    welcome: Welcome,
    key: Option<CancelKey>,
}

async fn login(
    context: &Context,
    target: &Target,
    host: &str,
    settings: &Settings,
    way: Way,
) -> Result<(Transport, ServerInfo, Welcome), ConnectError> {
    let (session, (local_address, local_port)) = open_session(host, target.port, settings, way).await?;
    let mut login = Login {
        context,
        target,
        address: format!("{host}:{}", target.port),
        session,
        welcome: Welcome::default(),
        key: None,
    };
    login.start().await?;
    login.authenticate().await?;
    login.until_ready().await?;
    if let Some(query) = &target.connect_query {
        login.run(query).await?;
    }
    login.heed_unasked().await?;
    let key = login.key.take().unwrap_or(CancelKey { process_id: 0, secret: vec![0; 4] });
    let info = ServerInfo {
        address: host.to_string(),
        port: target.port,
        local_address,
        local_port,
        process_id: key.process_id,
        cancel_secret: key.secret,
        tls: login.session.tls().map_or("", TlsSession::shown),
    };
    let address = login.address.clone();
    let welcome = std::mem::take(&mut login.welcome);
    let (transport, rest) =
        login.session.into_parts().map_err(|source| ConnectError::Io { address: address.clone(), source })?;
    if !rest.is_empty() {
        return Err(ConnectError::Protocol { address, what: "more than was asked for after login".into() });
    }
    Ok((transport, info, welcome))
}

impl Login<'_> {
    async fn start(&mut self) -> Result<(), ConnectError> {
        let mut parameters =
            vec![("user", self.target.user.as_str()), ("database", self.target.dbname.as_str())];
        parameters.extend(self.target.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let mut message = Vec::new();
        startup::encode_startup(&mut message, 0, &parameters);
        self.send(&message).await
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), ConnectError> {
        let address = &self.address;
        self.session
            .send(message)
            .await
            .map_err(|source| ConnectError::Io { address: address.clone(), source })
    }

    /// The next message that is not a notice; an ErrorResponse is an error.
    async fn message(&mut self) -> Result<(u8, Vec<u8>), ConnectError> {
        loop {
            let address = &self.address;
            let received = self.session.message().await;
            let (kind, body) =
                received.map_err(|source| ConnectError::Io { address: address.clone(), source })?;
            match kind {
                tag::NOTICE_RESPONSE => {}
                tag::ERROR_RESPONSE => return Err(ConnectError::refused(&body)),
                _ => return Ok((kind, body)),
            }
        }
    }

    /// What the server has said since the login was over: it may have been told to end, or to take other settings.
    async fn heed_unasked(&mut self) -> Result<(), ConnectError> {
        while self.session.has_input() {
            let received = self.session.message().await;
            let (kind, body) =
                received.map_err(|source| ConnectError::Io { address: self.address.clone(), source })?;
            match kind {
                tag::NOTICE_RESPONSE => {}
                tag::PARAMETER_STATUS => {
                    let (name, value) =
                        backend::parameter_status(&body).map_err(|error| self.protocol(error))?;
                    // Only what is known already, so that a server cannot go on for ever.
                    if let Some(known) = self.welcome.parameters.get_mut(name) {
                        *known = value.to_string();
                    }
                }
                tag::ERROR_RESPONSE => return Err(ConnectError::refused(&body)),
                _ => return Err(self.protocol("more than was asked for after login")),
            }
        }
        Ok(())
    }

    fn protocol(&self, what: impl ToString) -> ConnectError {
        ConnectError::Protocol { address: self.address.clone(), what: what.to_string() }
    }

    async fn authenticate(&mut self) -> Result<(), ConnectError> {
        loop {
            let (kind, body) = self.message().await?;
            if kind == tag::NEGOTIATE_PROTOCOL_VERSION {
                continue;
            }
            if kind != tag::AUTHENTICATION {
                return Err(
                    self.protocol(format!("message {:?} instead of authentication", char::from(kind)))
                );
            }
            match backend::authentication(&body).map_err(|error: WireError| self.protocol(error))? {
                Authentication::Ok => return Ok(()),
                Authentication::CleartextPassword => {
                    let Some(Secret::Plain(password)) = &self.target.secret else {
                        return Err(ConnectError::Password(
                            "the server wants the password itself, and auth_file has only a hash of it",
                        ));
                    };
                    let mut message = Vec::new();
                    encode::password(&mut message, password.as_bytes());
                    self.send(&message).await?;
                }
                Authentication::Md5Password { salt } => {
                    let answer = self.md5_answer(salt)?;
                    let mut message = Vec::new();
                    encode::password(&mut message, answer.as_bytes());
                    self.send(&message).await?;
                }
                Authentication::Sasl { mechanisms } => {
                    if !mechanisms.contains(&scram::MECHANISM) {
                        return Err(self.protocol("no SASL mechanism in common (SCRAM-SHA-256)"));
                    }
                    self.scram().await?;
                }
                other => {
                    return Err(self.protocol(format!("authentication method {other:?} is not supported")));
                }
            }
        }
    }

    fn md5_answer(&self, salt: [u8; 4]) -> Result<String, ConnectError> {
        let stored = match &self.target.secret {
            Some(Secret::Plain(password)) => {
                md5::md5_secret(password.as_bytes(), self.target.user.as_bytes())
            }
            Some(Secret::Md5(stored)) => stored.clone(),
            Some(Secret::Scram(_)) => {
                return Err(ConnectError::Password(
                    "the server wants an MD5 password, and auth_file has a SCRAM verifier",
                ));
            }
            None => return Err(NO_PASSWORD),
        };
        md5::md5_response(&stored, salt)
            .ok_or(ConnectError::Password("the MD5 hash in auth_file is malformed"))
    }

    async fn scram(&mut self) -> Result<(), ConnectError> {
        let mut client = ScramClient::new(&crate::random::nonce());
        let mut message = Vec::new();
        encode::sasl_initial(&mut message, scram::MECHANISM, client.first_message().as_bytes());
        self.send(&message).await?;

        let first = self.sasl_body().await?;
        let Authentication::SaslContinue(data) =
            backend::authentication(&first).map_err(|error| self.protocol(error))?
        else {
            return Err(self.protocol("no SASL continuation"));
        };
        let challenge = client.server_first(data).map_err(|error| self.protocol(error))?;
        let keys = self.keys(challenge.salt, challenge.iterations).await?;
        let mut message = Vec::new();
        encode::sasl_response(&mut message, client.final_message(&keys).as_bytes());
        self.send(&message).await?;

        let last = self.sasl_body().await?;
        let Authentication::SaslFinal(data) =
            backend::authentication(&last).map_err(|error| self.protocol(error))?
        else {
            return Err(self.protocol("no SASL outcome"));
        };
        client.server_final(data).map_err(|error| self.protocol(error))
    }

    async fn sasl_body(&mut self) -> Result<Vec<u8>, ConnectError> {
        let (kind, body) = self.message().await?;
        if kind == tag::AUTHENTICATION {
            Ok(body)
        } else {
            Err(self.protocol("authentication was broken off"))
        }
    }

    /// The keys for the server's challenge. Deriving them from a password costs milliseconds: it is done once, and
    /// not on this thread.
    async fn keys(&self, salt: Vec<u8>, iterations: u32) -> Result<ScramKeys, ConnectError> {
        let user = &self.target.user;
        let password = match (&self.target.secret, self.target.client_key) {
            (Some(Secret::Plain(password)), _) => password.clone(),
            (Some(Secret::Scram(stored)), Some(client_key)) => {
                let verifier = scram::ScramVerifier::parse(stored).map_err(|error| self.protocol(error))?;
                if verifier.salt != salt || verifier.iterations != iterations {
                    return Err(ConnectError::Password(
                        "the SCRAM verifier in auth_file is not the server's own",
                    ));
                }
                return Ok(ScramKeys { client_key, server_key: verifier.server_key });
            }
            (Some(Secret::Scram(_)), None) => {
                return Err(ConnectError::Password(
                    "auth_file has a SCRAM verifier, and no client has logged in with the password yet",
                ));
            }
            (Some(Secret::Md5(_)), _) => {
                return Err(ConnectError::Password("the server wants SCRAM, and auth_file has an MD5 hash"));
            }
            (None, _) => return Err(NO_PASSWORD),
        };
        let directory = &self.context.directory;
        if let Some(keys) = directory.derived_keys(user, &salt, iterations) {
            return Ok(keys);
        }
        let salt_copy = salt.clone();
        let derive = move || {
            let salted = scram::salted_password(password.as_bytes(), &salt_copy, iterations);
            ScramKeys::from_salted_password(&salted)
        };
        let keys = tokio::task::spawn_blocking(derive).await.map_err(|error| self.protocol(error))?;
        directory.keep_derived_keys(user, &salt, iterations, keys.clone());
        Ok(keys)
    }

    /// Runs a query whose errors are no reason to do without the server.
    async fn run(&mut self, query: &str) -> Result<(), ConnectError> {
        let mut message = Vec::new();
        encode::query(&mut message, query.as_bytes());
        self.send(&message).await?;
        loop {
            match self.until_ready().await {
                Err(error @ ConnectError::Refused { .. }) => {
                    tracing::warn!(database = self.target.dbname, reason = %error, "connect_query failed");
                }
                outcome => return outcome,
            }
        }
    }

    /// Reads up to ReadyForQuery, keeping what the server reports.
    async fn until_ready(&mut self) -> Result<(), ConnectError> {
        let mut parameter_bytes = 0;
        loop {
            let (kind, body) = self.message().await?;
            match kind {
                tag::PARAMETER_STATUS => {
                    parameter_bytes += body.len();
                    if parameter_bytes > PARAMETER_BYTES_MAX {
                        return Err(
                            self.protocol(format!("more than {PARAMETER_BYTES_MAX} bytes of parameters"))
                        );
                    }
                    let (name, value) =
                        backend::parameter_status(&body).map_err(|error| self.protocol(error))?;
                    self.welcome.parameters.insert(name.to_string(), value.to_string());
                }
                tag::BACKEND_KEY_DATA => {
                    self.key = Some(backend::backend_key_data(&body).map_err(|error| self.protocol(error))?);
                }
                tag::READY_FOR_QUERY => return Ok(()),
                _ => {}
            }
        }
    }
}

const NO_PASSWORD: ConnectError = ConnectError::Password(
    "the server wants a password: put one into auth_file or into the database's entry",
);

/// Sends a cancel request and waits until the server has acted on it, which it shows by closing the connection.
async fn cancel(context: &Context, pool: PoolIndex, info: &ServerInfo) -> Result<(), ConnectError> {
    let settings = context.directory.config().settings.clone();
    // A key that was told in secret is repeated in secret, unless TLS has been turned off since.
    let way = match context.directory.tls().servers.clone() {
        ServerTls::OnDemand(config) | ServerTls::WhereOffered(config) | ServerTls::Always(config)
            if !info.tls.is_empty() =>
        {
            Way::Tls(config)
        }
        _ => Way::Clear,
    };
    let (mut session, _) = open_session(&info.address, info.port, &settings, way).await?;
    let mut message = Vec::new();
    let key = CancelKey { process_id: info.process_id, secret: info.cancel_secret.clone() };
    startup::encode_cancel(&mut message, &key);
    let address = format!("{}:{} (pool {pool})", info.address, info.port);
    let failed = |source| ConnectError::Io { address: address.clone(), source };
    session.send(&message).await.map_err(failed)?;
    match session.until_closed().await {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(failed(error)),
        _ => Ok(()),
    }
}
