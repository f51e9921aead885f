//! A worker: one thread, one event loop, the sockets of its clients and servers, and a [`Core`] that decides.

use std::io::{self, ErrorKind};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use mio::event::{Event, Source};
use mio::{Events, Interest, Poll, Token, Waker};
use pgprime_pool::WorkerIndex;
use slotmap::{Key, KeyData};
use tokio::sync::mpsc::UnboundedSender;

use crate::core::{ClientId, Core, CoreSettings, Effect, Output, ServerId};
use crate::mail::{Bell, ColdRequest, Detail, Mail, MailSender, NewClient};
use crate::slots::ClientSlot;
use crate::tls::Received;
use crate::transport::Transport;

/// Events taken from the kernel in one turn.
const EVENTS_PER_TURN: usize = 256;
/// Reads from one socket in one turn, so that a fast sender does not keep the others waiting.
const READS_PER_TURN: usize = 4;
/// The one buffer that everything is read into.
const READ_BUFFER_BYTES: usize = 64 * 1024;
const TICK: Duration = Duration::from_millis(100);
const TICKS_PER_SLOW_TICK: u32 = 10;
const WAKE: Token = Token(usize::MAX);

/// A socket with what is known of its readiness. Notifications are edge-triggered: each comes once.
#[derive(Debug)]
struct Connection<K> {
    id: K,
    transport: Transport,
    readable: bool,
    /// The other side has closed: read until the end shows.
    hung_up: bool,
    /// Nothing can be written any more: over as soon as there is nothing to read.
    is_broken: bool,
    wants_writable: bool,
    _slot: Option<ClientSlot>,
}

/// One kind of connection, found by the slot part of its id.
#[derive(Debug)]
struct Connections<K> {
    slots: Vec<Option<Connection<K>>>,
    side: usize,
}

impl<K: Key> Connections<K> {
    fn new(side: usize) -> Self {
        Self { slots: Vec::new(), side }
    }

    fn token(&self, id: K) -> Token {
        Token(slot_of(id) << 1 | self.side)
    }

    fn get_mut(&mut self, id: K) -> Option<&mut Connection<K>> {
        self.slots.get_mut(slot_of(id))?.as_mut().filter(|connection| connection.id == id)
    }

    fn insert(&mut self, connection: Connection<K>) {
        let slot = slot_of(connection.id);
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(connection);
        }
    }

    fn remove(&mut self, id: K) -> Option<Connection<K>> {
        self.get_mut(id)?;
        self.slots.get_mut(slot_of(id))?.take()
    }

    fn at_slot(&mut self, slot: usize) -> Option<&mut Connection<K>> {
        self.slots.get_mut(slot)?.as_mut()
    }
}

fn slot_of<K: Key>(id: K) -> usize {
    // The low half of the number is the slot, the high half tells its uses apart.
    (id.data().as_ffi() & 0xffff_ffff) as usize
}

/// The event loop of one worker.
#[derive(Debug)]
pub(crate) struct Worker {
    index: WorkerIndex,
    core: Core,
    poll: Poll,
    letters: mpsc::Receiver<Mail>,
    bell: Arc<Bell>,
    peers: Vec<MailSender>,
    cold: UnboundedSender<ColdRequest>,
    clients: Connections<ClientId>,
    servers: Connections<ServerId>,
    read_buffer: Vec<u8>,
    /// Where records of TLS are decrypted; without TLS, no memory.
    tls_scratch: Vec<u8>,
    /// Sockets with more to read than one turn takes, or whose reader was held up.
    clients_again: Vec<ClientId>,
    servers_again: Vec<ServerId>,
    clients_to_write: Vec<ClientId>,
    servers_to_write: Vec<ServerId>,
    /// Keys of queries to be cancelled at the end of the turn.
    cancels: Vec<(u32, Vec<u8>)>,
    now: Instant,
    ended: bool,
}

/// A worker's letter box and what is needed to start it.
#[derive(Debug)]
pub(crate) struct WorkerSeed {
    poll: Poll,
    letters: mpsc::Receiver<Mail>,
    bell: Arc<Bell>,
    pub(crate) sender: MailSender,
}

impl WorkerSeed {
    pub(crate) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let bell = Bell::new(Waker::new(poll.registry(), WAKE)?);
        let (sender, letters) = mpsc::channel();
        Ok(Self { poll, letters, bell: Arc::clone(&bell), sender: MailSender::new(sender, bell) })
    }

    /// Starts the worker's thread.
    pub(crate) fn start(
        self,
        index: WorkerIndex,
        settings: CoreSettings,
        peers: Vec<MailSender>,
        cold: UnboundedSender<ColdRequest>,
    ) -> io::Result<thread::JoinHandle<()>> {
        let mut worker = Worker {
            index,
            core: Core::new(index, settings),
            poll: self.poll,
            letters: self.letters,
            bell: self.bell,
            peers,
            cold,
            clients: Connections::new(0),
            servers: Connections::new(1),
            read_buffer: vec![0; READ_BUFFER_BYTES],
            tls_scratch: Vec::new(),
            clients_again: Vec::new(),
            servers_again: Vec::new(),
            clients_to_write: Vec::new(),
            servers_to_write: Vec::new(),
            cancels: Vec::new(),
            now: Instant::now(),
            ended: false,
        };
        thread::Builder::new().name(format!("pgprime-worker-{}", index.0)).spawn(move || worker.run())
    }
}

impl Worker {
    fn run(&mut self) {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        let mut next_tick = Instant::now() + TICK;
        let mut ticks = 0;
        while !self.ended {
            let has_more = !self.clients_again.is_empty() || !self.servers_again.is_empty();
            let timeout =
                if has_more { Duration::ZERO } else { next_tick.saturating_duration_since(Instant::now()) };
            if let Err(error) = self.poll.poll(&mut events, Some(timeout))
                && error.kind() != ErrorKind::Interrupted
            {
                tracing::error!(%error, "a worker cannot wait for events and ends");
                return;
            }
            self.now = Instant::now();
            // Before the sockets: what a command has changed holds for all that is sent after its answer.
            if events.iter().any(|event| event.token() == WAKE) {
                self.read_mail();
            }
            self.read_again();
            for event in &events {
                self.handle_event(event);
            }
            // After the sockets: a cancel request finds the query that its client sent before.
            self.cancel_queries();
            if self.now >= next_tick {
                ticks += 1;
                self.tick(ticks);
                next_tick = self.now + TICK;
            }
            self.write_all();
        }
    }

    fn tick(&mut self, ticks: u32) {
        self.core.handle_tick(self.now);
        if ticks.is_multiple_of(TICKS_PER_SLOW_TICK) {
            self.core.handle_slow_tick(self.now);
        }
        self.apply();
    }

    fn handle_event(&mut self, event: &Event) {
        if event.token() == WAKE {
            return;
        }
        let slot = event.token().0 >> 1;
        if event.token().0 & 1 == self.clients.side {
            if let Some(connection) = self.clients.at_slot(slot) {
                let id = note(connection, event);
                self.read_client(id);
                if event.is_writable() {
                    self.write_client(id);
                }
            }
        } else if let Some(connection) = self.servers.at_slot(slot) {
            let id = note(connection, event);
            self.read_server(id);
            if event.is_writable() {
                self.write_server(id);
            }
        }
    }

    fn read_again(&mut self) {
        for id in std::mem::take(&mut self.clients_again) {
            self.read_client(id);
        }
        for id in std::mem::take(&mut self.servers_again) {
            self.read_server(id);
        }
    }

    fn read_client(&mut self, id: ClientId) {
        for _ in 0..READS_PER_TURN {
            if !self.core.may_read_client(id) {
                return;
            }
            let Some(connection) = self.clients.get_mut(id) else { return };
            match read(connection, &mut self.read_buffer, &mut self.tls_scratch) {
                Some(Heard::End) => self.core.handle_client_gone(id, self.now),
                Some(Heard::Bytes(0)) => {}
                Some(Heard::Bytes(count)) => {
                    let bytes = self.read_buffer.get(..count).unwrap_or_default();
                    self.core.handle_client_data(id, bytes, self.now);
                }
                None => return,
            }
            self.apply();
        }
        self.clients_again.push(id);
    }

    fn read_server(&mut self, id: ServerId) {
        for _ in 0..READS_PER_TURN {
            if !self.core.may_read_server(id) {
                return;
            }
            let Some(connection) = self.servers.get_mut(id) else { return };
            match read(connection, &mut self.read_buffer, &mut self.tls_scratch) {
                Some(Heard::End) => self.core.handle_server_gone(id, self.now),
                Some(Heard::Bytes(0)) => {}
                Some(Heard::Bytes(count)) => {
                    let bytes = self.read_buffer.get(..count).unwrap_or_default();
                    self.core.handle_server_data(id, bytes, self.now);
                }
                None => return,
            }
            self.apply();
        }
        self.servers_again.push(id);
    }

    /// Writes everything that has come together in this turn, servers first: they are what others wait for.
    fn write_all(&mut self) {
        let mut servers = std::mem::take(&mut self.servers_to_write);
        let mut clients = std::mem::take(&mut self.clients_to_write);
        self.core.take_dirty_servers(&mut servers);
        self.core.take_dirty_clients(&mut clients);
        for id in servers.drain(..) {
            self.write_server(id);
        }
        for id in clients.drain(..) {
            self.write_client(id);
        }
        self.servers_to_write = servers;
        self.clients_to_write = clients;
    }

    fn write_client(&mut self, id: ClientId) {
        let Some(connection) = self.clients.get_mut(id) else { return };
        let bytes = self.core.client_output(id);
        if bytes.is_empty() && !connection.wants_writable {
            return;
        }
        let written = write(&mut connection.transport, bytes);
        match written {
            Ok(Written { count, is_blocked }) => {
                self.core.handle_client_written(id, count);
                let token = self.clients.token(id);
                watch(&self.poll, self.clients.get_mut(id), token, is_blocked);
            }
            Err(_) => self.core.handle_client_gone(id, self.now),
        }
        self.apply();
    }

    fn write_server(&mut self, id: ServerId) {
        let Some(connection) = self.servers.get_mut(id) else { return };
        let bytes = self.core.server_output(id);
        if bytes.is_empty() && !connection.wants_writable {
            return;
        }
        match write(&mut connection.transport, bytes) {
            Ok(Written { count, is_blocked }) => {
                self.core.handle_server_written(id, count);
                let token = self.servers.token(id);
                watch(&self.poll, self.servers.get_mut(id), token, is_blocked);
            }
            // What it said last may still be there to be read.
            Err(_) => {
                connection.readable = true;
                connection.is_broken = true;
                self.servers_again.push(id);
            }
        }
        self.apply();
    }

    /// Carries out what the core has decided.
    fn apply(&mut self) {
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::CloseClient(id, output) => close(self.clients.remove(id), &output),
                Effect::CloseServer(id, output) => close(self.servers.remove(id), &output),
                Effect::Connect(pool, permit) => {
                    self.ask_cold(ColdRequest::Connect { worker: self.index, pool, permit });
                }
                Effect::Cancel(pool, server, info) => {
                    self.ask_cold(ColdRequest::Cancel { worker: self.index, pool, server, info });
                }
                Effect::Lend(id, server, to) => self.lend(id, server, to),
                Effect::Ask(pool, worker) => {
                    if let Some(peer) = self.peers.get(usize::from(worker.0)) {
                        peer.send(Mail::Asked { pool, by: self.index });
                    }
                }
                Effect::ReadClient(id) => self.clients_again.push(id),
                Effect::ReadServer(id) => self.servers_again.push(id),
            }
        }
    }

    fn ask_cold(&self, request: ColdRequest) {
        // Without the cold side the pooler is ending, and the request with it.
        let _ = self.cold.send(request);
    }

    fn lend(&mut self, id: ServerId, server: crate::core::LentServer, to: WorkerIndex) {
        let Some(mut connection) = self.servers.remove(id) else { return };
        if let Err(error) = connection.transport.deregister(self.poll.registry()) {
            tracing::warn!(%error, "a server could not be moved to another worker");
            return;
        }
        if let Some(peer) = self.peers.get(usize::from(to.0)) {
            peer.send(Mail::Lent { server, transport: connection.transport });
        }
    }

    fn read_mail(&mut self) {
        self.bell.silence();
        while let Ok(mail) = self.letters.try_recv() {
            self.handle_mail(mail);
            self.apply();
        }
    }

    fn cancel_queries(&mut self) {
        for (process_id, secret) in std::mem::take(&mut self.cancels) {
            self.core.handle_cancel(process_id, &secret, self.now);
            self.apply();
        }
    }

    fn handle_mail(&mut self, mail: Mail) {
        let now = self.now;
        match mail {
            Mail::AddPool(setup) => self.core.add_pool(*setup),
            Mail::Settings(settings) => self.core.set_settings(*settings),
            Mail::Client(new) => self.add_client(*new),
            Mail::Server { pool, join, transport } => {
                let id = self.core.join_server(pool, *join, now);
                self.add_server(id, transport);
            }
            Mail::Lent { server, transport } => {
                let id = self.core.adopt_server(server, now);
                self.add_server(id, transport);
            }
            Mail::Welcome { pool, welcome } => self.core.handle_welcome(pool, *welcome, now),
            Mail::ConnectFailed { pool, failure, reason } => {
                self.core.handle_connect_failed(pool, failure, reason, now);
            }
            Mail::Asked { pool, by } => self.core.handle_asked(pool, by, now),
            Mail::Cancel { process_id, secret } => self.cancels.push((process_id, secret)),
            Mail::CancelSent(server) => self.core.handle_cancel_sent(server, now),
            Mail::Pause(pool) => self.core.pause(pool, now),
            Mail::Resume(pool) => self.core.resume(pool, now),
            // Not the turn's beginning: connections opened since then are old ones, too.
            Mail::Reconnect(pool) => self.core.reconnect(pool, Instant::now()),
            Mail::Kill(pool) => self.core.kill_pool(pool, now),
            Mail::KillClient { id, killed } => {
                let _ = killed.send(self.core.kill_client(id, now));
            }
            Mail::Snapshot { detail, reply } => {
                let snapshot = match detail {
                    Detail::Pools => self.core.snapshot_pools(now),
                    Detail::Everything => self.core.snapshot(now),
                };
                let _ = reply.send(snapshot);
            }
            Mail::Measured { part, from, reply } => {
                let _ = reply.send(self.core.measured_page(part, from));
            }
            Mail::ResetMeasures => self.core.reset_measures(now),
            Mail::Shutdown => {
                self.core.close_all(now);
                self.ended = true;
            }
        }
    }

    fn add_client(&mut self, new: NewClient) {
        let id = self.core.join_client(new.join, self.now);
        let has_unread = new.transport.has_unread();
        // The answer may already have been "no": then the connection is here to be closed with it.
        let connection = Connection {
            id,
            transport: new.transport,
            readable: true,
            hung_up: false,
            is_broken: false,
            wants_writable: false,
            _slot: Some(new.slot),
        };
        self.clients.insert(connection);
        let token = self.clients.token(id);
        let registered = self
            .clients
            .get_mut(id)
            .map(|c| c.transport.register(self.poll.registry(), token, Interest::READABLE));
        if let Some(Err(error)) = registered {
            tracing::error!(%error, "a client could not be watched");
            self.core.handle_client_gone(id, self.now);
        }
        if has_unread {
            self.clients_again.push(id);
        }
        if !new.early.is_empty() {
            self.core.handle_client_data(id, &new.early, self.now);
        }
        // In a burst of logins many letters are read in one turn: the first client need not wait for the last.
        self.apply();
        self.write_client(id);
    }

    fn add_server(&mut self, id: ServerId, transport: Transport) {
        let (has_unread, has_unsent) = (transport.has_unread(), transport.has_unsent());
        self.servers.insert(Connection {
            id,
            transport,
            readable: true,
            hung_up: false,
            is_broken: false,
            wants_writable: false,
            _slot: None,
        });
        let token = self.servers.token(id);
        let registered = self
            .servers
            .get_mut(id)
            .map(|c| c.transport.register(self.poll.registry(), token, Interest::READABLE));
        if let Some(Err(error)) = registered {
            tracing::error!(%error, "a server could not be watched");
            self.core.handle_server_gone(id, self.now);
        }
        if has_unread {
            self.servers_again.push(id);
        }
        watch(&self.poll, self.servers.get_mut(id), token, has_unsent);
    }
}

/// Takes note of what a notification says.
fn note<K: Copy>(connection: &mut Connection<K>, event: &Event) -> K {
    connection.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
    connection.hung_up |= event.is_read_closed() || event.is_error();
    connection.id
}

/// What a connection's peer has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// So many bytes: 0 where TLS has something to itself.
    Bytes(usize),
    /// The end, whether orderly or not.
    End,
}

/// Reads once; `None` when there is nothing to read now.
fn read<K>(connection: &mut Connection<K>, buffer: &mut [u8], scratch: &mut Vec<u8>) -> Option<Heard> {
    if !connection.readable {
        return None;
    }
    loop {
        match connection.transport.receive(buffer, scratch) {
            Ok(Received::Plaintext { count, may_have_more }) => {
                connection.readable = may_have_more || connection.hung_up || connection.is_broken;
                return Some(Heard::Bytes(count));
            }
            Ok(Received::End) => return Some(Heard::End),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                connection.readable = false;
                return connection.is_broken.then_some(Heard::End);
            }
            Err(error) => {
                tracing::debug!(%error, "a connection has failed");
                return Some(Heard::End);
            }
        }
    }
}

/// What a write has come to.
#[derive(Clone, Copy, Debug)]
struct Written {
    count: usize,
    /// The socket takes no more for now.
    is_blocked: bool,
}

/// Writes as much as goes at once.
fn write(transport: &mut Transport, bytes: &[u8]) -> io::Result<Written> {
    let mut count = 0;
    while count < bytes.len() {
        match transport.send(bytes.get(count..).unwrap_or_default()) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(more) => count += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Ok(Written { count, is_blocked: true });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Written { count, is_blocked: !transport.send_rest()? })
}

/// Asks for word of writability only while something is left to write: on a Unix socket every read of the peer
/// would be news otherwise.
fn watch<K>(poll: &Poll, connection: Option<&mut Connection<K>>, token: Token, is_blocked: bool) {
    let Some(connection) = connection.filter(|connection| connection.wants_writable != is_blocked) else {
        return;
    };
    let interests = if is_blocked { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
    connection.wants_writable = is_blocked;
    if let Err(error) = connection.transport.reregister(poll.registry(), token, interests) {
        tracing::error!(%error, "a connection could not be watched");
    }
}

/// Writes what is left, as far as that goes, and closes, which ends the watch, too.
fn close<K>(connection: Option<Connection<K>>, output: &Output) {
    let Some(mut connection) = connection else { return };
    if write(&mut connection.transport, output.bytes()).is_ok_and(|written| written.count == output.len()) {
        connection.transport.say_goodbye();
    }
}

/// The id of a client by its number in SHOW CLIENTS.
pub(crate) fn client_id(number: u64) -> ClientId {
    KeyData::from_ffi(number).into()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::tls::tests::sessions_for;

    /// Our end blocks where a worker's would not: so nothing depends on when the peer's bytes arrive.
    fn sockets() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().unwrap().0, peer)
    }

    fn connection(transport: Transport) -> Connection<ServerId> {
        Connection {
            id: ServerId::null(),
            transport,
            readable: true,
            hung_up: false,
            is_broken: false,
            wants_writable: false,
            _slot: None,
        }
    }

    #[test]
    fn an_end_behind_bytes_without_plaintext_is_seen() {
        for hung_up in [true, false] {
            let (ours, mut peer) = sockets();
            let (session, _) = sessions_for(None);
            let mut connection =
                connection(Transport::encrypted(mio::net::TcpStream::from_std(ours), session));
            connection.hung_up = hung_up;
            peer.write_all(&[23, 3, 3, 0x40, 0, 1, 2, 3]).unwrap();
            drop(peer);
            let (mut buffer, mut scratch) = (vec![0; 1000], Vec::new());
            let mut hear = || read(&mut connection, &mut buffer, &mut scratch);
            assert_eq!(hear(), Some(Heard::Bytes(0)));
            // Without the notification, it is still to come.
            assert_eq!(hear(), hung_up.then_some(Heard::End));
        }
    }

    #[test]
    fn a_session_whose_keys_are_worn_out_ends_with_a_goodbye() {
        let (ours, peer) = sockets();
        let (mut theirs, session) = sessions_for(Some(20));
        let mut connection = connection(Transport::encrypted(mio::net::TcpStream::from_std(ours), session));
        let mut records = 0;
        while write(&mut connection.transport, b"x").is_ok() {
            records += 1;
        }
        assert!((10..=20).contains(&records), "{records}");
        connection.is_broken = true;
        let (mut buffer, mut scratch) = (vec![0; 1000], Vec::new());
        assert_eq!(read(&mut connection, &mut buffer, &mut scratch), Some(Heard::End));
        close(Some(connection), &Output::default());
        let mut peer = peer;
        let mut heard = 0;
        while let Received::Plaintext { count, .. } =
            theirs.read(&mut peer, &mut buffer, &mut scratch).unwrap()
        {
            heard += count;
        }
        assert_eq!(heard, records);
        theirs.check().unwrap();
    }

    #[test]
    fn what_cannot_be_written_to_is_over_when_all_is_read() {
        let (ours, mut peer) = sockets();
        peer.write_all(b"last words").unwrap();
        ours.peek(&mut [0]).unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut connection = connection(Transport::from(ours));
        connection.is_broken = true;
        let (mut buffer, mut scratch) = (vec![0; 1000], Vec::new());
        assert_eq!(read(&mut connection, &mut buffer, &mut scratch), Some(Heard::Bytes(10)));
        assert_eq!(read(&mut connection, &mut buffer, &mut scratch), Some(Heard::End));
    }
}
