//! What the catalogs say, and questions to it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use tokio_postgres::Client;

use crate::catalog::{Catalog, Path};
use crate::footprint::{Control, Footprint, NotKept, NotKeptReason, Writes};
use crate::known::Known;
use crate::links::Links;
use crate::load::{self, LoadError};
use crate::reading;
use crate::trace::Trace;

/// What the catalogs of one database say at one moment, for one role and its search path. Clones are the same one.
#[derive(Clone)]
pub struct Schema(Arc<Known>);

impl Schema {
    /// Reads the catalogs, as the role and with the search path of this session, in one read-only transaction with limits on
    /// its time.
    ///
    /// # Errors
    /// [`LoadError`] when the database refuses or is lost, or has more in it than is held in memory.
    pub async fn load(client: &Client) -> Result<Self, LoadError> {
        Ok(Self(Arc::new(Known::new(load::catalog(client).await?))))
    }

    /// What `sql` reads and writes, as long as the session's search path, role and settings are those that were found here, and
    /// no temporary table hides another.
    #[must_use]
    pub fn footprint(&self, sql: &str) -> Footprint {
        self.footprint_by(sql, &self.catalog().path)
    }

    /// What `sql` may read and write whatever the search path is: a name stands for all that have it.
    #[must_use]
    pub fn footprint_by_any_path(&self, sql: &str) -> Footprint {
        self.footprint_by(sql, &self.catalog().anywhere)
    }

    fn footprint_by(&self, sql: &str, path: &Path) -> Footprint {
        if !self.catalog().has_standard_strings && sql.contains('\\') {
            return unparsed(
                "strings are read as the setting standard_conforming_strings = off says".to_owned(),
            );
        }
        let uses = reading::statements(sql);
        match uses.unparsed {
            Some(why) => unparsed(why),
            None => Trace::footprint(&self.0, Links::of(uses, self.catalog(), path), path),
        }
    }

    /// The database that it was read from.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.catalog().database
    }

    /// The role that asked.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.catalog().role
    }

    /// The schemas in which names are looked for, PostgreSQL's own included, in their order.
    #[must_use]
    pub fn search_path(&self) -> &[String] {
        &self.catalog().search_path
    }

    /// Settings that change results, or how texts are read, with their values; always the same ones in the same order. They
    /// belong into the key of a result.
    #[must_use]
    pub fn result_settings(&self) -> &[(String, String)] {
        &self.catalog().settings
    }

    /// What transactions see that say nothing of it: `read committed`, unless database or role have another default.
    #[must_use]
    pub fn default_isolation(&self) -> &str {
        &self.catalog().isolation
    }

    /// Tables that have pgprime's own trigger, which tells of changes.
    #[must_use]
    pub fn notify_triggers(&self) -> &BTreeSet<String> {
        &self.catalog().notify_triggers
    }

    fn catalog(&self) -> &Catalog {
        &self.0.catalog
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let catalog = self.catalog();
        f.debug_struct("Schema")
            .field("database", &catalog.database)
            .field("role", &catalog.role)
            .field("relations", &catalog.relations.len())
            .field("functions", &catalog.functions.len())
            .finish_non_exhaustive()
    }
}

/// A text of which nothing can be said.
fn unparsed(why: String) -> Footprint {
    Footprint {
        reads: BTreeSet::new(),
        writes: Writes::Anything { because: format!("it cannot be read: {why}") },
        control: Control::Some,
        changes_definitions: true,
        changes_session: true,
        leaves_traces: true,
        definitions: [0; 32],
        kept: Err(vec![NotKept { reason: NotKeptReason::Unparsed, object: why }]),
    }
}
