//! Which tables are meant.

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::error::Error;

/// A name as SQL takes it, the tables of its family included: all partitions of the partitioned table that it is or belongs to.
const FAMILY: &str = include_str!("sql/family.sql");
/// Ordinary and partitioned tables of a schema.
const OF_SCHEMA: &str = include_str!("sql/of_schema.sql");

/// All ordinary and partitioned tables of a schema, as SQL takes their names.
///
/// # Errors
/// [`Error::Usage`] when there are none, [`Error::Query`].
pub async fn tables_of(client: &Client, schema: &str) -> Result<Vec<String>, Error> {
    let rows = client.query_typed(OF_SCHEMA, &[(&schema, Type::TEXT)]).await?;
    if rows.is_empty() {
        return Err(Error::Usage(format!("there is no schema {schema}, or it has no tables")));
    }
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// The tables of these names, and all partitions of those that are partitioned or partitions; each once, as SQL takes them.
///
/// # Errors
/// [`Error::Usage`] for a name that is no table, [`Error::Query`].
pub async fn families(client: &Client, names: &[&str]) -> Result<Vec<String>, Error> {
    let mut all = Vec::new();
    for name in names {
        let rows = client.query_typed(FAMILY, &[(name, Type::TEXT)]).await?;
        if rows.is_empty() {
            let what = "is not the name of an ordinary or partitioned table; write it as SQL does";
            return Err(Error::Usage(format!("{name} {what}")));
        }
        for row in rows {
            let table: String = row.try_get(0)?;
            if !all.contains(&table) {
                all.push(table);
            }
        }
    }
    Ok(all)
}
