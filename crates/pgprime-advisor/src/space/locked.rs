//! Relations that cannot be opened now, because another session has locked them.
//!
//! Asking for the size of a relation opens it, and would wait behind a migration or a VACUUM FULL. Such relations are
//! looked up first and left out; a lock that is taken in between is met by the lock timeout, and they are looked up again.

use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use crate::Missing;
use pgprime_readonly::ReadError;
use pgprime_readonly::{Attempt, Parameter, Session, column};

/// More tries would make the report take long on a database that locks a lot.
const TRIES: usize = 3;
/// Names that fit into a sentence.
const NAMES_MAX: usize = 5;

/// Relations that cannot be opened now.
#[derive(Debug, Default)]
pub(crate) struct Locked {
    pub(crate) oids: Vec<u32>,
    /// As SQL writes them, with the processes that have or want the lock.
    names: Vec<(String, Vec<i32>)>,
    /// Whether no size is asked for any more.
    gave_up: Option<String>,
}

impl Locked {
    pub(crate) async fn read(session: &Session<'_>) -> Result<Self, ReadError> {
        let mut locked = Self::default();
        locked.look(session).await?;
        Ok(locked)
    }

    async fn look(&mut self, session: &Session<'_>) -> Result<(), ReadError> {
        let step = "look for locks";
        let rows = session.rows(step, include_str!("../../sql/space_locked.sql"), &[]).await?;
        for row in &rows {
            let oid: u32 = column(row, step, "oid")?;
            if !self.oids.contains(&oid) {
                let holders: Option<Vec<i32>> = column(row, step, "holders")?;
                self.oids.push(oid);
                self.names.push((column(row, step, "qualified")?, holders.unwrap_or_default()));
            }
        }
        Ok(())
    }

    /// Runs a query whose first parameter is the list of relations not to open, and whose others are given.
    pub(crate) async fn attempt(
        &mut self,
        session: &Session<'_>,
        step: &'static str,
        sql: &str,
        others: &[Parameter<'_>],
    ) -> Result<Vec<Row>, ReadError> {
        for _ in 0..TRIES {
            let first: Parameter<'_> = (&self.oids, Type::OID_ARRAY);
            let parameters: Vec<Parameter<'_>> = [first].into_iter().chain(others.iter().cloned()).collect();
            match session.attempt(step, sql, &parameters).await? {
                Attempt::Rows(rows) => return Ok(rows),
                Attempt::Refused { state, .. } if state == SqlState::LOCK_NOT_AVAILABLE => {
                    self.look(session).await?;
                }
                Attempt::Refused { message, .. } => {
                    self.give_up(session, message).await?;
                }
            }
        }
        self.give_up(session, "locks came and went".to_owned()).await?;
        let first: Parameter<'_> = (&self.oids, Type::OID_ARRAY);
        let parameters: Vec<Parameter<'_>> = [first].into_iter().chain(others.iter().cloned()).collect();
        session.rows(step, sql, &parameters).await
    }

    /// Sizes of the last vacuum or analyze have to do for all.
    async fn give_up(&mut self, session: &Session<'_>, reason: String) -> Result<(), ReadError> {
        if self.gave_up.is_some() {
            return Ok(());
        }
        let step = "list the relations";
        let sql = "SELECT /* pgprime: all that has a size */ oid FROM pg_class WHERE relfilenode <> 0";
        let rows = session.rows(step, sql, &[]).await?;
        self.oids = rows.iter().map(|row| column(row, step, "oid")).collect::<Result<_, _>>()?;
        self.gave_up = Some(reason);
        Ok(())
    }

    /// The names, as SQL writes them.
    pub(crate) fn names(&self) -> Vec<String> {
        self.names.iter().map(|(name, _)| name.clone()).collect()
    }

    pub(crate) fn missing(&self) -> Vec<Missing> {
        let mut missing = Vec::new();
        if let Some(reason) = &self.gave_up {
            let why = format!("{reason}; sizes are those of the last vacuum or analyze");
            missing.push(Missing {
                what: "the sizes of tables and indexes".to_owned(),
                why,
                statement: None,
            });
        }
        if !self.names.is_empty() {
            let named: Vec<&str> = self.names.iter().take(NAMES_MAX).map(|(name, _)| &**name).collect();
            let more = self.names.len().saturating_sub(NAMES_MAX);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let mut holders: Vec<i32> = self.names.iter().flat_map(|(_, holders)| holders).copied().collect();
            holders.sort_unstable();
            holders.dedup();
            let holders: Vec<String> = holders.iter().take(NAMES_MAX).map(ToString::to_string).collect();
            missing.push(Missing {
                what: format!("the size and waste of {}{more}", named.join(", ")),
                why: format!(
                    "another session has locked them (process {}); sizes are those of the last vacuum or analyze",
                    holders.join(", ")
                ),
                statement: None,
            });
        }
        missing
    }
}
