//! A client that says exactly what it is told to, and sees every message that comes back.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;

use pgprime_wire::backend::ErrorFields;
use pgprime_wire::frame::{HEADER_BYTES, Header};
use pgprime_wire::frontend::encode;
use pgprime_wire::startup::{self, CancelKey};
use pgprime_wire::{backend, tag};

use super::PATIENCE;
use super::tls::TlsSocket;

/// One message of the server's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) tag: u8,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// SQLSTATE and text of an ErrorResponse.
    pub(crate) fn error(&self) -> Option<(String, String)> {
        if self.tag != tag::backend::ERROR_RESPONSE {
            return None;
        }
        let fields = ErrorFields::parse(&self.body);
        Some((fields.sqlstate().unwrap_or_default().into(), fields.message().unwrap_or_default().into()))
    }
}

/// Everything up to ReadyForQuery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The types of all messages, in order.
    pub(crate) tags: String,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Option<String>>>,
    /// SQLSTATE and text of each error.
    pub(crate) errors: Vec<(String, String)>,
    pub(crate) notices: Vec<String>,
    /// What each command completed with.
    pub(crate) commands: Vec<String>,
    /// The transaction's status, or `None` when the connection was closed instead.
    pub(crate) status: Option<char>,
}

impl Reply {
    /// The first column of the first row.
    #[track_caller]
    pub(crate) fn value(&self) -> &str {
        let first = self.rows.first().and_then(|row| row.first());
        first.unwrap_or_else(|| panic!("no row: {self:?}")).as_deref().unwrap_or("NULL")
    }

    /// The SQLSTATE of the first error, empty without one.
    pub(crate) fn sqlstate(&self) -> &str {
        self.errors.first().map_or("", |(sqlstate, _)| sqlstate)
    }

    /// The text of the first error, empty without one.
    pub(crate) fn error_text(&self) -> &str {
        self.errors.first().map_or("", |(_, text)| text)
    }

    /// The values of one column.
    #[track_caller]
    pub(crate) fn column(&self, name: &str) -> Vec<&str> {
        let place = self.columns.iter().position(|column| column == name);
        let place = place.unwrap_or_else(|| panic!("no column {name} in {:?}", self.columns));
        self.rows.iter().map(|row| row[place].as_deref().unwrap_or("NULL")).collect()
    }

    /// The value of a column in the only row in which another column has this value.
    #[track_caller]
    pub(crate) fn cell(&self, key_column: &str, key: &str, column: &str) -> &str {
        let keys = self.column(key_column);
        let places: Vec<usize> = (0..keys.len()).filter(|place| keys[*place] == key).collect();
        assert_eq!(places.len(), 1, "rows with {key_column}={key} in {:?}", self.rows);
        self.column(column)[places[0]]
    }
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsSocket>),
}

/// A connection on the level of messages. Reading gives up, and fails the test, when nothing comes for long.
#[derive(Debug)]
pub(crate) struct Raw {
    socket: Socket,
    input: Vec<u8>,
    pub(crate) key: Option<CancelKey>,
    pub(crate) parameters: Vec<(String, String)>,
}

/// A startup packet of protocol 3.0.
pub(crate) fn start_packet(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    startup::encode_startup(&mut out, 0, parameters);
    out
}

impl Raw {
    pub(crate) fn tcp(port: u16) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Self::new(Socket::Tcp(socket))
    }

    pub(crate) fn unix(path: &Path) -> Self {
        let socket = UnixStream::connect(path).expect("somebody listens");
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        Self::new(Socket::Unix(socket))
    }

    /// On a session that stands.
    pub(crate) fn tls(socket: TlsSocket) -> Self {
        Self::new(Socket::Tls(Box::new(socket)))
    }

    fn new(socket: Socket) -> Self {
        Self { socket, input: Vec::new(), key: None, parameters: Vec::new() }
    }

    /// Logs in without a password; panics when refused.
    #[track_caller]
    pub(crate) fn log_in(&mut self, parameters: &[(&str, &str)]) {
        self.send(&start_packet(parameters));
        self.finish_login();
    }

    /// Reads the end of a login that succeeds.
    #[track_caller]
    pub(crate) fn finish_login(&mut self) {
        loop {
            let message = self.message().expect("login instead of a closed connection");
            match message.tag {
                tag::backend::PARAMETER_STATUS => {
                    let (name, value) = backend::parameter_status(&message.body).unwrap();
                    self.parameters.push((name.into(), value.into()));
                }
                tag::backend::BACKEND_KEY_DATA => {
                    self.key = Some(backend::backend_key_data(&message.body).unwrap());
                }
                tag::backend::READY_FOR_QUERY => return,
                tag::backend::ERROR_RESPONSE => panic!("login refused: {:?}", message.error()),
                _ => {}
            }
        }
    }

    /// Whether a login succeeds; reads up to its end or that of the connection.
    pub(crate) fn until_ready(&mut self) -> bool {
        std::iter::from_fn(|| self.message()).any(|message| message.tag == tag::backend::READY_FOR_QUERY)
    }

    /// The value of a parameter that was reported at login.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Sends bytes; a peer that has closed is no error here.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.try_send(bytes);
    }

    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match &mut self.socket {
            Socket::Tcp(socket) => socket.write_all(bytes),
            Socket::Unix(socket) => socket.write_all(bytes),
            Socket::Tls(socket) => socket.write_all(bytes).and_then(|()| socket.flush()),
        }
    }

    /// Sends what the encoder writes.
    pub(crate) fn tell(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut out = Vec::new();
        write(&mut out);
        self.send(&out);
    }

    /// The next message; `None` when the connection is closed.
    #[track_caller]
    pub(crate) fn message(&mut self) -> Option<Message> {
        loop {
            if let Some(header) = Header::peek(&self.input).expect("a message with a length")
                && self.input.len() >= header.len
            {
                let rest = self.input.split_off(header.len);
                let mut message = std::mem::replace(&mut self.input, rest);
                return Some(Message { tag: header.tag, body: message.split_off(HEADER_BYTES) });
            }
            if !self.read_more() {
                return None;
            }
        }
    }

    /// One byte outside of any message, as the answer to a request for encryption is.
    #[track_caller]
    pub(crate) fn byte(&mut self) -> Option<u8> {
        while self.input.is_empty() {
            if !self.read_more() {
                return None;
            }
        }
        Some(self.input.remove(0))
    }

    #[track_caller]
    fn read_more(&mut self) -> bool {
        let mut piece = vec![0; 64 * 1024];
        let read = match &mut self.socket {
            Socket::Tcp(socket) => socket.read(&mut piece),
            Socket::Unix(socket) => socket.read(&mut piece),
            Socket::Tls(socket) => socket.read(&mut piece),
        };
        match read {
            Ok(0) => false,
            Ok(count) => {
                self.input.extend_from_slice(&piece[..count]);
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => false,
            // An alert of TLS.
            Err(error) if error.kind() == ErrorKind::InvalidData => false,
            Err(error) => panic!("nothing came: {error}"),
        }
    }

    /// Bytes that have come and are no whole message.
    pub(crate) fn unfinished(&self) -> &[u8] {
        &self.input
    }

    /// Everything up to ReadyForQuery or the end.
    #[track_caller]
    pub(crate) fn reply(&mut self) -> Reply {
        let mut reply = Reply::default();
        while let Some(message) = self.message() {
            reply.tags.push(char::from(message.tag));
            match message.tag {
                tag::backend::ROW_DESCRIPTION => reply.columns = column_names(&message.body),
                tag::backend::DATA_ROW => reply.rows.push(row_values(&message.body)),
                tag::backend::ERROR_RESPONSE => reply.errors.extend(message.error()),
                tag::backend::NOTICE_RESPONSE => {
                    reply
                        .notices
                        .push(ErrorFields::parse(&message.body).message().unwrap_or_default().into());
                }
                tag::backend::COMMAND_COMPLETE => {
                    let command = backend::command_tag(&message.body).unwrap();
                    reply.commands.push(String::from_utf8_lossy(command).into());
                }
                tag::backend::READY_FOR_QUERY => {
                    reply.status = message.body.first().map(|status| char::from(*status));
                    return reply;
                }
                _ => {}
            }
        }
        reply
    }

    /// A simple query and its reply.
    #[track_caller]
    pub(crate) fn query(&mut self, sql: &str) -> Reply {
        self.start_query(sql);
        self.reply()
    }

    pub(crate) fn start_query(&mut self, sql: &str) {
        self.tell(|out| encode::query(out, sql.as_bytes()));
    }

    /// The value of a query that gives one.
    #[track_caller]
    pub(crate) fn value(&mut self, sql: &str) -> String {
        let reply = self.query(sql);
        assert!(reply.errors.is_empty(), "{sql}: {reply:?}");
        reply.value().to_string()
    }

    /// Everything until the other side closes; panics if it does not.
    #[track_caller]
    pub(crate) fn until_closed(&mut self) -> Vec<Message> {
        std::iter::from_fn(|| self.message()).collect()
    }

    /// The last error before the other side closes, which it must.
    #[track_caller]
    pub(crate) fn last_error(&mut self) -> Option<(String, String)> {
        self.until_closed().iter().filter_map(Message::error).next_back()
    }

    /// Whether the other side has neither closed nor said anything so far.
    pub(crate) fn is_silent(&mut self) -> bool {
        let Socket::Tcp(socket) = &self.socket else { panic!("for TCP only") };
        socket.set_nonblocking(true).unwrap();
        let peeked = socket.peek(&mut [0]);
        socket.set_nonblocking(false).unwrap();
        self.input.is_empty() && matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}

fn number(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]))
}

fn column_names(body: &[u8]) -> Vec<String> {
    let mut at = 2;
    let mut names = Vec::new();
    for _ in 0..number(body, 0) {
        let end = at + body[at..].iter().position(|byte| *byte == 0).expect("a name ends");
        names.push(String::from_utf8(body[at..end].to_vec()).unwrap());
        at = end + 19;
    }
    names
}

fn row_values(body: &[u8]) -> Vec<Option<String>> {
    let mut at = 2;
    let mut values = Vec::new();
    for _ in 0..number(body, 0) {
        let len = i32::from_be_bytes(body[at..at + 4].try_into().unwrap());
        at += 4;
        values.push(usize::try_from(len).ok().map(|len| {
            let value = String::from_utf8_lossy(&body[at..at + len]).into_owned();
            at += len;
            value
        }));
    }
    values
}
