//! Connections: accepted while there are places, each served until it ends, or says nothing for too long.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::places::{InRequest, Places, Seat};
use super::stall::Noted;
use crate::security::Peer;

const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// From the end of a request, or the beginning of the connection, to the last byte of the next one's headers: whoever
/// keeps a connection open without asking is let go as well.
const HEADERS_MAX: Duration = Duration::from_secs(10);
/// Of a request's line and headers. The longest that makes sense, a hundred names of series, is a tenth of it.
const HEADER_BYTES_MAX: usize = 64 << 10;
/// A pause after an error such as "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What all connections share.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) router: Router,
    pub(super) tls: Option<TlsAcceptor>,
    /// Becomes true at the end.
    pub(super) ending: watch::Receiver<bool>,
}

/// Accepts and serves until the end, and then until the last connection has. Dropping it cuts off those that are left.
pub(super) async fn accept(listener: TcpListener, connections_max: usize, serving: Serving) {
    let places = Places::new(connections_max);
    let mut connections = JoinSet::new();
    let mut ending = serving.ending.clone();
    loop {
        // The place first: who finds none waits in the kernel's queue.
        let accepted = async {
            let seat = places.take().await;
            listener.accept().await.map(|(stream, peer)| (seat, stream, peer))
        };
        let accepted = tokio::select! {
            accepted = accepted => accepted,
            () = has_ended(&mut ending) => break,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((seat, stream, peer)) => {
                connections.spawn(connection(stream, peer, seat, serving.clone()));
            }
            // The other end has gone already.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn has_ended(ending: &mut watch::Receiver<bool>) {
    // Whoever would say so is gone: that is an end as well.
    drop(ending.wait_for(|is_ending| *is_ending).await);
}

async fn connection(stream: TcpStream, peer: SocketAddr, seat: Arc<Seat>, serving: Serving) {
    // Events are small, and nobody should wait for more of them.
    drop(stream.set_nodelay(true));
    let stream = Noted::new(stream, Arc::clone(&seat));
    let Some(acceptor) = &serving.tls else { return requests(stream, peer, seat, &serving).await };
    let handshake = timeout(HANDSHAKE_MAX, acceptor.accept(stream));
    let accepted = tokio::select! {
        accepted = handshake => accepted,
        () = seat.wanted() => return,
    };
    match accepted {
        Ok(Ok(stream)) => requests(stream, peer, seat, &serving).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake"),
        Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
    }
}

async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    seat: Arc<Seat>,
    serving: &Serving,
) {
    let router = TowerToHyperService::new(serving.router.clone());
    let of_seat = Arc::clone(&seat);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let in_request = of_seat.begin_request();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        let answer = router.call(request);
        async move {
            let answer = answer.await?;
            Ok::<_, std::convert::Infallible>(answer.map(|body| Kept { body, _until_its_end: in_request }))
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS_MAX);
    http.max_header_size(HEADER_BYTES_MAX).max_buf_size(2 * HEADER_BYTES_MAX);
    let mut served = pin!(http.serve_connection(TokioIo::new(stream), service));
    let mut ending = serving.ending.clone();
    let mut is_ending = false;
    loop {
        tokio::select! {
            // First, so that a request that has come is seen before anybody is told to leave.
            biased;
            outcome = served.as_mut() => {
                if let Err(error) = outcome {
                    tracing::debug!(%peer, %error, "connection");
                }
                return;
            }
            () = seat.wanted() => return,
            () = has_ended(&mut ending), if !is_ending => {
                is_ending = true;
                if !seat.was_asked() {
                    return;
                }
                served.as_mut().graceful_shutdown();
            }
        }
    }
}

/// A body that keeps its connection's place until it is sent.
struct Kept {
    body: Body,
    _until_its_end: InRequest,
}

impl HttpBody for Kept {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
