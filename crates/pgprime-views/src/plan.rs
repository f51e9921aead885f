//! What is to be done so that the database has the views that are declared.
//!
//! Everything is tried out in a transaction that is rolled back: the server itself says whether a definition is
//! valid, which columns it has, and whether it is what the view holds already.

use std::iter;

use serde::Serialize;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::affected;
use crate::catalog::{self, QUALIFIED, Relation};
use crate::declaration::{Declarations, ViewDeclaration};
use crate::error::ViewsError;
use crate::fingerprint::Fingerprint;
use crate::names::{BUILD_SCHEMA, ViewName, quoted};
use crate::session::{self, Begin};
use crate::statements;
use crate::store::SETUP_SQL;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// What makes pgprime's own tables, where they are missing.
    pub setup: Option<&'static str>,
    /// What an apply that was killed has left, and what the next one removes.
    pub leftovers: Vec<ViewName>,
    /// One for each declared view, in the order in which they are made.
    pub items: Vec<PlanItem>,
    /// Materialized views that are not declared; they are left alone.
    pub undeclared: Vec<Undeclared>,
}

impl Plan {
    /// Whether nothing has to be done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.setup.is_none()
            && self.leftovers.is_empty()
            && self.items.iter().all(|item| item.action == Action::Nothing)
    }

    /// Whether something that is declared cannot be made.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.items.iter().any(|item| item.action == Action::Refused)
    }
}

/// What is to be done with one view.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanItem {
    /// The view.
    pub view: ViewName,
    /// What is to be done.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// Views that read it and are made anew with it.
    pub dependents: Vec<ViewName>,
    /// The statements.
    pub sql: Vec<String>,
}

/// What is to be done with a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is as declared.
    Nothing,
    /// It is not there.
    Create,
    /// Its definition is another: it is built beside the old one and swapped in.
    Change,
    /// Only indexes are missing.
    Index,
    /// It cannot be made as declared.
    Refused,
}

/// A materialized view that is not declared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Undeclared {
    /// Its name.
    pub view: ViewName,
    /// Whether pgprime made it, so that it was declared once.
    pub was_declared: bool,
}

/// Says what [`crate::apply`] would do, and changes nothing.
///
/// # Errors
/// [`ViewsError`] where the database cannot be read. What is wrong with a declaration is in the plan.
pub async fn plan(client: &Client, declarations: &Declarations) -> Result<Plan, ViewsError> {
    let server = catalog::server(client).await?;
    if server.is_replica {
        return Err(ViewsError::Replica);
    }
    let items = items(client, declarations.views()).await?;
    let leftovers = affected::leftovers(client).await?.into_iter().map(|left| left.1).collect();
    let undeclared = undeclared(client, declarations).await?;
    let setup = (!server.is_set_up && !declarations.views().is_empty()).then_some(SETUP_SQL);
    Ok(Plan { setup, leftovers, items, undeclared })
}

/// Materialized views that nobody declared.
async fn undeclared(client: &Client, declarations: &Declarations) -> Result<Vec<Undeclared>, ViewsError> {
    let views = catalog::materialized_views(client).await?;
    let strange = views.into_iter().filter(|view| declarations.find(&view.name).is_none());
    let undeclared = strange.map(|view| Undeclared {
        was_declared: Fingerprint::read(view.comment.as_deref()).is_some(),
        view: view.name,
    });
    Ok(undeclared.collect())
}

/// Tries all views out, those first that others read; each sees those before it.
pub(crate) async fn items(
    client: &Client,
    declarations: &[ViewDeclaration],
) -> Result<Vec<PlanItem>, ViewsError> {
    let begin =
        Begin { lock_timeout_ms: Some(3_000), statement_timeout_ms: Some(60_000), ..Begin::default() };
    session::begin(client, begin).await?;
    let items = tried(client, declarations).await;
    let rolled_back = client.batch_execute("ROLLBACK").await.map_err(ViewsError::at("roll back"));
    let items = items?;
    rolled_back?;
    Ok(items)
}

async fn tried(client: &Client, declarations: &[ViewDeclaration]) -> Result<Vec<PlanItem>, ViewsError> {
    let mut items = Vec::new();
    let mut open: Vec<&ViewDeclaration> = declarations.iter().collect();
    loop {
        let (mut later, mut refused) = (Vec::new(), Vec::new());
        for declaration in &open {
            match judge(client, declaration).await? {
                Judged::Is(item) => items.push(item),
                Judged::Lacks(item) => {
                    later.push(*declaration);
                    refused.push(item);
                }
            }
        }
        // What lacked something may have it now, unless nothing was added.
        if later.len() == open.len() || later.is_empty() {
            items.extend(refused);
            return Ok(items);
        }
        open = later;
    }
}

enum Judged {
    Is(PlanItem),
    /// Refused, as what it reads is not there; perhaps it is only not there yet.
    Lacks(PlanItem),
}

fn item(declaration: &ViewDeclaration, action: Action, reason: impl Into<String>) -> PlanItem {
    let view = declaration.name.clone();
    PlanItem { view, action, reason: reason.into(), dependents: Vec::new(), sql: Vec::new() }
}

async fn judge(client: &Client, declaration: &ViewDeclaration) -> Result<Judged, ViewsError> {
    let refused = |reason: String| Ok(Judged::Is(item(declaration, Action::Refused, reason)));
    let relation = catalog::relation(client, &declaration.name).await?;
    match relation {
        Some(other) if !other.is_view() => {
            refused(format!("{} is there already and is no materialized view", declaration.name))
        }
        Some(view) if !view.is_ours => refused(format!(
            "it belongs to {}: connect as that role, or GRANT it to this one",
            quoted(&view.owner)
        )),
        Some(view) => judge_existing(client, declaration, &view).await,
        None => {
            // Asked before: trying it out makes the schema, too.
            let has_schema = schema_exists(client, declaration.name.schema()).await?;
            match try_out(client, declaration, TryAs::Itself).await? {
                Tried::Works { .. } => Ok(Judged::Is(creation(declaration, has_schema))),
                Tried::Lacks(reason) => Ok(Judged::Lacks(item(declaration, Action::Refused, reason))),
                Tried::Fails(reason) => refused(reason),
            }
        }
    }
}

fn creation(declaration: &ViewDeclaration, has_schema: bool) -> PlanItem {
    let name = &declaration.name;
    let mut sql = Vec::new();
    if !has_schema {
        sql.push(format!("CREATE SCHEMA {}", quoted(name.schema())));
    }
    sql.push(statements::create(declaration, name, ""));
    sql.push(statements::fill(name));
    sql.extend(statements::missing_indexes(declaration, name, &[]));
    PlanItem { sql, ..item(declaration, Action::Create, "it is not there") }
}

async fn judge_existing(
    client: &Client,
    declaration: &ViewDeclaration,
    view: &Relation,
) -> Result<Judged, ViewsError> {
    let definition = definition(client, view.oid).await?;
    let made_from = Fingerprint::read(view.comment.as_deref());
    let mut reason = "its definition is another";
    if made_from != Some(Fingerprint::new(&declaration.sql, &definition)) {
        match try_out(client, declaration, TryAs::Other).await? {
            Tried::Works { definition: declared } if declared == definition => {}
            Tried::Works { .. } => {
                if made_from.is_none() {
                    reason = "its definition is another, and pgprime did not make it";
                }
                return change(client, declaration, view, reason).await;
            }
            Tried::Lacks(reason) => return Ok(Judged::Lacks(item(declaration, Action::Refused, reason))),
            Tried::Fails(reason) => return Ok(Judged::Is(item(declaration, Action::Refused, reason))),
        }
    }
    let existing = catalog::indexes(client, view.oid).await?;
    let sql = statements::missing_indexes(declaration, &declaration.name, &existing);
    let columns =
        catalog::names(client, "read the columns", include_str!("../sql/columns.sql"), view.oid).await?;
    Ok(Judged::Is(if let Some(reason) = unknown_key(declaration, &columns) {
        item(declaration, Action::Refused, reason)
    } else if sql.is_empty() {
        item(declaration, Action::Nothing, "it is as declared")
    } else {
        PlanItem { sql, ..item(declaration, Action::Index, "it lacks indexes") }
    }))
}

async fn change(
    client: &Client,
    declaration: &ViewDeclaration,
    view: &Relation,
    reason: &str,
) -> Result<Judged, ViewsError> {
    let affected = match affected::read(client, view).await {
        Ok(affected) => affected,
        Err(ViewsError::Refused { reason, .. }) => {
            return Ok(Judged::Is(item(declaration, Action::Refused, reason)));
        }
        Err(error) => return Err(error),
    };
    let built = ViewName::from_catalog(BUILD_SCHEMA, declaration.name.name());
    let mut sql =
        vec![statements::create(declaration, &built, &affected.root.storage()), statements::fill(&built)];
    sql.extend(statements::missing_indexes(declaration, &built, &[]));
    sql.extend(
        affected
            .dependents
            .iter()
            .flat_map(|dependent| iter::once(dependent.create()).chain(dependent.fill())),
    );
    sql.extend(affected.swap());
    let dependents = affected.dependents.iter().map(|dependent| dependent.name.clone()).collect();
    Ok(Judged::Is(PlanItem { dependents, sql, ..item(declaration, Action::Change, reason) }))
}

#[derive(Clone, Copy, PartialEq)]
enum TryAs {
    /// Under its own name, for those after it to see.
    Itself,
    /// Under another name, as its own is taken.
    Other,
}

enum Tried {
    Works { definition: String },
    Lacks(String),
    Fails(String),
}

/// Makes a plain view of the query, which executes nothing of it, and reads what the server understood.
async fn try_out(client: &Client, declaration: &ViewDeclaration, how: TryAs) -> Result<Tried, ViewsError> {
    savepoint(client, "tried").await?;
    let name = match how {
        TryAs::Itself => declaration.name.clone(),
        // Not everybody may make temporary objects, and who applies may build there.
        TryAs::Other if schema_exists(client, BUILD_SCHEMA).await? => {
            ViewName::from_catalog(BUILD_SCHEMA, "pgprime_tried")
        }
        TryAs::Other => ViewName::from_catalog("pg_temp", "pgprime_tried"),
    };
    let tried = match created(client, declaration, &name, how).await {
        Ok(tried) => tried,
        Err(error) if error.sqlstate().is_some() && !error.is_connection_lost() => {
            let lacking =
                [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN, SqlState::INVALID_SCHEMA_NAME];
            let is_lacking = error.sqlstate().is_some_and(|state| lacking.contains(state));
            if is_lacking { Tried::Lacks(error.to_string()) } else { Tried::Fails(error.to_string()) }
        }
        Err(error) => return Err(error),
    };
    if how == TryAs::Other || !matches!(tried, Tried::Works { .. }) {
        back_to(client, "tried").await?;
    }
    Ok(tried)
}

async fn created(
    client: &Client,
    declaration: &ViewDeclaration,
    name: &ViewName,
    how: TryAs,
) -> Result<Tried, ViewsError> {
    if how == TryAs::Itself && !schema_exists(client, name.schema()).await? {
        let sql = format!("CREATE SCHEMA {}", quoted(name.schema()));
        session::run(client, "create the schema", &sql).await?;
    }
    let sql = format!("CREATE VIEW {name} AS\n{}\n", declaration.sql);
    session::run(client, "try the definition", &sql).await?;
    let oid = temporary_oid(client, name).await?;
    let columns = catalog::names(client, "read the columns", include_str!("../sql/columns.sql"), oid).await?;
    if let Some(reason) = unknown_key(declaration, &columns) {
        return Ok(Tried::Fails(reason));
    }
    Ok(Tried::Works { definition: definition(client, oid).await? })
}

fn unknown_key(declaration: &ViewDeclaration, columns: &[String]) -> Option<String> {
    let unknown = declaration.unique_key.iter().find(|key| !columns.contains(key))?;
    Some(format!("unique_key: there is no column {}; there are {}", quoted(unknown), columns.join(", ")))
}

async fn temporary_oid(client: &Client, name: &ViewName) -> Result<u32, ViewsError> {
    let sql = format!("SELECT {}::regclass::oid AS oid", crate::names::literal(&name.to_string()));
    let found = session::row(client, "look up what was tried", &sql, &[]).await?;
    found.as_ref().map_or(Ok(0), |found| session::value(found, "oid"))
}

/// What the server understood, with everything qualified.
async fn definition(client: &Client, oid: u32) -> Result<String, ViewsError> {
    savepoint(client, "deparsed").await?;
    session::run(client, "qualify names", &format!("SET /* pgprime */ LOCAL \"SEARCH_PATH\" = {QUALIFIED}"))
        .await?;
    let definition = catalog::definition(client, oid).await?;
    back_to(client, "deparsed").await?;
    Ok(definition)
}

async fn schema_exists(client: &Client, schema: &str) -> Result<bool, ViewsError> {
    let sql =
        format!("SELECT true AS found FROM pg_namespace WHERE nspname = {}", crate::names::literal(schema));
    Ok(session::row(client, "look for the schema", &sql, &[]).await?.is_some())
}

async fn savepoint(client: &Client, name: &str) -> Result<(), ViewsError> {
    client.batch_execute(&format!("SAVEPOINT {name}")).await.map_err(ViewsError::at("set a savepoint"))
}

async fn back_to(client: &Client, name: &str) -> Result<(), ViewsError> {
    let sql = format!("ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}");
    client.batch_execute(&sql).await.map_err(ViewsError::at("return to a savepoint"))
}
