//! Tables that have been written and not announced yet.

use std::collections::BTreeSet;

use pgprime_cache::Tables;
use pgprime_footprint::{Footprint, Writes};

/// Tables of one transaction beyond which everything is announced instead: an announcement stays a small message.
const TABLES_MAX: usize = 1_000;

/// What names mean in a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Names {
    /// What they mean in every new one.
    #[default]
    Plain,
    /// Its search path or its role has been changed.
    Changed,
}

/// What statements write together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gathered {
    tables: BTreeSet<String>,
    is_anything: bool,
    changes_definitions: bool,
    definitions: Option<u64>,
}

impl Gathered {
    /// What one statement writes; anything where its names may mean something else in its session.
    pub(super) fn of(footprint: &Footprint, names: Names, definitions: u64) -> Self {
        let mut gathered = Self::default();
        gathered.add(footprint, names, definitions);
        gathered
    }

    pub(super) fn anything() -> Self {
        Self { is_anything: true, changes_definitions: true, ..Self::default() }
    }

    /// Adds what a statement writes by these definitions.
    pub(super) fn add(&mut self, footprint: &Footprint, names: Names, definitions: u64) {
        self.definitions.get_or_insert(definitions);
        self.changes_definitions |= footprint.changes_definitions;
        match (&footprint.writes, names) {
            (Writes::Nothing, _) => {}
            (Writes::Anything { .. }, _) | (_, Names::Changed) => self.is_anything = true,
            (Writes::Tables(tables), Names::Plain) => {
                for table in tables {
                    if !self.tables.contains(table) {
                        self.tables.insert(table.clone());
                    }
                }
            }
        }
        if self.is_anything || self.tables.len() > TABLES_MAX {
            self.is_anything = true;
            self.tables.clear();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tables.is_empty() && !self.is_anything && !self.changes_definitions
    }

    /// The tables; none when it may be any.
    pub(super) fn tables(&self) -> Option<Tables> {
        (!self.is_anything).then(|| Tables::new(&self.tables))
    }

    pub(super) fn changes_definitions(&self) -> bool {
        self.changes_definitions
    }

    /// The definitions by which the first of it was found out.
    pub(super) fn definitions(&self) -> Option<u64> {
        self.definitions
    }
}

impl Names {
    /// What names mean after this text.
    pub(super) fn after(self, sql: &str, footprint: &Footprint) -> Self {
        const NAMING: &[&str] = &["search_path", "role", "authorization", "schema"];
        if !footprint.changes_session {
            return self;
        }
        let text = sql.trim().trim_end_matches(';').to_ascii_lowercase();
        // A time zone, say, changes results and no names.
        let is_plain_set = text.starts_with("set ") && !text.contains(';');
        let is_harmless = is_plain_set && !NAMING.iter().any(|word| text.contains(word));
        if is_harmless { self } else { Self::Changed }
    }
}

#[cfg(test)]
mod tests {
    use pgprime_footprint::Control;

    use super::*;

    fn footprint(writes: Writes) -> Footprint {
        Footprint {
            reads: BTreeSet::new(),
            writes,
            control: Control::None,
            changes_definitions: false,
            changes_session: true,
            leaves_traces: true,
            definitions: [0; 32],
            kept: Ok(()),
        }
    }

    fn tables(names: impl IntoIterator<Item = String>) -> Footprint {
        footprint(Writes::Tables(names.into_iter().collect()))
    }

    #[test]
    fn what_cannot_be_told_is_anything() {
        let mut gathered = Gathered::of(&tables(["a".to_owned()]), Names::Plain, 7);
        gathered.add(&tables(["b".to_owned(), "a".to_owned()]), Names::Plain, 8);
        gathered.add(&footprint(Writes::Nothing), Names::Changed, 9);
        assert_eq!(gathered.tables(), Some(Tables::new(["a", "b"])));
        assert_eq!(gathered.definitions(), Some(7));
        let mut other = gathered.clone();
        other.add(&footprint(Writes::Anything { because: String::new() }), Names::Plain, 9);
        assert_eq!(other.tables(), None);
        gathered.add(&tables(["c".to_owned()]), Names::Changed, 9);
        assert_eq!(gathered.tables(), None);
        let many = Gathered::of(&tables((0..=TABLES_MAX).map(|number| number.to_string())), Names::Plain, 0);
        assert_eq!(many.tables(), None);
    }

    #[test]
    fn names_change_with_the_search_path_and_not_with_the_time_zone() {
        for (sql, expected) in [
            ("SET LOCAL TimeZone = 'UTC'", Names::Plain),
            ("SET TIME ZONE 'UTC' ;", Names::Plain),
            ("SET TimeZone = 'UTC'; CREATE TEMP VIEW items AS SELECT 1", Names::Changed),
            ("SET search_path = tenant_7", Names::Changed),
            ("SET SCHEMA 'tenant_7'", Names::Changed),
            ("SET LOCAL ROLE clerk", Names::Changed),
            ("SELECT set_config('search_path', 'x', false)", Names::Changed),
            ("DISCARD ALL", Names::Changed),
        ] {
            assert_eq!(Names::Plain.after(sql, &footprint(Writes::Nothing)), expected, "{sql}");
        }
    }
}
