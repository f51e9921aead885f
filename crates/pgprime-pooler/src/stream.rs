//! Connections on the cold side: accepting, logging in, cancelling. Once logged in, a connection becomes a
//! [`Transport`] and moves to a worker.

use std::io::{self, Read as _};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use pgprime_wire::frame::{HEADER_BYTES, Header};
use pgprime_wire::startup;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;

use crate::settings::Settings;
use crate::tls::TlsSession;
use crate::transport::Transport;

/// A message during login is never longer: names, passwords and SCRAM messages are short.
const LOGIN_MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Room made for each read: messages of a login are a few hundred bytes.
const READ_BYTES: usize = 512;
/// The same for TLS: certificates are some kilobytes.
const TLS_READ_BYTES: usize = 4096;

/// A socket during login. What has been accepted is registered with tokio only when it has to be waited for: most
/// clients have sent their first message by then, and are with a worker before they need waiting.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    AcceptedTcp(mio::net::TcpStream),
    AcceptedUnix(mio::net::UnixStream),
    /// On its way from one of these to another.
    Nothing,
}

impl Stream {
    /// Takes the socket out of tokio's hands.
    pub(crate) fn into_transport(self) -> io::Result<Transport> {
        Ok(match self {
            Self::Tcp(stream) => stream.into_std()?.into(),
            Self::Unix(stream) => stream.into_std()?.into(),
            Self::AcceptedTcp(stream) => Transport::Tcp(stream),
            Self::AcceptedUnix(stream) => Transport::Unix(stream),
            Self::Nothing => return Err(io::ErrorKind::NotConnected.into()),
        })
    }

    /// Reads from a socket that is not registered yet; `None` when tokio has to wait for it, which it can from now on.
    fn read_at_once(&mut self, buffer: &mut ReadBuf<'_>) -> Option<io::Result<()>> {
        let unfilled = buffer.initialize_unfilled();
        let read = match self {
            Self::AcceptedTcp(stream) => stream.read(unfilled),
            Self::AcceptedUnix(stream) => stream.read(unfilled),
            Self::Tcp(_) | Self::Unix(_) | Self::Nothing => return None,
        };
        match read {
            Ok(count) => {
                buffer.advance(count);
                Some(Ok(()))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.register().err().map(Err),
            Err(error) => Some(Err(error)),
        }
    }

    /// Puts an accepted socket into tokio's hands.
    fn register(&mut self) -> io::Result<()> {
        *self = match std::mem::replace(self, Self::Nothing) {
            Self::AcceptedTcp(stream) => Self::Tcp(TcpStream::from_std(stream.into())?),
            Self::AcceptedUnix(stream) => Self::Unix(UnixStream::from_std(stream.into())?),
            registered => registered,
        };
        Ok(())
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        if let Some(read) = stream.read_at_once(buffer) {
            return Poll::Ready(read);
        }
        match stream {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        stream.register()?;
        match stream {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            _ => Poll::Ready(Ok(())),
        }
    }
}

/// Sets what the settings say of TCP connections.
pub(crate) fn set_tcp_options(stream: &impl AsFd, settings: &Settings) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    if settings.tcp_keepalive {
        let seconds = |value: u32| (value > 0).then(|| Duration::from_secs(value.into()));
        let mut keepalive = TcpKeepalive::new();
        if let Some(idle) = seconds(settings.tcp_keepidle) {
            keepalive = keepalive.with_time(idle);
        }
        if let Some(interval) = seconds(settings.tcp_keepintvl) {
            keepalive = keepalive.with_interval(interval);
        }
        if settings.tcp_keepcnt > 0 {
            keepalive = keepalive.with_retries(settings.tcp_keepcnt);
        }
        socket.set_tcp_keepalive(&keepalive)?;
    }
    #[cfg(target_os = "linux")]
    if settings.tcp_user_timeout > 0 {
        socket.set_tcp_user_timeout(Some(Duration::from_millis(settings.tcp_user_timeout.into())))?;
    }
    if settings.tcp_socket_buffer > 0 {
        socket.set_recv_buffer_size(settings.tcp_socket_buffer as usize)?;
        socket.set_send_buffer_size(settings.tcp_socket_buffer as usize)?;
    }
    Ok(())
}

/// What is between the messages and the socket.
#[derive(Debug)]
enum Layer {
    Nothing,
    /// A handshake that is under way, or has failed: nothing can be said.
    Handshake,
    Tls(Box<TlsSession>),
}

/// A connection with the messages that have come and not been taken.
#[derive(Debug)]
pub(crate) struct Session {
    stream: Stream,
    input: Vec<u8>,
    layer: Layer,
}

impl Session {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, input: Vec::new(), layer: Layer::Nothing }
    }

    /// The next untagged packet: a startup message or one of its kind. `None` when the peer closed instead.
    pub(crate) async fn startup_packet(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            match startup::packet_len(&self.input).map_err(invalid)? {
                Some(len) if self.input.len() >= len => return Ok(Some(self.take(len))),
                _ => {}
            }
            if self.read_some().await? == 0 {
                return if self.input.is_empty() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }

    /// The next message, whole.
    pub(crate) async fn message(&mut self) -> io::Result<(u8, Vec<u8>)> {
        loop {
            if let Some(header) = Header::peek(&self.input).map_err(invalid)? {
                if header.len > LOGIN_MESSAGE_BYTES_MAX {
                    return Err(invalid(format!("message of {} bytes during login", header.len)));
                }
                if self.input.len() >= header.len {
                    let mut message = self.take(header.len);
                    return Ok((header.tag, message.split_off(HEADER_BYTES)));
                }
            }
            if self.read_some().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The first byte of what comes next, which is not taken; `None` when the peer closed instead.
    pub(crate) async fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.input.is_empty() {
            self.read_some().await?;
        }
        Ok(self.input.first().copied())
    }

    /// A single byte, the answer to a request for encryption.
    pub(crate) async fn byte(&mut self) -> io::Result<u8> {
        let byte = self.peek().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        self.take(1);
        Ok(byte)
    }

    /// Whether the peer has sent more than was asked for.
    pub(crate) fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    /// Sends all of it.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.layer {
            Layer::Nothing => self.stream.write_all(bytes).await,
            Layer::Handshake => Err(io::ErrorKind::NotConnected.into()),
            Layer::Tls(tls) => {
                tls.encrypt(bytes)?;
                send_records(&mut self.stream, tls).await
            }
        }
    }

    /// Waits until the peer closes, and forgets what it still says.
    pub(crate) async fn until_closed(&mut self) -> io::Result<()> {
        while self.read_some().await? > 0 {
            self.input.clear();
        }
        Ok(())
    }

    /// A handshake with a client. What has come and was not taken is its beginning. Signing takes milliseconds: it is
    /// done apart, at as many places as there are, so that nobody else waits for it.
    pub(crate) async fn accept_tls(
        &mut self,
        config: Arc<ServerConfig>,
        places: &Arc<Semaphore>,
    ) -> io::Result<()> {
        self.shake_hands(TlsSession::accept(config)?, Some(places)).await
    }

    /// A handshake with a server, of which nothing may have come before.
    pub(crate) async fn connect_tls(
        &mut self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<()> {
        // Signs nothing, or once for each server: as rare as logins to servers are.
        self.shake_hands(TlsSession::connect(config, name)?, None).await
    }

    async fn shake_hands(&mut self, session: TlsSession, places: Option<&Arc<Semaphore>>) -> io::Result<()> {
        self.layer = Layer::Handshake;
        let mut tls = Box::new(session);
        tls.incoming().append(&mut self.input);
        loop {
            let outcome = match places {
                Some(places) => {
                    let (advanced, outcome) = advance_apart(tls, places).await?;
                    tls = advanced;
                    outcome
                }
                None => tls.advance(),
            };
            // After a failure, too: the alert tells the peer what is wrong.
            send_records(&mut self.stream, &mut tls).await?;
            outcome?;
            if !tls.is_handshaking() {
                break;
            }
            if tls.has_ended() || read_records(&mut self.stream, &mut tls).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.input = tls.take_plaintext();
        self.layer = Layer::Tls(tls);
        Ok(())
    }

    /// The established session, where there is one.
    pub(crate) fn tls(&self) -> Option<&TlsSession> {
        match &self.layer {
            Layer::Tls(tls) => Some(tls),
            Layer::Nothing | Layer::Handshake => None,
        }
    }

    /// Tells the peer that nothing more comes, before the socket is closed with this.
    pub(crate) async fn say_goodbye(&mut self) {
        if let Layer::Tls(tls) = &mut self.layer {
            tls.say_goodbye();
            let _ = send_records(&mut self.stream, tls).await;
        }
    }

    /// The socket, for a worker, and what was read of it and not taken.
    pub(crate) fn into_parts(self) -> io::Result<(Transport, Vec<u8>)> {
        let transport = self.stream.into_transport()?;
        match (self.layer, transport) {
            (Layer::Nothing, transport) => Ok((transport, self.input)),
            (Layer::Tls(mut tls), Transport::Tcp(socket)) => {
                tls.shrink();
                Ok((Transport::encrypted(socket, *tls), self.input))
            }
            (Layer::Handshake | Layer::Tls(_), _) => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    async fn read_some(&mut self) -> io::Result<usize> {
        match &mut self.layer {
            Layer::Nothing => {
                self.input.reserve(READ_BYTES);
                self.stream.read_buf(&mut self.input).await
            }
            Layer::Handshake => Err(io::ErrorKind::NotConnected.into()),
            Layer::Tls(tls) => loop {
                let mut plaintext = tls.take_plaintext();
                if !plaintext.is_empty() {
                    let count = plaintext.len();
                    self.input.append(&mut plaintext);
                    return Ok(count);
                }
                tls.check()?;
                if tls.has_ended() || read_records(&mut self.stream, tls).await? == 0 {
                    return Ok(0);
                }
                // A failure is told after the plaintext that came before it.
                let _ = tls.advance();
                send_records(&mut self.stream, tls).await?;
            },
        }
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        let rest = self.input.split_off(len);
        std::mem::replace(&mut self.input, rest)
    }
}

/// A step of a handshake on another thread. Given up, the step still goes to its end, and keeps its place until then.
async fn advance_apart(
    mut tls: Box<TlsSession>,
    places: &Arc<Semaphore>,
) -> io::Result<(Box<TlsSession>, io::Result<()>)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let step = move || {
        let outcome = tls.advance();
        drop(place);
        (tls, outcome)
    };
    tokio::task::spawn_blocking(step).await.map_err(io::Error::other)
}

async fn read_records(stream: &mut Stream, tls: &mut TlsSession) -> io::Result<usize> {
    tls.incoming().reserve(TLS_READ_BYTES);
    stream.read_buf(tls.incoming()).await
}

/// Given up at any point, it goes on from there the next time.
async fn send_records(stream: &mut Stream, tls: &mut TlsSession) -> io::Result<()> {
    while tls.has_unsent() {
        let count = stream.write(tls.unsent()).await?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        tls.advance_sent(count);
    }
    Ok(())
}

fn invalid(error: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}
