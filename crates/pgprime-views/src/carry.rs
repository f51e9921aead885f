//! What a view has besides its definition, given to the one that takes its place: indexes where they were, comments, what was
//! set for columns, grants.

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::catalog;
use crate::error::ViewsError;
use crate::names::{ViewName, literal, quoted};
use crate::session::{self, rows, value};

/// Has everything deparsed with its schema.
pub(crate) const QUALIFY: &str = "SET /* pgprime */ LOCAL \"SEARCH_PATH\" = pg_catalog";
/// Back to the search path that the role has.
pub(crate) const UNQUALIFY: &str = "SET /* pgprime */ LOCAL \"SEARCH_PATH\" TO DEFAULT";

/// Where what follows is made; an empty name is the database's own tablespace.
pub(crate) fn tablespace(name: &str) -> String {
    format!("SET /* pgprime */ LOCAL \"DEFAULT_TABLESPACE\" = {}", literal(name))
}

/// Indexes, comments, grants and so on, on their way from an old view to its successor.
pub(crate) struct Carried<'a> {
    pub(crate) client: &'a Client,
    /// The old one.
    pub(crate) of: u32,
    /// The new one.
    pub(crate) to: &'a ViewName,
    /// Whether it is the view that changes, and not one that reads it.
    pub(crate) is_root: bool,
}

/// What is carried at once.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Steps {
    /// Those of the root before what is declared, so that they keep their place.
    Indexes,
    /// What belongs to indexes that are there by now, comments, grants.
    Rest,
}

impl Carried<'_> {
    /// What somebody should know of it.
    pub(crate) async fn carry(&self, steps: Steps) -> Result<Vec<String>, ViewsError> {
        let parameters: [session::Parameter<'_>; 3] =
            [(&self.of, Type::OID), (&self.to.schema(), Type::TEXT), (&self.to.name(), Type::TEXT)];
        let step = "read what belongs to the view";
        let found = rows(self.client, step, include_str!("../sql/carry.sql"), &parameters).await?;
        let made = catalog::relation(self.client, self.to).await?.map_or(0, |made| made.oid);
        let existing = catalog::indexes(self.client, made).await?;
        let mut notes = Vec::new();
        for row in &found {
            let (step, name): (i32, Option<String>) = (value(row, "step")?, value(row, "name")?);
            let sql: Option<&str> = value(row, "sql")?;
            if (step == 1) != (steps == Steps::Indexes) {
                continue;
            }
            if step == 1 {
                let tablespace: Option<&str> = value(row, "tablespace")?;
                if !self.index(sql, tablespace.unwrap_or_default()).await? {
                    let index = name.as_deref().map(quoted).unwrap_or_default();
                    notes.push(format!("index {index} does not fit the new definition and is gone"));
                }
                continue;
            }
            // The root's comment is written with its mark; what belonged to a lost index went with it.
            let is_there = existing.iter().any(|index| name.as_ref() == Some(&index.name));
            let is_left = (step == 2 && !is_there) || (step == 3 && self.is_root);
            if let Some(sql) = sql.filter(|_| !is_left) {
                session::run(self.client, "give it what the old one has", sql).await?;
            }
        }
        Ok(notes)
    }

    /// Makes an index where the old one is; `false` where it turns out not to fit the changed view.
    async fn index(&self, sql: Option<&str>, place: &str) -> Result<bool, ViewsError> {
        let Some(sql) = sql else { return Ok(false) };
        let at = || ViewsError::at("use a savepoint");
        self.client.batch_execute("SAVEPOINT carried").await.map_err(at())?;
        session::run(self.client, "take the index's tablespace", &tablespace(place)).await?;
        let made = session::run(self.client, "keep an index", sql).await;
        let fits = match made {
            Ok(()) => true,
            Err(error) if self.is_root && error.is_misfit() => false,
            Err(error) => return Err(error),
        };
        let end = if fits { "" } else { "ROLLBACK TO SAVEPOINT carried; " };
        self.client.batch_execute(&format!("{end}RELEASE SAVEPOINT carried")).await.map_err(at())?;
        session::run(self.client, "take the database's tablespace", &tablespace("")).await?;
        Ok(fits)
    }
}
