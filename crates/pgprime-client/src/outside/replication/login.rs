//! A login for replication: the driver's own, with one more parameter in its startup message.
//!
//! The driver knows neither that parameter nor what follows `START_REPLICATION`. So it is lent the stream for the login and
//! the first commands, with all it knows of TLS, passwords and channel binding, and has to give it back.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::{Client, Config, Connection};

use crate::connect::{Address, OpenRequest, Server, classify, may_differ_by_encryption};
use crate::connection::KeptOpen;
use crate::endpoint::Endpoint;
use crate::error::ConnectError;
use crate::tls::Tls;

/// What these sessions are called, so that they can be told from others, by `synchronous_standby_names` above all.
pub(super) const APPLICATION_NAME: &str = "pgprime_changes";
/// The server ends the session of a client that has said nothing for so long, and gives up what it kept for it, even where
/// it is told to wait for ever.
const SENDER_TIMEOUT: Duration = Duration::from_secs(30);
/// The parameter, as it stands in a startup message.
const PARAMETER: &[u8] = b"replication\0database\0";
/// Length and version.
const STARTUP_HEAD_BYTES: usize = 8;
const VERSION: [u8; 4] = [0, 3, 0, 0];

/// A stream to the server, encrypted or not.
pub(super) type Wire = Box<dyn TlsStream + Send + Unpin>;

/// A session for replication that runs commands.
pub(super) struct Session {
    pub(super) client: Client,
    lent: Lent,
    driver: Driver,
}

/// The task that carries the driver's messages. It ends with this value.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Session {
    /// Takes the stream from the driver, which has nothing more to say or to hear.
    pub(super) async fn into_wire(mut self) -> Option<Wire> {
        self.driver.0.abort();
        // However it ended: it does not use the stream any more.
        let _ = (&mut self.driver.0).await;
        self.lent.take()
    }
}

/// Logs in at this very server, with and without TLS as for any other session.
pub(super) async fn login(
    endpoint: &Endpoint,
    tls: &Tls,
    server: &Server,
    deadline: Instant,
) -> Result<Session, ConnectError> {
    let request = OpenRequest { endpoint, tls, options: None, sets_read_only: false, heard: None };
    let unreachable = |reason: &str| ConnectError::Unreachable {
        target: server.target.clone(),
        reason: format!("replication: {reason}"),
    };
    let mut outcome = Err(unreachable("no way to try"));
    for mode in request.ways(&server.address) {
        let attempt = timeout_at(deadline, attempt(endpoint, tls, server, *mode)).await;
        outcome = attempt.unwrap_or_else(|_| Err(unreachable("no answer in time")));
        if !matches!(&outcome, Err(error) if may_differ_by_encryption(error)) {
            break;
        }
    }
    outcome
}

async fn attempt(
    endpoint: &Endpoint,
    tls: &Tls,
    server: &Server,
    mode: SslMode,
) -> Result<Session, ConnectError> {
    let wire = dial(&server.address).await.map_err(|error| ConnectError::Unreachable {
        target: server.target.clone(),
        reason: error.to_string(),
    })?;
    let lent = Lent::new(wire);
    let config = configured(endpoint, mode);
    let connector = MakeTlsConnect::<Wire>::make_tls_connect(&mut tls.connector(), &server.name);
    let Ok(connector) = connector;
    let outcome = config.connect_raw(lent.clone(), Encrypting(connector)).await;
    let (client, connection) = outcome.map_err(|error| classify(server.target.clone(), &error))?;
    let driver = Driver(tokio::spawn(drive(connection)));
    Ok(Session { client, lent, driver })
}

fn configured(endpoint: &Endpoint, mode: SslMode) -> Config {
    let mut config = endpoint.config();
    let timeout = format!("-c wal_sender_timeout={}", SENDER_TIMEOUT.as_millis());
    let options = endpoint.options().map_or(timeout.clone(), |options| format!("{options} {timeout}"));
    config.ssl_mode(mode).application_name(APPLICATION_NAME).options(options);
    config
}

async fn dial(address: &Address) -> io::Result<Wire> {
    Ok(match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Box::new(KeptOpen(stream))
        }
        Address::Unix(path) => Box::new(KeptOpen(UnixStream::connect(path).await?)),
    })
}

/// Whoever waits for an answer gets the error.
async fn drive(connection: Connection<Lent, Lent>) {
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection for replication ended");
    }
}

/// Without TLS. Who is lent a stream does not end it.
impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for KeptOpen<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

/// A stream that is lent to the driver. Clones are the same stream.
#[derive(Clone)]
struct Lent(Arc<Mutex<State>>);

struct State {
    /// None while TLS is being set up, and once it was taken back.
    wire: Option<Wire>,
    startup: Startup,
}

/// What has become of the startup message.
enum Startup {
    /// It has not come yet. Exits: it comes.
    Awaited,
    /// It is being sent, with the parameter. Exits: all of it is sent.
    Sending { bytes: Vec<u8>, sent: usize },
    /// It is sent.
    Sent,
}

impl Lent {
    fn new(wire: Wire) -> Self {
        Self(Arc::new(Mutex::new(State { wire: Some(wire), startup: Startup::Awaited })))
    }

    fn take(&self) -> Option<Wire> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).wire.take()
    }

    fn give(&self, wire: Wire) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).wire = Some(wire);
    }

    fn poll<T>(
        &self,
        poll: impl FnOnce(Pin<&mut Wire>, &mut Startup) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { wire, startup } = &mut *state;
        match wire {
            Some(wire) => poll(Pin::new(wire), startup),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl TlsStream for Lent {
    fn channel_binding(&self) -> ChannelBinding {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.wire.as_ref().map_or_else(ChannelBinding::none, |wire| wire.channel_binding())
    }
}

impl AsyncRead for Lent {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll(|wire, _| wire.poll_read(cx, buf))
    }
}

impl AsyncWrite for Lent {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll(|wire, startup| match startup {
            Startup::Sent => wire.poll_write(cx, buf),
            Startup::Awaited => match for_replication(buf) {
                None => wire.poll_write(cx, buf),
                Some(bytes) => {
                    *startup = Startup::Sending { bytes, sent: 0 };
                    poll_startup(wire, startup, cx, buf.len())
                }
            },
            Startup::Sending { .. } => poll_startup(wire, startup, cx, buf.len()),
        })
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(|wire, _| wire.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(|wire, _| wire.poll_shutdown(cx))
    }
}

/// Sends the rest of the startup message; to the driver it is as long as it made it.
fn poll_startup(
    mut wire: Pin<&mut Wire>,
    startup: &mut Startup,
    cx: &mut Context<'_>,
    length: usize,
) -> Poll<io::Result<usize>> {
    while let Startup::Sending { bytes, sent } = startup {
        let rest = bytes.get(*sent..).unwrap_or_default();
        if rest.is_empty() {
            *startup = Startup::Sent;
            break;
        }
        match ready!(wire.as_mut().poll_write(cx, rest))? {
            0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written => *sent += written,
        }
    }
    Poll::Ready(Ok(length))
}

/// A startup message with the parameter; none for what is no whole startup message, as a request for TLS.
fn for_replication(message: &[u8]) -> Option<Vec<u8>> {
    let (head, parameters) = message.split_at_checked(STARTUP_HEAD_BYTES)?;
    let (length, version) = head.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length);
    if version != VERSION || usize::try_from(length) != Ok(message.len()) {
        return None;
    }
    let longer = length.checked_add(u32::try_from(PARAMETER.len()).ok()?)?;
    Some([&longer.to_be_bytes(), version, PARAMETER, parameters].concat())
}

/// Sets up TLS below what is lent.
struct Encrypting<C>(C);

impl<C> TlsConnect<Lent> for Encrypting<C>
where
    C: TlsConnect<Wire> + Send + 'static,
    C::Stream: Send + 'static,
    C::Error: From<io::Error>,
    C::Future: Send,
{
    type Stream = Lent;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Lent, C::Error>> + Send>>;

    fn connect(self, lent: Lent) -> Self::Future {
        let handshake = lent.take().map(|wire| self.0.connect(wire));
        Box::pin(set_up(lent, handshake))
    }
}

async fn set_up<F, S, E>(lent: Lent, handshake: Option<F>) -> Result<Lent, E>
where
    F: Future<Output = Result<S, E>>,
    S: TlsStream + Send + Unpin + 'static,
    E: From<io::Error>,
{
    let handshake = handshake.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
    lent.give(Box::new(handshake.await?));
    Ok(lent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameter_goes_into_a_startup_message_and_nothing_else() {
        let startup = b"\0\0\0\x12\0\x03\0\0user\0bob\0\0";
        let expected = b"\0\0\0\x27\0\x03\0\0replication\0database\0user\0bob\0\0";
        assert_eq!(for_replication(startup).as_deref(), Some(&expected[..]));
        let others: [&[u8]; 5] = [
            b"",
            b"\0\0\0\x08\x04\xd2\x16\x2f",
            b"\0\0\0\x12\0\x03\0\0user",
            b"p\0\0\0\x05\0",
            b"\0\0\0\x08\0\x02\0\0",
        ];
        for other in others {
            assert_eq!(for_replication(other), None, "{other:?}");
        }
    }
}
