//! Statements with their weights.

use std::collections::HashMap;

use serde::Serialize;

use super::error::WorkloadError;
use super::query::WorkloadQuery;
use super::split;
use crate::slow::Period;

/// Statements and how often they are executed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Workload {
    /// The statements.
    pub queries: Vec<WorkloadQuery>,
    /// The time in which they were executed that often, in seconds; None when nobody knows. What writes pay is counted
    /// over the same time.
    pub seconds: Option<f64>,
}

impl Workload {
    /// The statements of a period in one database. Those that functions run are left out, as they are part of those that
    /// call them; so are this program's own, and those without a text.
    #[must_use]
    pub fn from_period(period: &Period, database_oid: u32) -> Self {
        let coverage = &period.totals.coverage;
        let mut by_text: HashMap<&str, WorkloadQuery> = HashMap::new();
        for statement in &period.totals.statements {
            let (identity, counters) = (&statement.identity, &statement.counters);
            let is_wanted =
                identity.key.database_oid == database_oid && identity.key.toplevel && counters.calls > 0.0;
            let Some(text) = identity.text.as_deref().filter(|text| is_wanted && !crate::slow::is_own(text))
            else {
                continue;
            };
            // One text of two roles is one query.
            let query = by_text.entry(text).or_insert_with(|| WorkloadQuery {
                id: identity.key.query_id.to_string(),
                text: text.to_owned(),
                mean_ms: Some(0.0),
                rows: Some(0.0),
                ..WorkloadQuery::default()
            });
            let calls = query.weight + counters.calls;
            let mean =
                |before: Option<f64>, total: f64| before.map(|mean| (mean * query.weight + total) / calls);
            (query.mean_ms, query.rows) =
                (mean(query.mean_ms, counters.exec_ms), mean(query.rows, counters.rows));
            query.weight = calls;
        }
        let mut queries: Vec<WorkloadQuery> = by_text.into_values().collect();
        let total_ms = |query: &WorkloadQuery| query.weight * query.mean_ms.unwrap_or(0.0);
        queries.sort_by(|a, b| total_ms(b).total_cmp(&total_ms(a)).then_with(|| a.id.cmp(&b.id)));
        let mut workload =
            Self { queries, seconds: Some(coverage.end.duration_since(coverage.start).as_secs_f64()) };
        workload.make_ids_unique();
        workload
    }

    /// The statements of a file, separated by semicolons; a comment `-- weight: 12` in front of one says how often it is
    /// executed, otherwise once. Texts that are no statements are kept: the advice tells what is wrong with each.
    ///
    /// # Errors
    /// [`WorkloadError`], with the line, when the file cannot be taken apart, a weight is none, or it holds nothing.
    pub fn from_sql(text: &str) -> Result<Self, WorkloadError> {
        let mut workload = Self { queries: split::queries(text)?, seconds: None };
        workload.make_ids_unique();
        Ok(workload)
    }

    fn make_ids_unique(&mut self) {
        let mut seen: HashMap<String, usize> = HashMap::new();
        for query in &mut self.queries {
            let count = seen.entry(query.id.clone()).or_default();
            *count += 1;
            if *count > 1 {
                query.id = format!("{} ({count})", query.id);
            }
        }
    }
}
