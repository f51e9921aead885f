//! A server that says what it is told to, however wrong.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use pgprime_wire::backend::TransactionStatus;
use pgprime_wire::backend::encode;
use pgprime_wire::frame::{HEADER_BYTES, Header};
use pgprime_wire::startup::{self, CancelKey};

/// Keeps connections of the fake server waiting until it is opened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<AtomicBool>);

impl Gate {
    pub(crate) fn open(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// One thing that a connection of the fake server does.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Waits for the startup packet.
    Startup,
    /// Waits for one message.
    Receive,
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends these bytes until the other side has enough.
    SendForEver(Vec<u8>),
    /// Waits until the gate is open.
    Pass(Gate),
    /// Does the usual login without a password.
    LogIn,
    /// Answers every query with one row, for as long as the connection lasts.
    Serve,
    /// Waits until the other side closes.
    Linger,
}

/// Listens until it is dropped. Each connection runs its script and is closed at its end.
#[derive(Debug)]
pub(crate) struct FakeServer {
    port: u16,
    is_over: Arc<AtomicBool>,
    connections: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl FakeServer {
    /// `script` tells from the number of the connection, counted from 0, what it does.
    pub(crate) fn start(script: impl Fn(usize) -> Vec<Step> + Send + 'static) -> Self {
        Self::start_at(0, script)
    }

    /// As [`FakeServer::start`], on a port that the test has chosen.
    pub(crate) fn start_at(port: u16, script: impl Fn(usize) -> Vec<Step> + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("loopback can be bound");
        let port = listener.local_addr().unwrap().port();
        let is_over = Arc::new(AtomicBool::new(false));
        let connections = Arc::new(AtomicUsize::new(0));
        let (over, counter) = (Arc::clone(&is_over), Arc::clone(&connections));
        let thread = std::thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let steps = script(counter.fetch_add(1, Ordering::SeqCst));
                let over = Arc::clone(&over);
                open.push(std::thread::spawn(move || Connection { stream, over }.run(&steps)));
            }
            for connection in open {
                let _ = connection.join();
            }
        });
        Self { port, is_over, connections, thread: Some(thread) }
    }

    /// The entry of `[databases]` that leads here.
    pub(crate) fn entry(&self) -> String {
        format!("host=127.0.0.1 port={} dbname=fake", self.port)
    }

    /// How many connections have come.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Connection {
    stream: TcpStream,
    over: Arc<AtomicBool>,
}

impl Connection {
    fn run(mut self, steps: &[Step]) {
        let short = Some(Duration::from_millis(20));
        self.stream.set_read_timeout(short).unwrap();
        self.stream.set_write_timeout(short).unwrap();
        self.stream.set_nodelay(true).unwrap();
        for step in steps {
            if self.step(step).is_none() {
                return;
            }
        }
    }

    /// `None` when the other side has closed or the test is over.
    fn step(&mut self, step: &Step) -> Option<()> {
        match step {
            Step::Startup => self.startup(),
            Step::Receive => self.receive().map(drop),
            Step::Send(bytes) => self.send(bytes),
            Step::SendForEver(bytes) => loop {
                self.send(bytes)?;
            },
            Step::Pass(gate) => {
                while !gate.0.load(Ordering::SeqCst) && !self.over.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Some(())
            }
            Step::LogIn => {
                self.startup()?;
                self.send(&login_reply())
            }
            Step::Serve => loop {
                if self.receive()? == b'Q' {
                    self.send(&row_reply("served"))?;
                }
            },
            Step::Linger => loop {
                self.receive()?;
            },
        }
    }

    fn startup(&mut self) -> Option<()> {
        let length = self.read(4)?;
        let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
        self.read(length.checked_sub(4)?).map(drop)
    }

    fn receive(&mut self) -> Option<u8> {
        let header = self.read(HEADER_BYTES)?;
        let header = Header::peek(&header).ok()??;
        self.read(header.len - HEADER_BYTES)?;
        Some(header.tag)
    }

    fn read(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        let mut filled = 0;
        while filled < count {
            match self.stream.read(&mut bytes[filled..]) {
                Ok(0) => return None,
                Ok(count) => filled += count,
                Err(error) if is_pause(&error) && !self.over.load(Ordering::SeqCst) => {}
                Err(_) => return None,
            }
        }
        Some(bytes)
    }

    fn send(&mut self, bytes: &[u8]) -> Option<()> {
        let mut sent = 0;
        while sent < bytes.len() {
            match self.stream.write(&bytes[sent..]) {
                Ok(count) => sent += count,
                Err(error) if is_pause(&error) && !self.over.load(Ordering::SeqCst) => {}
                Err(_) => return None,
            }
        }
        (!self.over.load(Ordering::SeqCst)).then_some(())
    }
}

fn is_pause(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

/// What follows a startup packet when no password is asked for.
pub(crate) fn login_reply() -> Vec<u8> {
    let mut out = Vec::new();
    encode::authentication_ok(&mut out);
    for (name, value) in [
        ("server_version", "15.0"),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO, MDY"),
        ("TimeZone", "UTC"),
        ("standard_conforming_strings", "on"),
        ("application_name", ""),
    ] {
        encode::parameter_status(&mut out, name, value);
    }
    encode::backend_key_data(&mut out, &CancelKey { process_id: 7, secret: vec![0, 0, 0, 7] });
    encode::ready_for_query(&mut out, TransactionStatus::Idle);
    out
}

/// The answer to a query that gives one text.
pub(crate) fn row_reply(value: &str) -> Vec<u8> {
    let mut out = Vec::new();
    encode::row_description(&mut out, &[encode::Column { name: "v", type_oid: 25, type_len: -1 }]);
    encode::data_row(&mut out, &[Some(value.as_bytes())]);
    encode::command_complete(&mut out, "SELECT 1");
    encode::ready_for_query(&mut out, TransactionStatus::Idle);
    out
}

/// A request for encryption, for tests of clients.
pub(crate) fn ssl_request() -> Vec<u8> {
    let mut out = Vec::new();
    startup::encode_ssl_request(&mut out);
    out
}
