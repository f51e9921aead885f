//! What servers send.

use std::time::Instant;

use pgprime_wire::backend::{self, ErrorFields, TransactionStatus, encode};
use pgprime_wire::frame::Header;
use pgprime_wire::tag::backend as tag;

use super::client_input::OUTPUT_BYTES_MAX;
use super::ends::{ClientEnd, ServerEnd};
use super::executions::note_failure;
use super::ids::{ClientId, ServerId};
use super::outdated::{OUTDATED_PLAN_ROUTINE, outdated_plan, shows_new_shape};
use super::prepared::forget_failed;
use super::replies::{Expected, Owner, Reply, Task, Written};
use super::server::{Remainder, Server, ServerState};
use super::shape::Shape;
use super::state::{Core, Effect, Mode};
use super::stats::micros;

/// A message that has to be read whole must not be longer; PostgreSQL's own bound on such messages is far lower.
const HOLD_BYTES_MAX: usize = 1024 * 1024;

impl Core {
    /// Bytes from a server. They are forwarded or kept: all are taken.
    pub fn handle_server_data(&mut self, id: ServerId, bytes: &[u8], now: Instant) {
        let Some(server) = self.servers.get_mut(id) else { return };
        if server.input.is_empty() {
            let used = self.read_server(id, bytes, now);
            if let Some(server) = self.servers.get_mut(id) {
                server.input.extend_from_slice(bytes.get(used..).unwrap_or_default());
            }
        } else {
            let mut input = std::mem::take(&mut server.input);
            input.extend_from_slice(bytes);
            let used = self.read_server(id, &input, now);
            input.drain(..used);
            if !input.is_empty()
                && let Some(server) = self.servers.get_mut(id)
            {
                server.input = input;
            }
        }
        self.run_pool_actions(now);
    }

    /// Whether the server's socket should be read: the client takes what comes.
    pub fn may_read_server(&self, id: ServerId) -> bool {
        let Some(server) = self.servers.get(id) else { return false };
        let client = server.client().and_then(|client| self.clients.get(client));
        client.is_none_or(|client| client.output.len() < OUTPUT_BYTES_MAX)
    }

    /// The driver has written so many bytes of a server's output.
    pub fn handle_server_written(&mut self, id: ServerId, count: usize) {
        let Some(server) = self.servers.get_mut(id) else { return };
        let was_full = server.output.len() >= OUTPUT_BYTES_MAX;
        server.output.advance(count, &mut self.buffers);
        if was_full && server.output.len() < OUTPUT_BYTES_MAX {
            self.effects.extend(server.client().map(Effect::ReadClient));
        }
    }

    fn read_server(&mut self, id: ServerId, bytes: &[u8], now: Instant) -> usize {
        let mut used = 0;
        while let Some(step) = self.server_step(id, bytes.get(used..).unwrap_or_default(), now) {
            used += step;
        }
        used
    }

    /// Handles one message, part of one, or a run of rows.
    fn server_step(&mut self, id: ServerId, bytes: &[u8], now: Instant) -> Option<usize> {
        let server = self.servers.get_mut(id)?;
        if bytes.is_empty() {
            return None;
        }
        if server.remainder != Remainder::Nothing {
            return self.pass_remainder(id, bytes);
        }
        let header = match Header::peek(bytes) {
            Ok(header) => header?,
            Err(error) => {
                self.end_server(id, ServerEnd::Violation(error.to_string()), now);
                return None;
            }
        };
        if let tag::DATA_ROW | tag::COPY_DATA = header.tag {
            return self.pass_rows(id, header, bytes, now);
        }
        let Some(message) = bytes.get(..header.len) else {
            return self.begin_long_message(id, header, bytes, now);
        };
        match self.server_message(id, header, message, now) {
            Ok(()) => Some(header.len),
            Err(Unasked) => {
                let what = format!("message {:?} answers nothing that was asked", char::from(header.tag));
                self.end_server(id, ServerEnd::Violation(what), now);
                None
            }
        }
    }

    /// Rows and COPY data that follow one another go on together.
    fn pass_rows(&mut self, id: ServerId, first: Header, bytes: &[u8], now: Instant) -> Option<usize> {
        if self.servers.get(id)?.replies.recipient().is_none() {
            self.end_server(id, ServerEnd::Violation("rows that nobody asked for".into()), now);
            return None;
        }
        let mut end = 0;
        while let Ok(Some(header)) = Header::peek(bytes.get(end..).unwrap_or_default())
            && header.tag == first.tag
            && bytes.len() - end >= header.len
        {
            end += header.len;
        }
        let server = self.servers.get_mut(id)?;
        let to = recipient(server);
        if end == 0 {
            // One that is longer than what is here.
            end = bytes.len();
            server.remainder = match to {
                Some(client) => Remainder::Forward(client, first.len - end),
                None => Remainder::Swallow(first.len - end),
            };
        }
        self.pass_to(id, to, bytes.get(..end)?);
        Some(end)
    }

    fn pass_to(&mut self, id: ServerId, to: Option<ClientId>, bytes: &[u8]) {
        if let Some(client) = to {
            if let Some(server) = self.servers.get_mut(id) {
                server.replay.give_up();
            }
            self.tell_client(client, |out| out.extend_from_slice(bytes));
        }
    }

    fn pass_remainder(&mut self, id: ServerId, bytes: &[u8]) -> Option<usize> {
        let server = self.servers.get_mut(id)?;
        let (to, remaining) = match server.remainder {
            Remainder::Forward(client, remaining) => (Some(client), remaining),
            Remainder::Swallow(remaining) => (None, remaining),
            Remainder::Nothing => return None,
        };
        let count = remaining.min(bytes.len());
        server.remainder = match server.remainder {
            _ if count == remaining => Remainder::Nothing,
            Remainder::Forward(client, _) => Remainder::Forward(client, remaining - count),
            _ => Remainder::Swallow(remaining - count),
        };
        self.pass_to(id, to, bytes.get(..count)?);
        Some(count)
    }

    /// The beginning of a message that has not all arrived. Control messages are waited for; long texts stream.
    fn begin_long_message(
        &mut self,
        id: ServerId,
        header: Header,
        bytes: &[u8],
        now: Instant,
    ) -> Option<usize> {
        let needs_whole = !matches!(
            header.tag,
            tag::NOTICE_RESPONSE | tag::NOTIFICATION_RESPONSE | tag::FUNCTION_CALL_RESPONSE
        );
        if needs_whole {
            if header.len > HOLD_BYTES_MAX {
                self.end_server(
                    id,
                    ServerEnd::Violation(format!("control message of {} bytes", header.len)),
                    now,
                );
            }
            return None;
        }
        let server = self.servers.get_mut(id)?;
        let to = recipient(server);
        let rest = header.len - bytes.len();
        server.remainder = to.map_or(Remainder::Swallow(rest), |client| Remainder::Forward(client, rest));
        self.pass_to(id, to, bytes);
        Some(bytes.len())
    }

    fn server_message(
        &mut self,
        id: ServerId,
        header: Header,
        message: &[u8],
        now: Instant,
    ) -> Result<(), Unasked> {
        self.write_replies(id);
        match header.tag {
            tag::PARAMETER_STATUS => self.parameter_reported(id, header.body(message)),
            tag::READY_FOR_QUERY => return self.ready(id, header.body(message), now),
            tag::ERROR_RESPONSE => self.error_reported(id, header.body(message), message, now),
            tag::NOTICE_RESPONSE | tag::NOTIFICATION_RESPONSE => self.pass_unasked(id, message),
            _ => return self.answer(id, header, message, now),
        }
        Ok(())
    }

    /// A message that answers what was asked.
    fn answer(&mut self, id: ServerId, header: Header, message: &[u8], now: Instant) -> Result<(), Unasked> {
        let Some(server) = self.servers.get_mut(id) else { return Ok(()) };
        if server.healing {
            return Ok(());
        }
        let to = recipient(server);
        let asker = server.replies.recipient();
        let completed = match header.tag {
            tag::PARSE_COMPLETE => server.replies.complete(|reply| matches!(reply, Reply::Parse(_))),
            tag::BIND_COMPLETE => server.replies.complete(|reply| *reply == Reply::Bind),
            tag::CLOSE_COMPLETE => {
                server.replies.complete(|reply| matches!(reply, Reply::Close | Reply::Evict(_)))
            }
            tag::ROW_DESCRIPTION | tag::NO_DATA => {
                let is_describe = |reply: &_| matches!(reply, Reply::Describe | Reply::DescribeStatement(_));
                server.replies.complete_or_query(is_describe)
            }
            tag::COMMAND_COMPLETE | tag::EMPTY_QUERY_RESPONSE | tag::PORTAL_SUSPENDED => {
                server.replies.complete_or_query(|reply| *reply == Reply::Execute)
            }
            tag::COPY_IN_RESPONSE => {
                server.replies.copy_in_begins();
                server.replies.recipient().map(|_| ()).ok_or(Unasked)?;
                self.pass_to(id, to, message);
                return Ok(());
            }
            tag::PARAMETER_DESCRIPTION if self.measures.capture().is_some() => {
                let place = server.replies.place_of_next().ok_or(Unasked)?;
                self.measures.described(place, header.body(message));
                self.pass_to(id, to, message);
                return Ok(());
            }
            tag::PARAMETER_DESCRIPTION
            | tag::COPY_OUT_RESPONSE
            | tag::COPY_BOTH_RESPONSE
            | tag::COPY_DONE
            | tag::FUNCTION_CALL_RESPONSE => {
                server.replies.recipient().map(|_| ()).ok_or(Unasked)?;
                self.pass_to(id, to, message);
                return Ok(());
            }
            _ => return Err(Unasked),
        };
        let completed = completed.map_err(|_| Unasked)?;
        match asker {
            Some(Owner::Client(_)) if header.tag == tag::COMMAND_COMPLETE => {
                self.command_completed(id, header.body(message))
            }
            Some(Owner::Pooler(Task::Cleanup)) if header.tag == tag::COMMAND_COMPLETE => {
                self.statements_discarded(id, header.body(message));
            }
            _ => {}
        }
        self.pass_to(id, to, message);
        self.answered_message(id, completed, header, message, now)
    }

    /// What follows from an answer that was passed on.
    fn answered_message(
        &mut self,
        id: ServerId,
        completed: Expected,
        header: Header,
        message: &[u8],
        now: Instant,
    ) -> Result<(), Unasked> {
        match (completed.owner, completed.reply) {
            (Owner::Client(client), Reply::Parse(_)) => self.confirm_parse(client),
            (Owner::Client(_), Reply::Execute) => {
                self.note_executed(id, completed, header.tag == tag::PORTAL_SUSPENDED, now);
            }
            (owner, Reply::DescribeStatement(statement)) => {
                let shape = match header.tag {
                    tag::ROW_DESCRIPTION => Shape::of(header.body(message)).map_err(|_| Unasked)?,
                    _ => Shape::NOTHING,
                };
                self.shape_described(id, owner, statement, shape);
            }
            _ => {}
        }
        self.write_replies(id);
        if completed.owner == Owner::Pooler(Task::Shape) {
            self.resume_client(id, now);
        }
        Ok(())
    }

    /// The client of a server goes on with a Bind that had to wait.
    fn resume_client(&mut self, id: ServerId, now: Instant) {
        if let Some(client) = self.servers.get(id).and_then(Server::client) {
            self.process_held(client, now);
        }
    }

    fn confirm_parse(&mut self, client: ClientId) {
        if let Some(client) = self.clients.get_mut(client) {
            client.statements_mut().confirm();
        }
    }

    /// Writes the pooler's own replies whose turn has come.
    pub(super) fn write_replies(&mut self, id: ServerId) {
        while let Some(server) = self.servers.get_mut(id)
            && !server.healing
            && let Some((Owner::Client(client), written)) = server.replies.pop_written()
        {
            server.replay.written += 1;
            self.confirm_parse(client);
            self.tell_client(client, |out| match written {
                Written::ParseComplete => encode::parse_complete(out),
                Written::CloseComplete => encode::close_complete(out),
            });
        }
    }

    /// Some commands change what later clients would find.
    fn command_completed(&mut self, id: ServerId, body: &[u8]) {
        let Some(server) = self.servers.get_mut(id) else { return };
        server.commands += 1;
        match backend::command_tag(body) {
            Ok(b"SET") => server.settings_changed += 1,
            Ok(b"DEALLOCATE") => server.statements.deallocated(),
            Ok(b"DISCARD ALL" | b"DEALLOCATE ALL") => self.statements_discarded(id, body),
            _ => {}
        }
    }

    /// After these commands the server has no statements, and neither has the client that sent one.
    fn statements_discarded(&mut self, id: ServerId, body: &[u8]) {
        let Ok(b"DISCARD ALL" | b"DEALLOCATE ALL") = backend::command_tag(body) else { return };
        let Some(server) = self.servers.get_mut(id) else { return };
        server.statements.clear();
        let client = server.client().and_then(|client| self.clients.get_mut(client));
        if let Some(statements) = client.and_then(|client| client.statements.as_mut()) {
            statements.clear();
        }
    }

    /// A notice or notification: the client that has the server gets it.
    fn pass_unasked(&mut self, id: ServerId, message: &[u8]) {
        let Some(server) = self.servers.get(id) else { return };
        let is_task = matches!(server.replies.recipient(), Some(Owner::Pooler(_)));
        if let (ServerState::Active(client), false) = (server.state, is_task || server.healing) {
            self.pass_to(id, Some(client), message);
        }
    }

    fn parameter_reported(&mut self, id: ServerId, body: &[u8]) {
        let Ok((name, value)) = backend::parameter_status(body) else { return };
        let Some(server) = self.servers.get_mut(id) else { return };
        let index = self.settings.tracked.index(name);
        if let Some(index) = index {
            server.parameters.set(index, value);
            // Before version 14 the report comes before the command's end, from then on before ReadyForQuery.
            server.settings_reported += 1;
        }
        let by_client = !matches!(server.replies.recipient(), Some(Owner::Pooler(_)));
        if let (ServerState::Active(client), true) = (server.state, by_client) {
            if let (Some(index), Some(client)) = (index, self.clients.get_mut(client))
                && client.parameters.set(index, value)
            {
                client.measured.forget_application();
            }
            server.replay.give_up();
            self.tell_client(client, |out| encode::parameter_status(out, name, value));
        }
    }

    fn error_reported(&mut self, id: ServerId, body: &[u8], message: &[u8], now: Instant) {
        let fields = ErrorFields::parse(body);
        let is_fatal = matches!(fields.severity(), Some("FATAL" | "PANIC"));
        let is_outdated_plan = fields.routine() == Some(OUTDATED_PLAN_ROUTINE);
        let Some(server) = self.servers.get_mut(id) else { return };
        if server.healing {
            return;
        }
        let recipient = server.replies.error_recipient();
        let failed = server.replies.fail();
        let fails_bind = failed.iter().any(|expected| expected.owner == Owner::Pooler(Task::Shape));
        let recipient = match server.state {
            // It is the last that the client hears, or what its Bind that waits is answered with.
            ServerState::Active(client) if is_fatal || fails_bind => Some(Owner::Client(client)),
            _ => recipient,
        };
        if fails_bind {
            server.shape_check = None;
        }
        forget_failed(server, &failed);
        if self.measures.is_on() {
            note_failure(server, recipient, &failed);
        }
        server.close_needed |= is_fatal;
        if is_outdated_plan {
            if server.replay.is_possible() && server.replies.awaits_only_end() && shows_new_shape(&failed) {
                server.healing = true;
                self.take_back_statements(id, &failed);
                return;
            }
            server.traces.outdated_statements = true;
        }
        match recipient {
            Some(Owner::Client(client)) => {
                self.take_back_statements(id, &failed);
                match failed.first().map(|first| first.reply) {
                    Some(Reply::OutdatedBind) => self.pass_to(id, Some(client), &outdated_plan()),
                    _ => self.pass_to(id, Some(client), message),
                }
            }
            Some(Owner::Pooler(_)) => server.task_failed = Some(error_text(&fields)),
            None => match server.client() {
                Some(client) => self.pass_to(id, Some(client), message),
                // It must not be handed out any more.
                None => self.end_server(id, ServerEnd::Said(error_text(&fields)), now),
            },
        }
        if is_fatal {
            // It is going to close, and not waited for.
            self.end_server(id, ServerEnd::Said(error_text(&fields)), now);
        } else if fails_bind {
            self.resume_client(id, now);
        }
    }

    /// What a failed request has changed of its client's statements is undone.
    fn take_back_statements(&mut self, id: ServerId, failed: &[Expected]) {
        let client = self.servers.get(id).and_then(Server::client);
        if let Some(statements) = client
            .and_then(|client| self.clients.get_mut(client))
            .and_then(|client| client.statements.as_mut())
        {
            let count = failed.iter().filter(|expected| expected.changes_statements()).count();
            statements.take_back(count, failed.first().is_some_and(Expected::changes_statements));
            let described = |expected: &&Expected| {
                matches!((expected.owner, expected.reply), (Owner::Client(_), Reply::DescribeStatement(_)))
            };
            statements.take_back_descriptions(failed.iter().filter(described).count());
        }
    }

    /// A request is over.
    fn ready(&mut self, id: ServerId, body: &[u8], now: Instant) -> Result<(), Unasked> {
        let status = backend::ready_for_query(body).map_err(|_| Unasked)?;
        let Some(server) = self.servers.get_mut(id) else { return Ok(()) };
        let end = server.replies.ready().map_err(|_| Unasked)?;
        server.status = status;
        server.traces.settings |= server.leaves_settings();
        server.commands = 0;
        server.settings_changed = 0;
        server.settings_reported = 0;
        if let (Reply::Query, Owner::Client(_), true) = (end.reply, end.owner, self.measures.is_on()) {
            server.in_flight.push(end.place, server.replies.pop_sample());
        }
        match end.owner {
            Owner::Client(_) if server.healing => {
                server.in_flight.forget();
                self.heal(id, now);
            }
            Owner::Client(client) => self.answered(id, client, status, now),
            Owner::Pooler(task) => self.task_done(id, task, now),
        }
        Ok(())
    }

    fn answered(&mut self, id: ServerId, client: ClientId, status: TransactionStatus, now: Instant) {
        let Some(server) = self.servers.get_mut(id) else { return };
        let is_settled = server.replies.is_settled();
        let transaction_at =
            if status == TransactionStatus::Idle { server.transaction_at.take() } else { None };
        let request_at = server.request_at.take().unwrap_or(now);
        server.idle_since = now;
        if !is_settled {
            // More of the client's requests are in flight.
            server.request_at = Some(now);
            server.transaction_at.get_or_insert(now);
        }
        let Some(pool) = self.pools.get_mut(server.pool.0 as usize).and_then(Option::as_mut) else { return };
        pool.counters.queries += 1;
        let exec_us = micros(now.saturating_duration_since(request_at));
        pool.counters.query_us += exec_us;
        if status == TransactionStatus::Idle {
            pool.counters.transactions += 1;
            pool.counters.transaction_us += match transaction_at {
                Some(began) if began != request_at => micros(now.saturating_duration_since(began)),
                _ => exec_us,
            };
        }
        let mode = pool.profile.mode;
        self.count_executions(id, client, exec_us, status, now);
        if mode == Mode::Statement && status != TransactionStatus::Idle {
            self.end_client(client, ClientEnd::TransactionInStatementMode, now);
            return;
        }
        self.tell_client_ready(client, status);
        self.write_replies(id);
        if is_settled
            && let Some(statements) =
                self.clients.get_mut(client).and_then(|client| client.statements.as_mut())
        {
            statements.discarding = false;
        }
        self.release_if_over(id, now);
        // What depended on this answer.
        self.process_held(client, now);
    }
}

/// A reply that answers nothing.
struct Unasked;

/// The client that gets what a server sends now.
fn recipient(server: &Server) -> Option<ClientId> {
    match server.replies.recipient() {
        Some(Owner::Client(client)) if !server.healing => Some(client),
        _ => None,
    }
}

fn error_text(fields: &ErrorFields<'_>) -> String {
    let sqlstate = fields.sqlstate().unwrap_or("?????");
    format!("{} ({sqlstate})", fields.message().unwrap_or("no message"))
}
