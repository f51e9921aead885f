//! A client that sends exactly the messages it is told to.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use pgprime_wire::backend::{self, ErrorFields};
use pgprime_wire::frame::Header;
use pgprime_wire::startup::{self, CancelKey};

use super::child::Pooler;

/// A session of the user `postgres`, by blocking reads and writes.
pub(crate) struct RawClient {
    stream: TcpStream,
    received: Vec<u8>,
    messages: Vec<(u8, Vec<u8>)>,
}

impl RawClient {
    /// Connects and logs in.
    pub(crate) fn connect(pooler: &Pooler, database: &str) -> Self {
        let mut client = Self::open(pooler);
        client.send(|out| startup::encode_startup(out, 0, &[("user", "postgres"), ("database", database)]));
        let tags = client.until_ready();
        assert!(tags.starts_with('R') && tags.ends_with("KZ"), "{tags} {}", client.error());
        client
    }

    /// Connects, and says nothing.
    pub(crate) fn open(pooler: &Pooler) -> Self {
        let stream = TcpStream::connect(pooler.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { stream, received: Vec::new(), messages: Vec::new() }
    }

    /// Sends what this writes, all at once.
    pub(crate) fn send(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut out = Vec::new();
        write(&mut out);
        self.stream.write_all(&out).unwrap();
    }

    /// Reads up to ReadyForQuery, or to the end of the connection; returns the messages' tags.
    pub(crate) fn until_ready(&mut self) -> String {
        self.messages.clear();
        while let Some(message) = self.message() {
            let is_ready = message.0 == b'Z';
            self.messages.push(message);
            if is_ready {
                break;
            }
        }
        self.messages.iter().map(|(tag, _)| char::from(*tag)).collect()
    }

    fn message(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some(header) = Header::peek(&self.received).unwrap()
                && self.received.len() >= header.len
            {
                let message: Vec<u8> = self.received.drain(..header.len).collect();
                return Some((header.tag, header.body(&message).to_vec()));
            }
            let mut buffer = [0; 8192];
            match self.stream.read(&mut buffer).unwrap() {
                0 => return None,
                count => self.received.extend_from_slice(&buffer[..count]),
            }
        }
    }

    /// The first message of this kind of those read last.
    pub(crate) fn body(&self, tag: u8) -> Option<&[u8]> {
        self.messages.iter().find(|(other, _)| *other == tag).map(|(_, body)| body.as_slice())
    }

    /// SQLSTATE and text of the error among those read last.
    pub(crate) fn error(&self) -> String {
        let fields = self.body(b'E').map(ErrorFields::parse);
        fields.map_or(String::new(), |fields| {
            format!("{} {}", fields.sqlstate().unwrap_or_default(), fields.message().unwrap_or_default())
        })
    }

    /// The key for cancelling, right after the login.
    pub(crate) fn key(&self) -> CancelKey {
        backend::backend_key_data(self.body(b'K').unwrap()).unwrap()
    }
}
