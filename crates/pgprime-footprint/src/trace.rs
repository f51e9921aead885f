//! From what a text names to all that stands behind it.

use std::collections::{BTreeSet, HashSet};

use sha2::{Digest, Sha256};

use crate::builtin;
use crate::catalog::{
    Definition, Events, FunctionId, FunctionKind, Path, Relation, RelationId, RelationKind, Volatility,
};
use crate::footprint::{Control, Footprint, NotKept, NotKeptReason, Writes};
use crate::known::{Known, Object};
use crate::links::Links;

use crate::uses::Extent;

/// Objects that are followed for one text; beyond, nothing is said of it.
const STEPS_MAX: usize = 200_000;

/// With whose rights a table is read, for row security.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Whose {
    Session,
    /// A view's owner.
    Owner(u32),
    /// Not followed: any row security counts.
    Anyones,
}

/// What of a text's inside counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Weight {
    /// All of it.
    Full,
    /// What it is declared to be is believed, but for what would show one session's rows to another.
    Believed,
    /// Tables alone: it is not kept anyway, for a graver reason.
    Tables,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Context {
    whose: Whose,
    weight: Weight,
    path: Path,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    Read(RelationId, Extent),
    Write(RelationId, Events),
    Call(FunctionId),
}

pub(crate) struct Trace<'a> {
    known: &'a Known,
    reads: BTreeSet<RelationId>,
    writes: BTreeSet<RelationId>,
    created: BTreeSet<String>,
    against: BTreeSet<NotKept>,
    anything: Option<String>,
    controls: bool,
    changes_definitions: bool,
    changes_session: bool,
    leaves_traces: bool,
    /// What is hashed of each object that was met.
    definitions: BTreeSet<String>,
    seen: HashSet<(Step, Context)>,
    left: Vec<(Step, Context)>,
}

impl<'a> Trace<'a> {
    /// All that a text of a session reads and writes.
    pub(crate) fn footprint(known: &'a Known, links: Links, path: &Path) -> Footprint {
        let mut trace = Self {
            known,
            reads: BTreeSet::new(),
            writes: BTreeSet::new(),
            created: BTreeSet::new(),
            against: BTreeSet::new(),
            anything: None,
            controls: false,
            changes_definitions: false,
            changes_session: links.changes_session,
            leaves_traces: links.leaves_traces,
            definitions: BTreeSet::from([known.catalog.surroundings.clone()]),
            seen: HashSet::new(),
            left: Vec::new(),
        };
        let path = path.clone();
        if links.is_dynamic {
            trace.anything("it runs SQL that it puts together".to_owned());
        }
        trace.absorb(&links, &Context { whose: Whose::Session, weight: Weight::Full, path });
        while let Some((step, context)) = trace.left.pop() {
            if trace.seen.len() > STEPS_MAX {
                trace.against(&context, NotKeptReason::Opaque, "so large a statement");
                trace.anything("it leads to too many objects".to_owned());
                break;
            }
            trace.step(step, &context);
        }
        trace.finish(links.is_query && links.statements == 1)
    }

    fn finish(mut self, is_read: bool) -> Footprint {
        let catalog = &self.known.catalog;
        let display = |id: &RelationId| catalog.relation(*id).display.to_string();
        let tables: BTreeSet<String> = self.writes.iter().map(display).chain(self.created).collect();
        let writes = match self.anything {
            Some(because) => Writes::Anything { because },
            None if tables.is_empty() => Writes::Nothing,
            None => Writes::Tables(tables),
        };
        let mut refuse = |reason| self.against.insert(NotKept { reason, object: String::new() });
        if !is_read {
            refuse(NotKeptReason::NotARead);
        }
        if writes != Writes::Nothing && self.against.iter().all(|not| not.reason == NotKeptReason::NotARead) {
            self.against.insert(NotKept { reason: NotKeptReason::Writes, object: String::new() });
        }
        let mut hash = Sha256::new();
        for definition in &self.definitions {
            hash.update(definition.len().to_be_bytes());
            hash.update(definition);
        }
        let against: Vec<NotKept> = self.against.into_iter().collect();
        Footprint {
            reads: self.reads.iter().map(display).collect(),
            writes,
            control: if self.controls { Control::Some } else { Control::None },
            changes_definitions: self.changes_definitions,
            changes_session: self.changes_session,
            leaves_traces: self.leaves_traces || self.changes_session,
            definitions: hash.finalize().into(),
            kept: if against.is_empty() { Ok(()) } else { Err(against) },
        }
    }

    fn step(&mut self, step: Step, context: &Context) {
        match step {
            Step::Read(id, extent) => self.read(id, extent, context),
            Step::Write(id, events) => self.write(id, events, context),
            Step::Call(id) => self.call(id, context),
        }
    }

    /// What a text names is met.
    fn absorb(&mut self, links: &Links, context: &Context) {
        let against = links.against.iter().filter(|not| context.weight.counts(not.reason));
        self.against.extend(against.cloned());
        if let Some(because) = &links.anything
            && context.weight != Weight::Believed
        {
            self.anything(because.clone());
        }
        self.controls |= links.controls;
        self.changes_definitions |= links.changes_definitions;
        self.changes_session |= links.changes_session;
        self.leaves_traces |= links.leaves_traces;
        self.created.extend(links.created.iter().cloned());
        let reads = links.reads.iter().map(|(id, extent)| Step::Read(*id, *extent));
        let writes = links.writes.iter().map(|(id, events)| Step::Write(*id, *events));
        let calls = links.calls.iter().map(|id| Step::Call(*id));
        reads.chain(writes).chain(calls).for_each(|step| self.meet(step, context));
    }

    fn meet(&mut self, step: Step, context: &Context) {
        let met = (step, context.clone());
        if !self.seen.contains(&met) {
            self.seen.insert(met.clone());
            self.left.push(met);
        }
    }

    fn read(&mut self, id: RelationId, extent: Extent, context: &Context) {
        let catalog = &self.known.catalog;
        let relation = catalog.relation(id);
        self.define(relation);
        if relation.kind == RelationKind::View {
            return self.read_view(id, relation, context);
        }
        self.table(id, context);
        if holds(self.known, relation, context.whose) {
            self.against(context, NotKeptReason::RowSecurity, &relation.display);
        }
        relation.on_read.iter().for_each(|function| self.meet(Step::Call(*function), context));
        if extent == Extent::Whole {
            catalog.below(id).into_iter().for_each(|part| self.table(part, context));
        }
    }

    /// One that has rows itself.
    fn table(&mut self, id: RelationId, context: &Context) {
        let relation = self.known.catalog.relation(id);
        self.define(relation);
        self.reads.insert(id);
        match relation.kind {
            RelationKind::Foreign => self.against(context, NotKeptReason::Foreign, &relation.display),
            RelationKind::Sequence => self.against(context, NotKeptReason::Volatile, &relation.display),
            _ if relation.is_temporary => self.against(context, NotKeptReason::Temporary, &relation.display),
            _ => {}
        }
    }

    fn read_view(&mut self, id: RelationId, view: &Relation, context: &Context) {
        let links = self.known.links(Object::View(id), &context.path);
        if let Some(why) = &links.unparsed {
            self.against(context, NotKeptReason::Opaque, &format!("view {} ({why})", view.display));
            self.anything(format!("view {} cannot be read: {why}", view.display));
        }
        let whose = if view.is_invoker { context.whose } else { Whose::Owner(view.owner) };
        self.absorb(&links, &Context { whose, ..context.clone() });
    }

    fn write(&mut self, id: RelationId, events: Events, context: &Context) {
        let context = &Context { weight: Weight::Tables, ..context.clone() };
        let relation = self.known.catalog.relation(id);
        self.define(relation);
        for (at, rule) in relation.rules.iter().enumerate().filter(|(_, rule)| events.meets(rule.events)) {
            let links = self.known.links(Object::Rule(id, at), &context.path);
            if matches!(rule.definition, Definition::TooLong) || links.unparsed.is_some() {
                self.anything(format!("a rule of {} cannot be read", relation.display));
            }
            self.absorb(&links, context);
        }
        match relation.kind {
            RelationKind::View => self.write_view(id, events, context),
            RelationKind::MaterializedView => self.refresh(id, context),
            RelationKind::Foreign => {
                self.writes.insert(id);
                self.anything(format!(
                    "what stands behind the foreign table {} is not seen",
                    relation.display
                ));
            }
            RelationKind::Table | RelationKind::Partitioned => self.write_tree(id, events, context),
            RelationKind::Sequence => {}
        }
    }

    /// All that its query calls and reads; only itself changes.
    fn refresh(&mut self, id: RelationId, context: &Context) {
        self.writes.insert(id);
        let view = self.known.catalog.relation(id);
        let links = self.known.links(Object::View(id), &context.path);
        if links.unparsed.is_some() {
            self.anything(format!("materialized view {} cannot be read", view.display));
        }
        self.absorb(&links, context);
    }

    fn write_view(&mut self, id: RelationId, events: Events, context: &Context) {
        self.meet(Step::Read(id, Extent::Whole), context);
        let relation = self.known.catalog.relation(id);
        let is_replaced = relation.rules.iter().any(|rule| rule.replaces && rule.events.has(events));
        relation.on_write.iter().for_each(|function| self.meet(Step::Call(*function), context));
        let mut is_triggered = false;
        for trigger in relation.triggers.iter().filter(|trigger| trigger.events.meets(events)) {
            is_triggered |= trigger.is_instead && trigger.events.has(events);
            let functions = trigger.conditions.iter().chain(&trigger.function);
            functions.for_each(|function| self.meet(Step::Call(*function), context));
        }
        if is_replaced || is_triggered {
            return;
        }
        let links = self.known.links(Object::View(id), &context.path);
        let all = links.reads.iter().map(|(id, _)| *id);
        let bases: Vec<RelationId> = links.base.map_or_else(|| all.collect(), |base| vec![base]);
        bases.into_iter().for_each(|base| self.meet(Step::Write(base, events), context));
    }

    /// A table with all that is part of it and all that it is part of.
    fn write_tree(&mut self, id: RelationId, events: Events, context: &Context) {
        let catalog = &self.known.catalog;
        let mut tree = catalog.below(id);
        tree.extend(catalog.above(id));
        tree.insert(id);
        let is_partitioned =
            tree.iter().any(|part| catalog.relation(*part).kind == RelationKind::Partitioned);
        // An update may move rows from one partition to another.
        let moves = is_partitioned && events.meets(Events::UPDATE);
        let events = if moves { events.and(Events::INSERT).and(Events::DELETE) } else { events };
        for part in tree {
            let relation = catalog.relation(part);
            if relation.kind == RelationKind::Foreign {
                self.anything(format!(
                    "what stands behind the foreign table {} is not seen",
                    relation.display
                ));
            }
            self.define(relation);
            self.writes.insert(part);
            self.follow(relation, events, context);
        }
    }

    /// What a change of a table sets off.
    fn follow(&mut self, relation: &Relation, events: Events, context: &Context) {
        for trigger in relation.triggers.iter().filter(|trigger| trigger.events.meets(events)) {
            let functions = trigger.conditions.iter().chain(&trigger.function);
            functions.for_each(|function| self.meet(Step::Call(*function), context));
        }
        relation.on_write.iter().for_each(|function| self.meet(Step::Call(*function), context));
        for key in &relation.referring {
            let cascades = [
                key.on_delete.filter(|_| events.meets(Events::DELETE)),
                key.on_update.filter(|_| events.meets(Events::UPDATE)),
                events.has(Events::TRUNCATE_CASCADE).then_some(Events::TRUNCATE_CASCADE),
            ];
            cascades
                .into_iter()
                .flatten()
                .for_each(|events| self.meet(Step::Write(key.relation, events), context));
        }
    }

    fn call(&mut self, id: FunctionId, context: &Context) {
        let catalog = &self.known.catalog;
        let function = catalog.function(id);
        self.definitions.insert(format!("{} {}", function.display, function.hash));
        if function.kind == FunctionKind::Aggregate {
            return function.calls.iter().for_each(|part| self.meet(Step::Call(*part), context));
        }
        let volatility = function.signature.volatility;
        function.calls.iter().for_each(|called| self.meet(Step::Call(*called), context));
        let is_volatile = volatility == Volatility::Volatile;
        if is_volatile {
            self.against(context, NotKeptReason::Volatile, &function.display);
        }
        if !matches!(&*function.language, "sql" | "plpgsql") {
            return self.call_unseen(id, context);
        }
        let path = match &function.path {
            None => context.path.clone(),
            Some(Ok(path)) => path.clone(),
            Some(Err(())) => return self.opaque(id, context, "reads names by the role that owns it"),
        };
        let inner = Context {
            whose: if function.is_definer { Whose::Anyones } else { context.whose_called() },
            weight: context.weight.max(match volatility {
                Volatility::Immutable => Weight::Believed,
                Volatility::Stable => Weight::Full,
                Volatility::Volatile => Weight::Tables,
            }),
            path,
        };
        let links = self.known.links(Object::Function(id), &inner.path);
        if links.unparsed.is_some() {
            self.opaque(id, context, "has a body that cannot be read");
        } else if links.is_dynamic {
            self.opaque(id, context, "runs SQL that it puts together");
        } else if links.changes_session {
            self.opaque(id, context, "changes what names stand for");
        }
        self.absorb(&links, &inner);
    }

    /// A function in a language that is not seen through.
    fn call_unseen(&mut self, id: FunctionId, context: &Context) {
        let function = self.known.catalog.function(id);
        let is_harmless = function.extension.as_deref().is_some_and(builtin::is_harmless_extension);
        if !(is_harmless && &*function.language == "c") {
            self.opaque(id, context, &format!("is written in {}", function.language));
        } else if function.signature.volatility == Volatility::Stable {
            self.against(context, NotKeptReason::Opaque, &function.display);
        }
    }

    /// A function that is not seen through: one that is not volatile writes nothing, as the server makes sure, and one that is
    /// immutable depends on nothing, as it says itself.
    fn opaque(&mut self, id: FunctionId, context: &Context, why: &str) {
        let function = self.known.catalog.function(id);
        if function.signature.volatility == Volatility::Immutable {
            return;
        }
        if function.signature.volatility == Volatility::Volatile {
            self.anything(format!("function {} {why}", function.display));
            self.changes_session = true;
        }
        self.against(context, NotKeptReason::Opaque, &function.display);
    }

    fn define(&mut self, relation: &Relation) {
        let definition = if let Definition::Text(text) = &relation.definition { text } else { "" };
        let Relation { display, oid, kind, columns, .. } = relation;
        let is_secured = relation.row_security.is_enabled;
        self.definitions.insert(format!("{display} {oid} {kind:?} {columns} {is_secured} {definition}"));
    }

    fn against(&mut self, context: &Context, reason: NotKeptReason, object: &str) {
        if context.weight.counts(reason) {
            self.against.insert(NotKept { reason, object: object.to_owned() });
        }
    }

    fn anything(&mut self, because: String) {
        self.anything.get_or_insert(because);
    }
}

impl Weight {
    fn counts(self, reason: NotKeptReason) -> bool {
        match self {
            Self::Full => true,
            Self::Believed => matches!(
                reason,
                NotKeptReason::Stable | NotKeptReason::RowSecurity | NotKeptReason::Temporary
            ),
            Self::Tables => false,
        }
    }
}

impl Context {
    /// Functions run with the session's rights, within views, too.
    fn whose_called(&self) -> Whose {
        if self.whose == Whose::Anyones { Whose::Anyones } else { Whose::Session }
    }
}

/// Whether row security may hold for a table that is read.
fn holds(known: &Known, relation: &Relation, whose: Whose) -> bool {
    let security = relation.row_security;
    security.is_enabled
        && match whose {
            Whose::Session => security.holds,
            Whose::Owner(owner) => {
                let is_own = owner == relation.owner && !security.holds_for_owner;
                !is_own && !known.catalog.exempt.contains(&owner)
            }
            Whose::Anyones => true,
        }
}
