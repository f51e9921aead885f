//! What the results of statements are like: a client that was told once must never get rows of another kind.
//!
//! PostgreSQL refuses to execute a prepared statement whose result has changed since ("cached plan must not change result
//! type"). A server that prepares the statement anew knows nothing of what its client was told before, perhaps by another
//! server; so before the first Bind there, the pooler asks the server and compares. That takes one round trip for each
//! statement and server, and only for clients that rely on what Describe said of the statement: one that describes its
//! portal is told each time.

use std::sync::Arc;
use std::time::Instant;

use pgprime_wire::backend::TransactionStatus;
use pgprime_wire::backend::encode::{ErrorNotice, error_response};
use pgprime_wire::frame::Header;
use pgprime_wire::frontend::{self, encode};
use pgprime_wire::tag::frontend as tag;

use super::ids::{ClientId, ServerId};
use super::replies::{Expected, Owner, Reply, Task};
use super::server::ShapeCheck;
use super::shape::Shape;
use super::state::Core;
use super::statements::{Statement, StatementId};

/// "cached plan must not change result type" comes from here, whatever language the message is in.
pub(super) const OUTDATED_PLAN_ROUTINE: &str = "RevalidateCachedQuery";

impl Core {
    /// Whether a Bind has to wait until its server has said what the statement's result is like. `next` is what the
    /// client has sent behind the Bind, as far as it has been read.
    pub(super) fn awaits_shape(
        &mut self,
        id: ClientId,
        server_id: ServerId,
        body: &[u8],
        next: &[u8],
    ) -> bool {
        let statements = self.clients.get(id).and_then(|client| client.statements.as_ref());
        let Some(statements) = statements.filter(|statements| statements.was_told()) else { return false };
        let Some((_, name, _)) = frontend::bind_names(body) else { return false };
        let Some((statement, told)) = statements.find_told(name) else { return false };
        let Some(server) = self.servers.get(server_id) else { return false };
        match server.shape_check {
            Some(ShapeCheck::Asked(_)) => return true,
            Some(ShapeCheck::Known(known)) if known == statement.id => return false,
            _ => {}
        }
        let is_well = server.statements.shape(statement.id) == Some(told)
            || server.status == TransactionStatus::Failed
            || describes_portal(next);
        if !is_well {
            let statement = Arc::clone(statement);
            self.ask_shape(server_id, &statement);
        }
        !is_well
    }

    /// Prepares the statement anew: one that the server has may be as outdated as what the client was told.
    fn ask_shape(&mut self, server_id: ServerId, statement: &Arc<Statement>) {
        let Some(server) = self.servers.get_mut(server_id) else { return };
        if server.statements.remove(statement.id).is_some() {
            server.statements.doubt(statement.id);
        }
        self.prepare(Owner::Pooler(Task::Statement), server_id, statement);
        let Some(server) = self.servers.get_mut(server_id) else { return };
        server.shape_check = Some(ShapeCheck::Asked(statement.id));
        server.replies.push(Owner::Pooler(Task::Shape), Reply::DescribeStatement(statement.id));
        self.tell_server(server_id, |out| {
            encode::describe_statement(out, &statement.server_name);
            encode::flush(out);
        });
    }

    /// Whether the server has just said that the result is not what the client was told; asked once, by the Bind that
    /// waited for it.
    pub(super) fn has_other_shape(&mut self, id: ClientId, server_id: ServerId, name: &[u8]) -> bool {
        let Some(server) = self.servers.get_mut(server_id) else { return false };
        let Some(ShapeCheck::Known(known)) = server.shape_check.take() else { return false };
        let statements = self.clients.get(id).and_then(|client| client.statements.as_ref());
        let told = statements.and_then(|statements| statements.find_told(name));
        told.is_some_and(|(statement, told)| {
            statement.id == known && server.statements.shape(known) != Some(told)
        })
    }

    /// A server has described a statement, to its client or to us.
    pub(super) fn shape_described(
        &mut self,
        server_id: ServerId,
        owner: Owner,
        statement: StatementId,
        shape: Shape,
    ) {
        let Some(server) = self.servers.get_mut(server_id) else { return };
        server.statements.set_shape(statement, shape);
        match owner {
            Owner::Client(client) => {
                if let Some(client) = self.clients.get_mut(client) {
                    client.statements_mut().tell(statement, shape);
                }
            }
            Owner::Pooler(_) => server.shape_check = Some(ShapeCheck::Known(statement)),
        }
    }

    /// An outdated plan: the server forgets its statements, and the request is sent again.
    pub(super) fn heal(&mut self, id: ServerId, now: Instant) {
        let Some(server) = self.servers.get_mut(id) else { return };
        let Some(client) = server.client() else { return };
        server.healing = false;
        server.statements.clear();
        let answered = server.replay.written;
        let request = server.replay.take();
        server.replies.push(Owner::Pooler(Task::Heal), Reply::Query);
        self.tell_server(id, |out| encode::query(out, b"DEALLOCATE ALL"));
        let Some(client_state) = self.clients.get_mut(client) else { return };
        // Nothing of the client's can have been read since: it was waiting for the answer.
        let later = std::mem::replace(&mut client_state.input, request);
        client_state.input.extend_from_slice(&later);
        if let Some(server) = self.servers.get_mut(id) {
            server.request_at = Some(now);
            server.replay.answered = answered;
        }
        self.process_held(client, now);
    }
}

/// Whether the client learns the shape of every result that it will get, as it asks for it beside each Bind. One that
/// relies on an earlier description would take the new columns for the old ones.
pub(super) fn shows_new_shape(failed: &[Expected]) -> bool {
    let is_describe = |place: Option<usize>| {
        place
            .and_then(|place| failed.get(place))
            .is_some_and(|expected| matches!(expected.reply, Reply::Describe | Reply::DescribeStatement(_)))
    };
    let binds = failed.iter().enumerate().filter(|(_, expected)| expected.reply == Reply::Bind);
    let mut places = binds.map(|(place, _)| place);
    places.all(|place| is_describe(place.checked_sub(1)) || is_describe(Some(place + 1)))
}

/// What PostgreSQL says when a prepared statement's result has changed; drivers go by the SQLSTATE and the routine.
pub(super) fn outdated_plan() -> Vec<u8> {
    let mut message = Vec::new();
    let error = ErrorNotice {
        severity: "ERROR",
        sqlstate: "0A000",
        message: "cached plan must not change result type",
        detail: None,
        hint: None,
        routine: Some(OUTDATED_PLAN_ROUTINE),
    };
    error_response(&mut message, &error);
    message
}

/// Whether the client asks what the portal's result is like, right behind its Bind.
fn describes_portal(next: &[u8]) -> bool {
    let header = Header::peek(next).ok().flatten().filter(|header| header.tag == tag::DESCRIBE);
    header.is_some_and(|header| header.body(next).first() == Some(&b'P'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_described_portal_tells_the_client() {
        let mut portal = Vec::new();
        encode::describe_portal(&mut portal, b"");
        let mut statement = Vec::new();
        encode::describe_statement(&mut statement, b"a");
        assert!(describes_portal(&portal) && !describes_portal(&statement));
        assert!(
            !describes_portal(b"") && !describes_portal(&portal[..5]) && !describes_portal(b"E\0\0\0\x09")
        );
    }
}
