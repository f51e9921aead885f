//! Sockets as a worker uses them, with TLS or without. A login hands over an established session, and the worker knows
//! nothing of how it came about.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use mio::event::Source;
use mio::{Interest, Registry, Token};

use crate::tls::{Received, TlsSession};

/// An established session, ready for a worker: non-blocking, with nothing to be sent that was given to it.
#[derive(Debug)]
pub(crate) enum Transport {
    Tcp(mio::net::TcpStream),
    Unix(mio::net::UnixStream),
    /// Boxed, so that connections without TLS have no room for it.
    Tls(Box<TlsTransport>),
}

/// A socket and the session on it.
#[derive(Debug)]
pub(crate) struct TlsTransport {
    socket: mio::net::TcpStream,
    session: TlsSession,
}

impl From<TcpStream> for Transport {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(mio::net::TcpStream::from_std(stream))
    }
}

impl From<UnixStream> for Transport {
    fn from(stream: UnixStream) -> Self {
        Self::Unix(mio::net::UnixStream::from_std(stream))
    }
}

impl Transport {
    pub(crate) fn encrypted(socket: mio::net::TcpStream, session: TlsSession) -> Self {
        Self::Tls(Box::new(TlsTransport { socket, session }))
    }

    /// Reads once what the peer has said. `scratch` is room that all transports of a thread share.
    pub(crate) fn receive(&mut self, buffer: &mut [u8], scratch: &mut Vec<u8>) -> io::Result<Received> {
        // A short read has emptied the socket: the next notification comes with the next bytes.
        let plain = |count, size| match count {
            0 => Received::End,
            count => Received::Plaintext { count, may_have_more: count == size },
        };
        let size = buffer.len();
        match self {
            Self::Tcp(stream) => stream.read(buffer).map(|count| plain(count, size)),
            Self::Unix(stream) => stream.read(buffer).map(|count| plain(count, size)),
            Self::Tls(tls) => tls.session.read(&mut tls.socket, buffer, scratch),
        }
    }

    /// Writes as much as goes at once. What is taken by TLS and not by the socket counts as written:
    /// see [`Transport::send_rest`].
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
            Self::Tls(tls) => tls.session.write(&mut tls.socket, bytes),
        }
    }

    /// Writes what was taken before, and says whether that was all.
    pub(crate) fn send_rest(&mut self) -> io::Result<bool> {
        match self {
            Self::Tcp(_) | Self::Unix(_) => Ok(true),
            Self::Tls(tls) => match tls.session.flush(&mut tls.socket) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
                Err(error) => Err(error),
            },
        }
    }

    /// Whether there is something to be read that no notification will tell of.
    pub(crate) fn has_unread(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::Unix(_) => false,
            Self::Tls(tls) => tls.session.has_unread(),
        }
    }

    /// Whether something that counts as written waits for the socket.
    pub(crate) fn has_unsent(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::Unix(_) => false,
            Self::Tls(tls) => tls.session.has_unsent(),
        }
    }

    /// Tells the peer that nothing more comes, as far as that goes at once.
    pub(crate) fn say_goodbye(&mut self) {
        if let Self::Tls(tls) = self {
            tls.session.say_goodbye();
            let _ = tls.session.flush(&mut tls.socket);
        }
    }
}

impl Source for Transport {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.register(registry, token, interests),
            Self::Unix(stream) => stream.register(registry, token, interests),
            Self::Tls(tls) => tls.socket.register(registry, token, interests),
        }
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.reregister(registry, token, interests),
            Self::Unix(stream) => stream.reregister(registry, token, interests),
            Self::Tls(tls) => tls.socket.reregister(registry, token, interests),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.deregister(registry),
            Self::Unix(stream) => stream.deregister(registry),
            Self::Tls(tls) => tls.socket.deregister(registry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_without_tls_have_no_room_for_it() {
        let socket = size_of::<mio::net::TcpStream>().next_multiple_of(size_of::<usize>());
        assert!(size_of::<Transport>() <= socket + size_of::<usize>());
    }
}
