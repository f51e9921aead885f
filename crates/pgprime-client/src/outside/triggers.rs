//! The trigger that says which table has changed.

use serde::Serialize;
use tokio_postgres::Client;

use super::tables::families;
use crate::error::Error;

const FUNCTION: &str = include_str!("sql/function.sql");
const INSTALLED: &str = include_str!("sql/installed.sql");
/// A table that somebody uses for long must not make everybody else wait behind this.
const LIMITS: &str =
    "SET /* pgprime */ LOCAL \"LOCK_TIMEOUT\" = '2s'; SET /* pgprime */ LOCAL \"STATEMENT_TIMEOUT\" = '30s'";
/// Two that install at once would make the function at once.
const ONE_AT_A_TIME: &str = "SELECT /* pgprime */ \
                             pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('pgprime.notify_change')), 'pgprime'";

/// A table with the trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Watched {
    /// Its name, as SQL takes it.
    pub table: String,
    /// Whether the trigger is enabled.
    pub is_enabled: bool,
}

/// The SQL that makes the trigger on these tables; their names as SQL takes them, with their schema.
///
/// On a partitioned table it belongs on each partition, too: [`install`] sees to that by itself.
pub fn triggers_sql<'a>(tables: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = format!("CREATE SCHEMA IF NOT EXISTS pgprime;\n{FUNCTION}");
    for table in tables {
        text.push_str(&trigger_sql(table));
    }
    text
}

/// Fires for sessions that are replicas, too (`session_replication_role`), as loads of data often are.
fn trigger_sql(table: &str) -> String {
    format!(
        "DROP TRIGGER IF EXISTS pgprime_notify_change ON {table};\n\
         CREATE TRIGGER pgprime_notify_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}\n    \
         FOR EACH STATEMENT EXECUTE FUNCTION pgprime.notify_change();\n\
         ALTER TABLE {table} ENABLE ALWAYS TRIGGER pgprime_notify_change;\n"
    )
}

/// Makes the trigger on these tables, and on all partitions of those that are partitioned or partitions. Each table by
/// itself: what was done stays when another cannot be locked in time. Those that have it already are left as they are.
///
/// The role must own the tables, and be allowed to make the schema `pgprime` where it does not exist.
///
/// # Errors
/// [`Error::Usage`] for a name that is no table, [`Error::Query`].
pub async fn install(client: &Client, tables: &[&str]) -> Result<Vec<Watched>, Error> {
    let tables = families(client, tables).await?;
    let before = installed(client).await?;
    let is_new = |table: &&String| !before.iter().any(|one| one.is_enabled && one.table == **table);
    let missing: Vec<&String> = tables.iter().filter(is_new).collect();
    if !missing.is_empty() {
        let schema = "DO $$ BEGIN IF pg_catalog.to_regnamespace('pgprime') IS NULL THEN CREATE SCHEMA pgprime; END IF; END $$";
        in_transaction(client, &format!("{ONE_AT_A_TIME}; {schema}; {FUNCTION}")).await?;
    }
    for table in missing {
        in_transaction(client, &trigger_sql(table)).await?;
    }
    let after = installed(client).await?;
    Ok(after.into_iter().filter(|one| tables.contains(&one.table)).collect())
}

/// Takes the trigger from these tables and their partitions, and the function with the last of them.
///
/// # Errors
/// As [`install`].
pub async fn remove(client: &Client, tables: &[&str]) -> Result<(), Error> {
    let tables = families(client, tables).await?;
    for watched in installed(client).await?.iter().filter(|one| tables.contains(&one.table)) {
        let sql = format!("DROP TRIGGER IF EXISTS pgprime_notify_change ON {}", watched.table);
        in_transaction(client, &sql).await?;
    }
    if installed(client).await?.is_empty() {
        let sql = format!("{ONE_AT_A_TIME}; DROP FUNCTION IF EXISTS pgprime.notify_change()");
        in_transaction(client, &sql).await?;
    }
    Ok(())
}

/// The tables that have the trigger.
///
/// # Errors
/// [`Error::Query`].
pub async fn installed(client: &Client) -> Result<Vec<Watched>, Error> {
    let rows = client.query_typed(INSTALLED, &[]).await?;
    rows.iter().map(|row| Ok(Watched { table: row.try_get(0)?, is_enabled: row.try_get(1)? })).collect()
}

/// Does this with limits, whole or not at all.
pub(super) async fn in_transaction(client: &Client, sql: &str) -> Result<(), Error> {
    let outcome = client.batch_execute(&format!("BEGIN; {LIMITS}; {sql}; COMMIT")).await;
    if outcome.is_err() {
        // What the error was is what matters.
        let _ = client.batch_execute("ROLLBACK").await;
    }
    Ok(outcome?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_for_people_has_all_it_takes() {
        let text = triggers_sql(["insurance.quotes", "\"Odd\".\"Name\""]);
        for part in [
            "CREATE SCHEMA IF NOT EXISTS pgprime;",
            "CREATE OR REPLACE FUNCTION pgprime.notify_change()",
            "ON insurance.quotes\n    FOR EACH STATEMENT",
            "ALTER TABLE \"Odd\".\"Name\" ENABLE ALWAYS TRIGGER",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
