//! One connection's protocol as a state machine: the server's messages in, what follows from them out.

use pgprime_wire::tag::backend as tag;

use super::workload::{Fault, Next, Workload};
use crate::generator::socket::Socket;
use crate::login::{Login, LoginMaterial, LoginStep, error_text};

/// Where a connection stands.
#[derive(Debug)]
pub(super) enum Phase {
    /// The TCP handshake runs. Exits: logging in, dead.
    Connecting,
    /// Exits: idle, dead.
    LoggingIn(Login),
    /// Exits: busy, dead.
    Idle,
    /// A request is under way. Exits: idle, rolling back, dead.
    Busy(Request),
    /// The request failed within a transaction, which is being ended. Exits: idle, dead.
    RollingBack,
    /// The connection is lost.
    Dead,
}

/// The request a client waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// Number of its kind.
    pub(super) kind: usize,
    /// When it arrived, or began in a closed loop.
    pub(super) since_ns: u64,
    /// An error came; the rest of the answer is not looked at.
    pub(super) failed: bool,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Client<S> {
    pub(super) socket: Socket,
    pub(super) phase: Phase,
    /// The beginning of a message whose end has not arrived. Empty and without memory nearly always.
    pub(super) partial: Vec<u8>,
    /// What the kernel did not take. Empty and without memory nearly always.
    pub(super) unsent: Vec<u8>,
    pub(super) session: S,
}

/// What a message leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Nothing yet.
    None,
    /// The login is complete.
    LoggedIn,
    /// The request was answered correctly.
    Answered { kind: usize, since_ns: u64 },
    /// The request failed, and the connection can be used again.
    Failed,
    /// An error to count; the connection goes on to its ReadyForQuery.
    Error(String),
    /// The connection cannot be used any more.
    Broken(String),
}

impl<S> Client<S> {
    /// Takes one message, appends what is to be sent to `out`, and tells what follows.
    pub(super) fn message<W: Workload<Session = S>>(
        &mut self,
        workload: &mut W,
        material: &mut LoginMaterial,
        message_tag: u8,
        body: &[u8],
        out: &mut Vec<u8>,
    ) -> Event {
        match &mut self.phase {
            Phase::Busy(request) => {
                let (session, mut request) = (&mut self.session, *request);
                let event = match message_tag {
                    tag::READY_FOR_QUERY => return self.ready(workload, request, body, out),
                    tag::ERROR_RESPONSE => Event::Error(error_text(body)),
                    tag::PARAMETER_STATUS | tag::NOTICE_RESPONSE => Event::None,
                    _ if request.failed => Event::None,
                    _ => workload.message(session, message_tag, body).map_or_else(fault, |()| Event::None),
                };
                request.failed |= event != Event::None;
                self.phase = Phase::Busy(request);
                event
            }
            Phase::LoggingIn(login) => match login.message(material, message_tag, body, out) {
                Ok(LoginStep::Continue) => Event::None,
                Ok(LoginStep::Done) => {
                    self.phase = Phase::Idle;
                    Event::LoggedIn
                }
                Err(error) => Event::Broken(format!("{error:#}")),
            },
            Phase::RollingBack => match (message_tag, body) {
                (tag::READY_FOR_QUERY, b"I") => {
                    self.phase = Phase::Idle;
                    Event::Failed
                }
                (tag::READY_FOR_QUERY, _) => Event::Broken("ROLLBACK did not end the transaction".into()),
                (tag::ERROR_RESPONSE, body) => Event::Broken(error_text(body)),
                _ => Event::None,
            },
            Phase::Idle => match message_tag {
                tag::PARAMETER_STATUS | tag::NOTICE_RESPONSE => Event::None,
                tag::ERROR_RESPONSE => Event::Broken(error_text(body)),
                // A reply nobody asked for is somebody else's: the worst that a pooler can do.
                other => {
                    Event::Broken(format!("message {:?} for a client that asked nothing", other as char))
                }
            },
            Phase::Connecting | Phase::Dead => Event::Broken("a message before the login".into()),
        }
    }

    fn ready<W: Workload<Session = S>>(
        &mut self,
        workload: &mut W,
        request: Request,
        body: &[u8],
        out: &mut Vec<u8>,
    ) -> Event {
        let status = body.first().copied().unwrap_or_default();
        if request.failed {
            return self.end_failed(workload, status, out);
        }
        match workload.ready(&mut self.session, status, out) {
            Ok(Next::Step) => Event::None,
            Ok(Next::Done) => {
                self.phase = Phase::Idle;
                Event::Answered { kind: request.kind, since_ns: request.since_ns }
            }
            Err(Fault(text)) => {
                // Only one event can be given: the fault; that the client is free again follows from its phase.
                let _ = self.end_failed(workload, status, out);
                Event::Error(text.into_owned())
            }
        }
    }

    fn end_failed<W: Workload<Session = S>>(
        &mut self,
        workload: &mut W,
        status: u8,
        out: &mut Vec<u8>,
    ) -> Event {
        workload.abandon(&mut self.session);
        if status == b'I' {
            self.phase = Phase::Idle;
            return Event::Failed;
        }
        pgprime_wire::frontend::encode::query(out, b"ROLLBACK");
        self.phase = Phase::RollingBack;
        Event::None
    }
}

fn fault(Fault(text): Fault) -> Event {
    Event::Error(text.into_owned())
}
