//! The demo's load: what an insurer's application asks, mostly reads, with transactions that write.

use pgprime_wire::frontend::encode;
use pgprime_wire::tag::backend as tag;

use crate::data::dataset::Dataset;
use crate::data::insurance::Quote;
use crate::generator::{Fault, Next, Workload};
use crate::rows::{Digits, Row};

const FIND_QUOTE: Statement = Statement { name: b"find_quote", sql: include_str!("../sql/find_quote.sql") };
const LIST_POLICIES: Statement =
    Statement { name: b"list_policies", sql: include_str!("../sql/list_policies.sql") };
const QUOTE_WITH_CUSTOMER: Statement =
    Statement { name: b"quote_with_customer", sql: include_str!("../sql/quote_with_customer.sql") };
const CREATE_QUOTE: &str = include_str!("../sql/create_quote.sql");
const CREATE_POLICY: &str = include_str!("../sql/create_policy.sql");
const BIND_QUOTE: &str = include_str!("../sql/bind_quote.sql");
const FIND_POLICY: &str = include_str!("../sql/find_policy.sql");
const CREATE_CLAIM: &str = include_str!("../sql/create_claim.sql");

/// Rows of one page of policies, as the statement says.
const PAGE_ROWS: u64 = 20;

/// The kinds of requests, with the share of each in a hundred.
const SHARES: [(Kind, u8); 5] = [
    (Kind::FindQuote, 45),
    (Kind::ListPolicies, 30),
    (Kind::QuoteWithCustomer, 10),
    (Kind::BindPolicy, 10),
    (Kind::FileClaim, 5),
];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    FindQuote,
    ListPolicies,
    QuoteWithCustomer,
    BindPolicy,
    FileClaim,
}

impl Kind {
    /// The bit of this kind's statement among those prepared.
    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// How reads are executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Statements {
    /// Prepared once on each client connection, by name, and then executed.
    #[default]
    Named,
    /// Parsed anew each time; for poolers that cannot keep prepared statements in transaction mode.
    Unnamed,
}

/// A statement with the name it is prepared under.
struct Statement {
    name: &'static [u8],
    sql: &'static str,
}

/// What one client remembers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    kind: Kind,
    /// Step of a transaction, from 0.
    step: u8,
    /// Which statements are prepared on this connection: one bit each.
    prepared: u8,
    rows: u64,
    /// The id that the answer must carry.
    id: u64,
    /// The customer, amount or first id that the answer must fit to.
    customer: u64,
    /// The id an INSERT returned, for the steps that follow.
    returned: u64,
    /// The last policy of the page, when the page was full and the next one is to follow.
    page_after: u64,
}

/// The load over the tables of the sample data.
#[derive(Debug)]
pub(crate) struct InsuranceMix {
    data: Dataset,
    statements: Statements,
    random: fastrand::Rng,
}

impl InsuranceMix {
    pub(crate) fn new(data: Dataset, statements: Statements, seed: u64) -> Self {
        Self { data, statements, random: fastrand::Rng::with_seed(seed) }
    }

    fn draw_kind(&mut self) -> (usize, Kind) {
        let mut left = self.random.u8(0..100);
        for (number, (kind, share)) in SHARES.into_iter().enumerate() {
            if left < share {
                return (number, kind);
            }
            left -= share;
        }
        (0, Kind::FindQuote)
    }

    /// Appends the execution of a read's statement, and its preparation when this connection has not done that.
    fn execute(&self, session: &Session, statement: &Statement, values: &[Digits], out: &mut Vec<u8>) {
        if self.statements == Statements::Unnamed {
            return unnamed(statement.sql, values, out);
        }
        if session.prepared & session.kind.bit() == 0 {
            encode::parse(out, statement.name, statement.sql.as_bytes(), &[]);
        }
        bind_and_sync(statement.name, values, out);
    }

    fn begin_list(&mut self, session: &mut Session, out: &mut Vec<u8>) {
        if session.page_after == 0 {
            session.customer = self.data.customer_at(self.random.f64());
        }
        let values = [Digits::new(session.customer), Digits::new(session.page_after)];
        session.id = session.page_after;
        self.execute(session, &LIST_POLICIES, &values, out);
    }

    fn check_quote(&self, session: &Session, mut row: Row<'_>) -> Result<(), Fault> {
        let columns = row.columns();
        let (id, customer, premium_cents) = (row.integer(), row.integer(), row.cents());
        if columns != 10 || id != Some(session.id) {
            return Err("the answer is another quote than the one asked for".into());
        }
        let expected = Quote::of(&self.data, session.id);
        if customer != Some(expected.customer) || premium_cents != Some(expected.premium_cents) {
            return Err("the quote's row does not hold what was stored".into());
        }
        Ok(())
    }
}

impl Workload for InsuranceMix {
    type Session = Session;

    fn kinds(&self) -> &'static [&'static str] {
        &["find quote", "list policies", "quote with customer", "bind policy", "file claim"]
    }

    fn begin(&mut self, session: &mut Session, out: &mut Vec<u8>) -> usize {
        let (number, kind) = self.draw_kind();
        (session.kind, session.step, session.rows) = (kind, 0, 0);
        match kind {
            Kind::FindQuote => {
                session.id = self.random.u64(1..=self.data.counts.quotes);
                self.execute(session, &FIND_QUOTE, &[Digits::new(session.id)], out);
            }
            Kind::QuoteWithCustomer => {
                session.id = self.random.u64(1..=self.data.counts.quotes);
                self.execute(session, &QUOTE_WITH_CUSTOMER, &[Digits::new(session.id)], out);
            }
            Kind::ListPolicies => self.begin_list(session, out),
            Kind::BindPolicy => {
                session.customer = self.data.customer_at(self.random.f64());
                session.page_after = 0;
                encode::query(out, b"BEGIN");
            }
            Kind::FileClaim => {
                session.id = self.random.u64(1..=self.data.counts.policies);
                encode::query(out, b"BEGIN");
            }
        }
        number
    }

    fn message(&mut self, session: &mut Session, message_tag: u8, body: &[u8]) -> Result<(), Fault> {
        match message_tag {
            tag::DATA_ROW => {
                session.rows += 1;
                match session.kind {
                    Kind::FindQuote | Kind::QuoteWithCustomer => self.check_quote(session, Row::new(body)),
                    Kind::ListPolicies => session.check_policy_of_page(Row::new(body)),
                    Kind::BindPolicy => session.check_bind(Row::new(body)),
                    Kind::FileClaim => session.check_claim(Row::new(body)),
                }
            }
            tag::PARSE_COMPLETE => {
                session.prepared |= session.kind.bit();
                Ok(())
            }
            tag::BIND_COMPLETE | tag::COMMAND_COMPLETE => Ok(()),
            _ => Err("a message that does not belong to the answer".into()),
        }
    }

    fn ready(&mut self, session: &mut Session, status: u8, out: &mut Vec<u8>) -> Result<Next, Fault> {
        let rows = std::mem::take(&mut session.rows);
        match session.kind {
            Kind::FindQuote | Kind::QuoteWithCustomer if rows != 1 => {
                Err("the number of rows is not 1".into())
            }
            Kind::FindQuote | Kind::QuoteWithCustomer | Kind::ListPolicies if status != b'I' => {
                Err("a read left a transaction open".into())
            }
            Kind::FindQuote | Kind::QuoteWithCustomer => Ok(Next::Done),
            Kind::ListPolicies if rows > PAGE_ROWS => Err("more rows than a page has".into()),
            Kind::ListPolicies => {
                session.page_after = if rows == PAGE_ROWS { session.id } else { 0 };
                Ok(Next::Done)
            }
            Kind::BindPolicy => session.next_of_bind(rows, status, &mut self.random, out),
            Kind::FileClaim => session.next_of_claim(rows, status, &mut self.random, out),
        }
    }

    fn abandon(&mut self, session: &mut Session) {
        (session.rows, session.page_after) = (0, 0);
    }
}

impl Session {
    fn check_policy_of_page(&mut self, mut row: Row<'_>) -> Result<(), Fault> {
        let columns = row.columns();
        let (id, customer) = (row.integer(), row.integer());
        if columns != 7 || customer != Some(self.customer) {
            return Err("a policy of another customer than the one asked for".into());
        }
        match id {
            Some(id) if id > self.id => self.id = id,
            _ => return Err("the policies of a page are not in order".into()),
        }
        Ok(())
    }

    /// The rows of the steps that create a quote (1) and a policy (2) and mark the quote as bound (3).
    fn check_bind(&mut self, mut row: Row<'_>) -> Result<(), Fault> {
        let (id, related) = (row.integer(), row.integer());
        let (Some(id), Some(related)) = (id, related) else {
            return Err("an id that was to be returned is missing".into());
        };
        let fits = match self.step {
            1 => related == self.customer,
            2 => related == self.returned,
            3 => id == self.returned && related == self.customer,
            _ => false,
        };
        if self.step == 1 {
            self.returned = id;
        }
        if fits { Ok(()) } else { Err("a transaction's answer belongs to another request".into()) }
    }

    fn next_of_bind(
        &mut self,
        rows: u64,
        status: u8,
        random: &mut fastrand::Rng,
        out: &mut Vec<u8>,
    ) -> Result<Next, Fault> {
        check_step(self.step, 4, rows, status)?;
        let (customer, quote) = (Digits::new(self.customer), Digits::new(self.returned));
        match self.step {
            0 => unnamed(CREATE_QUOTE, &[customer, Digits::new(random.u64(5_000..200_000))], out),
            1 => unnamed(CREATE_POLICY, &[quote], out),
            2 => unnamed(BIND_QUOTE, &[quote], out),
            3 => encode::query(out, b"COMMIT"),
            _ => return Ok(Next::Done),
        }
        self.step += 1;
        Ok(Next::Step)
    }

    /// The rows of the steps that look at the policy (1) and file the claim (2).
    fn check_claim(&mut self, mut row: Row<'_>) -> Result<(), Fault> {
        let (id, related) = (row.integer(), row.integer());
        let fits = match self.step {
            1 => id == Some(self.id),
            2 => id.is_some() && related == Some(self.id),
            _ => false,
        };
        if fits { Ok(()) } else { Err("a transaction's answer belongs to another request".into()) }
    }

    fn next_of_claim(
        &mut self,
        rows: u64,
        status: u8,
        random: &mut fastrand::Rng,
        out: &mut Vec<u8>,
    ) -> Result<Next, Fault> {
        check_step(self.step, 3, rows, status)?;
        let policy = Digits::new(self.id);
        match self.step {
            0 => unnamed(FIND_POLICY, &[policy], out),
            1 => unnamed(CREATE_CLAIM, &[policy, Digits::new(random.u64(10_000..900_000))], out),
            2 => encode::query(out, b"COMMIT"),
            _ => return Ok(Next::Done),
        }
        self.step += 1;
        Ok(Next::Step)
    }
}

/// A transaction begins with step 0, which has no row, ends with the step `last`, which has none either, and has one
/// row in each step between.
fn check_step(step: u8, last: u8, rows: u64, status: u8) -> Result<(), Fault> {
    let (expected_rows, expected_status) = match step {
        0 => (0, b'T'),
        _ if step == last => (0, b'I'),
        _ => (1, b'T'),
    };
    match (rows == expected_rows, status == expected_status) {
        (true, true) => Ok(()),
        (false, _) => Err("a transaction's step has another number of rows".into()),
        (true, false) => Err("a transaction is not in the state it should be in".into()),
    }
}

fn unnamed(sql: &str, values: &[Digits], out: &mut Vec<u8>) {
    encode::parse(out, b"", sql.as_bytes(), &[]);
    bind_and_sync(b"", values, out);
}

/// Statements have at most two parameters.
fn bind_and_sync(statement: &[u8], values: &[Digits], out: &mut Vec<u8>) {
    let mut parameters: [Option<&[u8]>; 2] = [None; 2];
    for (parameter, value) in parameters.iter_mut().zip(values) {
        *parameter = Some(value.bytes());
    }
    encode::bind_text(out, b"", statement, &parameters[..values.len()]);
    encode::execute(out, b"", 0);
    encode::sync(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(statements: Statements) -> InsuranceMix {
        InsuranceMix::new(Dataset::new(0.01, 1, 1_800_000_000), statements, 3)
    }

    fn row(columns: &[&str]) -> Vec<u8> {
        let mut body = (columns.len() as u16).to_be_bytes().to_vec();
        for column in columns {
            body.extend((column.len() as i32).to_be_bytes());
            body.extend(column.as_bytes());
        }
        body
    }

    #[test]
    fn kinds_come_in_their_shares() {
        let mut mix = mix(Statements::Named);
        let mut counts = [0; 5];
        for _ in 0..10_000 {
            counts[mix.draw_kind().0] += 1;
        }
        for (count, (kind, share)) in counts.into_iter().zip(SHARES) {
            let expected = i32::from(share) * 100;
            assert!((count - expected).abs() < 200, "{kind:?}: {count} of 10000");
        }
        assert_eq!(SHARES.iter().map(|(_, share)| share).sum::<u8>(), 100);
    }

    #[test]
    fn a_statement_is_prepared_once_per_connection() {
        let mut mix = mix(Statements::Named);
        let mut session = Session { id: 7, ..Session::default() };
        let mut first = Vec::new();
        mix.execute(&session, &FIND_QUOTE, &[Digits::new(7)], &mut first);
        assert_eq!(first[0], b'P');
        mix.message(&mut session, tag::PARSE_COMPLETE, b"").unwrap();
        let mut second = Vec::new();
        mix.execute(&session, &FIND_QUOTE, &[Digits::new(7)], &mut second);
        assert_eq!(second[0], b'B');
        let mut other = Vec::new();
        session.kind = Kind::QuoteWithCustomer;
        mix.execute(&session, &QUOTE_WITH_CUSTOMER, &[Digits::new(7)], &mut other);
        assert_eq!(other[0], b'P');
    }

    #[test]
    fn a_wrong_answer_is_a_fault() {
        let mut mix = mix(Statements::Named);
        let quote = Quote::of(&mix.data, 7);
        let (customer, premium) = (quote.customer.to_string(), quote.premium_cents);
        let premium = format!("{}.{:02}", premium / 100, premium % 100);
        let mut check = |id: &str, customer: &str, premium: &str| {
            let mut session = Session { id: 7, ..Session::default() };
            let body = row(&[id, customer, premium, "", "", "", "", "", "", ""]);
            mix.message(&mut session, tag::DATA_ROW, &body)
        };
        assert_eq!(check("7", &customer, &premium), Ok(()));
        assert!(check("8", &customer, &premium).is_err());
        assert!(check("7", "999999", &premium).is_err());
        assert!(check("7", &customer, "0.01").is_err());
        let mut session = Session { id: 7, ..Session::default() };
        assert!(mix.message(&mut session, tag::DATA_ROW, &row(&["7"])).is_err());
        assert!(mix.ready(&mut Session::default(), b'I', &mut Vec::new()).is_err(), "no row at all");
        assert!(mix.message(&mut session, b'H', b"").is_err());
    }

    #[test]
    fn pages_follow_each_other() {
        let mut mix = mix(Statements::Named);
        let mut session = Session { kind: Kind::ListPolicies, customer: 5, ..Session::default() };
        let policy = |id: u64, customer: &str| row(&[&id.to_string(), customer, "", "", "", "", ""]);
        for id in 1..=PAGE_ROWS {
            mix.message(&mut session, tag::DATA_ROW, &policy(id * 3, "5")).unwrap();
        }
        assert!(mix.message(&mut session.clone(), tag::DATA_ROW, &policy(5, "5")).is_err());
        assert!(mix.message(&mut session.clone(), tag::DATA_ROW, &policy(100, "6")).is_err());
        assert_eq!(mix.ready(&mut session, b'I', &mut Vec::new()), Ok(Next::Done));
        assert_eq!(session.page_after, PAGE_ROWS * 3);
    }

    #[test]
    fn a_transaction_uses_the_id_it_was_given() {
        let mut mix = mix(Statements::Named);
        let mut session = Session { kind: Kind::BindPolicy, customer: 5, ..Session::default() };
        let mut out = Vec::new();
        assert_eq!(mix.ready(&mut session, b'T', &mut out), Ok(Next::Step));
        mix.message(&mut session, tag::DATA_ROW, &row(&["900", "5"])).unwrap();
        assert_eq!(mix.ready(&mut session, b'T', &mut out), Ok(Next::Step));
        let other = mix.message(&mut session.clone(), tag::DATA_ROW, &row(&["70", "901"]));
        assert!(other.is_err());
        mix.message(&mut session, tag::DATA_ROW, &row(&["70", "900"])).unwrap();
        assert_eq!(mix.ready(&mut session, b'T', &mut out), Ok(Next::Step));
        mix.message(&mut session, tag::DATA_ROW, &row(&["900", "5"])).unwrap();
        assert_eq!(mix.ready(&mut session, b'T', &mut out), Ok(Next::Step));
        assert!(mix.ready(&mut session.clone(), b'T', &mut out).is_err(), "not committed");
        assert_eq!(mix.ready(&mut session, b'I', &mut out), Ok(Next::Done));
    }
}
