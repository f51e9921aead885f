//! A TLS session apart from its socket: what comes in and what is to go out are buffers.
//!
//! Sessions are many and mostly idle. An idle one has no buffer at all: what was received is decrypted at once, in a
//! buffer that all sessions of a thread share, and what is to be sent has a buffer until the socket has taken it. What is
//! left are keys and state: measured on x86-64 with TLS 1.3, 3.6 KB for each.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::{ClientConfig, CommonState, InvalidMessage, ServerConfig};

use super::{ALPN, versions};

/// Plaintext that is encrypted at once: two records of full length. So much may wait for a socket besides what its owner
/// holds back.
pub(super) const WRITE_BYTES: usize = 32 * 1024;
/// What a record is longer than its plaintext, generously.
const RECORD_OVERHEAD_BYTES: usize = 64;
const RECORD_BYTES_MAX: usize = 16 * 1024;
/// Read at least so much from a socket, however small the reader's buffer is.
const READ_BYTES_MIN: usize = 512;
/// What is kept undone at most: the longest message of a handshake, and a record. Pieces of a message may come in records
/// that are mostly padding, and are kept with it until the message is whole.
pub(super) const INCOMING_BYTES_MAX: usize = 64 * 1024 + RECORD_BYTES_MAX + 2048;

/// What a read has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Plaintext {
        /// Bytes; 0 where records have brought none.
        count: usize,
        /// Whether the next read may bring more without the socket having got any.
        may_have_more: bool,
    },
    End,
}

/// One established or beginning session.
pub(crate) struct TlsSession {
    side: Side,
    /// What was received of a record that is not whole yet.
    pub(super) incoming: Vec<u8>,
    /// Records that the socket has not taken, those before `sent` apart.
    pub(super) outgoing: Vec<u8>,
    sent: usize,
    /// What was decrypted and has not been taken.
    pub(super) plaintext: Vec<u8>,
    /// The peer says no more.
    has_ended: bool,
    /// Nothing more is said or understood: after a failure the library must not be asked again.
    is_over: bool,
    /// Why, unless it was us who ended it. Told to readers after the plaintext that came before.
    failure: Option<rustls::Error>,
}

enum Side {
    /// Ours is the certificate: the peer is a client.
    Accepting(UnbufferedServerConnection),
    /// The peer is a server.
    Connecting(UnbufferedClientConnection),
}

/// What to do as soon as it may be done.
#[derive(Clone, Copy)]
enum Task<'a> {
    /// Only take what has come.
    None,
    Encrypt(&'a [u8]),
    Close,
}

/// How far a session is when all that has come is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// More must come before anything can be sent.
    Blocked,
    Open,
    Closed,
}

/// One step of the library.
enum Step {
    Again,
    PeerClosed,
    At(Phase),
}

impl fmt::Debug for TlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSession").field("incoming_bytes", &self.incoming.len()).finish_non_exhaustive()
    }
}

impl TlsSession {
    /// A session with a client, whose first records are still to come.
    pub(crate) fn accept(config: Arc<ServerConfig>) -> io::Result<Self> {
        Ok(Self::new(Side::Accepting(UnbufferedServerConnection::new(config).map_err(invalid)?)))
    }

    /// A session with a server, to whom the first records are to be sent.
    pub(crate) fn connect(config: Arc<ClientConfig>, name: ServerName<'static>) -> io::Result<Self> {
        Ok(Self::new(Side::Connecting(UnbufferedClientConnection::new(config, name).map_err(invalid)?)))
    }

    fn new(side: Side) -> Self {
        let (incoming, outgoing, plaintext) = (Vec::new(), Vec::new(), Vec::new());
        Self { side, incoming, outgoing, sent: 0, plaintext, has_ended: false, is_over: false, failure: None }
    }

    fn common(&self) -> &CommonState {
        match &self.side {
            Side::Accepting(connection) => connection,
            Side::Connecting(connection) => connection,
        }
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.common().is_handshaking()
    }

    /// Whether the peer has named PostgreSQL's protocol in its handshake.
    pub(crate) fn has_alpn(&self) -> bool {
        self.common().alpn_protocol() == Some(ALPN)
    }

    /// Version and cipher, such as `TLSv1.3/TLS_AES_256_GCM_SHA384`.
    pub(crate) fn shown(&self) -> &'static str {
        versions::shown(self.common())
    }

    /// Whether records wait for the socket.
    pub(crate) fn has_unsent(&self) -> bool {
        self.sent < self.outgoing.len()
    }

    /// Whether a read brings something that no notification of the socket will tell of.
    pub(crate) fn has_unread(&self) -> bool {
        self.has_ended || self.failure.is_some() || !self.plaintext.is_empty()
    }

    /// What has ended the session, if it was not orderly. Plaintext that came before is to be taken first.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.failure.clone().map_or(Ok(()), |error| Err(invalid(error)))
    }

    /// Where bytes from the socket are appended, for [`TlsSession::advance`].
    pub(crate) fn incoming(&mut self) -> &mut Vec<u8> {
        &mut self.incoming
    }

    /// Records for the socket.
    pub(crate) fn unsent(&self) -> &[u8] {
        self.outgoing.get(self.sent..).unwrap_or_default()
    }

    /// The socket has taken so many bytes of [`TlsSession::unsent`].
    pub(crate) fn advance_sent(&mut self, count: usize) {
        self.sent += count;
        if !self.has_unsent() {
            self.outgoing = Vec::new();
            self.sent = 0;
        }
    }

    /// Takes what was decrypted.
    pub(crate) fn take_plaintext(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.plaintext)
    }

    /// Whether the peer has ended the session.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Gives back room that only a handshake needs.
    pub(crate) fn shrink(&mut self) {
        self.incoming.shrink_to_fit();
        self.outgoing.shrink_to_fit();
        self.plaintext.shrink_to_fit();
    }

    /// Takes what has come: plaintext is then to be taken, records may be to be sent. An error leaves an alert to be
    /// sent, and nothing else.
    pub(crate) fn advance(&mut self) -> io::Result<()> {
        self.run(Task::None).map(drop)
    }

    /// Encrypts bytes to be sent, however many.
    pub(crate) fn encrypt(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.run(Task::Encrypt(bytes))? {
            Phase::Open => Ok(()),
            Phase::Blocked | Phase::Closed => Err(ErrorKind::BrokenPipe.into()),
        }
    }

    /// Says that nothing more will be sent. Without it, the peer could not tell an end from an attack.
    pub(crate) fn say_goodbye(&mut self) {
        // Who has failed, or has not yet begun, is not told.
        let _ = self.run(Task::Close);
        self.is_over = true;
    }

    /// Works on the bytes that are kept, which hold no whole record unless they have just been added to.
    fn run(&mut self, task: Task<'_>) -> io::Result<Phase> {
        let Self { side, incoming, outgoing, plaintext, has_ended, is_over, failure, .. } = self;
        let mut work = Work { side, outgoing, has_ended, is_over, failure, task };
        let (taken, outcome) = work.run(incoming, &mut |bytes| plaintext.extend_from_slice(bytes));
        incoming.drain(..taken.min(incoming.len()));
        outcome
    }

    /// Reads and decrypts. `scratch` is room that any number of sessions share; of a buffer that is as large as it, no
    /// plaintext is left over.
    pub(crate) fn read(
        &mut self,
        socket: &mut (impl Read + Write),
        buffer: &mut [u8],
        scratch: &mut Vec<u8>,
    ) -> io::Result<Received> {
        if !self.plaintext.is_empty() {
            let count = self.plaintext.len().min(buffer.len());
            copy(buffer, self.plaintext.drain(..count).as_slice());
            if self.plaintext.is_empty() {
                self.plaintext = Vec::new();
            }
            return Ok(Received::Plaintext { count, may_have_more: true });
        }
        self.check()?;
        if self.has_ended {
            return Ok(Received::End);
        }
        self.read_records(socket, buffer, scratch)
    }

    /// One read from the socket.
    fn read_records(
        &mut self,
        socket: &mut (impl Read + Write),
        buffer: &mut [u8],
        scratch: &mut Vec<u8>,
    ) -> io::Result<Received> {
        let held = self.incoming.len();
        // Who holds much reads much: otherwise it would be copied back and forth for a few bytes each time.
        let room = buffer.len().saturating_sub(held).max(READ_BYTES_MIN).max(held / 4);
        if scratch.len() < held + room {
            scratch.resize(held + room, 0);
        }
        copy(scratch, &self.incoming);
        let read = read_once(socket, scratch.get_mut(held..held + room).unwrap_or_default())?;
        if read == 0 {
            // With or without a goodbye: what was cut off is told by the protocol inside.
            self.has_ended = true;
            return Ok(Received::End);
        }
        let records = scratch.get_mut(..held + read).unwrap_or_default();
        let mut count = 0;
        let Self { side, outgoing, plaintext, has_ended, is_over, failure, .. } = self;
        let mut work = Work { side, outgoing, has_ended, is_over, failure, task: Task::None };
        let (taken, outcome) = work.run(records, &mut |bytes| {
            let fitting = bytes.len().min(buffer.len() - count);
            let (now, later) = bytes.split_at(fitting);
            copy(buffer.get_mut(count..).unwrap_or_default(), now);
            count += fitting;
            plaintext.extend_from_slice(later);
        });
        self.keep(records.get(taken..).unwrap_or_default());
        if self.has_unsent() {
            // What does not go now goes with the next write.
            let _ = self.flush(socket);
        }
        match outcome {
            Err(error) if count == 0 => Err(error),
            // What is wrong came after this plaintext, and is told after it.
            _ => Ok(Received::Plaintext { count, may_have_more: read == room || self.has_unread() }),
        }
    }

    fn keep(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            self.incoming = Vec::new();
        } else {
            self.incoming.clear();
            self.incoming.extend_from_slice(rest);
        }
    }

    /// Encrypts and writes; returns how many bytes need not be given again. Some of them may still wait for the socket:
    /// see [`TlsSession::flush`].
    pub(crate) fn write(&mut self, socket: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
        self.flush(socket)?;
        let count = bytes.len().min(WRITE_BYTES);
        let encrypted = self.encrypt(bytes.get(..count).unwrap_or_default());
        // Also after a failure: the alert tells the peer of it.
        let flushed = self.flush(socket);
        encrypted?;
        match flushed {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(count),
        }
    }

    /// Writes the records that wait; `WouldBlock` when some go on waiting.
    pub(crate) fn flush(&mut self, socket: &mut impl Write) -> io::Result<()> {
        while self.has_unsent() {
            match socket.write(self.unsent()) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.advance_sent(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The parts of a session that the library works with.
struct Work<'a> {
    side: &'a mut Side,
    outgoing: &'a mut Vec<u8>,
    has_ended: &'a mut bool,
    is_over: &'a mut bool,
    failure: &'a mut Option<rustls::Error>,
    task: Task<'a>,
}

impl Work<'_> {
    /// Takes all whole records; returns how many bytes they were. Too much that is not taken is a failure.
    fn run(&mut self, records: &mut [u8], plaintext: &mut dyn FnMut(&[u8])) -> (usize, io::Result<Phase>) {
        let (taken, outcome) = self.take(records, plaintext);
        if outcome.is_ok() && records.len().saturating_sub(taken) > INCOMING_BYTES_MAX {
            return (taken, Err(self.fail(InvalidMessage::HandshakePayloadTooLarge.into())));
        }
        (taken, outcome)
    }

    fn fail(&mut self, error: rustls::Error) -> io::Error {
        *self.is_over = true;
        *self.failure = Some(error.clone());
        invalid(error)
    }

    fn take(&mut self, records: &mut [u8], plaintext: &mut dyn FnMut(&[u8])) -> (usize, io::Result<Phase>) {
        let mut taken = 0;
        while !*self.is_over {
            let rest = records.get_mut(taken..).unwrap_or_default();
            let (discard, outcome) = self.step(rest, plaintext);
            taken += discard;
            match outcome {
                Ok(Step::Again) => {}
                Ok(Step::PeerClosed) => *self.has_ended = true,
                Ok(Step::At(phase)) => return (taken, Ok(phase)),
                Err(error) => {
                    self.fetch_alert();
                    return (taken, Err(self.fail(error)));
                }
            }
        }
        let error = self.failure.clone().map_or(ErrorKind::NotConnected.into(), invalid);
        (taken, Err(error))
    }

    /// What tells the peer of a failure.
    fn fetch_alert(&mut self) {
        let has_more = |side: &Side| match side {
            Side::Accepting(connection) => connection.wants_write(),
            Side::Connecting(connection) => connection.wants_write(),
        };
        // Each step takes one message, or fails.
        while has_more(self.side) && self.step(&mut [], &mut |_| {}).1.is_ok() {}
    }

    fn step(
        &mut self,
        records: &mut [u8],
        plaintext: &mut dyn FnMut(&[u8]),
    ) -> (usize, Result<Step, rustls::Error>) {
        let task = self.task;
        match self.side {
            Side::Accepting(connection) => {
                step(connection.process_tls_records(records), self.outgoing, plaintext, task)
            }
            Side::Connecting(connection) => {
                step(connection.process_tls_records(records), self.outgoing, plaintext, task)
            }
        }
    }
}

fn step<D>(
    status: UnbufferedStatus<'_, '_, D>,
    outgoing: &mut Vec<u8>,
    plaintext: &mut dyn FnMut(&[u8]),
    task: Task<'_>,
) -> (usize, Result<Step, rustls::Error>) {
    let UnbufferedStatus { mut discard, state } = status;
    let step = match state {
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                Some(Ok(record)) => {
                    discard += record.discard;
                    plaintext(record.payload);
                }
                Some(Err(error)) => break Err(error),
                None => break Ok(Step::Again),
            }
        },
        Ok(ConnectionState::EncodeTlsData(records)) => encode(records, outgoing).map(|()| Step::Again),
        Ok(ConnectionState::TransmitTlsData(sent)) => {
            // They are in our buffer, which keeps the order.
            sent.done();
            Ok(Step::Again)
        }
        Ok(ConnectionState::WriteTraffic(traffic)) => {
            carry_out(traffic, outgoing, task).map(|()| Step::At(Phase::Open))
        }
        Ok(ConnectionState::PeerClosed) => Ok(Step::PeerClosed),
        Ok(ConnectionState::Closed) => Ok(Step::At(Phase::Closed)),
        Ok(ConnectionState::BlockedHandshake) => Ok(Step::At(Phase::Blocked)),
        // Early data, which is never allowed.
        Ok(_) => Err(rustls::Error::General("unexpected state".into())),
        Err(error) => Err(error),
    };
    (discard, step)
}

fn encode<D>(mut records: EncodeTlsData<'_, D>, outgoing: &mut Vec<u8>) -> Result<(), rustls::Error> {
    let start = outgoing.len();
    let mut room = 0;
    loop {
        outgoing.resize(start + room, 0);
        match records.encode(outgoing.get_mut(start..).unwrap_or_default()) {
            Ok(count) => {
                outgoing.truncate(start + count);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(size)) if size.required_size > room => {
                room = size.required_size;
            }
            Err(error) => return Err(rustls::Error::General(error.to_string())),
        }
    }
}

fn carry_out<D>(
    mut traffic: WriteTraffic<'_, D>,
    outgoing: &mut Vec<u8>,
    task: Task<'_>,
) -> Result<(), rustls::Error> {
    let bytes = match task {
        Task::None => return Ok(()),
        Task::Encrypt([]) => return Ok(()),
        Task::Encrypt(bytes) => bytes,
        Task::Close => &[],
    };
    let start = outgoing.len();
    let mut room = bytes.len() + (bytes.len() / RECORD_BYTES_MAX + 1) * RECORD_OVERHEAD_BYTES;
    loop {
        outgoing.resize(start + room, 0);
        let space = outgoing.get_mut(start..).unwrap_or_default();
        let written = match task {
            Task::Close => traffic.queue_close_notify(space),
            _ => traffic.encrypt(bytes, space),
        };
        match written {
            Ok(count) => {
                outgoing.truncate(start + count);
                return Ok(());
            }
            // An answer to the peer's change of keys goes first.
            Err(EncryptError::InsufficientSize(size)) if size.required_size > room => {
                room = size.required_size;
            }
            Err(error) => {
                outgoing.truncate(start);
                return Err(rustls::Error::General(error.to_string()));
            }
        }
    }
}

fn read_once(socket: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match socket.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Copies to the beginning of what is at least as long.
fn copy(to: &mut [u8], from: &[u8]) {
    if let Some(to) = to.get_mut(..from.len()) {
        to.copy_from_slice(from);
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}
