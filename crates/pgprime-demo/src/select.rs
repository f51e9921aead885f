//! The benchmark's load: one row by its primary key, in each of the protocol's three ways.

use anyhow::Context;
use pgprime_wire::frontend::encode;
use pgprime_wire::tag::backend as tag;
use serde::Serialize;

use crate::generator::{Fault, Next, Workload};
use crate::load::{ACCOUNTS, account_balance};
use crate::rows::{Digits, Row};

const SIMPLE_PREFIX: &[u8] = b"SELECT id, balance FROM accounts WHERE id = ";
const SQL: &[u8] = b"SELECT id, balance FROM accounts WHERE id = $1";
const NAME: &[u8] = b"find_account";

/// How a statement is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// A Query message.
    Simple,
    /// Parse, Bind, Execute and Sync of the unnamed statement, each time.
    Extended,
    /// A named statement, prepared once on each connection; then Bind, Execute and Sync.
    Prepared,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Simple, Self::Extended, Self::Prepared];

    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Extended => "extended",
            Self::Prepared => "prepared",
        }
    }
}

impl std::str::FromStr for Protocol {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        let known = Self::ALL.into_iter().find(|protocol| protocol.name() == name);
        known.with_context(|| format!("expected simple, extended or prepared, found {name:?}"))
    }
}

/// What one client remembers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    id: u64,
    rows: u32,
    is_prepared: bool,
}

/// Finds random accounts and checks each answer.
#[derive(Debug)]
pub(crate) struct SelectByKey {
    protocol: Protocol,
    random: fastrand::Rng,
    query: Vec<u8>,
}

impl SelectByKey {
    pub(crate) fn new(protocol: Protocol, seed: u64) -> Self {
        Self { protocol, random: fastrand::Rng::with_seed(seed), query: Vec::with_capacity(80) }
    }
}

impl Workload for SelectByKey {
    type Session = Session;

    fn kinds(&self) -> &'static [&'static str] {
        &["select"]
    }

    fn begin(&mut self, session: &mut Session, out: &mut Vec<u8>) -> usize {
        (session.id, session.rows) = (self.random.u64(1..=ACCOUNTS), 0);
        let id = Digits::new(session.id);
        let name = match self.protocol {
            Protocol::Simple => {
                self.query.clear();
                self.query.extend_from_slice(SIMPLE_PREFIX);
                self.query.extend_from_slice(id.bytes());
                encode::query(out, &self.query);
                return 0;
            }
            Protocol::Extended => b"",
            Protocol::Prepared => NAME,
        };
        if !session.is_prepared {
            encode::parse(out, name, SQL, &[]);
        }
        encode::bind_text(out, b"", name, &[Some(id.bytes())]);
        encode::execute(out, b"", 0);
        encode::sync(out);
        0
    }

    fn message(&mut self, session: &mut Session, message_tag: u8, body: &[u8]) -> Result<(), Fault> {
        match message_tag {
            tag::DATA_ROW => {
                session.rows += 1;
                let mut row = Row::new(body);
                let columns = row.columns();
                let expected = (Some(session.id), Some(account_balance(session.id)));
                if columns != 2 || (row.integer(), row.integer()) != expected {
                    return Err("the answer is another row than the one asked for".into());
                }
            }
            tag::PARSE_COMPLETE => session.is_prepared = self.protocol == Protocol::Prepared,
            tag::BIND_COMPLETE | tag::COMMAND_COMPLETE | tag::ROW_DESCRIPTION => {}
            _ => return Err("a message that does not belong to the answer".into()),
        }
        Ok(())
    }

    fn ready(&mut self, session: &mut Session, status: u8, _out: &mut Vec<u8>) -> Result<Next, Fault> {
        match (session.rows, status) {
            (1, b'I') => Ok(Next::Done),
            (1, _) => Err("a read left a transaction open".into()),
            _ => Err("the number of rows is not 1".into()),
        }
    }

    fn abandon(&mut self, _session: &mut Session) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(mut bytes: &[u8]) -> String {
        let mut tags = String::new();
        while let Ok(Some(header)) = pgprime_wire::frame::Header::peek(bytes) {
            tags.push(header.tag as char);
            bytes = &bytes[header.len..];
        }
        tags
    }

    #[test]
    fn messages_of_each_protocol() {
        for (protocol, first, second) in [
            (Protocol::Simple, "Q", "Q"),
            (Protocol::Extended, "PBES", "PBES"),
            (Protocol::Prepared, "PBES", "BES"),
        ] {
            let (mut workload, mut session) = (SelectByKey::new(protocol, 1), Session::default());
            let mut out = Vec::new();
            workload.begin(&mut session, &mut out);
            assert_eq!(tags(&out), first, "{protocol:?}");
            workload.message(&mut session, tag::PARSE_COMPLETE, b"").unwrap();
            out.clear();
            workload.begin(&mut session, &mut out);
            assert_eq!(tags(&out), second, "{protocol:?}");
            assert_eq!(protocol.name().parse::<Protocol>().unwrap(), protocol);
        }
    }

    #[test]
    fn other_protocols_are_not_known() {
        assert!("Simple".parse::<Protocol>().is_err());
    }

    #[test]
    fn only_the_row_asked_for_is_right() {
        let mut workload = SelectByKey::new(Protocol::Simple, 1);
        let mut check = |id: &[u8], balance: &[u8]| {
            let mut session = Session { id: 5, ..Session::default() };
            let mut body = vec![0, 2];
            for value in [id, balance] {
                body.extend((value.len() as i32).to_be_bytes());
                body.extend(value);
            }
            workload.message(&mut session, tag::DATA_ROW, &body)
        };
        assert_eq!(check(b"5", b"38"), Ok(()));
        assert!(check(b"6", b"45").is_err());
        assert!(check(b"5", b"39").is_err());
        let mut session = Session::default();
        assert!(workload.ready(&mut session, b'I', &mut Vec::new()).is_err());
    }
}
