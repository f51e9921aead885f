//! What has to be made anew when a view changes: the view and all views that read it.
//!
//! All are built in the schema [`BUILD_SCHEMA`] under their own names. A dependent is deparsed with its schemas on the
//! search path, so that its text names the others without a schema, and built with the schema for building before them
//! on the path: so it reads what was built, and nobody has to search and replace in SQL.

use std::collections::BTreeSet;

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::catalog::Relation;
use crate::error::ViewsError;
use crate::names::{BUILD_SCHEMA, ViewName, quoted};
use crate::session::{self, rows, value};
use crate::statements;

/// A view and those that read it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AffectedViews {
    pub(crate) root: Affected,
    /// Those first that others of them read.
    pub(crate) dependents: Vec<Affected>,
    /// The schemas on the search path while deparsing and building.
    pub(crate) path: String,
}

/// One view that is made anew.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Affected {
    pub(crate) oid: u32,
    pub(crate) name: ViewName,
    pub(crate) is_materialized: bool,
    is_populated: bool,
    pub(crate) owner: String,
    definition: String,
    method: Option<String>,
    options: Option<String>,
    tablespace: Option<String>,
    is_ours: bool,
    is_temporary: bool,
    has_more: bool,
}

impl Affected {
    /// Its name while it is built.
    pub(crate) fn built(&self) -> ViewName {
        ViewName::from_catalog(BUILD_SCHEMA, self.name.name())
    }

    pub(crate) fn kind(&self) -> &'static str {
        if self.is_materialized { "MATERIALIZED VIEW" } else { "VIEW" }
    }

    /// What stands between name and AS.
    pub(crate) fn storage(&self) -> String {
        let method = self.method.as_deref().map(|name| format!(" USING {}", quoted(name)));
        let options = self.options.as_deref().map(|options| format!(" WITH ({options})"));
        let tablespace = self.tablespace.as_deref().map(|name| format!(" TABLESPACE {}", quoted(name)));
        [method, options, tablespace].into_iter().flatten().collect()
    }

    /// What builds it.
    pub(crate) fn create(&self) -> String {
        let data = if self.is_materialized { "\nWITH NO DATA" } else { "" };
        format!("CREATE {} {}{} AS\n{}{data}", self.kind(), self.built(), self.storage(), self.definition)
    }

    /// What fills it, if it held anything before.
    pub(crate) fn fill(&self) -> Option<String> {
        (self.is_materialized && self.is_populated).then(|| statements::fill(&self.built()))
    }
}

impl AffectedViews {
    /// All of them, those first that others read.
    pub(crate) fn all(&self) -> impl DoubleEndedIterator<Item = &Affected> {
        std::iter::once(&self.root).chain(&self.dependents)
    }

    /// What puts what was built into its place.
    pub(crate) fn swap(&self) -> Vec<String> {
        // Those that read others first, as those who query them take their locks in this order.
        let dropped = self.all().rev().map(|old| format!("DROP {} {}", old.kind(), old.name));
        let moved = self.all().map(|new| {
            format!("ALTER {} {} SET SCHEMA {}", new.kind(), new.built(), quoted(new.name.schema()))
        });
        let owned = self
            .all()
            .map(|new| format!("ALTER {} {} OWNER TO {}", new.kind(), new.name, quoted(&new.owner)));
        dropped.chain(moved).chain(owned).collect()
    }
}

/// Reads what a change of `view` affects, inside a transaction.
///
/// Refuses where something would be lost that cannot be made anew.
pub(crate) async fn read(client: &Client, view: &Relation) -> Result<AffectedViews, ViewsError> {
    let refused = |reason: String| ViewsError::Refused { view: view.name.clone(), reason };
    // First for the schemas, then with them on the path.
    let schemas = schemas(&deparsed(client, view.oid, "pg_catalog").await?);
    let mut found = deparsed(client, view.oid, &schemas).await?;
    if found.is_empty() {
        return Err(refused("it was dropped meanwhile".to_owned()));
    }
    let mut names = BTreeSet::new();
    for affected in &found {
        let name = &affected.name;
        if affected.is_temporary {
            return Err(refused(format!(
                "{} is a temporary view of a session that reads it: apply again when that has ended",
                quoted(name.name())
            )));
        }
        if affected.has_more {
            return Err(refused(format!(
                "{name} has triggers, rules, defaults or extended statistics, which would be lost: drop it, apply, and \
                 make it again"
            )));
        }
        if !affected.is_ours {
            let owner = quoted(&affected.owner);
            return Err(refused(format!(
                "{name} has to be made anew and belongs to {owner}: GRANT that role to this one"
            )));
        }
        if !names.insert(name.name().to_owned()) {
            return Err(refused(format!(
                "two of the views that have to be made anew are called {}",
                quoted(name.name())
            )));
        }
    }
    let oids: Vec<u32> = found.iter().map(|affected| affected.oid).collect();
    let blockers = rows(
        client,
        "look for what depends on the view",
        include_str!("../sql/blockers.sql"),
        &[(&oids, Type::OID_ARRAY)],
    )
    .await?;
    let blockers: Vec<&str> = blockers.iter().map(|row| value(row, "object")).collect::<Result<_, _>>()?;
    if !blockers.is_empty() {
        return Err(refused(format!(
            "{} depends on it and cannot be made anew: drop it first",
            blockers.join(", ")
        )));
    }
    let root = found.remove(0);
    Ok(AffectedViews { root, dependents: found, path: schemas })
}

fn schemas(affected: &[Affected]) -> String {
    let schemas: BTreeSet<&str> = affected.iter().map(|affected| affected.name.schema()).collect();
    schemas.into_iter().map(quoted).collect::<Vec<_>>().join(", ")
}

async fn deparsed(client: &Client, view: u32, path: &str) -> Result<Vec<Affected>, ViewsError> {
    let at = |step: &'static str| ViewsError::at(step);
    let start = format!("SAVEPOINT affected; SET /* pgprime */ LOCAL \"SEARCH_PATH\" = {path}, pg_temp");
    client.batch_execute(&start).await.map_err(at("set a search path"))?;
    let step = "read what reads the view";
    let found = rows(client, step, include_str!("../sql/dependents.sql"), &[(&view, Type::OID)]).await?;
    let end = "ROLLBACK TO SAVEPOINT affected; RELEASE SAVEPOINT affected";
    client.batch_execute(end).await.map_err(at("return to a savepoint"))?;
    found.iter().map(read_affected).collect()
}

fn read_affected(row: &tokio_postgres::Row) -> Result<Affected, ViewsError> {
    let kind: &str = value(row, "kind")?;
    Ok(Affected {
        oid: value(row, "oid")?,
        name: ViewName::from_catalog(value(row, "schema")?, value(row, "name")?),
        is_materialized: kind == "m",
        is_populated: value(row, "is_populated")?,
        owner: value(row, "owner")?,
        definition: value::<Option<String>>(row, "definition")?.unwrap_or_default(),
        method: value(row, "method")?,
        options: value(row, "options")?,
        tablespace: value(row, "tablespace")?,
        is_ours: value(row, "is_ours")?,
        is_temporary: value(row, "is_temporary")?,
        // A rule on a table that reads the view is no view at all.
        has_more: value::<bool>(row, "has_more")? || !matches!(kind, "m" | "v"),
    })
}

/// What an apply that was killed has left: what it is and its name, those first that read others.
pub(crate) async fn leftovers(client: &Client) -> Result<Vec<(u32, ViewName, &'static str)>, ViewsError> {
    let found = rows(client, "look for left-overs", include_str!("../sql/built.sql"), &[]).await?;
    let read = |row: &tokio_postgres::Row| {
        let kind = if value::<&str>(row, "kind")? == "m" { "MATERIALIZED VIEW" } else { "VIEW" };
        Ok((value(row, "oid")?, ViewName::from_catalog(value(row, "schema")?, value(row, "name")?), kind))
    };
    found.iter().map(read).collect()
}

/// Removes them.
pub(crate) async fn remove_leftovers(client: &Client) -> Result<(), ViewsError> {
    for (_, name, kind) in leftovers(client).await? {
        session::run(client, &format!("remove the left-over {name}"), &format!("DROP {kind} {name}")).await?;
    }
    Ok(())
}
