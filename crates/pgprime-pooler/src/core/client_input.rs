//! What clients send.

use std::time::Instant;

use pgprime_wire::backend::TransactionStatus;
use pgprime_wire::frame::Header;
use pgprime_wire::frontend::encode;

use super::client::{ClientState, Passing};
use super::ends::ClientEnd;
use super::ids::{ClientId, ServerId};
use super::replies::{Owner, Reply};
use super::route::{self, Kind, Link, Route};
use super::server::ServerState;
use super::state::{Core, Effect, Mode};

/// A message of which less is there is held back; a larger one goes on piece by piece.
const HOLD_BYTES_MAX: usize = 16 * 1024;
/// A Parse is held whole, as its text says which statement it is. PostgreSQL itself takes texts of up to 1 GiB; longer
/// ones than this can be sent as simple queries, which stream.
const PARSE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// A client that waits may leave so much in its buffer before its socket is no longer read.
const WAITING_INPUT_BYTES_MAX: usize = 64 * 1024;
/// A connection whose peer takes so much without reading is not read from either.
pub(super) const OUTPUT_BYTES_MAX: usize = 128 * 1024;

/// What becomes of a client's prepared statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Statements {
    /// They follow the client: names are translated.
    Tracked,
    /// Messages go on as they are.
    Passed,
}

impl Core {
    /// Bytes from a client. They are handled, forwarded or kept: all are taken.
    pub fn handle_client_data(&mut self, id: ClientId, bytes: &[u8], now: Instant) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if let Some(pool) = self.pools.get_mut(client.pool.0 as usize).and_then(Option::as_mut) {
            pool.counters.received_bytes += bytes.len() as u64;
        }
        if client.input.is_empty() {
            let used = self.process(id, bytes, now);
            if let Some(client) = self.clients.get_mut(id) {
                client.input.extend_from_slice(bytes.get(used..).unwrap_or_default());
            }
        } else {
            client.input.extend_from_slice(bytes);
            self.process_held(id, now);
        }
        self.run_pool_actions(now);
    }

    /// Whether the client's socket should be read: its server takes what comes, and it is not waiting with much to say.
    pub fn may_read_client(&self, id: ClientId) -> bool {
        let Some(client) = self.clients.get(id) else { return false };
        match client.state {
            ClientState::Active(server) => {
                let is_held = client.input.len() >= WAITING_INPUT_BYTES_MAX && client.holds_message();
                !is_held
                    && self.servers.get(server).is_some_and(|server| server.output.len() < OUTPUT_BYTES_MAX)
            }
            ClientState::Idle => client.output.len() < OUTPUT_BYTES_MAX,
            ClientState::LoggingIn(_) | ClientState::Waiting(_) | ClientState::Preparing(_) => {
                client.input.len() < WAITING_INPUT_BYTES_MAX
            }
        }
    }

    /// The driver has written so many bytes of a client's output.
    pub fn handle_client_written(&mut self, id: ClientId, count: usize) {
        let Some(client) = self.clients.get_mut(id) else { return };
        let was_full = client.output.len() >= OUTPUT_BYTES_MAX;
        client.output.advance(count, &mut self.buffers);
        let server = client.server();
        if let Some(pool) = self.pools.get_mut(client.pool.0 as usize).and_then(Option::as_mut) {
            pool.counters.sent_bytes += count as u64;
        }
        if was_full && client.output.len() < OUTPUT_BYTES_MAX {
            self.effects.extend(server.map(Effect::ReadServer));
            self.effects.push_back(Effect::ReadClient(id));
        }
    }

    /// Goes on with what a client sent while it had to wait.
    pub(super) fn process_held(&mut self, id: ClientId, now: Instant) {
        let Some(client) = self.clients.get_mut(id) else { return };
        if client.input.is_empty() {
            return;
        }
        let was_full = client.input.len() >= WAITING_INPUT_BYTES_MAX;
        let mut input = std::mem::take(&mut client.input);
        let used = self.process(id, &input, now);
        let Some(client) = self.clients.get_mut(id) else { return };
        input.drain(..used);
        // An idle client holds no buffer.
        if !input.is_empty() {
            input.append(&mut client.input);
            client.input = input;
        }
        if was_full {
            self.effects.push_back(Effect::ReadClient(id));
        }
    }

    fn process(&mut self, id: ClientId, bytes: &[u8], now: Instant) -> usize {
        let mut used = 0;
        while let Some(step) = self.step(id, bytes.get(used..).unwrap_or_default(), now) {
            used += step;
        }
        used
    }

    /// Handles one message or part of one; `None` when there is nothing more to do now.
    fn step(&mut self, id: ClientId, bytes: &[u8], now: Instant) -> Option<usize> {
        let client = self.clients.get_mut(id)?;
        if bytes.is_empty() {
            return None;
        }
        if client.passing != Passing::Nothing {
            return self.pass_on(id, bytes, now);
        }
        let is_healing = |server| self.servers.get(server).is_some_and(|server| server.healing);
        if !client.takes_input() || client.server().is_some_and(is_healing) {
            return None;
        }
        let link = match (client.state, client.skipping) {
            (ClientState::Active(_), _) => Link::Linked,
            (_, true) => Link::Skipping,
            (_, false) => Link::Free,
        };
        let header = match Header::peek(bytes) {
            Ok(header) => header?,
            Err(error) => {
                self.end_client(id, ClientEnd::violation(error.to_string()), now);
                return None;
            }
        };
        if header.len > self.settings.message_bytes_max {
            let message = format!("message of {} bytes is larger than max_packet_size", header.len);
            self.end_client(id, ClientEnd::violation(message), now);
            return None;
        }
        match route::classify(header.tag, link) {
            Route::Server(kind) => self.forward_to_server(id, kind, header, bytes, now),
            Route::Discard => {
                client.passing = Passing::Discard(header.len);
                Some(0)
            }
            Route::Ready => {
                client.skipping = false;
                client.idle_since = now;
                // A Sync has no body; what one brings along is still on its way.
                client.passing = Passing::Discard(header.len);
                self.tell_client_ready(id, TransactionStatus::Idle);
                Some(0)
            }
            Route::Leave => {
                self.end_client(id, ClientEnd::Left, now);
                None
            }
            Route::Violation => {
                let message = format!("message type {:?} is not expected here", char::from(header.tag));
                self.end_client(id, ClientEnd::violation(message), now);
                None
            }
        }
    }

    /// The next piece of a message that is not held whole.
    fn pass_on(&mut self, id: ClientId, bytes: &[u8], now: Instant) -> Option<usize> {
        let client = self.clients.get_mut(id)?;
        let (remaining, server) = match client.passing {
            Passing::Forward(remaining) => (remaining, client.server()),
            Passing::Discard(remaining) => (remaining, None),
            Passing::Nothing => return None,
        };
        let count = remaining.min(bytes.len());
        client.passing = match client.passing {
            _ if count == remaining => Passing::Nothing,
            Passing::Forward(_) => Passing::Forward(remaining - count),
            _ => Passing::Discard(remaining - count),
        };
        if let Some(server) = server {
            let piece = bytes.get(..count)?;
            self.tell_server(server, |out| out.extend_from_slice(piece));
            if count == remaining {
                // The answer may have been complete before the last of a COPY's data was.
                self.release_if_over(server, now);
            }
        }
        Some(count)
    }

    fn forward_to_server(
        &mut self,
        id: ClientId,
        kind: Kind,
        header: Header,
        bytes: &[u8],
        now: Instant,
    ) -> Option<usize> {
        let is_whole = bytes.len() >= header.len;
        let streams = matches!(kind, Kind::Query | Kind::FunctionCall | Kind::Bind | Kind::CopyData);
        let can_begin = is_whole || (streams && bytes.len() >= HOLD_BYTES_MAX);
        if !can_begin {
            // Half a message must not hold a server.
            let held_max = if kind == Kind::Parse { PARSE_BYTES_MAX } else { HOLD_BYTES_MAX };
            if header.len > held_max && !streams {
                self.end_client(
                    id,
                    ClientEnd::violation(format!("message of {} bytes is too long", header.len)),
                    now,
                );
            }
            return None;
        }
        let server = self.server_of(id, now)?;
        let message = bytes.get(..header.len).unwrap_or(bytes);
        let statements = self.statements_of(id);
        if statements == Statements::Tracked {
            let is_prepared = matches!(kind, Kind::Parse | Kind::Bind | Kind::Describe | Kind::Close);
            if is_prepared && self.servers.get(server).is_some_and(|server| server.replies.is_skipping()) {
                // The server ignores it up to Sync; so do we.
                self.clients.get_mut(id)?.passing = Passing::Discard(header.len);
                return Some(0);
            }
            if self.depends_on_earlier(id, server, kind, header.body(message)) {
                return None;
            }
        }
        // Data for a COPY belongs to the request that began it. Outside of one, the server ignores it.
        if !matches!(kind, Kind::CopyData | Kind::CopyEnd) {
            self.begin_request(id, server, statements, now);
        }
        if kind == Kind::Bind && statements == Statements::Tracked {
            let next = bytes.get(header.len..).unwrap_or_default();
            if self.awaits_shape(id, server, header.body(message), next) {
                return None;
            }
        }
        let taken = self.forward(id, server, kind, header, message, statements);
        if taken < header.len
            && let Some(client) = self.clients.get_mut(id)
        {
            client.passing = Passing::Forward(header.len - taken);
        }
        Some(taken)
    }

    /// The client's server, if it has one or gets one at once. Otherwise it waits.
    fn server_of(&mut self, id: ClientId, now: Instant) -> Option<ServerId> {
        let client = self.clients.get_mut(id)?;
        if client.state == ClientState::Idle {
            let pool = client.pool;
            client.request_at = now;
            self.request_server(id, pool, ClientState::Waiting, now);
            self.run_pool_actions(now);
        }
        match self.clients.get(id)?.state {
            ClientState::Active(server) => Some(server),
            _ => None,
        }
    }

    fn begin_request(&mut self, id: ClientId, server_id: ServerId, statements: Statements, now: Instant) {
        // A client that keeps its server has statements there which only it can prepare again.
        let is_repeatable = statements == Statements::Tracked;
        let Some(server) = self.servers.get_mut(server_id) else { return };
        if server.in_flight.is_flushed {
            server.in_flight.begun_at.get_or_insert(now);
        }
        if server.request_at.is_none() {
            server.request_at = Some(now);
            server.transaction_at.get_or_insert(now);
            if is_repeatable && server.status == TransactionStatus::Idle && server.replies.is_settled() {
                server.replay.begin();
            } else {
                server.replay.give_up();
            }
            if let Some(client) = self.clients.get_mut(id) {
                client.request_at = now;
            }
        }
    }

    /// Sends a message on, and notes what it will be answered with. Returns how many bytes of it were taken.
    fn forward(
        &mut self,
        id: ClientId,
        server_id: ServerId,
        kind: Kind,
        header: Header,
        message: &[u8],
        statements: Statements,
    ) -> usize {
        let owner = Owner::Client(id);
        if statements == Statements::Tracked
            && matches!(kind, Kind::Parse | Kind::Bind | Kind::Describe | Kind::Close)
        {
            if let Some(server) = self.servers.get_mut(server_id) {
                if message.len() == header.len {
                    server.replay.record(message)
                } else {
                    server.replay.give_up()
                }
            }
            return self.forward_prepared(id, server_id, kind, header, message);
        }
        let translated = match kind {
            Kind::Query if message.len() == header.len && statements == Statements::Tracked => {
                self.translated_query(id, server_id, header.body(message))
            }
            _ => None,
        };
        match kind {
            Kind::Query | Kind::FunctionCall => self.expect_query(id, server_id, kind, header.body(message)),
            Kind::Parse | Kind::Bind | Kind::Describe => {
                self.expect_passed(owner, server_id, kind, header.body(message));
            }
            Kind::Execute => self.expect_execution(owner, server_id, header.body(message)),
            _ => self.expect_other(owner, server_id, kind),
        }
        if matches!(kind, Kind::Execute | Kind::Sync | Kind::Flush)
            && let Some(server) = self.servers.get_mut(server_id)
        {
            server.replay.record(message);
        }
        if kind == Kind::Flush {
            self.write_replies(server_id);
        }
        self.tell_server(server_id, |out| match translated {
            Some(text) => encode::query(out, &text),
            None => out.extend_from_slice(message),
        });
        message.len()
    }

    fn expect_query(&mut self, id: ClientId, server_id: ServerId, kind: Kind, body: &[u8]) {
        let Some(pool) = self.servers.get(server_id).map(|server| server.pool) else { return };
        let place = self.place_of_query(pool, kind, body);
        let sample = self.sample_of_query(body);
        let Some(server) = self.servers.get_mut(server_id) else { return };
        server.statements.set_unnamed(None);
        server.replay.give_up();
        server.replies.push_execution(Owner::Client(id), Reply::Query, place, sample);
        if kind == Kind::Query
            && route::discards_statements(body)
            && let Some(client) = self.clients.get_mut(id)
        {
            client.statements_mut().discarding = true;
        }
    }

    fn expect_execution(&mut self, owner: Owner, server_id: ServerId, body: &[u8]) {
        let Some(server) = self.servers.get_mut(server_id) else { return };
        let portal = body.split(|byte| *byte == 0).next().unwrap_or_default();
        let (place, sample) = server.in_flight.executes(portal);
        server.replies.push_execution(owner, Reply::Execute, place, sample);
    }

    /// What goes on as it came: the names in it are the client's own.
    fn expect_passed(&mut self, owner: Owner, server_id: ServerId, kind: Kind, body: &[u8]) {
        let place = self.note_passed(server_id, kind, body);
        let reply = match kind {
            Kind::Parse => Reply::Parse(None),
            Kind::Bind => Reply::Bind,
            _ => Reply::Describe,
        };
        if let Some(server) = self.servers.get_mut(server_id) {
            server.replies.push_at(owner, reply, place);
        }
    }

    fn expect_other(&mut self, owner: Owner, server_id: ServerId, kind: Kind) {
        let Some(server) = self.servers.get_mut(server_id) else { return };
        match kind {
            Kind::Close => server.replies.push(owner, Reply::Close),
            Kind::Sync => server.replies.push(owner, Reply::Sync),
            Kind::CopyData => server.replay.give_up(),
            Kind::CopyEnd => server.replies.push(owner, Reply::CopyEnd),
            Kind::Flush => server.in_flight.flush(),
            _ => {}
        }
    }

    /// Prepared statements are tracked where a client's servers change.
    fn statements_of(&self, id: ClientId) -> Statements {
        let mode =
            self.clients.get(id).and_then(|client| self.pool(client.pool)).map(|pool| pool.profile.mode);
        if self.settings.prepared_statements_max > 0 && mode != Some(Mode::Session) {
            Statements::Tracked
        } else {
            Statements::Passed
        }
    }

    /// Whether a client is in the middle of sending a message to its server.
    pub(super) fn is_amid_message(&self, server: ServerId) -> bool {
        let Some(ServerState::Active(client)) = self.servers.get(server).map(|server| server.state) else {
            return false;
        };
        self.clients.get(client).is_some_and(|client| matches!(client.passing, Passing::Forward(_)))
    }
}
