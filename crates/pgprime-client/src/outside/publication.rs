//! The publication that says which tables have changed, by logical decoding.
//!
//! A table without a replica identity must not be in it: PostgreSQL would refuse every UPDATE and DELETE of it, and the
//! application would have the error. So it is refused here, and one that has lost its identity since is told.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::tables::families;
use super::triggers::in_transaction;
use crate::error::Error;

const PUBLISHED: &str = include_str!("sql/published.sql");
const NEEDS: &str = include_str!("sql/needs.sql");
/// Partitions speak for themselves: where they speak through their root, nobody hears that one of them is truncated.
const OPTIONS: &str = "publish = 'insert, update, delete, truncate', publish_via_partition_root = false";
/// Two that make it at once would both find that there is none.
const ONE_AT_A_TIME: &str = "SELECT /* pgprime */ \
                             pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('pgprime_changes')), 'pgprime'";
const DROP_IF_EMPTY: &str = "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_publication_tables \
                             WHERE pubname = 'pgprime_changes') AND NOT EXISTS (SELECT FROM pg_catalog.pg_publication p \
                             JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid \
                             WHERE p.pubname = 'pgprime_changes') THEN \
                             DROP PUBLICATION IF EXISTS pgprime_changes; END IF; END $$";

/// What of a changed row is sent to those who listen. They need nothing of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Columns {
    /// All: a change of the table's key needs no thought of the publication.
    #[default]
    All,
    /// Its key alone, where the table is neither partitioned nor has REPLICA IDENTITY FULL (version 15 or newer): less to
    /// send. While it is so, PostgreSQL refuses to change the type of a column of the key, and once the key has other
    /// columns, it refuses UPDATE and DELETE until the table is published anew.
    Key,
}

/// A table, and how it stands with the publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its name, as SQL takes it.
    pub table: String,
    /// Whether its changes are published.
    pub is_published: bool,
    /// What is against publishing it, or wrong with how it is published.
    pub unfit: Option<Unfit>,
}

/// Why a table cannot be published, or should not be as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It has no replica identity: PostgreSQL refuses to update and delete rows of published tables without one.
    NoIdentity {
        /// Whether it is a partitioned table, whose partitions need one each, those that are made later included.
        is_partitioned: bool,
        /// Whether it is published all the same.
        is_published: bool,
    },
    /// It is unlogged: nothing of it is in the WAL.
    Unlogged,
    /// Some of its changes are not published, or its columns that are do not cover its identity.
    Partly,
    /// A table that it belongs with cannot be published.
    Family(String),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoIdentity { is_published: true, .. } => f.write_str(
                "it has no replica identity any more, so its UPDATE and DELETE fail; add a primary key, or take it out \
                 with --remove",
            ),
            Self::NoIdentity { is_partitioned: true, .. } => f.write_str(
                "it has no primary key, so UPDATE and DELETE would fail in partitions to come; add one, or use the trigger",
            ),
            Self::NoIdentity { .. } => f.write_str(
                "it has no replica identity, so its UPDATE and DELETE would fail; add a primary key, use ALTER TABLE … \
                 REPLICA IDENTITY USING INDEX, or use the trigger",
            ),
            Self::Unlogged => f.write_str("it is unlogged, so nothing of it is published; use the trigger"),
            Self::Partly => f.write_str(
                "not all of its changes are published, or its UPDATE and DELETE fail, as its key has changed; mend it with \
                 --install",
            ),
            Self::Family(other) => write!(f, "it belongs with {other}, which cannot be published"),
        }
    }
}

/// Something that hearing the publication takes, and that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// The server's `wal_level` is this and not `logical`.
    WalLevel(String),
    /// All replication slots are taken.
    Slots,
    /// All senders are taken.
    Senders,
    /// This role has not REPLICATION. Another one may be the one that listens.
    Role(String),
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WalLevel(level) => write!(
                f,
                "wal_level is {level}: set wal_level = logical and restart PostgreSQL, or use `pgprime cache triggers`"
            ),
            Self::Slots => f.write_str(
                "all replication slots are taken: raise max_replication_slots by one for each instance",
            ),
            Self::Senders => {
                f.write_str("all senders are taken: raise max_wal_senders by one for each instance")
            }
            Self::Role(role) => {
                write!(
                    f,
                    "the role of listen_url needs REPLICATION, which {role} has not: ALTER ROLE … REPLICATION"
                )
            }
        }
    }
}

/// What hearing the publication takes and is not there, the gravest first.
///
/// # Errors
/// [`Error::Query`].
pub async fn publication_needs(client: &Client) -> Result<Vec<Need>, Error> {
    let rows = client.query_typed(NEEDS, &[]).await?;
    let Some(row) = rows.first() else { return Ok(Vec::new()) };
    let level: String = row.try_get("wal_level")?;
    let mut needs = Vec::new();
    if level != "logical" {
        needs.push(Need::WalLevel(level));
    }
    if row.try_get::<_, i64>("slots")? <= 0 {
        needs.push(Need::Slots);
    }
    if row.try_get::<_, i64>("senders")? <= 0 {
        needs.push(Need::Senders);
    }
    if !row.try_get::<_, bool>("may")? {
        needs.push(Need::Role(row.try_get("role")?));
    }
    Ok(needs)
}

/// Publishes these tables, and all partitions of those that are partitioned or partitions, those that are made later
/// included. Each table by itself: what was done stays when another cannot be locked in time. Those that are unfit are left
/// out, with what belongs with them; the answer says why.
///
/// The role must own the tables and the publication, and be allowed to create in the database.
///
/// # Errors
/// [`Error::Usage`] for a name that is no table, and when `wal_level` is not `logical`: then whoever listens would hear
/// nothing. [`Error::Query`].
pub async fn publish(client: &Client, tables: &[&str], columns: Columns) -> Result<Vec<Published>, Error> {
    let tables = families(client, tables).await?;
    let level = publication_needs(client).await?.into_iter().find(|need| matches!(need, Need::WalLevel(_)));
    if let Some(level) = level {
        return Err(Error::Usage(level.to_string()));
    }
    let states = states(client, &tables).await?;
    let additions = additions(&states, columns);
    if !additions.is_empty() {
        in_transaction(client, &format!("{ONE_AT_A_TIME}; {}", creation())).await?;
    }
    for addition in additions {
        in_transaction(client, &addition).await?;
    }
    published(client, &tables).await
}

/// The SQL that publishes these tables, as far as they are not published and can be; see [`publish`].
///
/// # Errors
/// [`Error::Usage`] for a name that is no table, [`Error::Query`].
pub async fn publication_sql(client: &Client, tables: &[&str], columns: Columns) -> Result<String, Error> {
    let tables = families(client, tables).await?;
    let states = states(client, &tables).await?;
    let mut text = format!("{};\n", creation());
    for addition in additions(&states, columns) {
        text.push_str(&addition.replace("; ", ";\n"));
        text.push_str(";\n");
    }
    Ok(text)
}

/// Takes these tables and their partitions out of the publication, and drops it with the last of them.
///
/// # Errors
/// As [`publish`].
pub async fn unpublish(client: &Client, tables: &[&str]) -> Result<(), Error> {
    let tables = families(client, tables).await?;
    for state in states(client, &tables).await?.iter().filter(|state| state.is_entry) {
        in_transaction(client, &format!("ALTER PUBLICATION pgprime_changes DROP TABLE ONLY {}", state.table))
            .await?;
    }
    in_transaction(client, &format!("{ONE_AT_A_TIME}; {DROP_IF_EMPTY}")).await
}

/// How these tables stand with the publication, each by its name as SQL takes it; all that are in it if none is named.
///
/// # Errors
/// [`Error::Query`].
pub async fn published(client: &Client, tables: &[String]) -> Result<Vec<Published>, Error> {
    let states = states(client, tables).await?;
    let unfit = unfit_heads(&states);
    let report = |state: &State| {
        let own = state.unfit();
        let by_family = || unfit.iter().find(|(head, _)| *head == state.head);
        let of_family = |(_, table): &(&str, &str)| Unfit::Family((*table).to_owned());
        Published {
            table: state.table.clone(),
            is_published: state.is_published,
            unfit: own.or_else(|| by_family().filter(|_| !state.is_published).map(of_family)),
        }
    };
    Ok(states.iter().map(report).collect())
}

/// What the catalogs say of a table.
struct State {
    table: String,
    /// The table that stands in the publication for it: the root of its partitions, or itself.
    head: String,
    is_partitioned: bool,
    /// Whether it, or what it is a partition of, is named in the publication.
    is_in: bool,
    /// Whether it is named there itself.
    is_entry: bool,
    is_published: bool,
    is_unlogged: bool,
    has_identity: bool,
    is_filtered: bool,
    /// Whether only some columns are sent.
    is_listed: bool,
    /// Whether these cover the identity.
    is_covered: bool,
    is_of_key: bool,
    /// Whether all kinds of changes are published.
    is_whole: bool,
    key: Option<Vec<String>>,
}

async fn states(client: &Client, tables: &[String]) -> Result<Vec<State>, Error> {
    let rows = client.query_typed(PUBLISHED, &[(&tables, Type::TEXT_ARRAY)]).await?;
    rows.iter().map(State::read).collect()
}

impl State {
    fn read(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            table: row.try_get("name")?,
            head: row.try_get("head")?,
            is_partitioned: row.try_get("is_partitioned")?,
            is_in: row.try_get("is_in")?,
            is_entry: row.try_get("is_entry")?,
            is_published: row.try_get("is_published")?,
            is_unlogged: row.try_get("is_unlogged")?,
            has_identity: row.try_get("has_identity")?,
            is_filtered: row.try_get("is_filtered")?,
            is_listed: row.try_get("is_listed")?,
            is_covered: row.try_get("is_covered")?,
            is_of_key: row.try_get("is_of_key")?,
            is_whole: row.try_get("is_whole")?,
            key: row.try_get("key")?,
        })
    }

    fn unfit(&self) -> Option<Unfit> {
        let Self { is_partitioned, is_published, .. } = *self;
        match self {
            Self { is_unlogged: true, .. } => Some(Unfit::Unlogged),
            Self { has_identity: false, .. } => Some(Unfit::NoIdentity { is_partitioned, is_published }),
            Self { is_published: true, is_filtered, is_covered, is_whole, .. }
                if *is_filtered || !is_covered || !is_whole =>
            {
                Some(Unfit::Partly)
            }
            _ => None,
        }
    }

    /// The columns to name, if not all are sent. A partitioned table cannot have a list.
    fn list(&self, columns: Columns) -> Option<&[String]> {
        self.key.as_deref().filter(|_| columns == Columns::Key && !self.is_partitioned)
    }

    /// The SQL that publishes it as wished; none if it is so already.
    fn addition(&self, columns: Columns) -> Option<String> {
        let list = self.list(columns);
        let is_as_wished = if list.is_some() { self.is_of_key } else { !self.is_listed };
        if self.is_in && is_as_wished && !self.is_filtered {
            return None;
        }
        let table = &self.table;
        let list = list.map(|columns| format!(" ({})", columns.join(", "))).unwrap_or_default();
        let away = match self.is_entry {
            true => format!("ALTER PUBLICATION pgprime_changes DROP TABLE ONLY {table}; "),
            false => String::new(),
        };
        Some(format!("{away}ALTER PUBLICATION pgprime_changes ADD TABLE ONLY {table}{list}"))
    }
}

/// Heads of families with a table that cannot be published, with that table.
fn unfit_heads(states: &[State]) -> Vec<(&str, &str)> {
    let is_against = |state: &&State| !matches!(state.unfit(), None | Some(Unfit::Partly));
    states.iter().filter(is_against).map(|state| (state.head.as_str(), state.table.as_str())).collect()
}

fn additions(states: &[State], columns: Columns) -> Vec<String> {
    let unfit: BTreeSet<&str> = unfit_heads(states).into_iter().map(|(head, _)| head).collect();
    let heads = states.iter().filter(|state| state.table == state.head);
    let additions: Vec<String> = heads
        .filter(|state| !unfit.contains(state.head.as_str()))
        .filter_map(|state| state.addition(columns))
        .collect();
    match additions.is_empty() && states.iter().any(|state| state.is_in && !state.is_whole) {
        // The publication is there, and does not publish all.
        true => vec![format!("ALTER PUBLICATION pgprime_changes SET ({OPTIONS})")],
        false => additions,
    }
}

/// Makes the publication where there is none, and has it publish all kinds of changes.
fn creation() -> String {
    format!(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = 'pgprime_changes') THEN \
         CREATE PUBLICATION pgprime_changes; END IF; END $$; ALTER PUBLICATION pgprime_changes SET ({OPTIONS})"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(table: &str, head: &str) -> State {
        State {
            table: table.to_owned(),
            head: head.to_owned(),
            is_partitioned: false,
            is_in: false,
            is_entry: false,
            is_published: false,
            is_unlogged: false,
            has_identity: true,
            is_filtered: false,
            is_listed: false,
            is_covered: true,
            is_of_key: false,
            is_whole: true,
            key: Some(vec!["id".to_owned(), "\"Odd\"".to_owned()]),
        }
    }

    fn there(state: State) -> State {
        State { is_in: true, is_entry: true, is_published: true, ..state }
    }

    #[test]
    fn what_is_added_and_how() {
        let add = "ALTER PUBLICATION pgprime_changes ADD TABLE ONLY s.a";
        let again = format!("ALTER PUBLICATION pgprime_changes DROP TABLE ONLY s.a; {add}");
        let a = || state("s.a", "s.a");
        let listed = || State { is_listed: true, is_of_key: true, ..there(a()) };
        for (state, columns, expected) in [
            (a(), Columns::All, vec![add.to_owned()]),
            (a(), Columns::Key, vec![format!("{add} (id, \"Odd\")")]),
            (State { is_partitioned: true, ..a() }, Columns::Key, vec![add.to_owned()]),
            (State { key: None, ..a() }, Columns::Key, vec![add.to_owned()]),
            (there(a()), Columns::All, vec![]),
            (there(a()), Columns::Key, vec![format!("{again} (id, \"Odd\")")]),
            (listed(), Columns::Key, vec![]),
            (listed(), Columns::All, vec![again.clone()]),
            (State { is_filtered: true, ..there(a()) }, Columns::All, vec![again.clone()]),
            (State { is_unlogged: true, ..a() }, Columns::All, vec![]),
            (State { has_identity: false, ..a() }, Columns::All, vec![]),
            (state("s.part", "s.a"), Columns::All, vec![]),
        ] {
            assert_eq!(additions(&[state], columns), expected, "{columns:?}");
        }
        let unfit_partition = State { is_unlogged: true, ..state("s.part", "s.a") };
        assert_eq!(additions(&[a(), unfit_partition], Columns::All), [""; 0]);
        let not_whole = State { is_whole: false, ..there(a()) };
        assert_eq!(
            additions(&[not_whole], Columns::All),
            [format!("ALTER PUBLICATION pgprime_changes SET ({OPTIONS})")]
        );
    }

    #[test]
    fn what_is_against_it() {
        let a = || state("s.a", "s.a");
        let no_identity =
            |is_partitioned, is_published| Some(Unfit::NoIdentity { is_partitioned, is_published });
        for (state, expected) in [
            (a(), None),
            (there(a()), None),
            (State { is_unlogged: true, has_identity: false, ..a() }, Some(Unfit::Unlogged)),
            (State { has_identity: false, ..a() }, no_identity(false, false)),
            (State { has_identity: false, is_partitioned: true, ..a() }, no_identity(true, false)),
            (State { has_identity: false, ..there(a()) }, no_identity(false, true)),
            (State { is_covered: false, ..there(a()) }, Some(Unfit::Partly)),
            (State { is_filtered: true, ..there(a()) }, Some(Unfit::Partly)),
            (State { is_whole: false, ..there(a()) }, Some(Unfit::Partly)),
        ] {
            assert_eq!(state.unfit(), expected);
        }
    }
}
