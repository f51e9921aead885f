//! What a statement's names stand for in a database, before it is executed there.

use std::collections::BTreeSet;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::error::ExplainError;
use super::references::References;
use super::session::{Session, column};
use crate::sql::{HARMLESS_FUNCTIONS, Refusal, RefusalReason, Statement};

const NAMES: &str = include_str!("../../sql/explain_names.sql");
const NAMED: &str = include_str!("../../sql/explain_named.sql");
const RELATIONS: &str = include_str!("../../sql/explain_relations.sql");
const TYPES: &str = include_str!("../../sql/explain_types.sql");
const REACHED: &str = include_str!("../../sql/explain_reached.sql");
const STEP: &str = "look at what the statement refers to";

/// Objects that a statement may refer to, partitions included; more are not looked at, and it is not executed.
const REACHED_MAX: usize = 20_000;

/// Refuses a statement that runs anything that is not known to be harmless, however deep it is hidden.
pub(super) async fn verify(session: &Session<'_>, statement: &Statement) -> Result<(), ExplainError> {
    let names = resolve(session, statement).await?;
    let first = names.schemas.iter().find(|schema| !schema.starts_with("pg_temp"));
    if let Some(first) = first.filter(|first| *first != "pg_catalog") {
        let why = "is searched before pg_catalog, so that names may stand for anything: change search_path";
        return Err(refused(RefusalReason::Function, format!("the schema {first}"), why));
    }
    session.enter_catalog().await?;
    let outcome = verify_in_catalog(session, statement, &names).await;
    session.leave_catalog(outcome).await
}

/// What a statement's names stand for.
struct Names {
    schemas: Vec<String>,
    relations: Vec<u32>,
    types: Vec<u32>,
}

async fn resolve(session: &Session<'_>, statement: &Statement) -> Result<Names, ExplainError> {
    let relations: Vec<String> = statement.relation_names().map(crate::sql::TableName::quoted).collect();
    let types: Vec<String> = statement.types().map(crate::sql::TypeName::quoted).collect();
    let row = session.row(STEP, NAMES, &[(&relations, Type::TEXT_ARRAY), (&types, Type::TEXT_ARRAY)]).await?;
    let mut schemas: Vec<String> = column(&row, STEP, "schemas")?;
    schemas.extend(statement.operators().filter_map(|operator| operator.schema.clone()));
    let known = |oids: Vec<Option<u32>>| oids.into_iter().flatten().collect();
    Ok(Names {
        schemas,
        relations: known(column(&row, STEP, "relations")?),
        types: known(column(&row, STEP, "types")?),
    })
}

async fn verify_in_catalog(
    session: &Session<'_>,
    statement: &Statement,
    names: &Names,
) -> Result<(), ExplainError> {
    let functions: Vec<&str> = statement.functions().map(|function| function.name.as_str()).collect();
    let operators: Vec<&str> = statement.operators().map(|operator| operator.name.as_str()).collect();
    let attributes: Vec<&str> = statement.attributes().collect();
    let rows = session
        .rows(
            STEP,
            NAMED,
            &[
                (&functions, Type::TEXT_ARRAY),
                (&operators, Type::TEXT_ARRAY),
                (&attributes, Type::TEXT_ARRAY),
                (&names.schemas, Type::TEXT_ARRAY),
                (&names.types, Type::OID_ARRAY),
                (&HARMLESS_FUNCTIONS, Type::TEXT_ARRAY),
            ],
        )
        .await?;
    refuse_first(&rows, "is what its name may stand for")?;
    let mut found = References::default();
    found.relations.extend(&names.relations);
    found.types.extend(&names.types);
    reach(session, &mut found).await?;
    let functions: Vec<u32> = found.functions.into_iter().collect();
    let operators: Vec<u32> = found.operators.into_iter().collect();
    let parameters: [super::session::Parameter<'_>; 3] = [
        (&functions, Type::OID_ARRAY),
        (&operators, Type::OID_ARRAY),
        (&HARMLESS_FUNCTIONS, Type::TEXT_ARRAY),
    ];
    let rows = session.rows(STEP, REACHED, &parameters).await?;
    refuse_first(&rows, "is called by a view, a policy or a type that it uses")
}

fn refuse_first(rows: &[Row], place: &str) -> Result<(), ExplainError> {
    let Some(row) = rows.first() else { return Ok(()) };
    let (kind, object): (String, String) = (column(row, STEP, "kind")?, column(row, STEP, "object")?);
    let (reason, what) = match kind.as_str() {
        "operator" => (RefusalReason::Operator, "the operator"),
        "cast" => (RefusalReason::Cast, "the cast"),
        "attribute" => (RefusalReason::Function, "the function of a row"),
        _ => (RefusalReason::Function, "the function"),
    };
    let why = format!("{place}, and is not known to change nothing");
    Err(refused(reason, format!("{what} {object}"), &why))
}

/// Follows relations and types to all that they are made of.
async fn reach(session: &Session<'_>, found: &mut References) -> Result<(), ExplainError> {
    let (mut relations, mut types) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let new_relations: Vec<u32> = found.relations.difference(&relations).copied().collect();
        let new_types: Vec<u32> = found.types.difference(&types).copied().collect();
        if new_relations.is_empty() && new_types.is_empty() {
            return Ok(());
        }
        if found.relations.len() + found.types.len() > REACHED_MAX {
            let why = format!("refers to more than {REACHED_MAX} relations and types, too many to look at");
            return Err(refused(RefusalReason::Relation, "it".to_owned(), &why));
        }
        add_relations(session, &new_relations, found).await?;
        add_types(session, &new_types, found).await?;
        relations.extend(new_relations);
        types.extend(new_types);
    }
}

async fn add_relations(
    session: &Session<'_>,
    oids: &[u32],
    found: &mut References,
) -> Result<(), ExplainError> {
    for row in session.rows(STEP, RELATIONS, &[(&oids, Type::OID_ARRAY)]).await? {
        if column::<String>(&row, STEP, "kind")? == "f" {
            let name = column(&row, STEP, "name")?;
            return Err(refused(
                RefusalReason::Relation,
                name,
                "is a foreign table, which runs what another server has",
            ));
        }
        column::<Vec<String>>(&row, STEP, "trees")?.iter().for_each(|tree| found.add(tree));
        found.relations.extend(column::<Vec<u32>>(&row, STEP, "children")?);
    }
    Ok(())
}

async fn add_types(session: &Session<'_>, oids: &[u32], found: &mut References) -> Result<(), ExplainError> {
    for row in session.rows(STEP, TYPES, &[(&oids, Type::OID_ARRAY)]).await? {
        if column::<String>(&row, STEP, "kind")? == "c" {
            let name = column(&row, STEP, "name")?;
            return Err(refused(
                RefusalReason::Type,
                name,
                "is a row type, whose columns may have types with checks",
            ));
        }
        column::<Vec<String>>(&row, STEP, "trees")?.iter().for_each(|tree| found.add(tree));
        found.types.extend(column::<Vec<u32>>(&row, STEP, "parts")?);
    }
    Ok(())
}

fn refused(reason: RefusalReason, object: String, why: &str) -> ExplainError {
    ExplainError::Refused(Refusal::new(reason, object, why))
}
