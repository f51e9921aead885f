//! Prepared statements: one text, many clients, many servers.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Servers know our statements by names with this prefix.
pub(crate) const NAME_PREFIX: &str = "PGPRIME_";
/// An unnamed statement becomes a named one on the servers when its text is met this often, so that texts with
/// literals in them, which never come back, do not drive useful statements out.
const USES_TO_KEEP: u32 = 2;
/// The registry is swept of texts that nobody uses when it has grown to this many, then again at twice what is left.
const SWEEP_AT_MIN: usize = 4_096;

/// A statement's number, unique over all workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StatementId(u64);

/// What makes two statements the same.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Text {
    query: Box<[u8]>,
    parameter_types: Box<[u8]>,
}

/// A statement as clients have prepared it.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) id: StatementId,
    /// Its name on every server.
    pub(crate) server_name: Box<[u8]>,
    text: Arc<Text>,
}

impl Statement {
    pub(crate) fn query(&self) -> &[u8] {
        &self.text.query
    }

    pub(crate) fn parameter_types(&self) -> &[u8] {
        &self.text.parameter_types
    }
}

#[derive(Debug)]
struct Known {
    statement: Arc<Statement>,
    uses: u32,
}

/// All statements a worker has met.
#[derive(Debug)]
pub(crate) struct Registry {
    by_text: HashMap<Arc<Text>, Known>,
    next_id: u64,
    sweep_at: usize,
}

/// How often a text has been prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frequency {
    Rare,
    Repeated,
}

impl Registry {
    /// `worker` keeps the numbers of several workers apart.
    pub(crate) fn new(worker: u16) -> Self {
        Self { by_text: HashMap::new(), next_id: u64::from(worker) << 48, sweep_at: SWEEP_AT_MIN }
    }

    /// The statement with this text, the same object each time.
    pub(crate) fn intern(&mut self, query: &[u8], parameter_types: &[u8]) -> (Arc<Statement>, Frequency) {
        let text = Text { query: query.into(), parameter_types: parameter_types.into() };
        if let Some(known) = self.by_text.get_mut(&text) {
            known.uses = known.uses.saturating_add(1);
            let frequency = if known.uses >= USES_TO_KEEP { Frequency::Repeated } else { Frequency::Rare };
            return (Arc::clone(&known.statement), frequency);
        }
        self.sweep_if_large();
        let id = StatementId(self.next_id);
        self.next_id += 1;
        let text = Arc::new(text);
        let server_name = format!("{NAME_PREFIX}{:x}", id.0).into_bytes().into();
        let statement = Arc::new(Statement { id, server_name, text: Arc::clone(&text) });
        self.by_text.insert(text, Known { statement: Arc::clone(&statement), uses: 1 });
        (statement, Frequency::Rare)
    }

    fn sweep_if_large(&mut self) {
        if self.by_text.len() >= self.sweep_at {
            self.by_text.retain(|_, known| Arc::strong_count(&known.statement) > 1);
            self.sweep_at = (self.by_text.len() * 2).max(SWEEP_AT_MIN);
        }
    }
}

/// The statements of one client, by the client's names; the empty name is the unnamed statement.
#[derive(Debug, Default)]
pub(crate) struct ClientStatements {
    by_name: HashMap<Box<[u8]>, Arc<Statement>>,
    unnamed: Option<Arc<Statement>>,
    /// Names whose Parse has not been answered yet, oldest first; an error takes them back.
    unconfirmed: VecDeque<Option<Box<[u8]>>>,
}

impl ClientStatements {
    pub(crate) fn find(&self, name: &[u8]) -> Option<&Arc<Statement>> {
        if name.is_empty() { self.unnamed.as_ref() } else { self.by_name.get(name) }
    }

    pub(crate) fn insert(&mut self, name: &[u8], statement: Arc<Statement>) {
        self.unconfirmed.push_back(Some(name.into()));
        if name.is_empty() {
            self.unnamed = Some(statement);
        } else {
            self.by_name.insert(name.into(), statement);
        }
    }

    /// A Parse is on its way that changes no name.
    pub(crate) fn expect_parse(&mut self) {
        self.unconfirmed.push_back(None);
    }

    pub(crate) fn set_unnamed(&mut self, statement: Arc<Statement>) {
        self.unnamed = Some(statement);
    }

    pub(crate) fn remove(&mut self, name: &[u8]) {
        if name.is_empty() {
            self.unnamed = None;
        } else {
            self.by_name.remove(name);
        }
    }

    /// The oldest unanswered Parse succeeded.
    pub(crate) fn confirm(&mut self) {
        self.unconfirmed.pop_front();
    }

    /// Every unanswered Parse failed or was skipped.
    pub(crate) fn take_back(&mut self) {
        for name in std::mem::take(&mut self.unconfirmed).into_iter().flatten() {
            self.remove(&name);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.by_name.clear();
        self.unnamed = None;
    }

    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }
}

/// The statements that one server has, least recently used first to go.
#[derive(Debug, Default)]
pub(crate) struct ServerStatements {
    last_use: HashMap<StatementId, Prepared>,
    clock: u64,
    unnamed: Option<StatementId>,
}

#[derive(Debug)]
struct Prepared {
    used: u64,
    statement: Arc<Statement>,
}

impl ServerStatements {
    /// Whether the server has it by name; counts as a use.
    pub(crate) fn touch(&mut self, id: StatementId) -> bool {
        self.clock += 1;
        match self.last_use.get_mut(&id) {
            Some(prepared) => {
                prepared.used = self.clock;
                true
            }
            None => false,
        }
    }

    /// Whether it is the server's unnamed statement.
    pub(crate) fn is_unnamed(&self, id: StatementId) -> bool {
        self.unnamed == Some(id)
    }

    pub(crate) fn set_unnamed(&mut self, id: Option<StatementId>) {
        self.unnamed = id;
    }

    /// Adds a statement; returns the ones to close so that no more than `max` stay.
    pub(crate) fn insert(&mut self, statement: &Arc<Statement>, max: usize) -> Vec<Arc<Statement>> {
        let mut evicted = Vec::new();
        while self.last_use.len() >= max.max(1) {
            let oldest = self.last_use.iter().min_by_key(|(_, prepared)| prepared.used).map(|(id, _)| *id);
            evicted.extend(oldest.and_then(|id| self.remove(id)));
        }
        self.clock += 1;
        self.last_use.insert(statement.id, Prepared { used: self.clock, statement: Arc::clone(statement) });
        evicted
    }

    pub(crate) fn remove(&mut self, id: StatementId) -> Option<Arc<Statement>> {
        self.last_use.remove(&id).map(|prepared| prepared.statement)
    }

    pub(crate) fn clear(&mut self) {
        self.last_use.clear();
        self.unnamed = None;
    }

    pub(crate) fn len(&self) -> usize {
        self.last_use.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_statement() {
        let mut registry = Registry::new(1);
        let (first, rare) = registry.intern(b"SELECT 1", &[0, 0]);
        let (second, repeated) = registry.intern(b"SELECT 1", &[0, 0]);
        let (other, _) = registry.intern(b"SELECT 1", &[0, 1, 0, 0, 0, 23]);
        assert!(Arc::ptr_eq(&first, &second) && other.id != first.id);
        assert_eq!((rare, repeated), (Frequency::Rare, Frequency::Repeated));
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut registry = Registry::new(0);
        let statements: Vec<_> =
            (0..4).map(|n| registry.intern(format!("SELECT {n}").as_bytes(), &[0, 0]).0).collect();
        let mut server = ServerStatements::default();
        for statement in &statements[..3] {
            assert!(server.insert(statement, 3).is_empty());
        }
        assert!(server.touch(statements[0].id));
        let evicted = server.insert(&statements[3], 3);
        assert_eq!(evicted.iter().map(|statement| statement.id).collect::<Vec<_>>(), [statements[1].id]);
        assert!(!server.touch(statements[1].id) && server.len() == 3);
    }

    #[test]
    fn an_error_takes_back_what_was_not_confirmed() {
        let mut registry = Registry::new(0);
        let (statement, _) = registry.intern(b"SELECT 1", &[0, 0]);
        let mut client = ClientStatements::default();
        client.insert(b"a", Arc::clone(&statement));
        client.insert(b"b", Arc::clone(&statement));
        client.confirm();
        client.take_back();
        assert!(client.find(b"a").is_some() && client.find(b"b").is_none());
    }

    #[test]
    fn the_registry_forgets_texts_nobody_uses() {
        let mut registry = Registry::new(0);
        for n in 0..SWEEP_AT_MIN * 3 {
            registry.intern(format!("SELECT {n}").as_bytes(), &[0, 0]);
        }
        assert!(registry.by_text.len() <= SWEEP_AT_MIN);
    }
}
