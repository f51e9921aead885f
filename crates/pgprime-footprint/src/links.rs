//! What a text's names stand for.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::builtin::{self, DependsOn};
use crate::catalog::{Catalog, Definition, Events, FunctionId, Named, Path, RelationId, SYSTEM, Volatility};
use crate::footprint::{NotKept, NotKeptReason};
use crate::reading;
use crate::uses::{Call, Extent, Name, Uses};

/// A text with its names looked up; what stands behind them is not followed.
#[derive(Debug, Default)]
pub(crate) struct Links {
    pub(crate) statements: usize,
    pub(crate) is_query: bool,
    pub(crate) reads: BTreeSet<(RelationId, Extent)>,
    pub(crate) writes: BTreeSet<(RelationId, Events)>,
    pub(crate) created: BTreeSet<String>,
    pub(crate) calls: BTreeSet<FunctionId>,
    /// The relation through which it can be written, if it is a view's.
    pub(crate) base: Option<RelationId>,
    pub(crate) against: BTreeSet<NotKept>,
    pub(crate) anything: Option<String>,
    pub(crate) is_dynamic: bool,
    pub(crate) unparsed: Option<String>,
    pub(crate) controls: bool,
    pub(crate) changes_definitions: bool,
    pub(crate) changes_session: bool,
    pub(crate) leaves_traces: bool,
}

impl Links {
    /// Looks the names up by a path.
    pub(crate) fn of(uses: Uses, catalog: &Catalog, path: &Path) -> Self {
        let mut found = Lookup { catalog, path, links: Self::default() };
        found.relations(&uses);
        uses.calls.iter().for_each(|call| found.call(call));
        uses.operators.iter().for_each(|operator| found.operator(operator));
        if uses.fires_event_triggers {
            found.links.calls.extend(&catalog.event_triggers);
        }
        found.types_and_attributes(&uses);
        let mut links = found.links;
        links.against.extend(uses.against);
        links.statements = uses.statements;
        links.is_query = uses.is_query;
        links.anything = uses.anything.or(links.anything);
        links.is_dynamic = uses.is_dynamic;
        links.unparsed = uses.unparsed;
        links.controls = uses.controls;
        links.changes_definitions |= uses.changes_definitions;
        links.changes_session = uses.changes_session;
        links.leaves_traces = uses.leaves_traces || uses.changes_session;
        links
    }

    /// A view's or materialized view's query, in which every name has its schema.
    pub(crate) fn of_view(definition: &Definition, catalog: &Catalog) -> Self {
        Self::of(with_text(definition, reading::statements), catalog, &qualified())
    }

    /// A rule's actions, in which every name has its schema.
    pub(crate) fn of_rule(definition: &Definition, catalog: &Catalog) -> Self {
        Self::of(with_text(definition, reading::rule), catalog, &qualified())
    }

    /// A function's body, read by a path.
    pub(crate) fn of_function(id: FunctionId, catalog: &Catalog, path: &Path) -> Self {
        let function = catalog.function(id);
        let uses = with_text(&function.source, |text| match (&*function.language, function.is_bound) {
            ("plpgsql", _) => reading::plpgsql(&function.arguments, function.result.as_deref(), text),
            (_, true) => reading::bound(text),
            (_, false) => reading::statements(text),
        });
        let qualified = qualified();
        Self::of(uses, catalog, if function.is_bound { &qualified } else { path })
    }
}

/// The path for texts whose names all have a schema but PostgreSQL's own.
fn qualified() -> Path {
    Arc::new([SYSTEM.into()])
}

fn with_text(definition: &Definition, read: impl FnOnce(&str) -> Uses) -> Uses {
    match definition {
        Definition::Text(text) => read(text),
        Definition::TooLong => reading::nothing("its definition is longer than 1 MiB"),
        Definition::None => reading::nothing("it has no definition"),
    }
}

struct Lookup<'a> {
    catalog: &'a Catalog,
    path: &'a Path,
    links: Links,
}

impl Lookup<'_> {
    fn relations(&mut self, uses: &Uses) {
        for (name, extent) in &uses.reads {
            for named in self.named(name) {
                self.read(name, named, *extent, uses);
            }
        }
        for (name, events) in &uses.writes {
            for named in self.named(name) {
                self.write(name, named, *events, uses);
            }
        }
        self.links.created = uses.created.iter().map(|name| self.new_name(name)).collect();
        let base = uses.base.as_ref();
        let base = base.map(|name| self.catalog.named(name.schema.as_deref(), &name.name, self.path));
        self.links.base = base.and_then(|named| if let Named::Known(id) = named { Some(id) } else { None });
    }

    /// What a name stands for, or may stand for where the path is not known.
    fn named(&self, name: &Name) -> Vec<Named> {
        match (&name.schema, self.catalog.is_any(self.path)) {
            (None, true) => self.catalog.named_anywhere(&name.name),
            (schema, _) => vec![self.catalog.named(schema.as_deref(), &name.name, self.path)],
        }
    }

    fn read(&mut self, name: &Name, named: Named, extent: Extent, uses: &Uses) {
        match named {
            Named::Known(id) => drop(self.links.reads.insert((id, extent))),
            Named::System => self.against(NotKeptReason::System, name.to_string()),
            Named::Temporary => self.against(NotKeptReason::Temporary, name.to_string()),
            Named::Unknown => self.unknown(name, uses),
        }
        // Which of the two is meant depends on whether the temporary one is there already.
        if named != Named::Unknown && is_own(name, uses) {
            self.against(NotKeptReason::Temporary, name.to_string());
        }
    }

    fn write(&mut self, name: &Name, named: Named, events: Events, uses: &Uses) {
        match named {
            Named::Known(id) => drop(self.links.writes.insert((id, events))),
            Named::System => {
                self.links.changes_definitions = true;
                self.anything(format!("it changes {name}, which belongs to the system"));
            }
            Named::Temporary => {}
            Named::Unknown => self.unknown(name, uses),
        }
    }

    /// A name that the catalogs did not have.
    fn unknown(&mut self, name: &Name, uses: &Uses) {
        if is_own(name, uses) {
            return self.against(NotKeptReason::Temporary, name.to_string());
        }
        self.against(NotKeptReason::Unknown, name.to_string());
        self.anything(format!("{name} is not known (yet)"));
    }

    /// The name of a table that is about to be made, as SQL writes it.
    fn new_name(&self, name: &Name) -> String {
        let first = self.path.iter().find(|schema| &***schema != SYSTEM).map_or("public", |schema| schema);
        format!("{}.{}", quote(name.schema.as_deref().unwrap_or(first)), quote(&name.name))
    }

    fn call(&mut self, call: &Call) {
        let Call { name, arguments } = call;
        let schema = name.schema.as_deref();
        let called: Vec<FunctionId> =
            self.catalog.called(schema, &name.name, *arguments, self.path).collect();
        let mut is_known = !called.is_empty();
        self.links.calls.extend(called);
        if schema.is_none_or(|schema| schema == SYSTEM) {
            is_known |= self.system_call(&name.name, *arguments);
        }
        if !is_known {
            let functions = self.catalog.type_functions.get(&name.name);
            match functions {
                // A cast that is written like a function.
                Some(functions) => self.links.calls.extend(functions),
                None => {
                    self.against(NotKeptReason::Unknown, format!("{name}()"));
                    self.anything(format!("{name}() is not known (yet)"));
                }
            }
        }
    }

    /// PostgreSQL's own function, if there is one.
    fn system_call(&mut self, name: &str, arguments: Option<usize>) -> bool {
        // Before version 14, EXTRACT was another spelling of a function.
        let volatility = match self.catalog.system_function(name, arguments) {
            None if name == "extract" => self.catalog.system_function("date_part", arguments),
            found => found,
        };
        let Some(volatility) = volatility else { return false };
        let object = format!("{name}()");
        if builtin::runs_sql(name) {
            self.against(NotKeptReason::Opaque, object.as_str());
            if volatility == Volatility::Volatile {
                self.anything(format!("{object} runs SQL that is given to it"));
            }
        } else if volatility == Volatility::Volatile {
            self.against(NotKeptReason::Volatile, object);
        } else if volatility == Volatility::Stable {
            match builtin::depends_on(name, arguments) {
                DependsOn::Settings => {}
                DependsOn::Session => self.against(NotKeptReason::Stable, object),
                DependsOn::Catalogs => self.against(NotKeptReason::System, object),
            }
        }
        true
    }

    fn operator(&mut self, name: &Name) {
        let named = self.catalog.operators.get(&name.name).map_or(&[][..], Vec::as_slice);
        let visible = named.iter().filter(|operator| match &name.schema {
            Some(schema) => *schema == *operator.schema,
            None => self.path.contains(&operator.schema),
        });
        let functions: Vec<FunctionId> = visible.map(|operator| operator.function).collect();
        let is_seen = !functions.is_empty();
        self.links.calls.extend(functions);
        if !is_seen && !self.catalog.system_operators.contains(&name.name) {
            self.against(NotKeptReason::Unknown, format!("operator {name}"));
            self.anything(format!("operator {name} is not known (yet)"));
        }
    }

    fn types_and_attributes(&mut self, uses: &Uses) {
        for name in &uses.types {
            self.links.calls.extend(self.catalog.type_functions.get(name).into_iter().flatten());
        }
        self.links.calls.extend(&self.catalog.implicit_casts);
        for name in &uses.attributes {
            let called = self.catalog.called(None, name, None, self.path);
            let of_rows = called.filter(|id| self.catalog.function(*id).takes_row);
            self.links.calls.extend(of_rows);
        }
    }

    fn against(&mut self, reason: NotKeptReason, object: impl Into<String>) {
        self.links.against.insert(NotKept { reason, object: object.into() });
    }

    fn anything(&mut self, because: String) {
        self.links.anything.get_or_insert(because);
    }
}

/// Whether a name may stand for a temporary table of the text itself.
fn is_own(name: &Name, uses: &Uses) -> bool {
    name.schema.is_none() && uses.temporary.contains(&name.name)
}

/// A name as the server's `quote_ident` writes it, but for words of its grammar.
fn quote(name: &str) -> String {
    let is_plain = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    if is_plain { name.to_owned() } else { pgprime_sql::quoted(name) }
}
