//! Prepared statements of clients on servers that change: names are translated, and a statement is prepared on a
//! server when the first client needs it there.

use std::borrow::Cow;
use std::sync::Arc;

use pgprime_wire::frame::Header;
use pgprime_wire::frontend::{self, Close, Describe, Parse, Target, encode};

use super::ids::{ClientId, ServerId};
use super::measure::Place;
use super::replies::{Owner, Reply, Task, Written};
use super::route::{self, Kind, SessionCommand};
use super::server::Server;
use super::state::Core;
use super::statements::{Frequency, NAME_PREFIX, Statement};
use pgprime_wire::backend::TransactionStatus;

/// No server has a statement of this name: to execute it is the error that ends the request, as it should.
const OUTDATED_NAME: &[u8] = b"?outdated";

/// How a statement can be named on a server now.
enum Name {
    OnServer,
    Unnamed,
}

impl Core {
    /// Parse, Bind, Describe and Close of a client whose statements are tracked. Returns how many bytes were taken.
    pub(super) fn forward_prepared(
        &mut self,
        id: ClientId,
        server: ServerId,
        kind: Kind,
        header: Header,
        message: &[u8],
    ) -> usize {
        let body = header.body(message);
        let done = match kind {
            Kind::Parse => Parse::decode(body).ok().map(|parse| self.parse(id, server, &parse)),
            Kind::Bind => self.bind(id, server, header, body),
            Kind::Describe => {
                Describe::decode(body).ok().map(|describe| self.describe(id, server, &describe))
            }
            _ => Close::decode(body).ok().map(|close| self.close_statement(id, server, &close)),
        };
        if done.is_none() {
            // Malformed: PostgreSQL says what is wrong with it.
            if kind == Kind::Parse
                && let Some(client) = self.clients.get_mut(id)
            {
                client.statements_mut().expect_parse();
            }
            self.send(id, server, reply_of(kind), |out| out.extend_from_slice(message));
        }
        message.len()
    }

    /// Whether a message must wait until the requests before it are answered, because what it means depends on them.
    pub(super) fn depends_on_earlier(
        &mut self,
        id: ClientId,
        server_id: ServerId,
        kind: Kind,
        body: &[u8],
    ) -> bool {
        let Some(server) = self.servers.get(server_id) else { return false };
        if server.replies.requests() == 0 {
            return false;
        }
        if server.traces.outdated_statements {
            // When the request that failed on them is over, the server forgets them.
            return true;
        }
        let (name, query) = match kind {
            Kind::Query => (None, frontend::query_text(body).ok()),
            Kind::Parse => {
                Parse::decode(body).map_or((None, None), |parse| (Some(parse.name), Some(parse.query)))
            }
            Kind::Bind => (frontend::bind_names(body).map(|(_, name, _)| name), None),
            Kind::Describe => {
                (Describe::decode(body).ok().filter(|d| d.target == Target::Statement).map(|d| d.name), None)
            }
            Kind::Close => {
                (Close::decode(body).ok().filter(|c| c.target == Target::Statement).map(|c| c.name), None)
            }
            _ => return false,
        };
        if query.is_some_and(|query| matches!(route::session_command(query), SessionCommand::Deallocate(_))) {
            return true;
        }
        let statements = self.clients.get(id).and_then(|client| client.statements.as_ref());
        let (Some(name), Some(statements)) = (name, statements) else { return false };
        let renames = kind == Kind::Parse && name.is_empty();
        let own = server.replies.changes_of_open_request();
        let named = if kind == Kind::Parse { None } else { statements.find(name) };
        statements.discarding
            || !renames && statements.is_uncertain(name, own)
            || named.is_some_and(|statement| server.replies.awaits_parse(statement.id))
            || query.is_some_and(|query| self.awaits_parse_of(server_id, query, body))
    }

    /// Whether the server is about to get, in an earlier request, the statement that a Parse asks for.
    fn awaits_parse_of(&self, server_id: ServerId, query: &[u8], body: &[u8]) -> bool {
        let types = Parse::decode(body).map_or(&[][..], |parse| parse.parameter_types);
        let statement = self.registry.find(query, types);
        let server = self.servers.get(server_id);
        statement.is_some_and(|id| server.is_some_and(|server| server.replies.awaits_parse(id)))
    }

    /// Whether a message that is sent again was answered by the pooler itself the first time.
    fn is_answered_already(&mut self, server_id: ServerId) -> bool {
        let Some(server) = self.servers.get_mut(server_id) else { return false };
        let is_answered = server.replay.answered > 0;
        server.replay.answered = server.replay.answered.saturating_sub(1);
        is_answered
    }

    fn parse(&mut self, id: ClientId, server_id: ServerId, parse: &Parse<'_>) {
        if self.is_answered_already(server_id) {
            return;
        }
        if parse.name.is_empty()
            && let SessionCommand::Deallocate(name) = route::session_command(parse.query)
            && self.translate_deallocate(id, server_id, parse, &name)
        {
            return;
        }
        let (statement, frequency) = self.registry.intern(parse.query, parse.parameter_types);
        let Some(client) = self.clients.get_mut(id) else { return };
        if let Some(pool) = self.pools.get_mut(client.pool.0 as usize).and_then(Option::as_mut) {
            pool.counters.client_parses += 1;
        }
        let is_named = !parse.name.is_empty();
        if is_named && client.statements_mut().find(parse.name).is_some() {
            self.refuse_duplicate(id, server_id, &statement);
            return;
        }
        client.statements_mut().insert(parse.name, Arc::clone(&statement));
        if self.servers.get_mut(server_id).is_some_and(|server| server.statements.touch(statement.id)) {
            self.write_in_turn(id, server_id, Written::ParseComplete);
        } else if is_named || frequency == Frequency::Repeated {
            self.prepare(Owner::Client(id), server_id, &statement);
        } else {
            self.parse_unnamed(Owner::Client(id), server_id, &statement);
        }
    }

    /// A name that is taken is an error, with the server's own SQLSTATE: it gets the same name twice.
    fn refuse_duplicate(&mut self, id: ClientId, server_id: ServerId, statement: &Arc<Statement>) {
        self.ensure_named(server_id, statement);
        self.send(id, server_id, Reply::Parse(None), |out| {
            encode::parse(out, &statement.server_name, statement.query(), statement.parameter_types());
        });
        if let Some(client) = self.clients.get_mut(id) {
            // Answered like every Parse, so it has to be counted like one.
            client.statements_mut().expect_parse();
        }
    }

    fn bind(&mut self, id: ClientId, server_id: ServerId, header: Header, body: &[u8]) -> Option<()> {
        let (portal, name, rest_at) = frontend::bind_names(body)?;
        let rest = body.get(rest_at..)?;
        // What of the message is still to come belongs to the rest, too.
        let rest_len = (header.len - pgprime_wire::frame::HEADER_BYTES).checked_sub(rest_at)?;
        self.count_bind(id);
        let client = self.clients.get_mut(id)?;
        let (pool, statement) = (client.pool, client.statements_mut().find(name).cloned());
        let place = match &statement {
            Some(statement) => self.place_of_statement(pool, statement),
            None => Place::OTHER,
        };
        self.note_bind(server_id, portal, place, statement.as_deref(), rest);
        let is_outdated = self.has_other_shape(id, server_id, name);
        let (server_name, reply) = if is_outdated {
            (Cow::Borrowed(OUTDATED_NAME), Reply::OutdatedBind)
        } else {
            (self.name_on_server(server_id, statement.as_ref(), name), Reply::Bind)
        };
        self.send_at(id, server_id, reply, place, |out| {
            encode::bind_prefix(out, portal, &server_name, rest_len);
            out.extend_from_slice(rest);
        });
        Some(())
    }

    fn count_bind(&mut self, id: ClientId) {
        let pool = self.clients.get(id).map(|client| client.pool);
        if let Some(pool) = pool.and_then(|pool| self.pool_mut(pool)) {
            pool.counters.binds += 1;
        }
    }

    fn describe(&mut self, id: ClientId, server_id: ServerId, describe: &Describe<'_>) {
        if describe.target == Target::Portal {
            self.send(id, server_id, Reply::Describe, |out| encode::describe_portal(out, describe.name));
            return;
        }
        let Some(client) = self.clients.get_mut(id) else { return };
        let statement = client.statements_mut().find(describe.name).cloned();
        if statement.is_some() {
            client.statements_mut().ask_description(describe.name);
        }
        let server_name = self.name_on_server(server_id, statement.as_ref(), describe.name);
        let place = statement.as_ref().map_or(Place::OTHER, |known| self.place_on_server(server_id, known));
        let reply = statement.as_ref().map_or(Reply::Describe, |known| Reply::DescribeStatement(known.id));
        self.send_at(id, server_id, reply, place, |out| encode::describe_statement(out, &server_name));
    }

    fn close_statement(&mut self, id: ClientId, server_id: ServerId, close: &Close<'_>) {
        if close.target == Target::Portal {
            self.send(id, server_id, Reply::Close, |out| encode::close_portal(out, close.name));
            return;
        }
        if self.is_answered_already(server_id) {
            return;
        }
        if let Some(client) = self.clients.get_mut(id) {
            client.statements_mut().close(close.name);
        }
        // The server keeps it for the next client.
        self.write_in_turn(id, server_id, Written::CloseComplete);
    }

    /// The name by which the server has the statement from now on.
    fn name_on_server<'a>(
        &mut self,
        server_id: ServerId,
        statement: Option<&'a Arc<Statement>>,
        name: &'a [u8],
    ) -> Cow<'a, [u8]> {
        match statement {
            Some(statement) => match self.ensure(server_id, statement) {
                Name::OnServer => Cow::Borrowed(&statement.server_name),
                Name::Unnamed => Cow::Borrowed(b""),
            },
            // Unknown here, so it must be unknown there: never another client's statement.
            None if name.is_empty() || name.starts_with(NAME_PREFIX.as_bytes()) => {
                Cow::Owned([b"?", name].concat())
            }
            None => Cow::Borrowed(name),
        }
    }

    /// Makes sure that the server has the statement.
    fn ensure(&mut self, server_id: ServerId, statement: &Arc<Statement>) -> Name {
        if let Some(server) = self.servers.get_mut(server_id)
            && !server.statements.touch(statement.id)
            && server.statements.is_unnamed(statement.id)
        {
            return Name::Unnamed;
        }
        self.ensure_named(server_id, statement);
        Name::OnServer
    }

    fn ensure_named(&mut self, server_id: ServerId, statement: &Arc<Statement>) {
        if self.servers.get_mut(server_id).is_some_and(|server| !server.statements.touch(statement.id)) {
            self.prepare(Owner::Pooler(Task::Statement), server_id, statement);
        }
    }

    /// Prepares a statement under its lasting name, closing another when the server has too many.
    pub(super) fn prepare(&mut self, owner: Owner, server_id: ServerId, statement: &Arc<Statement>) {
        let max = self.settings.prepared_statements_max;
        let place = self.place_on_server(server_id, statement);
        let Some(server) = self.servers.get_mut(server_id) else { return };
        let mut evicted = server.statements.insert(statement, max);
        if server.statements.settle_doubt(statement.id) || server.replies.is_evicting(statement.id) {
            evicted.push(Arc::clone(statement));
        }
        for statement in &evicted {
            server.replies.push(Owner::Pooler(Task::Statement), Reply::Evict(statement.id));
        }
        server.replies.push_at(owner, Reply::Parse(Some(statement.id)), place);
        self.count_server_parse(server_id);
        self.tell_server(server_id, |out| {
            for statement in &evicted {
                encode::close_statement(out, &statement.server_name);
            }
            encode::parse(out, &statement.server_name, statement.query(), statement.parameter_types());
        });
    }

    fn parse_unnamed(&mut self, owner: Owner, server_id: ServerId, statement: &Arc<Statement>) {
        let place = self.place_on_server(server_id, statement);
        let Some(server) = self.servers.get_mut(server_id) else { return };
        server.statements.set_unnamed(Some(statement.id));
        server.replies.push_at(owner, Reply::Parse(None), place);
        self.count_server_parse(server_id);
        self.tell_server(server_id, |out| {
            encode::parse(out, b"", statement.query(), statement.parameter_types())
        });
    }

    fn place_on_server(&mut self, server_id: ServerId, statement: &Statement) -> Place {
        let pool = self.servers.get(server_id).map(|server| server.pool);
        pool.map_or(Place::OTHER, |pool| self.place_of_statement(pool, statement))
    }

    fn count_server_parse(&mut self, server_id: ServerId) {
        let pool = self.servers.get(server_id).map(|server| server.pool);
        if let Some(pool) = pool.and_then(|pool| self.pool_mut(pool)) {
            pool.counters.server_parses += 1;
        }
    }

    fn send(&mut self, id: ClientId, server_id: ServerId, reply: Reply, write: impl FnOnce(&mut Vec<u8>)) {
        self.send_at(id, server_id, reply, Place::OTHER, write);
    }

    fn send_at(
        &mut self,
        id: ClientId,
        server_id: ServerId,
        reply: Reply,
        place: Place,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        if let Some(server) = self.servers.get_mut(server_id) {
            server.replies.push_at(Owner::Client(id), reply, place);
        }
        self.tell_server(server_id, write);
    }

    /// A reply of the pooler's own, in its place among the server's. It is written with the server's next one, or at a
    /// Flush, as PostgreSQL would hold it back until then: a write of its own would cost as much as a request.
    fn write_in_turn(&mut self, id: ClientId, server_id: ServerId, written: Written) {
        if let Some(server) = self.servers.get_mut(server_id) {
            server.replies.push(Owner::Client(id), Reply::Written(written));
        }
    }

    /// DEALLOCATE in a simple query or in a statement about to be prepared: the server knows another name.
    /// `false` when the name is not one of the client's.
    fn translate_deallocate(
        &mut self,
        id: ClientId,
        server_id: ServerId,
        parse: &Parse<'_>,
        name: &[u8],
    ) -> bool {
        let Some(statement) = self.take_for_deallocate(id, name) else {
            return false;
        };
        self.ensure_named(server_id, &statement);
        self.forget_on_server(server_id, &statement);
        let text = deallocate_sql(&statement);
        if let Some(client) = self.clients.get_mut(id) {
            client.statements_mut().expect_parse();
        }
        if let Some(server) = self.servers.get_mut(server_id) {
            server.statements.set_unnamed(None);
            server.replay.give_up();
        }
        self.send(id, server_id, Reply::Parse(None), |out| {
            encode::parse(out, b"", &text, parse.parameter_types)
        });
        self.bind_unnamed_next(id, server_id, &text);
        true
    }

    /// The statement that the client names in DEALLOCATE, which it has no more.
    fn take_for_deallocate(&mut self, id: ClientId, name: &[u8]) -> Option<Arc<Statement>> {
        let statements = self.clients.get_mut(id)?.statements_mut();
        let statement = statements.find(name).cloned()?;
        statements.remove(name);
        Some(statement)
    }

    /// The client's next Bind of the unnamed statement means the translated DEALLOCATE.
    fn bind_unnamed_next(&mut self, id: ClientId, server_id: ServerId, text: &[u8]) {
        let (statement, _) = self.registry.intern(text, &[0, 0]);
        if let Some(client) = self.clients.get_mut(id) {
            client.statements_mut().set_unnamed(Arc::clone(&statement));
        }
        if let Some(server) = self.servers.get_mut(server_id) {
            server.statements.set_unnamed(Some(statement.id));
        }
    }

    fn forget_on_server(&mut self, server_id: ServerId, statement: &Statement) {
        if let Some(server) = self.servers.get_mut(server_id) {
            server.statements.deallocate(statement.id);
        }
    }

    /// `DEALLOCATE name` as a simple query: the text to send in its place.
    pub(super) fn translated_query(
        &mut self,
        id: ClientId,
        server_id: ServerId,
        body: &[u8],
    ) -> Option<Vec<u8>> {
        let text = frontend::query_text(body).ok()?;
        let SessionCommand::Deallocate(name) = route::session_command(text) else { return None };
        let server = self.servers.get(server_id)?;
        if server.status == TransactionStatus::Failed || !server.replies.is_settled() {
            return None;
        }
        let Some(statement) = self.take_for_deallocate(id, &name) else {
            return name.starts_with(NAME_PREFIX.as_bytes()).then(|| deallocate_unknown(&name));
        };
        let is_there = self.servers.get_mut(server_id)?.statements.touch(statement.id);
        if !is_there {
            self.prepare_in_own_request(server_id, &statement);
        }
        self.forget_on_server(server_id, &statement);
        Some(deallocate_sql(&statement))
    }

    /// Prepares a statement with a Sync of its own, ahead of a simple query.
    fn prepare_in_own_request(&mut self, server_id: ServerId, statement: &Arc<Statement>) {
        let task = Owner::Pooler(Task::Statement);
        self.prepare(task, server_id, statement);
        if let Some(server) = self.servers.get_mut(server_id) {
            server.replies.push(task, Reply::Sync);
        }
        self.tell_server(server_id, encode::sync);
    }
}

/// A name of ours that the client does not have must be unknown: it is never another client's statement.
fn deallocate_unknown(name: &[u8]) -> Vec<u8> {
    [b"DEALLOCATE \"?", name, b"\""].concat()
}

fn deallocate_sql(statement: &Statement) -> Vec<u8> {
    [b"DEALLOCATE \"", &*statement.server_name, b"\""].concat()
}

fn reply_of(kind: Kind) -> Reply {
    match kind {
        Kind::Parse => Reply::Parse(None),
        Kind::Bind => Reply::Bind,
        Kind::Describe => Reply::Describe,
        _ => Reply::Close,
    }
}

/// What a server has to forget of statements whose Parse was not answered.
pub(super) fn forget_failed(server: &mut Server, failed: &[super::replies::Expected]) {
    for expected in failed {
        match expected.reply {
            Reply::Parse(Some(id)) => drop(server.statements.remove(id)),
            Reply::Evict(id) => server.statements.doubt(id),
            _ => {}
        }
    }
}
