//! What was read from the catalogs, by name.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Schemas in the order in which names are looked for.
pub(crate) type Path = Arc<[Arc<str>]>;

/// The place of a relation in [`Catalog::relations`].
pub(crate) type RelationId = usize;

/// The place of a function in [`Catalog::functions`].
pub(crate) type FunctionId = usize;

#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) database: String,
    pub(crate) role: String,
    pub(crate) search_path: Vec<String>,
    pub(crate) path: Path,
    pub(crate) settings: Vec<(String, String)>,
    /// Whether a backslash in a string is one, as the parser takes it.
    pub(crate) has_standard_strings: bool,
    pub(crate) schemas: HashSet<String>,
    /// Roles that no row security holds for.
    pub(crate) exempt: HashSet<u32>,
    pub(crate) relations: Vec<Relation>,
    pub(crate) relations_by_name: HashMap<String, Vec<RelationId>>,
    pub(crate) functions: Vec<Function>,
    pub(crate) functions_by_name: HashMap<String, Vec<FunctionId>>,
    pub(crate) system_functions: HashMap<String, Vec<Signature>>,
    pub(crate) operators: HashMap<String, Vec<Operator>>,
    pub(crate) system_operators: HashSet<String>,
    /// Functions that make, or check, values of a type.
    pub(crate) type_functions: HashMap<String, Vec<FunctionId>>,
    /// Functions of casts that need no syntax.
    pub(crate) implicit_casts: Vec<FunctionId>,
    pub(crate) notify_triggers: BTreeSet<String>,
    /// Functions that run when definitions change.
    pub(crate) event_triggers: Vec<FunctionId>,
    /// All schemas: stands for a path that is not known, by which a name may mean any object of it.
    pub(crate) anywhere: Path,
    /// Of what belongs to the whole database and no single object: labels of enums, who is a member of which role, and so on.
    pub(crate) surroundings: String,
    /// How much transactions see that say nothing of it.
    pub(crate) isolation: String,
}

#[derive(Debug)]
pub(crate) struct Relation {
    pub(crate) oid: u32,
    pub(crate) schema: Arc<str>,
    /// Schema and name as SQL writes them.
    pub(crate) display: Arc<str>,
    pub(crate) kind: RelationKind,
    pub(crate) is_system: bool,
    pub(crate) is_temporary: bool,
    pub(crate) owner: u32,
    pub(crate) row_security: RowSecurity,
    /// Whether a view is read with the rights of who reads it.
    pub(crate) is_invoker: bool,
    pub(crate) definition: Definition,
    /// Of the columns' names and types.
    pub(crate) columns: i64,
    pub(crate) parents: Vec<RelationId>,
    pub(crate) children: Vec<RelationId>,
    pub(crate) referring: Vec<Referring>,
    pub(crate) triggers: Vec<Trigger>,
    pub(crate) rules: Vec<Rule>,
    /// Functions that run when rows are written.
    pub(crate) on_write: Vec<FunctionId>,
    /// Functions that run when rows are looked at, row security's.
    pub(crate) on_read: Vec<FunctionId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RelationKind {
    Table,
    Partitioned,
    View,
    MaterializedView,
    Foreign,
    Sequence,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct RowSecurity {
    pub(crate) is_enabled: bool,
    pub(crate) holds_for_owner: bool,
    /// For the role that asked.
    pub(crate) holds: bool,
}

/// A text from the catalogs.
#[derive(Clone, Debug)]
pub(crate) enum Definition {
    None,
    TooLong,
    Text(Arc<str>),
}

/// What happens to rows, in the numbers of a trigger's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Events(u16);

impl Events {
    pub(crate) const INSERT: Self = Self(4);
    pub(crate) const DELETE: Self = Self(8);
    pub(crate) const UPDATE: Self = Self(16);
    pub(crate) const TRUNCATE: Self = Self(32);
    /// A refresh: no trigger or rule fires.
    pub(crate) const REFRESH: Self = Self(128);
    /// TRUNCATE with what refers to the table.
    pub(crate) const TRUNCATE_CASCADE: Self = Self(32 | 256);

    pub(crate) fn of_type(tgtype: i32) -> Self {
        Self(u16::try_from(tgtype & (4 | 8 | 16 | 32)).unwrap_or(0))
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A table with a foreign key to this one.
#[derive(Debug)]
pub(crate) struct Referring {
    pub(crate) relation: RelationId,
    /// What becomes of it when rows here are deleted, and updated; `None` if nothing does.
    pub(crate) on_delete: Option<Events>,
    pub(crate) on_update: Option<Events>,
}

#[derive(Debug)]
pub(crate) struct Trigger {
    pub(crate) events: Events,
    pub(crate) is_instead: bool,
    /// The function of PostgreSQL's own where none of people's.
    pub(crate) function: Option<FunctionId>,
    pub(crate) conditions: Vec<FunctionId>,
}

#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) events: Events,
    /// INSTEAD, without a condition.
    pub(crate) replaces: bool,
    pub(crate) definition: Definition,
}

#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) schema: Arc<str>,
    pub(crate) display: Arc<str>,
    pub(crate) signature: Signature,
    pub(crate) kind: FunctionKind,
    pub(crate) language: Arc<str>,
    pub(crate) is_definer: bool,
    /// Whether its only argument is a row, so that it can be written like a column.
    pub(crate) takes_row: bool,
    /// The search path it sets for itself; an error if it is not to be told.
    pub(crate) path: Option<Result<Path, ()>>,
    pub(crate) extension: Option<String>,
    pub(crate) arguments: String,
    pub(crate) result: Option<String>,
    pub(crate) source: Definition,
    /// Whether `source` is a body of SQL that is bound to what it names.
    pub(crate) is_bound: bool,
    pub(crate) hash: i64,
    /// Functions of its defaults, or of an aggregate.
    pub(crate) calls: Vec<FunctionId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FunctionKind {
    Function,
    Procedure,
    Aggregate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Volatility {
    Immutable,
    Stable,
    Volatile,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Signature {
    pub(crate) arguments_min: usize,
    pub(crate) arguments_max: usize,
    pub(crate) is_variadic: bool,
    pub(crate) volatility: Volatility,
}

impl Signature {
    pub(crate) fn takes(&self, arguments: usize) -> bool {
        arguments >= self.arguments_min.min(self.arguments_max)
            && (arguments <= self.arguments_max || self.is_variadic)
            || self.is_variadic && arguments + 1 >= self.arguments_max
    }
}

#[derive(Debug)]
pub(crate) struct Operator {
    pub(crate) schema: Arc<str>,
    pub(crate) function: FunctionId,
}

/// What a relation's name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Known(RelationId),
    System,
    Temporary,
    Unknown,
}

impl Catalog {
    pub(crate) fn relation(&self, id: RelationId) -> &Relation {
        &self.relations[id]
    }

    pub(crate) fn function(&self, id: FunctionId) -> &Function {
        &self.functions[id]
    }

    pub(crate) fn named(&self, schema: Option<&str>, name: &str, path: &Path) -> Named {
        if schema.is_some_and(is_temporary) {
            return Named::Temporary;
        }
        if schema == Some("pg_toast") {
            return Named::System;
        }
        let found = self.relations_by_name.get(name).map_or(&[][..], Vec::as_slice);
        let within = |schema: &str| found.iter().copied().find(|id| &*self.relation(*id).schema == schema);
        let id = match schema {
            Some(schema) => within(schema),
            None => path.iter().find_map(|schema| within(schema)),
        };
        match id {
            Some(id) if self.relation(id).is_system => Named::System,
            Some(id) => Named::Known(id),
            None => Named::Unknown,
        }
    }

    /// Whether this path stands for any.
    pub(crate) fn is_any(&self, path: &Path) -> bool {
        Arc::ptr_eq(path, &self.anywhere)
    }

    /// All that a name without a schema may stand for.
    pub(crate) fn named_anywhere(&self, name: &str) -> Vec<Named> {
        let found = self.relations_by_name.get(name).map_or(&[][..], Vec::as_slice);
        let named = |id: &RelationId| match self.relation(*id).is_system {
            true => Named::System,
            false => Named::Known(*id),
        };
        if found.is_empty() { vec![Named::Unknown] } else { found.iter().map(named).collect() }
    }

    /// All functions of people that a call may mean.
    pub(crate) fn called<'a>(
        &'a self,
        schema: Option<&'a str>,
        name: &str,
        arguments: Option<usize>,
        path: &'a Path,
    ) -> impl Iterator<Item = FunctionId> + 'a {
        let named = self.functions_by_name.get(name).map_or(&[][..], Vec::as_slice);
        named.iter().copied().filter(move |id| {
            let function = self.function(*id);
            let is_visible = match schema {
                Some(schema) => &*function.schema == schema,
                None => path.contains(&function.schema),
            };
            is_visible && arguments.is_none_or(|arguments| function.signature.takes(arguments))
        })
    }

    /// The volatility of PostgreSQL's own function, the highest of all that a call may mean.
    pub(crate) fn system_function(&self, name: &str, arguments: Option<usize>) -> Option<Volatility> {
        let overloads = self.system_functions.get(name)?.iter();
        let fitting = overloads.filter(|signature| arguments.is_none_or(|count| signature.takes(count)));
        fitting.map(|signature| signature.volatility).max()
    }

    /// What a table's rows may also be in: all below it, and all above it.
    pub(crate) fn below(&self, id: RelationId) -> BTreeSet<RelationId> {
        self.reachable(id, |relation| &relation.children)
    }

    pub(crate) fn above(&self, id: RelationId) -> BTreeSet<RelationId> {
        self.reachable(id, |relation| &relation.parents)
    }

    fn reachable(
        &self,
        id: RelationId,
        next: impl Fn(&Relation) -> &Vec<RelationId>,
    ) -> BTreeSet<RelationId> {
        let mut found = BTreeSet::new();
        let mut left = vec![id];
        while let Some(id) = left.pop() {
            left.extend(next(self.relation(id)).iter().filter(|next| found.insert(**next)));
        }
        found
    }

    /// A setting's value as a search path, or that of another session; an error if it cannot be told.
    pub(crate) fn path_of(&self, setting: &str, is_definer: bool) -> Result<Path, ()> {
        let mut path: Vec<Arc<str>> = Vec::new();
        for name in setting_list(setting) {
            match name.as_str() {
                "" => {}
                "$user" if is_definer => return Err(()),
                "$user" if self.schemas.contains(&self.role) => path.push(self.role.as_str().into()),
                "$user" => {}
                name if is_temporary(name) => {}
                name => path.push(name.into()),
            }
        }
        if !path.iter().any(|schema| &**schema == SYSTEM) {
            path.insert(0, SYSTEM.into());
        }
        Ok(path.into())
    }
}

/// PostgreSQL's own schema.
pub(crate) const SYSTEM: &str = "pg_catalog";

pub(crate) fn is_system(schema: &str) -> bool {
    schema == SYSTEM || schema == "information_schema"
}

pub(crate) fn is_temporary(schema: &str) -> bool {
    schema.starts_with("pg_temp") || schema.starts_with("pg_toast_temp")
}

/// The names of a list such as `"$user", public`.
fn setting_list(setting: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut is_quoted = false;
    let mut letters = setting.chars().peekable();
    while let Some(letter) = letters.next() {
        let Some(name) = names.last_mut() else { break };
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => {
                letters.next();
                name.push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => names.push(String::new()),
            letter if is_quoted => name.push(letter),
            letter if letter.is_whitespace() => {}
            letter => name.extend(letter.to_lowercase()),
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_of_names() {
        let cases: [(&str, &[&str]); 5] = [
            ("", &[""]),
            ("public", &["public"]),
            ("\"$user\", Public", &["$user", "public"]),
            ("\"a,\"\"B\" , c", &["a,\"B", "c"]),
            ("\"\"", &[""]),
        ];
        for (setting, names) in cases {
            assert_eq!(setting_list(setting), names, "{setting}");
        }
    }

    #[test]
    fn knows_how_many_arguments_a_function_takes() {
        let signature = |arguments_min, arguments_max, is_variadic| Signature {
            arguments_min,
            arguments_max,
            is_variadic,
            volatility: Volatility::Stable,
        };
        let cases = [
            (signature(0, 0, false), [true, false, false, false]),
            (signature(1, 2, false), [false, true, true, false]),
            (signature(1, 1, true), [true, true, true, true]),
            (signature(2, 2, true), [false, true, true, true]),
        ];
        for (signature, taken) in cases {
            assert_eq!([0, 1, 2, 3].map(|count| signature.takes(count)), taken, "{signature:?}");
        }
    }
}
