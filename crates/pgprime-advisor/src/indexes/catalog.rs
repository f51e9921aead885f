//! Reading what the catalogs say about the relations of a workload.

use std::collections::{BTreeSet, HashMap};

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::error::IndexesError;
use super::inventory::{Column, Existing, Figures, Function, Inventory, Kind, Relation, Server, Statistics};
use super::session::{Session, column};
use crate::Missing;
use crate::sql::Statement;

/// The oldest version that is supported.
const VERSION_NUMBER_MIN: i32 = 130_000;
/// How deep views in views are followed.
const VIEW_DEPTH_MAX: usize = 8;

pub(super) async fn server(session: &Session<'_>) -> Result<Server, IndexesError> {
    const STEP: &str = "ask for the server's version and settings";
    let rows = session.rows(STEP, include_str!("../../sql/indexes_server.sql"), &[]).await?;
    let row = rows.first().ok_or(IndexesError::Answer { step: STEP, reason: "no row".to_owned() })?;
    let cost = |name: &str| column::<f64>(row, STEP, name);
    let server = Server {
        version_number: column(row, STEP, "version_number")?,
        version: column(row, STEP, "version")?,
        role: column(row, STEP, "role")?,
        hypopg_schema: column(row, STEP, "hypopg_schema")?,
        hypopg_is_available: column(row, STEP, "hypopg_is_available")?,
        trigram_schema: column(row, STEP, "trigram_schema")?,
        collation_is_c: column(row, STEP, "collation_is_c")?,
        block_bytes: f64::from(column::<i32>(row, STEP, "block_bytes")?),
        seq_page_cost: cost("seq_page_cost")?,
        random_page_cost: cost("random_page_cost")?,
        cpu_tuple_cost: cost("cpu_tuple_cost")?,
        cpu_index_tuple_cost: cost("cpu_index_tuple_cost")?,
        cpu_operator_cost: cost("cpu_operator_cost")?,
        statistics_seconds: cost("statistics_seconds")?.max(1.0),
    };
    match server.version_number {
        VERSION_NUMBER_MIN.. => Ok(server),
        _ => Err(IndexesError::TooOld { version: server.version }),
    }
}

/// Everything about the relations that statements name, those within views included.
pub(super) async fn inventory(
    session: &Session<'_>,
    server: Server,
    statements: &[&Statement],
) -> Result<Inventory, IndexesError> {
    let mut inventory = Inventory { server, ..Inventory::default() };
    let mut functions = BTreeSet::new();
    let mut open: Vec<Statement> = statements.iter().map(|statement| (*statement).clone()).collect();
    for _ in 0..VIEW_DEPTH_MAX {
        functions.extend(open.iter().flat_map(Statement::functions).map(|function| function.name.clone()));
        open = names(session, &mut inventory, &open).await?;
        if open.is_empty() {
            break;
        }
    }
    // From here on names stand for the server's own objects only, and it writes names of others with their schema.
    let enter = "SAVEPOINT pgprime_catalog; SET /* pgprime */ LOCAL \"SEARCH_PATH\" = pg_catalog, pg_temp";
    session.execute("read the catalogs", enter).await?;
    let outcome = read_catalog(session, &mut inventory, functions.into_iter().collect()).await;
    let leave = "ROLLBACK TO SAVEPOINT pgprime_catalog; RELEASE SAVEPOINT pgprime_catalog";
    let left = session.execute("read the catalogs", leave).await;
    outcome.and(left)?;
    note_unseen(&mut inventory);
    Ok(inventory)
}

async fn read_catalog(
    session: &Session<'_>,
    inventory: &mut Inventory,
    names: Vec<String>,
) -> Result<(), IndexesError> {
    let oids: Vec<u32> = inventory.relations.iter().map(|relation| relation.oid).collect();
    let places: HashMap<u32, usize> = oids.iter().enumerate().map(|(place, oid)| (*oid, place)).collect();
    tables(session, inventory, &oids, &places).await?;
    columns(session, inventory, &oids, &places).await?;
    existing(session, inventory, &oids, &places).await?;
    functions(session, inventory, names).await?;
    taken(session, inventory).await
}

/// Adds the relations that statements name, and gives the queries of views that are new.
async fn names(
    session: &Session<'_>,
    inventory: &mut Inventory,
    statements: &[Statement],
) -> Result<Vec<Statement>, IndexesError> {
    const STEP: &str = "look up the statements' relations";
    let names: BTreeSet<String> = statements
        .iter()
        .flat_map(|statement| statement.tables().map(crate::sql::TableName::quoted))
        .filter(|name| !inventory.by_name.contains_key(name))
        .collect();
    let names: Vec<String> = names.into_iter().collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let rows = session
        .rows(STEP, include_str!("../../sql/indexes_names.sql"), &[(&names, Type::TEXT_ARRAY)])
        .await?;
    let mut views = Vec::new();
    for row in &rows {
        let oid: u32 = column(row, STEP, "oid")?;
        let name: String = column(row, STEP, "name")?;
        let known = inventory.relations.iter().position(|relation| relation.oid == oid);
        let place = known.unwrap_or(inventory.relations.len());
        inventory.by_name.insert(name, place);
        if known.is_none() {
            let relation = relation(row, STEP, oid)?;
            if let Kind::View(Some(query)) = &relation.kind {
                views.push((**query).clone());
            }
            inventory.relations.push(relation);
        }
    }
    Ok(views)
}

fn relation(row: &Row, step: &'static str, oid: u32) -> Result<Relation, IndexesError> {
    let letter: String = column(row, step, "kind")?;
    let is_system: bool = column(row, step, "is_system")?;
    let definition: Option<String> = column(row, step, "definition")?;
    let kind = match letter.as_str() {
        _ if is_system => Kind::Other,
        "r" | "m" => Kind::Table,
        "p" => Kind::Partitioned { partitions: Vec::new() },
        "v" => Kind::View(definition.and_then(|text| Statement::parse(&text).ok()).map(Box::new)),
        _ => Kind::Other,
    };
    Ok(Relation {
        oid,
        qualified: column(row, step, "qualified")?,
        schema: column(row, step, "schema")?,
        schema_quoted: column(row, step, "schema_quoted")?,
        name: column(row, step, "relation")?,
        kind,
        columns: Vec::new(),
        existing: Vec::new(),
        figures: Figures::default(),
    })
}

async fn tables(
    session: &Session<'_>,
    inventory: &mut Inventory,
    oids: &[u32],
    places: &HashMap<u32, usize>,
) -> Result<(), IndexesError> {
    const STEP: &str = "read sizes and writes of tables";
    for row in
        session.rows(STEP, include_str!("../../sql/indexes_tables.sql"), &[(&oids, Type::OID_ARRAY)]).await?
    {
        let oid: u32 = column(&row, STEP, "oid")?;
        let Some(relation) = places.get(&oid).and_then(|place| inventory.relations.get_mut(*place)) else {
            continue;
        };
        let figure =
            |name: &str| column::<Option<f64>>(&row, STEP, name).map(|value| value.unwrap_or(0.0).max(0.0));
        relation.figures = Figures {
            rows: figure("rows")?,
            pages: figure("pages")?,
            visible_pages: figure("visible_pages")?,
            inserted: figure("inserted")?,
            updated: figure("updated")?,
            hot_updated: figure("hot_updated")?,
            partition_levels: column(&row, STEP, "partition_levels")?,
        };
        if let Kind::Partitioned { partitions } = &mut relation.kind {
            *partitions = column::<Option<Vec<String>>>(&row, STEP, "partitions")?.unwrap_or_default();
        }
        let never_analyzed: i64 = column(&row, STEP, "never_analyzed")?;
        if never_analyzed > 0 && relation.is_indexable() {
            inventory.missing.push(Missing {
                what: format!("how many rows {} has", relation.qualified),
                why: "it was never analyzed, or parts of it were not".to_owned(),
                statement: Some(format!("ANALYZE {};", relation.qualified)),
            });
        }
    }
    Ok(())
}

async fn columns(
    session: &Session<'_>,
    inventory: &mut Inventory,
    oids: &[u32],
    places: &HashMap<u32, usize>,
) -> Result<(), IndexesError> {
    const STEP: &str = "read columns and their statistics";
    let collation_is_c = inventory.server.collation_is_c;
    for row in
        session.rows(STEP, include_str!("../../sql/indexes_columns.sql"), &[(&oids, Type::OID_ARRAY)]).await?
    {
        let oid: u32 = column(&row, STEP, "oid")?;
        let Some(relation) = places.get(&oid).and_then(|place| inventory.relations.get_mut(*place)) else {
            continue;
        };
        let has_default_collation: bool = column(&row, STEP, "collation_is_default")?;
        let length: i32 = column(&row, STEP, "length")?;
        let width: Option<i32> = column(&row, STEP, "width")?;
        let category: String = column(&row, STEP, "category")?;
        let unknown_width = if length > 0 { length } else { 32 };
        relation.columns.push(Column {
            name: column(&row, STEP, "name")?,
            quoted: column(&row, STEP, "quoted")?,
            type_oid: column(&row, STEP, "type_oid")?,
            type_name: column(&row, STEP, "type")?,
            category,
            collation_is_c: column::<bool>(&row, STEP, "collation_is_c")?
                || has_default_collation && collation_is_c,
            is_sortable: column(&row, STEP, "is_sortable")?,
            statistics: statistics(&row, STEP)?,
            width: f64::from(width.unwrap_or(unknown_width)),
        });
    }
    Ok(())
}

fn statistics(row: &Row, step: &'static str) -> Result<Option<Statistics>, IndexesError> {
    let Some(null_share) = column::<Option<f64>>(row, step, "null_share")? else { return Ok(None) };
    let values: Vec<Option<String>> = column::<Option<_>>(row, step, "common_values")?.unwrap_or_default();
    let shares: Vec<f64> = column::<Option<_>>(row, step, "common_shares")?.unwrap_or_default();
    let bounds: Vec<Option<String>> = column::<Option<_>>(row, step, "bounds")?.unwrap_or_default();
    Ok(Some(Statistics {
        null_share,
        distinct_values: column::<Option<f64>>(row, step, "distinct_values")?.unwrap_or(0.0),
        correlation: column(row, step, "correlation")?,
        common: values.into_iter().zip(shares).filter_map(|(value, share)| Some((value?, share))).collect(),
        bounds: bounds.into_iter().flatten().collect(),
    }))
}

async fn existing(
    session: &Session<'_>,
    inventory: &mut Inventory,
    oids: &[u32],
    places: &HashMap<u32, usize>,
) -> Result<(), IndexesError> {
    const STEP: &str = "read the indexes";
    for row in session
        .rows(STEP, include_str!("../../sql/indexes_existing.sql"), &[(&oids, Type::OID_ARRAY)])
        .await?
    {
        let oid: u32 = column(&row, STEP, "oid")?;
        let Some(relation) = places.get(&oid).and_then(|place| inventory.relations.get_mut(*place)) else {
            continue;
        };
        let key_count: i32 = column(&row, STEP, "key_count")?;
        relation.existing.push(Existing {
            method: column(&row, STEP, "method")?,
            is_unique: column(&row, STEP, "is_unique")?,
            key_count: usize::try_from(key_count).unwrap_or(0),
            columns: column(&row, STEP, "columns")?,
            operator_classes: column(&row, STEP, "operator_classes")?,
            options: column(&row, STEP, "options")?,
            predicate: column(&row, STEP, "predicate")?,
        });
    }
    Ok(())
}

async fn functions(
    session: &Session<'_>,
    inventory: &mut Inventory,
    names: Vec<String>,
) -> Result<(), IndexesError> {
    const STEP: &str = "read the functions";
    let rows = session
        .rows(STEP, include_str!("../../sql/indexes_functions.sql"), &[(&names, Type::TEXT_ARRAY)])
        .await?;
    for row in rows {
        let arguments: i32 = column(&row, STEP, "arguments")?;
        inventory.functions.push(Function {
            name: column(&row, STEP, "name")?,
            is_system: column(&row, STEP, "is_system")?,
            is_immutable: column(&row, STEP, "is_immutable")?,
            arguments: usize::try_from(arguments).unwrap_or(0),
            argument_types: column(&row, STEP, "argument_types")?,
        });
    }
    Ok(())
}

async fn taken(session: &Session<'_>, inventory: &mut Inventory) -> Result<(), IndexesError> {
    const STEP: &str = "read the names that are taken";
    let schemas: BTreeSet<String> =
        inventory.relations.iter().map(|relation| relation.schema.clone()).collect();
    let schemas: Vec<String> = schemas.into_iter().collect();
    let rows = session
        .rows(STEP, include_str!("../../sql/indexes_relations.sql"), &[(&schemas, Type::TEXT_ARRAY)])
        .await?;
    for row in rows {
        inventory.taken.entry(column(&row, STEP, "schema")?).or_default().push(column(&row, STEP, "name")?);
    }
    Ok(())
}

/// Tables without statistics: the role may not see them, or nothing was analyzed.
fn note_unseen(inventory: &mut Inventory) {
    let is_unseen = |relation: &&Relation| {
        relation.is_indexable()
            && relation.figures.rows >= 1.0
            && relation.columns.iter().all(|column| column.statistics.is_none())
    };
    let role = crate::sql::quoted(&inventory.server.role);
    let missing = inventory.relations.iter().filter(is_unseen).map(|relation| Missing {
        what: format!("how the values of {} are distributed", relation.qualified),
        why: "there are no statistics of its columns, or this role may not read the table".to_owned(),
        statement: Some(format!("GRANT SELECT ON {} TO {role};", relation.qualified)),
    });
    let missing: Vec<Missing> = missing.collect();
    inventory.missing.extend(missing);
}
