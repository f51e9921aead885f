//! What a server still owes, message by message, and to whom.
//!
//! Every message that makes a server answer puts an [`Expected`] into the queue, in the order of sending. Replies are
//! matched against the front, so that each goes to the connection that asked, messages which the pooler sent of its own
//! accord are swallowed, and replies which the pooler gives itself appear in their proper place.

use std::collections::VecDeque;

use super::ids::ClientId;
use super::measure::{Place, Sample};
use super::statements::StatementId;

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Client(ClientId),
    Pooler(Task),
}

/// What the pooler asks a server for on its own account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Finding out whether a rested server is alive.
    Check,
    /// Setting the client's parameters.
    Parameters,
    /// Making the server clean before it returns to the pool.
    Cleanup,
    /// Preparing or closing a statement amid a client's request.
    Statement,
    /// Asking what a statement's result is like before a client's Bind of it.
    Shape,
    /// Forgetting outdated statements before a client's request is sent again.
    Heal,
}

/// A reply the pooler gives in the server's stead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    ParseComplete,
    CloseComplete,
}

/// What one message is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// ParseComplete; the statement is known to the server by name from then on.
    Parse(Option<StatementId>),
    Bind,
    /// An error: the statement's result is not what the client was told, and what it sent instead of this Bind fails.
    OutdatedBind,
    /// RowDescription or NoData, of a portal or of a statement that is not known here.
    Describe,
    /// The same, after ParameterDescription.
    DescribeStatement(StatementId),
    /// CommandComplete, EmptyQueryResponse or PortalSuspended, after rows.
    Execute,
    Close,
    /// CloseComplete for a statement that has to make room for another.
    Evict(StatementId),
    /// Everything up to ReadyForQuery.
    Query,
    /// ReadyForQuery.
    Sync,
    /// No reply of the server's: the pooler writes this one.
    Written(Written),
    /// No reply at all: the end of data that the client sends for a COPY.
    CopyEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) owner: Owner,
    pub(crate) reply: Reply,
    /// The statement it is about, where one is executed or may fail.
    pub(crate) place: Place,
}

impl Expected {
    fn ends_request(&self) -> bool {
        matches!(self.reply, Reply::Query | Reply::Sync)
    }

    /// Whether a client's statement is executed.
    fn is_execution(&self) -> bool {
        matches!((self.owner, self.reply), (Owner::Client(_), Reply::Query | Reply::Execute))
    }

    /// Whether this is an answer to one of the client's Parse, or to its Close of a statement.
    pub(crate) fn changes_statements(&self) -> bool {
        matches!((self.owner, self.reply), (Owner::Client(_), Reply::Parse(_) | Reply::Written(_)))
    }
}

/// A reply that answers nothing that was asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unexpected;

/// The queue of one server.
#[derive(Debug, Default)]
pub(crate) struct Replies {
    queue: VecDeque<Expected>,
    /// The server ignores everything up to the next Sync.
    skipping: bool,
    /// Messages of an extended request have been sent since the last Sync.
    unsynced: bool,
    /// The server reads data for COPY and ignores Sync.
    copy_in: bool,
    /// What the executions in the queue may be captured with, if anything is.
    samples: VecDeque<Option<Box<Sample>>>,
}

impl Replies {
    /// Whether nothing is owed and no extended request is open.
    pub(crate) fn is_settled(&self) -> bool {
        self.queue.is_empty() && !self.unsynced && !self.skipping
    }

    /// Whether the server ignores what it gets, up to Sync.
    pub(crate) fn is_skipping(&self) -> bool {
        self.skipping
    }

    pub(crate) fn push(&mut self, owner: Owner, reply: Reply) {
        self.push_at(owner, reply, Place::OTHER);
    }

    /// A client executes a statement, perhaps to be captured.
    pub(crate) fn push_execution(
        &mut self,
        owner: Owner,
        reply: Reply,
        place: Place,
        sample: Option<Box<Sample>>,
    ) {
        if sample.is_some() || !self.samples.is_empty() {
            self.push_sample(sample);
        }
        self.push_at(owner, reply, place);
    }

    #[cold]
    fn push_sample(&mut self, sample: Option<Box<Sample>>) {
        if !self.skipping {
            let executions = self.queue.iter().filter(|expected| expected.is_execution()).count();
            self.samples.resize_with(executions, || None);
            self.samples.push_back(sample);
        }
    }

    /// What the execution that has been answered may be captured with.
    #[inline]
    pub(crate) fn pop_sample(&mut self) -> Option<Box<Sample>> {
        if self.samples.is_empty() { None } else { self.samples.pop_front().flatten() }
    }

    /// The first execution that is not answered.
    pub(crate) fn first_execution(&self) -> Option<Place> {
        self.queue.iter().find(|expected| expected.is_execution()).map(|expected| expected.place)
    }

    pub(crate) fn push_at(&mut self, owner: Owner, reply: Reply, place: Place) {
        match reply {
            Reply::CopyEnd if self.copy_in => {
                self.copy_in = false;
                return;
            }
            // Nothing in flight can ask for data: what is left of a COPY that failed.
            Reply::CopyEnd if !self.may_begin_copy() => return,
            Reply::Sync if self.copy_in => return,
            Reply::Sync => {
                self.skipping = false;
                self.unsynced = false;
            }
            // A simple query ends an extended request as well.
            Reply::Query => self.unsynced &= self.skipping,
            Reply::CopyEnd => {}
            _ => self.unsynced |= owner != Owner::Pooler(Task::Statement),
        }
        if !self.skipping {
            self.queue.push_back(Expected { owner, reply, place });
        }
        self.drop_copy_ends();
    }

    /// The end of data that no COPY waits for is ignored by the server.
    fn drop_copy_ends(&mut self) {
        while self.queue.front().is_some_and(|front| front.reply == Reply::CopyEnd) {
            self.queue.pop_front();
        }
    }

    fn may_begin_copy(&self) -> bool {
        self.queue.iter().any(|expected| matches!(expected.reply, Reply::Query | Reply::Execute))
    }

    /// Who gets the next message of the server, if anybody asked for one.
    pub(crate) fn recipient(&self) -> Option<Owner> {
        self.queue.front().map(|expected| expected.owner)
    }

    /// The statement that the next message of the server is about.
    pub(crate) fn place_of_next(&self) -> Option<Place> {
        self.queue.front().map(|expected| expected.place)
    }

    /// Takes the reply that the pooler has to write now, if it is its turn.
    pub(crate) fn pop_written(&mut self) -> Option<(Owner, Written)> {
        let Expected { owner, reply: Reply::Written(written), .. } = *self.queue.front()? else {
            return None;
        };
        self.queue.pop_front();
        self.drop_copy_ends();
        Some((owner, written))
    }

    /// The server completed one message of an extended request.
    pub(crate) fn complete(&mut self, is_answer: fn(&Reply) -> bool) -> Result<Expected, Unexpected> {
        match self.queue.front().copied() {
            Some(front) if is_answer(&front.reply) => {
                self.queue.pop_front();
                self.drop_copy_ends();
                Ok(front)
            }
            _ => Err(Unexpected),
        }
    }

    /// As [`Replies::complete`], for messages that end a statement within a simple query as well.
    pub(crate) fn complete_or_query(
        &mut self,
        is_answer: fn(&Reply) -> bool,
    ) -> Result<Expected, Unexpected> {
        match self.queue.front() {
            Some(front) if front.reply == Reply::Query => Ok(*front),
            _ => self.complete(is_answer),
        }
    }

    /// The server expects data for COPY: what was sent as Sync before the data ends is ignored.
    pub(crate) fn copy_in_begins(&mut self) {
        let end = self.queue.iter().position(|expected| expected.reply == Reply::CopyEnd);
        self.copy_in = end.is_none();
        let bound = end.unwrap_or(self.queue.len());
        let length = self.queue.len();
        let mut place = 0;
        self.queue.retain(|expected| {
            let is_ignored = expected.reply == Reply::Sync && place < bound || end == Some(place);
            place += 1;
            !is_ignored
        });
        let is_synced =
            self.queue.iter().any(|expected| matches!(expected.reply, Reply::Sync | Reply::Query));
        self.unsynced |= self.queue.len() < length && !is_synced;
    }

    /// The owner of the request that an ErrorResponse ends; `None` when nothing was asked.
    pub(crate) fn error_recipient(&self) -> Option<Owner> {
        let is_end = |expected: &&Expected| matches!(expected.reply, Reply::Query | Reply::Sync);
        let end = self.queue.iter().find(is_end).map(|expected| expected.owner);
        let client =
            self.queue.iter().map(|expected| expected.owner).find(|owner| matches!(owner, Owner::Client(_)));
        end.or(client).or(self.recipient())
    }

    /// An error ends the request at the front; returns what will not be answered any more.
    pub(crate) fn fail(&mut self) -> Vec<Expected> {
        self.copy_in = false;
        if self.queue.front().is_some_and(|front| front.reply == Reply::Query) {
            return Vec::new();
        }
        let end = self.queue.iter().position(|expected| expected.reply == Reply::Sync);
        self.skipping = end.is_none();
        self.queue.drain(..end.unwrap_or(self.queue.len())).collect()
    }

    /// ReadyForQuery: the request at the front is over.
    pub(crate) fn ready(&mut self) -> Result<Expected, Unexpected> {
        match self.queue.front().copied() {
            Some(front) if front.ends_request() => {
                self.queue.pop_front();
                self.drop_copy_ends();
                self.copy_in = false;
                Ok(front)
            }
            _ => Err(Unexpected),
        }
    }

    /// How many changes to its statements the client has sent since the end of its last request.
    pub(crate) fn changes_of_open_request(&self) -> usize {
        let open = self.queue.iter().rev().take_while(|expected| !expected.ends_request());
        open.filter(|expected| expected.changes_statements()).count()
    }

    /// Whether a statement's Parse belongs to an earlier request than the one being sent, and may fail yet.
    pub(crate) fn awaits_parse(&self, id: StatementId) -> bool {
        let parse = self.queue.iter().position(|expected| expected.reply == Reply::Parse(Some(id)));
        parse.is_some_and(|place| self.queue.iter().skip(place).any(Expected::ends_request))
    }

    /// Whether a statement is being closed, unless an error comes first.
    pub(crate) fn is_evicting(&self, id: StatementId) -> bool {
        self.queue.iter().any(|expected| expected.reply == Reply::Evict(id))
    }

    /// Whether nothing else than the end of the failed request is in flight.
    pub(crate) fn awaits_only_end(&self) -> bool {
        self.queue.len() == 1 && self.queue.front().is_some_and(Expected::ends_request)
    }

    /// How many requests are in flight: ends of requests that are still to be answered.
    pub(crate) fn requests(&self) -> usize {
        self.queue.iter().filter(|expected| matches!(expected.reply, Reply::Query | Reply::Sync)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Owner = Owner::Pooler(Task::Heal);

    fn queue(replies: &[Reply]) -> Replies {
        let mut queue = Replies::default();
        for reply in replies {
            queue.push(CLIENT, *reply);
        }
        queue
    }

    #[test]
    fn written_replies_keep_their_place() {
        let mut replies = queue(&[
            Reply::Written(Written::ParseComplete),
            Reply::Bind,
            Reply::Written(Written::CloseComplete),
            Reply::Sync,
        ]);
        assert_eq!(replies.pop_written(), Some((CLIENT, Written::ParseComplete)));
        assert_eq!(replies.pop_written(), None);
        assert!(replies.complete(|reply| *reply == Reply::Bind).is_ok());
        assert_eq!(replies.pop_written(), Some((CLIENT, Written::CloseComplete)));
        assert_eq!(replies.ready().map(|end| end.owner), Ok(CLIENT));
        assert!(replies.is_settled());
    }

    #[test]
    fn an_error_skips_to_sync_even_when_it_comes_later() {
        let mut replies = queue(&[Reply::Parse(None), Reply::Bind]);
        assert_eq!(replies.fail().len(), 2);
        replies.push(CLIENT, Reply::Execute);
        assert!(replies.is_skipping() && !replies.is_settled());
        replies.push(CLIENT, Reply::Sync);
        assert_eq!(replies.ready().map(|end| end.owner), Ok(CLIENT));
        assert!(replies.is_settled());
    }

    #[test]
    fn a_sync_before_the_end_of_copy_data_is_not_answered() {
        let mut replies = queue(&[Reply::Execute, Reply::Sync]);
        replies.copy_in_begins();
        replies.push(CLIENT, Reply::CopyEnd);
        replies.push(CLIENT, Reply::Sync);
        assert!(replies.complete(|reply| *reply == Reply::Execute).is_ok());
        assert_eq!(replies.ready().map(|end| end.owner), Ok(CLIENT));
        assert!(replies.is_settled());

        let mut pipelined = queue(&[Reply::Execute, Reply::Sync, Reply::CopyEnd, Reply::Sync]);
        pipelined.copy_in_begins();
        assert!(pipelined.complete(|reply| *reply == Reply::Execute).is_ok());
        assert_eq!(pipelined.pop_written(), None);
        assert_eq!(pipelined.ready().map(|end| end.owner), Ok(CLIENT));
        assert!(pipelined.is_settled());
    }

    #[test]
    fn a_reply_nobody_asked_for_is_noticed() {
        assert_eq!(queue(&[Reply::Bind]).ready(), Err(Unexpected));
        assert_eq!(queue(&[Reply::Sync]).complete(|reply| *reply == Reply::Bind), Err(Unexpected));
        assert_eq!(Replies::default().ready(), Err(Unexpected));
    }
}
