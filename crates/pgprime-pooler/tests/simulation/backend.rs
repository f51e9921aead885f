//! A fake PostgreSQL session: bytes in, bytes out, no socket. The same model serves as the server behind the pooler
//! and, fed directly with a client's bytes, as the oracle that says what the client must be answered.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;

use pgprime_wire::backend::TransactionStatus;
use pgprime_wire::backend::encode::{self, Column};
use pgprime_wire::frame::Header;
use pgprime_wire::frontend::{Bind, Close, Describe, Execute, Parse, Target, query_text};
use pgprime_wire::tag::frontend as tag;

use crate::sql::{self, Sql, Verb};

pub(crate) type Settings = BTreeMap<String, String>;

/// What holds for all sessions of a database.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    /// The values that sessions begin with; those that are reported.
    pub(crate) defaults: Settings,
    /// Grows with every change that gives prepared statements another result.
    pub(crate) schema: Rc<Cell<u32>>,
    /// Changed parameters are reported before the end of the command, as before version 14.
    pub(crate) reports_early: bool,
}

#[derive(Clone, Debug)]
struct Prepared {
    sql: Option<Sql>,
    /// What its result is like.
    schema: u32,
    /// Only in the oracle: what the client was told that its result is like.
    told: Option<u32>,
}

#[derive(Clone, Debug)]
struct Portal {
    sql: Option<Sql>,
    id: String,
    sent: usize,
    done: bool,
    schema: u32,
    /// Only in the oracle, as in the statement.
    told: Option<u32>,
}

/// What the client is being told the result of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Described {
    Statement(Vec<u8>),
    Portal(Vec<u8>),
}

/// Something that was executed.
#[derive(Clone, Debug)]
pub(crate) struct Executed {
    pub(crate) id: String,
    /// It was a simple query: those are executed in the order in which they were sent.
    pub(crate) is_simple: bool,
    /// It began outside of a transaction block.
    pub(crate) begins: bool,
    /// Settings which are not at their defaults and are not reported.
    pub(crate) hidden: Settings,
}

#[derive(Debug)]
struct Failure {
    sqlstate: &'static str,
    routine: Option<&'static str>,
}

fn failure(sqlstate: &'static str) -> Failure {
    Failure { sqlstate, routine: None }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Simple,
    Extended,
}

enum Progress {
    Done,
    /// Waits for COPY data or for the end of a sleep.
    Pauses,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Backend {
    database: Database,
    input: VecDeque<u8>,
    pub(crate) out: Vec<u8>,
    pub(crate) status: TransactionStatus,
    pub(crate) settings: Settings,
    pub(crate) hidden: Settings,
    known: Settings,
    saved: Option<(Settings, Settings)>,
    statements: HashMap<Vec<u8>, Prepared>,
    portals: HashMap<Vec<u8>, Portal>,
    skipping: bool,
    copy: Option<(Protocol, usize)>,
    sleeping: Option<(Protocol, String)>,
    rest: VecDeque<Sql>,
    /// What was executed since this was last taken.
    pub(crate) log: Vec<Executed>,
    pub(crate) closed: bool,
    /// How often a statement was outdated.
    pub(crate) outdated: Cell<usize>,
    /// Only in the oracle: a Parse in a failed transaction is answered as if it were not.
    pub(crate) lenient: bool,
    /// Only in the oracle: what the last RowDescription is of.
    described: Option<Described>,
    is_oracle: bool,
}

impl Backend {
    pub(crate) fn new(database: Database) -> Self {
        Self {
            input: VecDeque::new(),
            out: Vec::new(),
            status: TransactionStatus::Idle,
            settings: database.defaults.clone(),
            known: database.defaults.clone(),
            database,
            hidden: Settings::new(),
            saved: None,
            statements: HashMap::new(),
            portals: HashMap::new(),
            skipping: false,
            copy: None,
            sleeping: None,
            rest: VecDeque::new(),
            log: Vec::new(),
            closed: false,
            outdated: Cell::new(0),
            lenient: false,
            described: None,
            is_oracle: false,
        }
    }

    /// A session that says what a client must be answered; it begins with the client's own settings.
    pub(crate) fn oracle(database: Database, own: &Settings) -> Self {
        let mut oracle = Self::new(database);
        oracle.settings.extend(own.clone());
        oracle.known = oracle.settings.clone();
        oracle.is_oracle = true;
        oracle
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.input.extend(bytes);
    }

    /// The first message of what was fed and not handled, when it is there as a whole.
    fn peek(&mut self) -> Option<Header> {
        let header =
            Header::peek(self.input.make_contiguous()).expect("the pooler sends no impossible length")?;
        (self.input.len() >= header.len).then_some(header)
    }

    pub(crate) fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    pub(crate) fn is_sleeping(&self) -> bool {
        self.sleeping.is_some()
    }

    /// The statement that is running and can be cancelled.
    pub(crate) fn sleeper(&self) -> Option<&str> {
        self.sleeping.as_ref().filter(|_| !self.closed).map(|(_, id)| id.as_str())
    }

    pub(crate) fn is_skipping(&self) -> bool {
        self.skipping
    }

    /// Whether the next message is one that may have no answer, so that nobody may wait for one.
    pub(crate) fn next_is_silent(&mut self) -> bool {
        let skipping = self.skipping;
        self.peek().is_some_and(|header| match header.tag {
            tag::COPY_DATA | tag::COPY_DONE | tag::COPY_FAIL | tag::FLUSH => true,
            tag::SYNC => self.copy.is_some(),
            _ => skipping,
        })
    }

    /// Handles one message; `false` when there is none or the session is busy.
    pub(crate) fn step(&mut self) -> bool {
        if self.sleeping.is_some() || self.closed {
            return false;
        }
        let Some(header) = self.peek() else { return false };
        let message: Vec<u8> = self.input.drain(..header.len).collect();
        let body = header.body(&message);
        if self.copy.is_some() {
            self.copy_message(header.tag, body);
            return true;
        }
        match header.tag {
            tag::TERMINATE => self.closed = true,
            tag::SYNC => {
                self.skipping = false;
                self.end_of_request();
            }
            _ if self.skipping => {}
            tag::QUERY => self.simple(query_text(body).expect("the pooler sends whole texts")),
            tag::FUNCTION_CALL => self.function_call(),
            tag::FLUSH | tag::COPY_DATA | tag::COPY_DONE | tag::COPY_FAIL => {}
            _ => {
                self.begin_implicitly();
                if let Err(failure) = self.extended(header.tag, body) {
                    self.fail(&failure, Protocol::Extended);
                }
            }
        }
        true
    }

    /// The statement that sleeps ends, or is cancelled.
    pub(crate) fn wake(&mut self, cancelled: bool) {
        let Some((protocol, _)) = self.sleeping.take().filter(|_| !self.closed) else { return };
        if cancelled {
            self.fail(&failure("57014"), protocol);
            return;
        }
        encode::command_complete(&mut self.out, "SLEEP");
        if protocol == Protocol::Simple {
            self.run_simple();
        }
    }

    /// Only in the oracle: the pooler refuses the next message as cancelled.
    pub(crate) fn cancel_next(&mut self) {
        let Some(header) = self.peek() else { return };
        self.input.drain(..header.len);
        let is_simple = matches!(header.tag, tag::QUERY | tag::FUNCTION_CALL);
        let protocol = if is_simple { Protocol::Simple } else { Protocol::Extended };
        self.fail(&failure("57014"), protocol);
    }

    /// Only in the oracle: the client was told what a result is like.
    pub(crate) fn note_told(&mut self, schema: u32) {
        let told = match self.described.take() {
            Some(Described::Statement(name)) => self.statements.get_mut(&name).map(|found| &mut found.told),
            Some(Described::Portal(name)) => self.portals.get_mut(&name).map(|found| &mut found.told),
            None => None,
        };
        if let Some(told) = told {
            *told = Some(schema);
        }
    }

    /// The administrator ends the session.
    pub(crate) fn terminate(&mut self) {
        error(&mut self.out, "FATAL", &failure("57P01"));
        self.closed = true;
    }

    fn simple(&mut self, text: &[u8]) {
        self.statements.remove(&b""[..]);
        self.portals.remove(&b""[..]);
        self.begin_implicitly();
        match sql::parse(text) {
            None => self.fail(&failure("42601"), Protocol::Simple),
            Some(statements) if statements.iter().any(|sql| sql.verb == Verb::Syntax) => {
                self.fail(&failure("42601"), Protocol::Simple);
            }
            Some(statements) if statements.is_empty() => {
                encode::empty_query_response(&mut self.out);
                self.end_of_request();
            }
            Some(statements) => {
                self.rest = statements.into();
                self.run_simple();
            }
        }
    }

    fn run_simple(&mut self) {
        while let Some(sql) = self.rest.pop_front() {
            if sql.verb.has_rows() && self.status != TransactionStatus::Failed {
                self.described = None;
                describe(&mut self.out, self.database.schema.get());
            }
            let id = sql.id.clone();
            match self.execute(&sql.verb, &id, Protocol::Simple) {
                Ok(Progress::Done) => {}
                Ok(Progress::Pauses) => return,
                Err(failure) => {
                    self.fail(&failure, Protocol::Simple);
                    return;
                }
            }
        }
        self.end_of_request();
    }

    fn function_call(&mut self) {
        if self.status == TransactionStatus::Failed {
            self.fail(&failure("25P02"), Protocol::Simple);
        } else {
            self.out.extend_from_slice(b"V\0\0\0\x08\xff\xff\xff\xff");
            self.end_of_request();
        }
    }

    fn extended(&mut self, message_tag: u8, body: &[u8]) -> Result<(), Failure> {
        match message_tag {
            tag::PARSE => self.parse(&Parse::decode(body).map_err(|_| failure("08P01"))?),
            tag::BIND => self.bind(&Bind::decode(body).map_err(|_| failure("08P01"))?),
            tag::DESCRIBE => self.describe(&Describe::decode(body).map_err(|_| failure("08P01"))?),
            tag::EXECUTE => self.run_portal(&Execute::decode(body).map_err(|_| failure("08P01"))?),
            tag::CLOSE => {
                let close = Close::decode(body).map_err(|_| failure("08P01"))?;
                match close.target {
                    Target::Statement => drop(self.statements.remove(close.name)),
                    Target::Portal => drop(self.portals.remove(close.name)),
                }
                encode::close_complete(&mut self.out);
                Ok(())
            }
            other => panic!("the pooler sent a message of type {:?}", other as char),
        }
    }

    fn parse(&mut self, parse: &Parse<'_>) -> Result<(), Failure> {
        if parse.name.is_empty() {
            self.statements.remove(parse.name);
        }
        let mut statements = sql::parse(parse.query).ok_or_else(|| failure("42601"))?;
        if statements.len() > 1 || statements.iter().any(|sql| sql.verb == Verb::Syntax) {
            return Err(failure("42601"));
        }
        let sql = statements.pop();
        let ends = sql.as_ref().is_none_or(|sql| sql.verb.ends_transaction());
        if self.status == TransactionStatus::Failed && !ends && !self.lenient {
            return Err(failure("25P02"));
        }
        if self.statements.contains_key(parse.name) {
            return Err(failure("42P05"));
        }
        let schema = self.database.schema.get();
        self.statements.insert(parse.name.to_vec(), Prepared { sql, schema, told: None });
        encode::parse_complete(&mut self.out);
        Ok(())
    }

    /// The statement, as Bind and Describe need it.
    fn usable(&self, name: &[u8]) -> Result<&Prepared, Failure> {
        let prepared = self.statements.get(name).ok_or_else(|| failure("26000"))?;
        let verb = prepared.sql.as_ref().map(|sql| &sql.verb);
        if self.status == TransactionStatus::Failed && !verb.is_none_or(Verb::ends_transaction) {
            return Err(failure("25P02"));
        }
        let is_outdated = prepared.schema < self.database.schema.get() && verb.is_some_and(Verb::has_rows);
        if is_outdated && !self.is_oracle {
            self.outdated.set(self.outdated.get() + 1);
            return Err(Failure { sqlstate: "0A000", routine: Some("RevalidateCachedQuery") });
        }
        Ok(prepared)
    }

    fn bind(&mut self, bind: &Bind<'_>) -> Result<(), Failure> {
        let Prepared { sql, schema, told } = self.usable(bind.statement)?.clone();
        if !bind.portal.is_empty() && self.portals.contains_key(bind.portal) {
            return Err(failure("42P03"));
        }
        let id = match &sql {
            Some(sql) if sql.takes_parameter() => {
                first_parameter(bind.rest).ok_or_else(|| failure("08P01"))?
            }
            Some(sql) => sql.id.clone(),
            None => String::new(),
        };
        self.portals.insert(bind.portal.to_vec(), Portal { sql, id, sent: 0, done: false, schema, told });
        encode::bind_complete(&mut self.out);
        Ok(())
    }

    fn describe(&mut self, target: &Describe<'_>) -> Result<(), Failure> {
        let (sql, schema) = match target.target {
            Target::Statement => {
                let Prepared { sql, schema, .. } = self.usable(target.name)?.clone();
                let count = u8::from(sql.as_ref().is_some_and(Sql::takes_parameter));
                self.out.extend_from_slice(&[b't', 0, 0, 0, 6 + 4 * count, 0, count]);
                self.out.extend_from_slice(&[0, 0, 0, 25][..4 * usize::from(count)]);
                self.described = Some(Described::Statement(target.name.to_vec()));
                (sql, schema)
            }
            Target::Portal => {
                let portal = self.portals.get(target.name).ok_or_else(|| failure("34000"))?;
                self.described = Some(Described::Portal(target.name.to_vec()));
                (portal.sql.clone(), portal.schema)
            }
        };
        match sql {
            Some(sql) if sql.verb.has_rows() => describe(&mut self.out, schema),
            _ => encode::no_data(&mut self.out),
        }
        Ok(())
    }

    fn run_portal(&mut self, execute: &Execute<'_>) -> Result<(), Failure> {
        let portal = self.portals.get_mut(execute.portal).ok_or_else(|| failure("34000"))?;
        let Some(sql) = portal.sql.clone() else {
            encode::empty_query_response(&mut self.out);
            return Ok(());
        };
        if portal.done {
            return Err(failure("55000"));
        }
        let max = if execute.rows_max == 0 { usize::MAX } else { execute.rows_max as usize };
        let Verb::Select { rows, bytes } = &sql.verb else {
            portal.done = true;
            let id = portal.id.clone();
            return self.execute(&sql.verb, &id, Protocol::Extended).map(|_| ());
        };
        if self.status == TransactionStatus::Failed {
            return Err(failure("25P02"));
        }
        let (begins, count) = (portal.sent == 0, max.min(rows - portal.sent));
        portal.sent += count;
        portal.done = count < max;
        let (id, done) = (portal.id.clone(), portal.done);
        let shape = if self.is_oracle { portal.told } else { Some(portal.schema) };
        if begins {
            self.note(&id, Protocol::Extended);
        }
        rows_of(&mut self.out, &id, count, *bytes, shape);
        if done {
            encode::command_complete(&mut self.out, &format!("SELECT {count}"));
        } else {
            self.out.extend_from_slice(b"s\0\0\0\x04");
        }
        Ok(())
    }

    fn note(&mut self, id: &str, protocol: Protocol) {
        if !self.is_oracle {
            self.log.push(Executed {
                id: id.to_string(),
                is_simple: protocol == Protocol::Simple,
                begins: self.status == TransactionStatus::Idle,
                hidden: self.hidden.clone(),
            });
        }
    }

    fn execute(&mut self, verb: &Verb, id: &str, protocol: Protocol) -> Result<Progress, Failure> {
        if self.status == TransactionStatus::Failed && !verb.ends_transaction() {
            return Err(failure("25P02"));
        }
        self.note(id, protocol);
        match verb {
            Verb::Select { rows, bytes } => {
                let shape = (!self.is_oracle).then(|| self.database.schema.get());
                rows_of(&mut self.out, id, *rows, *bytes, shape);
                encode::command_complete(&mut self.out, &format!("SELECT {rows}"));
            }
            Verb::Show(name) => {
                let value = self.settings.get(name).cloned().unwrap_or_default();
                encode::data_row(&mut self.out, &[Some(format!("{id} {value}").as_bytes())]);
                encode::command_complete(&mut self.out, "SHOW");
            }
            Verb::Insert => encode::command_complete(&mut self.out, &format!("INSERT {id}")),
            Verb::Notice => {
                error_as(b'N', &mut self.out, "NOTICE", &failure("00000"));
                encode::command_complete(&mut self.out, "NOTICE");
            }
            Verb::Fail | Verb::Syntax => return Err(failure("22012")),
            Verb::Sleep => {
                self.sleeping = Some((protocol, id.to_string()));
                return Ok(Progress::Pauses);
            }
            Verb::CopyIn => {
                encode::copy_in_response(&mut self.out, 1);
                self.copy = Some((protocol, 0));
                return Ok(Progress::Pauses);
            }
            Verb::CopyOut { rows, bytes } => {
                encode::copy_out_response(&mut self.out, 1);
                for _ in 0..*rows {
                    pgprime_wire::frontend::encode::copy_data(&mut self.out, &text_of(id, *bytes));
                }
                pgprime_wire::frontend::encode::copy_done(&mut self.out);
                encode::command_complete(&mut self.out, &format!("COPY {rows}"));
            }
            Verb::Begin | Verb::Commit | Verb::Rollback => self.transaction(verb),
            _ => self.session(verb)?,
        }
        Ok(Progress::Done)
    }

    fn transaction(&mut self, verb: &Verb) {
        let tag = match (verb, self.status) {
            (Verb::Begin, _) => {
                self.status = TransactionStatus::InTransaction;
                "BEGIN"
            }
            (Verb::Commit, TransactionStatus::Failed) | (Verb::Rollback, _) => {
                if self.status != TransactionStatus::Idle {
                    self.restore();
                }
                self.end_transaction();
                "ROLLBACK"
            }
            _ => {
                self.end_transaction();
                "COMMIT"
            }
        };
        encode::command_complete(&mut self.out, tag);
    }

    fn end_transaction(&mut self) {
        self.status = TransactionStatus::Idle;
        self.portals.clear();
        self.saved = Some((self.settings.clone(), self.hidden.clone()));
    }

    /// Commands that change the session.
    fn session(&mut self, verb: &Verb) -> Result<(), Failure> {
        let tag = match verb {
            Verb::Set { value, .. } if value == "refused" => return Err(failure("22023")),
            Verb::Set { name, value } => {
                match self.settings.get_mut(name) {
                    Some(place) => *place = value.clone(),
                    None => drop(self.hidden.insert(name.clone(), value.clone())),
                }
                "SET"
            }
            Verb::Reset(name) => {
                self.hidden.remove(name);
                if let (Some(place), Some(value)) =
                    (self.settings.get_mut(name), self.database.defaults.get(name))
                {
                    *place = value.clone();
                }
                "RESET"
            }
            Verb::ResetAll => {
                self.reset_all();
                "RESET"
            }
            Verb::DiscardAll if self.status != TransactionStatus::Idle => return Err(failure("25001")),
            Verb::DiscardAll => {
                self.reset_all();
                self.statements.clear();
                "DISCARD ALL"
            }
            Verb::DeallocateAll => {
                self.statements.retain(|name, _| name.is_empty());
                "DEALLOCATE ALL"
            }
            Verb::Deallocate(name) => {
                self.statements.remove(name.as_bytes()).ok_or_else(|| failure("26000"))?;
                "DEALLOCATE"
            }
            _ => "RESET",
        };
        if self.database.reports_early {
            self.report();
        }
        encode::command_complete(&mut self.out, tag);
        Ok(())
    }

    fn reset_all(&mut self) {
        self.settings = self.database.defaults.clone();
        self.hidden.clear();
    }

    fn copy_message(&mut self, message_tag: u8, body: &[u8]) {
        let Some((protocol, count)) = self.copy else { return };
        match message_tag {
            tag::COPY_DATA if body.starts_with(b"BAD") => {
                self.copy = None;
                self.fail(&failure("22P04"), protocol);
            }
            tag::COPY_DATA => self.copy = Some((protocol, count + 1)),
            tag::COPY_DONE => {
                self.copy = None;
                encode::command_complete(&mut self.out, &format!("COPY {count}"));
                if protocol == Protocol::Simple {
                    self.run_simple();
                }
            }
            tag::COPY_FAIL => {
                self.copy = None;
                self.fail(&failure("57014"), protocol);
            }
            tag::SYNC | tag::FLUSH => {}
            tag::TERMINATE => self.closed = true,
            _ => {
                self.copy = None;
                self.fail(&failure("08P01"), protocol);
            }
        }
    }

    fn begin_implicitly(&mut self) {
        if self.status == TransactionStatus::Idle && self.saved.is_none() {
            self.saved = Some((self.settings.clone(), self.hidden.clone()));
        }
    }

    fn restore(&mut self) {
        if let Some((settings, hidden)) = self.saved.clone() {
            (self.settings, self.hidden) = (settings, hidden);
        }
    }

    fn fail(&mut self, failure: &Failure, protocol: Protocol) {
        error(&mut self.out, "ERROR", failure);
        self.rest.clear();
        match self.status {
            TransactionStatus::Idle => {
                self.restore();
                self.portals.clear();
            }
            _ => self.status = TransactionStatus::Failed,
        }
        match protocol {
            Protocol::Simple => self.end_of_request(),
            Protocol::Extended => self.skipping = true,
        }
    }

    fn end_of_request(&mut self) {
        if self.status == TransactionStatus::Idle {
            self.portals.clear();
            self.saved = None;
        }
        self.report();
        encode::ready_for_query(&mut self.out, self.status);
    }

    fn report(&mut self) {
        for (name, value) in &self.settings {
            if self.known.get(name) != Some(value) {
                encode::parameter_status(&mut self.out, name, value);
            }
        }
        self.known = self.settings.clone();
    }
}

fn error(out: &mut Vec<u8>, severity: &str, failure: &Failure) {
    error_as(b'E', out, severity, failure);
}

fn error_as(message_tag: u8, out: &mut Vec<u8>, severity: &str, failure: &Failure) {
    let mut body = format!("S{severity}\0V{severity}\0C{}\0Msimulated\0", failure.sqlstate).into_bytes();
    if let Some(routine) = failure.routine {
        body.extend_from_slice(format!("R{routine}\0").as_bytes());
    }
    body.push(0);
    let length = u32::try_from(body.len() + 4).expect("short");
    out.push(message_tag);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&body);
}

fn describe(out: &mut Vec<u8>, schema: u32) {
    let column = |name| Column { name, type_oid: 25, type_len: -1 };
    encode::row_description(out, &[column("echo"), column(&format!("shape{schema:09}"))]);
}

/// Rows say what they are like in a second column; none: any.
fn rows_of(out: &mut Vec<u8>, id: &str, rows: usize, bytes: usize, shape: Option<u32>) {
    let text = text_of(id, bytes);
    let shape = shape.map_or(ANY_SHAPE.to_owned(), |shape| format!("shape{shape:09}"));
    for _ in 0..rows {
        encode::data_row(out, &[Some(&text), Some(shape.as_bytes())]);
    }
}

/// In the oracle's rows: what they are like was not told.
const ANY_SHAPE: &str = "shape*********";

/// Takes what results are like out of a message, so that it can be compared with another, and gives it.
pub(crate) fn take_shape(message: &mut [u8]) -> Option<u32> {
    let place = message.windows(5).rposition(|part| part == b"shape")? + 5;
    let digits = message.get_mut(place..place + 9)?;
    let shape = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    digits.fill(b'*');
    shape
}

fn text_of(id: &str, bytes: usize) -> Vec<u8> {
    let mut text = id.as_bytes().to_vec();
    text.resize(text.len() + bytes, b'.');
    text
}

/// The first parameter of a Bind: format codes first, then the values.
fn first_parameter(rest: &[u8]) -> Option<String> {
    let formats = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
    let values = rest.get(2 + 2 * formats..)?;
    let length = u32::from_be_bytes(*values.get(2..)?.first_chunk()?) as usize;
    let text = String::from_utf8_lossy(values.get(6..6 + length)?).into_owned();
    // A long value is an id and padding.
    Some(text.split('.').next().unwrap_or_default().to_string())
}
