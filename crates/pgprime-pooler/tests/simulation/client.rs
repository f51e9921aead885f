//! A fake client: it sends what its script says, and compares every answer with the oracle's.

use std::collections::VecDeque;

use pgprime_pooler::core::ClientId;
use pgprime_wire::backend::{self, ErrorFields, TransactionStatus};
use pgprime_wire::frame::Header;
use pgprime_wire::tag::backend as tag;

use crate::backend::{Backend, Settings, take_shape};
use crate::script::{Part, Writer};

/// How far a client's connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    LoggingIn,
    Running,
    /// It was told why its connection ends.
    Dismissed(String),
    /// It said Terminate.
    Leaving,
    /// It closed its socket.
    Vanished,
}

#[derive(Debug)]
pub(crate) struct FakeClient {
    pub(crate) number: u32,
    pub(crate) worker: usize,
    pub(crate) pool: usize,
    pub(crate) id: ClientId,
    pub(crate) life: Life,
    /// The pooler has closed the connection.
    pub(crate) closed: bool,
    /// Sent and not yet read by the pooler.
    pub(crate) outgoing: VecDeque<u8>,
    /// Written by the pooler and not yet read.
    pub(crate) incoming: VecDeque<u8>,
    pub(crate) capacity: usize,
    pub(crate) read_blocked: bool,
    pub(crate) write_blocked: bool,
    received: Vec<u8>,
    pub(crate) oracle: Backend,
    /// What the pooler says the session's settings are.
    pub(crate) reported: Settings,
    pub(crate) script: VecDeque<Part>,
    pub(crate) writer: Writer,
    pub(crate) key: Option<(u32, Vec<u8>)>,
    pub(crate) cancels: u32,
    /// It sent bytes that are no message.
    pub(crate) misbehaved: bool,
    /// An outdated plan was not healed; from there on the oracle knows no more.
    pub(crate) diverged: bool,
    pub(crate) answers: usize,
    pub(crate) last_executed: u64,
}

impl FakeClient {
    pub(crate) fn new(
        number: u32,
        worker: usize,
        pool: usize,
        id: ClientId,
        capacity: usize,
        oracle: Backend,
        writer: Writer,
    ) -> Self {
        Self {
            number,
            worker,
            pool,
            id,
            life: Life::LoggingIn,
            closed: false,
            outgoing: VecDeque::new(),
            incoming: VecDeque::new(),
            capacity,
            read_blocked: false,
            write_blocked: false,
            received: Vec::new(),
            oracle,
            reported: Settings::new(),
            script: VecDeque::new(),
            writer,
            key: None,
            cancels: 0,
            misbehaved: false,
            diverged: false,
            answers: 0,
            last_executed: 0,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.life == Life::Running && !self.closed
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.oracle.feed(bytes);
        self.outgoing.extend(bytes);
        self.read_blocked = false;
    }

    /// Whether everything that was sent has been answered.
    pub(crate) fn is_answered(&mut self) -> bool {
        while self.oracle.out.is_empty() && self.oracle.next_is_silent() {
            self.oracle.step();
        }
        self.skip_unordered();
        self.oracle.out.is_empty() && !self.oracle.is_sleeping() && !self.oracle.has_input()
    }

    /// Reads `count` bytes of what the pooler wrote.
    pub(crate) fn read(&mut self, count: usize) {
        let count = count.min(self.incoming.len());
        self.received.extend(self.incoming.drain(..count));
        while let Some(header) = Header::peek(&self.received).expect("the pooler sends messages") {
            if self.received.len() < header.len {
                break;
            }
            let message: Vec<u8> = self.received.drain(..header.len).collect();
            if self.life != Life::Vanished {
                self.receive(header, &message);
            }
        }
    }

    /// The connection is closed and everything has been read.
    pub(crate) fn end_of_stream(&mut self) {
        // Who has part of a message can be told nothing more.
        let is_cut_off = self.life == Life::Running && !self.received.is_empty();
        assert!(
            is_cut_off || !matches!(self.life, Life::LoggingIn | Life::Running),
            "client {} was closed without a word",
            self.number
        );
        if let Life::Dismissed(sqlstate) = &self.life {
            assert!(self.received.is_empty(), "client {}: half a message after {sqlstate}", self.number);
        }
    }

    pub(crate) fn has_half_a_message(&self) -> bool {
        !self.received.is_empty()
    }

    fn receive(&mut self, header: Header, message: &[u8]) {
        let body = header.body(message);
        if let Life::Dismissed(why) = &self.life {
            panic!("client {} got {:?} after it was dismissed with {why}", self.number, header.tag as char);
        }
        match header.tag {
            tag::PARAMETER_STATUS => {
                let (name, value) = backend::parameter_status(body).expect("two texts");
                self.reported.insert(name.to_string(), value.to_string());
                return;
            }
            tag::NOTICE_RESPONSE | tag::NOTIFICATION_RESPONSE => return,
            _ => {}
        }
        let fields = (header.tag == tag::ERROR_RESPONSE).then(|| ErrorFields::parse(body));
        if let Some(fields) = fields
            && fields.severity() == Some("FATAL")
        {
            self.life = Life::Dismissed(fields.sqlstate().expect("it has one").to_string());
            return;
        }
        match self.life {
            Life::LoggingIn => self.log_in(header, body),
            _ if self.diverged => {}
            _ => self.compare(header, message),
        }
    }

    fn log_in(&mut self, header: Header, body: &[u8]) {
        match header.tag {
            tag::AUTHENTICATION => {}
            tag::BACKEND_KEY_DATA => {
                let key = backend::backend_key_data(body).expect("a key");
                self.key = Some((key.process_id, key.secret));
            }
            tag::READY_FOR_QUERY => self.life = Life::Running,
            other => panic!("client {} got {:?} at its login", self.number, other as char),
        }
    }

    fn compare(&mut self, header: Header, message: &[u8]) {
        let number = self.number;
        let shown = show(message);
        if header.tag == tag::ERROR_RESPONSE
            && ErrorFields::parse(header.body(message)).routine() == Some("RevalidateCachedQuery")
        {
            self.diverged = true;
            return;
        }
        let Some(expected) = self.expect(header, message) else {
            panic!("client {number} got {shown}, and nothing more is to be answered");
        };
        let (mut found, mut wanted) = (essence(message), essence(&expected));
        if matches!(header.tag, tag::ROW_DESCRIPTION | tag::DATA_ROW) {
            let (shape, told) = (take_shape(&mut found), take_shape(&mut wanted));
            match (header.tag, shape) {
                (tag::ROW_DESCRIPTION, Some(shape)) => self.oracle.note_told(shape),
                _ => assert!(
                    told.is_none() || shape == told,
                    "client {number} got rows like {shape:?}, told {told:?}"
                ),
            }
        }
        assert!(found == wanted, "client {number} got {shown}, expected {}", show(&expected));
        self.answers += usize::from(header.tag == tag::READY_FOR_QUERY);
    }

    /// The oracle's next answer, given what the pooler's is where more than one is right.
    fn expect(&mut self, found: Header, message: &[u8]) -> Option<Vec<u8>> {
        let is_cancelled = found.tag == tag::ERROR_RESPONSE
            && self.cancels > 0
            && ErrorFields::parse(found.body(message)).sqlstate() == Some("57014");
        self.oracle.lenient = found.tag == tag::PARSE_COMPLETE;
        loop {
            self.skip_unordered();
            if !self.oracle.out.is_empty() {
                let header = Header::peek(&self.oracle.out).ok()??;
                return Some(self.oracle.out.drain(..header.len).collect());
            }
            if self.oracle.is_sleeping() {
                self.oracle.wake(is_cancelled);
            } else if is_cancelled
                && self.oracle.status == TransactionStatus::Idle
                && !self.oracle.is_skipping()
                && !self.oracle.next_is_silent()
            {
                self.oracle.cancel_next();
            } else if !self.oracle.step() {
                return None;
            }
        }
    }

    /// What may come at any time is not compared.
    fn skip_unordered(&mut self) {
        while let Ok(Some(header)) = Header::peek(&self.oracle.out)
            && matches!(header.tag, tag::PARAMETER_STATUS | tag::NOTICE_RESPONSE)
        {
            self.oracle.out.drain(..header.len);
        }
    }
}

/// What has to be equal: of an error the SQLSTATE, as names of statements in its text may differ.
fn essence(message: &[u8]) -> Vec<u8> {
    match Header::peek(message) {
        Ok(Some(header)) if header.tag == tag::ERROR_RESPONSE => {
            let fields = ErrorFields::parse(header.body(message));
            format!("E{}", fields.sqlstate().unwrap_or_default()).into_bytes()
        }
        _ => message.to_vec(),
    }
}

pub(crate) fn show(message: &[u8]) -> String {
    let end = message.len().min(90);
    format!(
        "{:?} {}",
        char::from(message[0]),
        String::from_utf8_lossy(&message[5.min(end)..end]).escape_debug()
    )
}
