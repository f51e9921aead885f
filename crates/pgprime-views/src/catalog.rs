//! What the database says of its materialized views.

use jiff::Timestamp;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use crate::error::ViewsError;
use crate::names::{ViewName, quoted};
use crate::session::{Parameter, row, rows, value};

/// Oldest server that is supported.
const VERSION_MIN: i32 = 130_000;
/// Deparses everything with its schema.
pub(crate) const QUALIFIED: &str = "pg_catalog";

/// The server, and what pgprime keeps there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server {
    /// The database's clock: every time comes from it.
    pub(crate) now: Timestamp,
    pub(crate) is_replica: bool,
    pub(crate) is_set_up: bool,
}

/// A relation that has, or could have, the name of a view.
#[derive(Clone, Debug)]
pub(crate) struct Relation {
    pub(crate) oid: u32,
    pub(crate) name: ViewName,
    /// `m` for a materialized view.
    pub(crate) kind: String,
    pub(crate) is_populated: bool,
    pub(crate) owner: String,
    pub(crate) comment: Option<String>,
    /// Whether this role may do what the owner may.
    pub(crate) is_ours: bool,
    pub(crate) bytes: i64,
}

impl Relation {
    pub(crate) fn is_view(&self) -> bool {
        self.kind == "m"
    }
}

/// An index of a view.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) definition: String,
    pub(crate) is_unique: bool,
    pub(crate) is_partial: bool,
    pub(crate) has_expressions: bool,
    pub(crate) is_usable: bool,
    pub(crate) is_btree: bool,
    /// Columns and expressions, as PostgreSQL writes them.
    pub(crate) keys: Vec<String>,
    /// Columns alone.
    pub(crate) columns: Vec<String>,
}

impl Index {
    /// Whether REFRESH CONCURRENTLY can match rows by it.
    pub(crate) fn identifies_rows(&self) -> bool {
        self.is_unique && self.is_usable && !self.is_partial && !self.has_expressions
    }
}

/// Reads which server it is; refuses one that is too old.
pub(crate) async fn server(client: &Client) -> Result<Server, ViewsError> {
    let found = row(client, "read the server's version", include_str!("../sql/server.sql"), &[]).await?;
    let Some(found) = found else { return Err(ViewsError::TooOld { version: "unknown".to_owned() }) };
    if value::<i32>(&found, "version")? < VERSION_MIN {
        return Err(ViewsError::TooOld { version: value(&found, "version_text")? });
    }
    Ok(Server {
        now: timestamp(value(&found, "now_micros")?),
        is_replica: value(&found, "is_replica")?,
        is_set_up: value(&found, "is_set_up")?,
    })
}

/// The relation of this name, whatever it is.
pub(crate) async fn relation(client: &Client, name: &ViewName) -> Result<Option<Relation>, ViewsError> {
    let (schema, view) = (name.schema(), name.name());
    let parameters: [Parameter<'_>; 2] = [(&schema, Type::TEXT), (&view, Type::TEXT)];
    let step = format!("look up {name}");
    let found = row(client, &step, include_str!("../sql/view.sql"), &parameters).await?;
    found.as_ref().map(read_relation).transpose()
}

/// What a view was defined as, without a semicolon; qualified if the search path is [`QUALIFIED`]. Waits for locks on the
/// tables below.
pub(crate) async fn definition(client: &Client, view: u32) -> Result<String, ViewsError> {
    let sql = "SELECT rtrim(pg_get_viewdef($1), '; ') AS definition";
    let found = row(client, "read the definition", sql, &[(&view, Type::OID)]).await?;
    found.as_ref().map_or(Ok(String::new()), |found| value(found, "definition"))
}

/// All materialized views but those being built.
pub(crate) async fn materialized_views(client: &Client) -> Result<Vec<Relation>, ViewsError> {
    let nothing: Option<&str> = None;
    let parameters: [Parameter<'_>; 2] = [(&nothing, Type::TEXT), (&nothing, Type::TEXT)];
    let found = rows(client, "list the views", include_str!("../sql/view.sql"), &parameters).await?;
    found.iter().map(read_relation).collect()
}

fn read_relation(row: &Row) -> Result<Relation, ViewsError> {
    Ok(Relation {
        oid: value(row, "oid")?,
        name: ViewName::from_catalog(value(row, "schema")?, value(row, "name")?),
        kind: value(row, "kind")?,
        is_populated: value(row, "is_populated")?,
        owner: value(row, "owner")?,
        comment: value(row, "comment")?,
        is_ours: value(row, "is_ours")?,
        bytes: value(row, "bytes")?,
    })
}

/// The indexes of a view, unique ones first.
pub(crate) async fn indexes(client: &Client, view: u32) -> Result<Vec<Index>, ViewsError> {
    let found =
        rows(client, "read the indexes", include_str!("../sql/indexes.sql"), &[(&view, Type::OID)]).await?;
    let read = |row: &Row| {
        Ok(Index {
            name: value(row, "name")?,
            definition: value(row, "definition")?,
            is_unique: value(row, "is_unique")?,
            is_partial: value(row, "is_partial")?,
            has_expressions: value(row, "has_expressions")?,
            is_usable: value(row, "is_usable")?,
            is_btree: value(row, "is_btree")?,
            keys: value(row, "keys")?,
            columns: value(row, "columns")?,
        })
    };
    found.iter().map(read).collect()
}

/// Names in the first column, for one relation.
pub(crate) async fn names(
    client: &Client,
    step: &str,
    sql: &str,
    oid: u32,
) -> Result<Vec<String>, ViewsError> {
    rows(client, step, sql, &[(&oid, Type::OID)]).await?.iter().map(|row| value(row, "name")).collect()
}

/// Why a view cannot be refreshed without blocking those who read it; `None` where it can.
pub(crate) async fn concurrent_obstacle(
    client: &Client,
    view: &Relation,
    declared_key: &[String],
) -> Result<Option<String>, ViewsError> {
    if !view.is_populated {
        return Ok(Some("it holds nothing yet, so nobody reads it".to_owned()));
    }
    let indexes = indexes(client, view.oid).await?;
    if indexes.iter().any(Index::identifies_rows) {
        return Ok(None);
    }
    let key =
        if declared_key.is_empty() { key_candidate(client, view.oid).await? } else { declared_key.to_vec() };
    let help = if key.is_empty() {
        "this needs a unique index on columns that identify a row, without WHERE and without expressions; those of \
         GROUP BY do"
            .to_owned()
    } else {
        let columns: Vec<String> = key.iter().map(|column| quoted(column)).collect();
        format!("this makes it possible: CREATE UNIQUE INDEX ON {} ({})", view.name, columns.join(", "))
    };
    let why = match indexes.iter().find(|index| index.is_unique) {
        Some(index) if index.is_partial => format!("its unique index {} has a WHERE", quoted(&index.name)),
        Some(index) if index.has_expressions => {
            format!("its unique index {} is on expressions", quoted(&index.name))
        }
        Some(index) => format!("its unique index {} is not valid", quoted(&index.name)),
        None => "it has no unique index".to_owned(),
    };
    Ok(Some(format!("{why}; {help}")))
}

/// A column without a value twice, if the statistics know one.
async fn key_candidate(client: &Client, view: u32) -> Result<Vec<String>, ViewsError> {
    let sql = include_str!("../sql/key_candidates.sql");
    let mut candidates = names(client, "look for a key", sql, view).await?;
    candidates.truncate(1);
    Ok(candidates)
}

/// A time of the database, from microseconds since 1970.
pub(crate) fn timestamp(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 { Timestamp::MIN } else { Timestamp::MAX })
}
