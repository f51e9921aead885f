//! A network that fails when it is told to: a TCP proxy that knows the frames of the protocol.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const CANCEL_REQUEST: u32 = 80_877_102;

/// Which message of a client the network fails at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trigger {
    /// A simple query that begins with this.
    Query(&'static str),
    /// The execution of a prepared statement.
    Execute,
}

/// What happens then to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The message is lost, too.
    Before,
    /// The server gets it and answers; the answer is lost.
    After,
}

/// In front of one server; it ends with this value.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    server: SocketAddr,
    accepted: AtomicU32,
    refuses: AtomicBool,
    is_stalled: watch::Sender<bool>,
    cuts: watch::Sender<u32>,
    rule: Mutex<Option<Rule>>,
}

#[derive(Clone, Copy)]
struct Rule {
    trigger: Trigger,
    cut: Cut,
    times: u32,
}

impl Proxy {
    pub(crate) async fn start(server_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            server: SocketAddr::from(([127, 0, 0, 1], server_port)),
            accepted: AtomicU32::new(0),
            refuses: AtomicBool::new(false),
            is_stalled: watch::Sender::new(false),
            cuts: watch::Sender::new(0),
            rule: Mutex::new(None),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { port, shared, task }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Connections so far, those refused included.
    pub(crate) fn accepted(&self) -> u32 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Cuts the connections of the next clients that send such a message, so many times.
    pub(crate) fn cut(&self, trigger: Trigger, cut: Cut, times: u32) {
        *self.shared.rule() = Some(Rule { trigger, cut, times });
    }

    /// Whether all cuts that were asked for have happened.
    pub(crate) fn has_cut(&self) -> bool {
        self.shared.rule().is_none()
    }

    /// Cuts all connections at this moment.
    pub(crate) fn cut_all(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// From now on nothing passes, and nothing is closed; new connections are accepted.
    pub(crate) fn stall(&self) {
        self.shared.is_stalled.send_replace(true);
    }

    /// Goes on where it stopped.
    pub(crate) fn go_on(&self) {
        self.shared.is_stalled.send_replace(false);
    }

    /// Whether new connections are closed at once.
    pub(crate) fn set_refusing(&self, refuses: bool) {
        self.shared.refuses.store(refuses, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut_all();
    }
}

impl Shared {
    fn rule(&self) -> std::sync::MutexGuard<'_, Option<Rule>> {
        self.rule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this message is to be cut at.
    fn cut_at(&self, tag: u8, body: &[u8]) -> Option<Cut> {
        let mut rule = self.rule();
        let Rule { trigger, cut, times } = rule.as_mut()?;
        let is_meant = match trigger {
            Trigger::Query(text) => tag == b'Q' && body.starts_with(text.as_bytes()),
            Trigger::Execute => tag == b'E',
        };
        if !is_meant {
            return None;
        }
        let cut = *cut;
        *times -= 1;
        if *times == 0 {
            *rule = None;
        }
        Some(cut)
    }

    async fn pass(&self) {
        let _ = self.is_stalled.subscribe().wait_for(|is_stalled| !is_stalled).await;
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        if !shared.refuses.load(Ordering::SeqCst) {
            tokio::spawn(serve(client, Arc::clone(&shared)));
        }
    }
}

async fn serve(client: TcpStream, shared: Arc<Shared>) {
    let mut cuts = shared.cuts.subscribe();
    let Ok(server) = TcpStream::connect(shared.server).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let swallows = AtomicBool::new(false);
    tokio::select! {
        _ = upstream(BufReader::new(from_client), BufWriter::new(to_server), &shared, &swallows) => {}
        _ = downstream(BufReader::new(from_server), BufWriter::new(to_client), &shared, &swallows) => {}
        _ = cuts.changed() => {}
    }
}

async fn upstream(
    mut from: BufReader<OwnedReadHalf>,
    mut to: BufWriter<OwnedWriteHalf>,
    shared: &Shared,
    swallows: &AtomicBool,
) -> io::Result<()> {
    // The first message has no tag. (Clients here never ask for TLS.)
    let first = body(&mut from).await?;
    shared.pass().await;
    to.write_all(&frame(None, &first)).await?;
    to.flush().await?;
    if first.starts_with(&CANCEL_REQUEST.to_be_bytes()) {
        // The other direction ends the connection.
        return std::future::pending().await;
    }
    loop {
        let tag = from.read_u8().await?;
        let body = body(&mut from).await?;
        shared.pass().await;
        match shared.cut_at(tag, &body) {
            Some(Cut::Before) => return Ok(()),
            Some(Cut::After) => swallows.store(true, Ordering::SeqCst),
            None => {}
        }
        to.write_all(&frame(Some(tag), &body)).await?;
        if from.buffer().is_empty() {
            to.flush().await?;
        }
    }
}

async fn downstream(
    mut from: BufReader<OwnedReadHalf>,
    mut to: BufWriter<OwnedWriteHalf>,
    shared: &Shared,
    swallows: &AtomicBool,
) -> io::Result<()> {
    loop {
        let tag = from.read_u8().await?;
        let body = body(&mut from).await?;
        shared.pass().await;
        if swallows.load(Ordering::SeqCst) {
            // The server is ready: it has carried out what it was told, and the connection ends.
            if tag == b'Z' {
                return Ok(());
            }
            continue;
        }
        to.write_all(&frame(Some(tag), &body)).await?;
        if from.buffer().is_empty() {
            to.flush().await?;
        }
    }
}

async fn body(from: &mut BufReader<OwnedReadHalf>) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await? as usize;
    let mut body = vec![0; length.saturating_sub(4)];
    from.read_exact(&mut body).await?;
    Ok(body)
}

fn frame(tag: Option<u8>, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    let mut frame = Vec::with_capacity(body.len() + 5);
    frame.extend(tag);
    frame.extend(length.to_be_bytes());
    frame.extend(body);
    frame
}
