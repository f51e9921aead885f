//! Cancel requests that have been carried out when they return.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_postgres::CancelToken;
use tokio_postgres::tls::MakeTlsConnect;

use crate::connect::{Address, Server};
use crate::tls::Tls;

/// How long a cancel request may take. Nobody waits for so long; it bounds what a dead network leaves behind.
const LIMIT: Duration = Duration::from_secs(60);

/// Sends a cancel request, and waits until the database has carried it out: one on its way could hit the next request.
///
/// It goes on when the caller gives up. PgBouncer 1.18 ends with an error when the sender of a cancel request hangs up
/// before it has passed it on.
pub(crate) async fn cancel(token: CancelToken, server: &Server, tls: &Tls) -> io::Result<()> {
    let (server, tls) = (server.clone(), tls.clone());
    let task = tokio::spawn(timeout(LIMIT, async move { send(&token, &server, &tls).await }));
    task.await.map_err(io::Error::other)??
}

async fn send(token: &CancelToken, server: &Server, tls: &Tls) -> io::Result<()> {
    match &server.address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await?.into_std()?;
            let twin = TcpStream::from_std(stream.try_clone()?)?;
            send_over(token, server, tls, (TcpStream::from_std(stream)?, twin)).await
        }
        Address::Unix(path) => {
            let stream = UnixStream::connect(path).await?.into_std()?;
            let twin = UnixStream::from_std(stream.try_clone()?)?;
            send_over(token, server, tls, (UnixStream::from_std(stream)?, twin)).await
        }
    }
}

/// The second stream is the same socket: the driver keeps the one it sends on.
async fn send_over<S>(
    token: &CancelToken,
    server: &Server,
    tls: &Tls,
    (stream, mut twin): (S, S),
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut connector = tls.connector();
    let handshake = MakeTlsConnect::<KeptOpen<S>>::make_tls_connect(&mut connector, &server.name);
    let handshake = handshake.map_err(io::Error::other)?;
    token.cancel_query_raw(KeptOpen(stream), handshake).await.map_err(io::Error::other)?;
    // The server closes the connection once the request has been carried out.
    let mut bytes = [0; 64];
    while twin.read(&mut bytes).await.unwrap_or(0) > 0 {}
    Ok(())
}

/// A stream that is not shut down by its writer.
pub(crate) struct KeptOpen<S>(pub(crate) S);

impl<S: AsyncRead + Unpin> AsyncRead for KeptOpen<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for KeptOpen<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
}
