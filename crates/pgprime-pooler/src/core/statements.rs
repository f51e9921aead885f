//! Prepared statements: one text, many clients, many servers.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};

use super::measure::PlaceInPool;
use super::shape::Shape;

/// Servers know our statements by names with this prefix.
pub(crate) const NAME_PREFIX: &str = "PGPRIME_";
/// An unnamed statement becomes a named one on the servers when its text is met this often, so that texts with
/// literals in them, which never come back, do not drive useful statements out.
const USES_TO_KEEP: u32 = 2;
/// The registry is swept of texts that nobody uses when it has grown to this many, then again at twice what is left.
const SWEEP_AT_MIN: usize = 4_096;
/// The same for the bytes of all texts.
const SWEEP_AT_BYTES_MIN: usize = 32 * 1024 * 1024;

/// A statement's number, unique over all workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StatementId(u64);

/// What makes two statements the same.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Text {
    query: Box<[u8]>,
    parameter_types: Box<[u8]>,
}

/// A text as it stands in a message: looking it up copies nothing.
#[derive(PartialEq, Eq, Hash)]
struct TextRef<'a> {
    query: &'a [u8],
    parameter_types: &'a [u8],
}

impl Equivalent<Arc<Text>> for TextRef<'_> {
    fn equivalent(&self, text: &Arc<Text>) -> bool {
        *self.query == *text.query && *self.parameter_types == *text.parameter_types
    }
}

/// A statement as clients have prepared it.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) id: StatementId,
    /// Its name on every server.
    pub(crate) server_name: Box<[u8]>,
    /// Where its executions are counted.
    pub(crate) place: PlaceInPool,
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
    /// Bytes of all texts.
    bytes: usize,
    sweep_at_bytes: usize,
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
        Self {
            by_text: HashMap::new(),
            next_id: u64::from(worker) << 48,
            sweep_at: SWEEP_AT_MIN,
            bytes: 0,
            sweep_at_bytes: SWEEP_AT_BYTES_MIN,
        }
    }

    /// The statement with this text, the same object each time.
    pub(crate) fn intern(&mut self, query: &[u8], parameter_types: &[u8]) -> (Arc<Statement>, Frequency) {
        if let Some(known) = self.by_text.get_mut(&TextRef { query, parameter_types }) {
            known.uses = known.uses.saturating_add(1);
            let frequency = if known.uses >= USES_TO_KEEP { Frequency::Repeated } else { Frequency::Rare };
            return (Arc::clone(&known.statement), frequency);
        }
        self.sweep_if_large();
        self.bytes += query.len() + parameter_types.len();
        let id = StatementId(self.next_id);
        self.next_id += 1;
        let text = Arc::new(Text { query: query.into(), parameter_types: parameter_types.into() });
        let server_name = format!("{NAME_PREFIX}{:x}", id.0).into_bytes().into();
        let place = PlaceInPool::default();
        let statement = Arc::new(Statement { id, server_name, place, text: Arc::clone(&text) });
        self.by_text.insert(text, Known { statement: Arc::clone(&statement), uses: 1 });
        (statement, Frequency::Rare)
    }

    /// The statement with this text, if it is known.
    pub(crate) fn find(&self, query: &[u8], parameter_types: &[u8]) -> Option<StatementId> {
        let text = TextRef { query, parameter_types };
        self.by_text.get(&text).map(|known| known.statement.id)
    }

    fn sweep_if_large(&mut self) {
        if self.by_text.len() >= self.sweep_at || self.bytes >= self.sweep_at_bytes {
            self.by_text.retain(|_, known| Arc::strong_count(&known.statement) > 1);
            self.sweep_at = (self.by_text.len() * 2).max(SWEEP_AT_MIN);
            self.bytes = self.by_text.keys().map(|text| text.query.len() + text.parameter_types.len()).sum();
            self.sweep_at_bytes = (self.bytes * 2).max(SWEEP_AT_BYTES_MIN);
        }
    }
}

/// The statements of one client, by the client's names; the empty name is the unnamed statement.
#[derive(Debug, Default)]
pub(crate) struct ClientStatements {
    by_name: HashMap<Box<[u8]>, Named>,
    unnamed: Option<Named>,
    /// Names that the client asks to have described, in the order of the answers.
    described: VecDeque<Box<[u8]>>,
    /// It was told what a result is like.
    was_told: bool,
    /// What unanswered messages have changed, oldest first; an error takes back those of its request.
    unconfirmed: VecDeque<Change>,
    /// A command that makes an end of all statements is in flight.
    pub(crate) discarding: bool,
}

/// What a client's name stands for.
#[derive(Clone, Debug)]
struct Named {
    statement: Arc<Statement>,
    /// What the client was told that its result is like, if it asked.
    told: Option<Shape>,
}

/// What one Parse or Close has changed, if anything: the name, and what it stood for before.
#[derive(Debug)]
struct Change {
    name: Option<Box<[u8]>>,
    before: Option<Named>,
}

impl ClientStatements {
    pub(crate) fn find(&self, name: &[u8]) -> Option<&Arc<Statement>> {
        self.named(name).map(|named| &named.statement)
    }

    fn named(&self, name: &[u8]) -> Option<&Named> {
        if name.is_empty() { self.unnamed.as_ref() } else { self.by_name.get(name) }
    }

    /// A statement and what the client was told that its result is like, if it was.
    pub(crate) fn find_told(&self, name: &[u8]) -> Option<(&Arc<Statement>, Shape)> {
        self.named(name).and_then(|named| Some((&named.statement, named.told?)))
    }

    /// Whether the client was ever told what a result is like; many never ask.
    pub(crate) fn was_told(&self) -> bool {
        self.was_told
    }

    /// A Describe is on its way.
    pub(crate) fn ask_description(&mut self, name: &[u8]) {
        self.described.push_back(name.into());
    }

    /// The oldest unanswered Describe is answered.
    pub(crate) fn tell(&mut self, id: StatementId, shape: Shape) {
        let Some(name) = self.described.pop_front() else { return };
        if self.described.is_empty() {
            // An idle client holds no buffer.
            self.described = VecDeque::new();
        }
        let named = if name.is_empty() { self.unnamed.as_mut() } else { self.by_name.get_mut(&name) };
        if let Some(named) = named.filter(|named| named.statement.id == id) {
            named.told = Some(shape);
            self.was_told = true;
        }
    }

    /// The oldest `count` Describes failed or were skipped.
    pub(crate) fn take_back_descriptions(&mut self, count: usize) {
        self.described.drain(..count.min(self.described.len()));
    }

    /// A Parse is on its way that gives a name to a statement.
    pub(crate) fn insert(&mut self, name: &[u8], statement: Arc<Statement>) {
        // Who prepares it anew does not rely on what was said of it before.
        let before = self.put(name, Some(Named { statement, told: None }));
        self.unconfirmed.push_back(Change { name: Some(name.into()), before });
    }

    /// A Close is on its way.
    pub(crate) fn close(&mut self, name: &[u8]) {
        let before = self.put(name, None);
        self.unconfirmed.push_back(Change { name: Some(name.into()), before });
    }

    /// A Parse is on its way that changes no name.
    pub(crate) fn expect_parse(&mut self) {
        self.unconfirmed.push_back(Change { name: None, before: None });
    }

    fn put(&mut self, name: &[u8], named: Option<Named>) -> Option<Named> {
        match named {
            _ if name.is_empty() => std::mem::replace(&mut self.unnamed, named),
            Some(named) => self.by_name.insert(name.into(), named),
            None => self.by_name.remove(name),
        }
    }

    pub(crate) fn set_unnamed(&mut self, statement: Arc<Statement>) {
        self.unnamed = Some(Named { statement, told: None });
    }

    pub(crate) fn remove(&mut self, name: &[u8]) {
        self.put(name, None);
    }

    /// The oldest unanswered change is answered.
    pub(crate) fn confirm(&mut self) {
        self.unconfirmed.pop_front();
    }

    /// The oldest `count` changes failed or were skipped; `first_failed`: the first of them is the error's cause, and an
    /// unnamed statement that fails takes its forerunner with it.
    pub(crate) fn take_back(&mut self, count: usize, first_failed: bool) {
        let changes: Vec<Change> = self.unconfirmed.drain(..count.min(self.unconfirmed.len())).collect();
        for (place, change) in changes.into_iter().enumerate().rev() {
            let Some(name) = change.name else { continue };
            let is_superseded = self.unconfirmed.iter().any(|later| later.name.as_ref() == Some(&name));
            if !is_superseded {
                let is_lost = name.is_empty() && place == 0 && first_failed;
                self.put(&name, change.before.filter(|_| !is_lost));
            }
        }
    }

    /// Whether what a name stands for depends on an answer to an earlier request. The last `own` changes belong to the
    /// request that the client is sending.
    pub(crate) fn is_uncertain(&self, name: &[u8], own: usize) -> bool {
        let earlier = self.unconfirmed.len().saturating_sub(own);
        let changes = |change: &Change| change.name.as_deref() == Some(name);
        // The unnamed statement of this request is its own, whatever came before.
        let is_own = name.is_empty() && self.unconfirmed.iter().skip(earlier).any(changes);
        !is_own && self.unconfirmed.iter().take(earlier).any(changes)
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
    /// Given up, but perhaps still there, as what should have closed them may not have been executed.
    doubtful: HashSet<StatementId>,
    /// What a DEALLOCATE in flight names.
    deallocating: Option<StatementId>,
}

#[derive(Debug)]
struct Prepared {
    used: u64,
    statement: Arc<Statement>,
    /// What its result was like here when it was last described.
    shape: Option<Shape>,
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
        let prepared = Prepared { used: self.clock, statement: Arc::clone(statement), shape: None };
        self.last_use.insert(statement.id, prepared);
        evicted
    }

    pub(crate) fn remove(&mut self, id: StatementId) -> Option<Arc<Statement>> {
        self.last_use.remove(&id).map(|prepared| prepared.statement)
    }

    /// What its result is like here, as far as it was described.
    pub(crate) fn shape(&self, id: StatementId) -> Option<Shape> {
        self.last_use.get(&id)?.shape
    }

    pub(crate) fn set_shape(&mut self, id: StatementId, shape: Shape) {
        if let Some(prepared) = self.last_use.get_mut(&id) {
            prepared.shape = Some(shape);
        }
    }

    /// A statement that was to be closed may be there still.
    pub(crate) fn doubt(&mut self, id: StatementId) {
        self.doubtful.insert(id);
    }

    /// Whether a statement has to be closed before its name can be used; asked once.
    pub(crate) fn settle_doubt(&mut self, id: StatementId) -> bool {
        self.doubtful.remove(&id)
    }

    /// DEALLOCATE is on its way.
    pub(crate) fn deallocate(&mut self, id: StatementId) {
        self.remove(id);
        self.doubtful.insert(id);
        self.deallocating = Some(id);
    }

    /// DEALLOCATE has succeeded.
    pub(crate) fn deallocated(&mut self) {
        if let Some(id) = self.deallocating.take() {
            self.doubtful.remove(&id);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.last_use.clear();
        self.doubtful.clear();
        self.deallocating = None;
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
        client.insert(b"c", Arc::clone(&statement));
        assert!(
            client.is_uncertain(b"b", 1) && !client.is_uncertain(b"c", 1) && !client.is_uncertain(b"a", 1)
        );
        client.take_back(1, true);
        assert!(client.find(b"a").is_some() && client.find(b"b").is_none() && client.find(b"c").is_some());
        client.close(b"a");
        client.take_back(2, false);
        assert!(client.find(b"a").is_some() && client.find(b"c").is_none());
    }

    #[test]
    fn the_registry_forgets_texts_nobody_uses() {
        let mut registry = Registry::new(0);
        for n in 0..SWEEP_AT_MIN * 3 {
            registry.intern(format!("SELECT {n}").as_bytes(), &[0, 0]);
        }
        assert!(registry.by_text.len() <= SWEEP_AT_MIN);
        let long = vec![b' '; 1024 * 1024];
        for n in 0..100 {
            registry.intern(&[format!("SELECT {n}").as_bytes(), &long].concat(), &[0, 0]);
        }
        assert!(registry.bytes <= SWEEP_AT_BYTES_MIN + long.len() + 100);
    }
}
