//! Hypothetical indexes of HypoPG, in numbers that it can hold.

use super::candidate::{Candidate, Method};
use super::error::IndexesError;
use super::inventory::{Inventory, Kind};
use super::session::{Session, column};

/// Hypothetical indexes at the same time. HypoPG takes their numbers from a range of about 2,500 that it shares with the
/// server's own, and every one of them slows the planner down.
pub(super) const AT_ONCE_MAX: usize = 200;

/// Candidates that the planner believes to exist.
#[derive(Default)]
pub(super) struct Hypothetical {
    members: Vec<Member>,
}

struct Member {
    candidate: usize,
    /// Of a partitioned table, one for each partition.
    oids: Vec<u32>,
    names: Vec<String>,
}

/// Whether HypoPG can build it: B-trees and BRIN, and of a partitioned table one for each partition.
pub(super) fn is_possible(candidate: &Candidate, inventory: &Inventory) -> bool {
    let parts = match &candidate.table(inventory).kind {
        Kind::Table => 1,
        Kind::Partitioned { partitions } => partitions.len(),
        Kind::View(_) | Kind::Other => 0,
    };
    candidate.method != Method::Gin && (1..=AT_ONCE_MAX).contains(&parts)
}

impl Hypothetical {
    /// How many more indexes there may be.
    pub(super) fn room(&self) -> usize {
        AT_ONCE_MAX.saturating_sub(self.members.iter().map(|member| member.oids.len()).sum())
    }

    /// Makes the planner believe that the candidate exists. An error ends nothing: it says that HypoPG does not take it.
    pub(super) async fn create(
        &mut self,
        session: &Session<'_>,
        inventory: &Inventory,
        place: usize,
        candidate: &Candidate,
    ) -> Result<Result<(), IndexesError>, IndexesError> {
        let relation = candidate.table(inventory);
        let tables = match &relation.kind {
            Kind::Partitioned { partitions } => partitions.clone(),
            _ => vec![relation.qualified.clone()],
        };
        let mut member = Member { candidate: place, oids: Vec::new(), names: Vec::new() };
        for table in tables {
            match session.attempt(create_one(session, &candidate.create("", &table))).await? {
                Ok((oid, name)) => {
                    member.oids.push(oid);
                    member.names.push(name);
                }
                Err(error) => {
                    drop_all(session, &member.oids).await?;
                    return Ok(Err(error));
                }
            }
        }
        self.members.push(member);
        Ok(Ok(()))
    }

    /// Takes one away again.
    pub(super) async fn remove(&mut self, session: &Session<'_>, place: usize) -> Result<(), IndexesError> {
        let is_it = |member: &Member| member.candidate == place;
        let oids: Vec<u32> = self
            .members
            .iter()
            .filter(|member| is_it(member))
            .flat_map(|member| member.oids.clone())
            .collect();
        self.members.retain(|member| !is_it(member));
        drop_all(session, &oids).await
    }

    /// Takes all away.
    pub(super) async fn clear(&mut self, session: &Session<'_>) -> Result<(), IndexesError> {
        self.members.clear();
        session.reset_hypothetical().await
    }

    /// The candidates behind the names of indexes in a plan, sorted.
    pub(super) fn used(&self, names: &[String]) -> Vec<usize> {
        let is_used = |member: &&Member| member.names.iter().any(|name| names.contains(name));
        let mut used: Vec<usize> =
            self.members.iter().filter(is_used).map(|member| member.candidate).collect();
        used.sort_unstable();
        used
    }
}

async fn create_one(session: &Session<'_>, sql: &str) -> Result<(u32, String), IndexesError> {
    const STEP: &str = "create a hypothetical index";
    let schema = session.hypopg_schema().unwrap_or("public");
    let text = format!(
        "SELECT /* pgprime */ indexrelid::oid AS oid, indexname::text AS name FROM {schema}.hypopg_create_index($1)"
    );
    let rows = session.rows(STEP, &text, &[(&sql, tokio_postgres::types::Type::TEXT)]).await?;
    let row = rows.first().ok_or(IndexesError::Answer { step: STEP, reason: "no row".to_owned() })?;
    Ok((column(row, STEP, "oid")?, column(row, STEP, "name")?))
}

async fn drop_all(session: &Session<'_>, oids: &[u32]) -> Result<(), IndexesError> {
    if oids.is_empty() {
        return Ok(());
    }
    let schema = session.hypopg_schema().unwrap_or("public");
    let list: Vec<String> = oids.iter().map(|oid| format!("{schema}.hypopg_drop_index({oid})")).collect();
    let text = format!("SELECT /* pgprime */ {}", list.join(", "));
    session.execute("take hypothetical indexes away", &text).await
}
