//! What clients ask, and how answers are checked.

use std::borrow::Cow;

/// An answer that is not the one asked for. It counts as an error of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) Cow<'static, str>);

impl From<&'static str> for Fault {
    fn from(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

/// What follows when the server is ready again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The next step of the same request was appended to the output.
    Step,
    /// The request is complete.
    Done,
}

/// Requests of one kind of load. A request has one or more steps, each an exchange up to ReadyForQuery.
///
/// For each request the generator calls `begin`, then `message` for every message of the answer, then `ready`, and
/// those two again for each further step. After an error of the server, or a fault, it calls `abandon` instead,
/// having ended the transaction if there is one.
pub(crate) trait Workload {
    /// What one client remembers, from one request to the next.
    type Session: Default;

    /// Names of the kinds of requests, in the order of the numbers that `begin` gives.
    fn kinds(&self) -> &'static [&'static str];

    /// Appends the first step of a new request to `out`; gives the number of its kind.
    fn begin(&mut self, session: &mut Self::Session, out: &mut Vec<u8>) -> usize;

    /// Looks at a message of the answer; ReadyForQuery and ErrorResponse are not among them.
    fn message(&mut self, session: &mut Self::Session, tag: u8, body: &[u8]) -> Result<(), Fault>;

    /// The server is ready, in the transaction status given (`I`, `T` or `E`).
    fn ready(&mut self, session: &mut Self::Session, status: u8, out: &mut Vec<u8>) -> Result<Next, Fault>;

    /// The request failed; the next is a new one.
    fn abandon(&mut self, session: &mut Self::Session);
}
