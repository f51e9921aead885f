//! Reading figures through the cache.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pgprime_client::{CachedRows, CachedSource, Database, Error, Role};
use serde::Serialize;
use serde_json::Value;

use crate::figures::FigureDeclaration;

/// Rows of a figure; a dashboard shows fewer.
const ROWS_MAX: usize = 1_000;

/// One figure with its rows.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// Its name.
    pub name: String,
    /// What people read.
    pub title: String,
    /// What its values are in.
    pub unit: Option<String>,
    /// The columns that say what a row is about.
    pub labels: Vec<String>,
    /// Its rows, each an object with its columns; at most 1,000.
    pub rows: Vec<Value>,
    /// Whether the query gave more rows than that.
    pub is_cut: bool,
    /// Where the rows came from; `null` where there are none because of `error`.
    pub source: Option<CachedSource>,
    /// How old they are, in milliseconds.
    pub age_ms: f64,
    /// How long this look took, in milliseconds.
    pub took_ms: f64,
    /// Why the rows are not kept in the cache, where they are not.
    pub not_kept: Option<String>,
    /// Why there are no rows.
    pub error: Option<String>,
}

impl Figure {
    fn empty(declared: &FigureDeclaration) -> Self {
        Self {
            name: declared.name.clone(),
            title: declared.title.clone(),
            unit: declared.unit.clone(),
            labels: declared.labels.clone(),
            rows: Vec::new(),
            is_cut: false,
            source: None,
            age_ms: 0.0,
            took_ms: 0.0,
            not_kept: None,
            error: None,
        }
    }
}

/// All figures, each with this limit of time. The pool's size bounds how many run at once.
pub(super) async fn all(
    database: &Database,
    declared: &[FigureDeclaration],
    timeout: Duration,
) -> Vec<Figure> {
    join_all(declared.iter().map(|figure| one(database, figure, timeout))).await
}

async fn one(database: &Database, declared: &FigureDeclaration, timeout: Duration) -> Figure {
    let began = Instant::now();
    // In a task of its own: given up here it goes on there, and the next look finds it.
    let reading = tokio::spawn(read(database.clone(), declared.clone()));
    let read = match tokio::time::timeout(timeout, reading).await {
        Ok(Ok(read)) => read.map_err(|error| error.to_string()),
        Ok(Err(_)) => Err("it was broken off".to_owned()),
        Err(_) => Err(format!("no answer within {} ms; it goes on in the background", timeout.as_millis())),
    };
    let mut figure = Figure::empty(declared);
    match read.and_then(|read| Ok((values(&read)?, read))) {
        Ok((rows, read)) => {
            figure.rows = rows;
            figure.is_cut = read.len() > ROWS_MAX;
            figure.source = Some(read.source());
            figure.age_ms = read.age().as_secs_f64() * 1_000.0;
            figure.not_kept = read.not_kept().map(str::to_owned);
        }
        Err(error) => figure.error = Some(error),
    }
    figure.took_ms = began.elapsed().as_secs_f64() * 1_000.0;
    figure
}

async fn read(database: Database, declared: FigureDeclaration) -> Result<CachedRows, Error> {
    let sql = as_objects(&declared.sql);
    let label = format!("figure {}", declared.name);
    // Today's figures are what dashboards are for: what depends on the time is as old as the figure may be.
    let read = database.cached(sql.as_str(), &[]).ttl(declared.ttl).named(label.as_str());
    read.on(Role::Admin).allow_stable().fetch().await
}

/// The rows of a query as objects, one more than are shown. Whatever the query ends with, even a comment, stays in it.
fn as_objects(sql: &str) -> String {
    format!("SELECT to_jsonb(q)::text FROM (\n{sql}\n) AS q LIMIT {}", ROWS_MAX + 1)
}

fn values(rows: &CachedRows) -> Result<Vec<Value>, String> {
    rows.iter()
        .take(ROWS_MAX)
        .map(|row| {
            let text: &str = row.try_get(0).map_err(|error| error.to_string())?;
            serde_json::from_str(text).map_err(|error| format!("its row is no JSON: {error}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_at_the_end_hides_nothing() {
        let sql = as_objects("SELECT 1 AS a -- one");
        assert_eq!(sql, "SELECT to_jsonb(q)::text FROM (\nSELECT 1 AS a -- one\n) AS q LIMIT 1001");
    }
}
