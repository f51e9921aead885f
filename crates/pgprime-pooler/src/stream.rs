//! Connections on the cold side: accepting, logging in, cancelling. Once logged in, a connection becomes a
//! [`Transport`] and moves to a worker.

use std::io::{self, Read as _};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pgprime_wire::frame::{HEADER_BYTES, Header};
use pgprime_wire::startup;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::settings::Settings;
use crate::transport::Transport;

/// A message during login is never longer: names, passwords and SCRAM messages are short.
const LOGIN_MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Room made for each read: messages of a login are a few hundred bytes.
const READ_BYTES: usize = 512;

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

/// A connection with the messages that have come and not been taken.
#[derive(Debug)]
pub(crate) struct Session {
    stream: Stream,
    input: Vec<u8>,
}

impl Session {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, input: Vec::new() }
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

    /// Whether the peer has sent more than was asked for.
    pub(crate) fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Waits until the peer closes, and forgets what it still says.
    pub(crate) async fn until_closed(&mut self) -> io::Result<()> {
        while self.read_some().await? > 0 {
            self.input.clear();
        }
        Ok(())
    }

    /// The socket, for a worker, and what was read of it and not taken.
    pub(crate) fn into_parts(self) -> io::Result<(Transport, Vec<u8>)> {
        Ok((self.stream.into_transport()?, self.input))
    }

    async fn read_some(&mut self) -> io::Result<usize> {
        self.input.reserve(READ_BYTES);
        self.stream.read_buf(&mut self.input).await
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        let rest = self.input.split_off(len);
        std::mem::replace(&mut self.input, rest)
    }
}

fn invalid(error: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}
