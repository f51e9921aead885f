//! Parameter types of statements behind a pooler without named statements.
//!
//! Such a pooler gives every transaction another session, so nothing may be prepared for later. A statement is described
//! once, within one transaction that leaves nothing behind, and runs from then on as an unnamed one with its types.
//!
//! The driver looks up types that are not PostgreSQL's own (enumerations, domains) through named statements, which it
//! prepares once and keeps for ever. They are made again by their names for each look-up, and dropped before its end.

use std::collections::HashSet;

use tokio_postgres::types::{Oid, Type};
use tokio_postgres::{Client, Error};

use crate::connect::cell;

/// What is known of a statement's text.
#[derive(Debug)]
pub(crate) struct Learned {
    /// Types of its parameters.
    pub(crate) parameters: Vec<Type>,
    /// Names and types of its columns.
    #[cfg_attr(not(feature = "cache"), expect(dead_code, reason = "only cached reads ask for them"))]
    pub(crate) columns: Vec<(String, Type)>,
    /// Types of parameters and columns that are not PostgreSQL's own: a connection must have looked them up.
    pub(crate) custom: Vec<Oid>,
}

/// What one connection's driver knows of types.
#[derive(Debug, Default)]
pub(crate) struct KnownTypes {
    custom: HashSet<Oid>,
    /// The driver's own statements: name and text.
    statements: Vec<(String, String)>,
}

impl KnownTypes {
    /// Whether the statement runs without a look-up.
    pub(crate) fn covers(&self, learned: &Learned) -> bool {
        learned.custom.iter().all(|oid| self.custom.contains(oid))
    }
}

/// Whether the caller has a transaction open already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Within {
    /// It has none.
    OwnTransaction,
    /// It has one.
    OpenTransaction,
}

/// Describes a statement. Nobody else may send anything meanwhile, and it must run to its end.
pub(crate) async fn learn(
    client: &Client,
    types: &mut KnownTypes,
    sql: &str,
    within: Within,
) -> Result<Learned, Error> {
    if within == Within::OpenTransaction {
        return describe(client, types, sql).await;
    }
    client.batch_execute("BEGIN").await?;
    let outcome = describe(client, types, sql).await;
    let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
    client.batch_execute(end).await?;
    outcome
}

async fn describe(client: &Client, types: &mut KnownTypes, sql: &str) -> Result<Learned, Error> {
    let has_own = !types.statements.is_empty();
    if has_own {
        // So that the driver's statements can be dropped even when this one cannot be described.
        let mut text = "SAVEPOINT pgprime_types".to_owned();
        for (name, statement) in &types.statements {
            text.push_str(&format!(";PREPARE {name} (oid) AS {statement}"));
        }
        client.batch_execute(&text).await?;
    }
    let learned = describe_once(client, sql).await;
    if has_own && learned.is_err() {
        client.batch_execute("ROLLBACK TO SAVEPOINT pgprime_types").await?;
    }
    let looked_up = learned.as_ref().is_ok_and(|learned| !learned.custom.is_empty());
    if has_own || looked_up {
        drop_drivers_statements(client, types).await?;
    }
    let learned = learned?;
    types.custom.extend(&learned.custom);
    Ok(learned)
}

async fn describe_once(client: &Client, sql: &str) -> Result<Learned, Error> {
    // Dropped at the end of this function, which makes the driver close it at once.
    let statement = client.prepare(sql).await?;
    let parameters = statement.params().to_vec();
    let columns = statement.columns().iter();
    let columns: Vec<_> = columns.map(|it| (it.name().to_owned(), it.type_().clone())).collect();
    let oids = parameters.iter().chain(columns.iter().map(|(_, type_)| type_)).map(Type::oid);
    let custom = oids.filter(|oid| Type::from_oid(*oid).is_none()).collect();
    Ok(Learned { parameters, columns, custom })
}

/// Drops what the driver has prepared in this transaction for itself, and remembers it by name and text.
async fn drop_drivers_statements(client: &Client, types: &mut KnownTypes) -> Result<(), Error> {
    let sql = "SELECT /* pgprime */ name, statement FROM pg_catalog.pg_prepared_statements \
               WHERE name ~ '^s[0-9]+$' AND prepare_time >= pg_catalog.now()";
    for row in &client.simple_query(sql).await? {
        let (Some(name), Some(statement)) = (cell(row, 0), cell(row, 1)) else { continue };
        client.batch_execute(&format!("DEALLOCATE {name}")).await?;
        // One that was made again is shown with the commands that did so; its first text is the right one.
        if !types.statements.iter().any(|(known, _)| known == name) {
            types.statements.push((name.to_owned(), statement.to_owned()));
        }
    }
    Ok(())
}
